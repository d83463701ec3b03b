//! Proving what CAP sends itself: what one lane of account sent into another lane, or into its own for a
//! position, arrived there, once and unaltered, and nothing came out of transit that did not go in.
//!
//! Forwards it walks the rows that lead on to another lane, a page at a time, and asks for what each led to
//! by its key; backwards one statement asks the account database for what nobody sent. Account's
//! snapshot is the oldest: whatever it says was sent is in clearing, parked there, or on its way.

use std::collections::{BTreeMap, HashMap};

use cap_domain::account::{AccountRuling, Accounts};
use cap_domain::envelope::{Envelope, Fingerprint};
use cap_domain::event::Event;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Body, Output, Row, Stage, StageName};
use cap_domain::money::Money;
use cap_domain::transfer::return_id;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};
use crate::snapshot::allow_scans;

use super::lookup::{Journaled, Key, PAGE_ROWS_MAX, Parked, journaled, page, parked};
use super::report::{MISMATCHES_LISTED_MAX, VerifyReport};
use super::{Snapshots, VerifyOptions};

/// Whose mismatch it is if it is of no single account.
const ALL_COMPANIES: &str = "all companies";

/// An envelope that a row of account sent into another lane.
struct Sent {
    from: AccountKey,
    seq: u64,
    to: AccountKey,
    kind: String,
    request_id: RequestId,
    fingerprint: Fingerprint,
    /// What it takes along, if the row put it in transit.
    left: Option<Money>,
}

impl Sent {
    fn key(&self) -> Key {
        (self.to.to_string(), self.request_id.to_string())
    }
}

/// Proves all transfers, or those that leave and reach one account.
pub(super) async fn prove(
    snapshots: &mut Snapshots,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let only = options.account.as_ref();
    let mut under_way = BTreeMap::new();
    let mut after = (only.map_or(String::new(), AccountKey::to_string), 0);
    loop {
        let rows = page(&mut snapshots.account, only, &after.0, after.1).await?;
        let is_last = rows.len() < PAGE_ROWS_MAX;
        if let Some((account, row)) = rows.last() {
            after = (account.to_string(), row.seq);
        }
        let mut sent = Vec::new();
        for (account, row) in &rows {
            sent.extend(sent_by(account, row, report));
        }
        prove_sent(snapshots, &sent, options, &mut under_way, report).await?;
        if is_last {
            break;
        }
    }
    allow_scans(&mut snapshots.account).await?;
    prove_received(&mut snapshots.account, only, report).await?;
    if only.is_none() {
        prove_transit(&mut snapshots.account, &under_way, report).await?;
    }
    Ok(())
}

/// What a row sent into other lanes; that it cannot be sent is told where it is proved by itself.
fn sent_by(account: &AccountKey, row: &Row, report: &mut VerifyReport) -> Vec<Sent> {
    let left = left_by(row);
    let mut sent = Vec::new();
    for output in Accounts::outputs(account, row).unwrap_or_default() {
        let Output::Event { account: to, body, .. } = output else { continue };
        match Envelope::read(&body) {
            Ok(envelope) => sent.push(Sent {
                from: account.clone(),
                seq: row.seq,
                to,
                kind: envelope.event["type"].as_str().unwrap_or_default().to_owned(),
                request_id: envelope.header.request_id.clone(),
                fingerprint: envelope.fingerprint(),
                left,
            }),
            Err(error) => report.add_at(
                StageName::Account,
                account,
                row.seq,
                format!("what follows from it cannot be read: {error}"),
            ),
        }
    }
    sent
}

/// What the row put in transit.
fn left_by(row: &Row) -> Option<Money> {
    let ruling: AccountRuling = serde_json::from_str(&row.result).ok()?;
    match (ruling, Accounts::replay(row).ok()?.input.body) {
        (AccountRuling::Posted { .. }, Body::Planned { event, .. }) => match *event {
            Event::TransferRequested { amount, .. } => Some(amount),
            _ => None,
        },
        _ => None,
    }
}

async fn prove_sent(
    snapshots: &mut Snapshots,
    sent: &[Sent],
    options: &VerifyOptions,
    under_way: &mut BTreeMap<String, Decimal>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    if sent.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = sent.iter().map(Sent::key).collect();
    let cleared = journaled(&mut snapshots.clearing, &keys).await?;
    let decided = journaled(&mut snapshots.account, &keys).await?;
    let undecided: Vec<Key> =
        keys.iter().filter(|key| !decided.contains_key(*key)).cloned().collect();
    let mut skipped = HashMap::new();
    for (stage, connection) in [
        (StageName::Clearing, &mut snapshots.clearing),
        (StageName::Position, &mut snapshots.position),
        (StageName::Account, &mut snapshots.account),
    ] {
        for (key, parked) in parked(connection, &undecided).await? {
            skipped.insert(key, (stage, parked));
        }
    }
    for (one, key) in sent.iter().zip(&keys) {
        let Sent { from, seq, to, kind, request_id, .. } = one;
        let clear = cleared.get(key);
        if clear.is_some_and(|clear| clear.fingerprint != Some(one.fingerprint)) {
            report.add_of(
                StageName::Clearing,
                to,
                format!("its {kind} {request_id} is not what row {seq} of {from} sent"),
            );
        }
        match skipped.get(key) {
            Some((stage, Parked { parked_seq, skipped: true })) => report.add_of(
                *stage,
                to,
                format!(
                    "the {kind} {request_id} of {from} was skipped as parked message {parked_seq}, and did not come again{}",
                    one.left.map(|left| format!(": {left} stay in transit")).unwrap_or_default()
                ),
            ),
            Some(_) => {}
            None if clear.is_some() || decided.contains_key(key) => {}
            None if options.settled => report.add_at(
                StageName::Account,
                from,
                *seq,
                format!("its {kind} {request_id} never arrived at {to}"),
            ),
            None => report.in_transit += 1,
        }
    }
    add_under_way(&mut snapshots.account, sent, &decided, under_way).await
}

/// Adds up what left, and neither landed nor came back.
async fn add_under_way(
    connection: &mut PgConnection,
    sent: &[Sent],
    decided: &HashMap<Key, Journaled>,
    under_way: &mut BTreeMap<String, Decimal>,
) -> Result<(), QueryError> {
    let left = || sent.iter().filter_map(|one| Some((one, one.left?)));
    let back = |one: &Sent| {
        let id = return_id(&one.to, &one.request_id).map(|id| id.to_string());
        (one.from.to_string(), id.unwrap_or_default())
    };
    let landed = |one: &Sent| decided.get(&one.key()).is_some_and(|is| is.posted);
    let returns: Vec<Key> =
        left().filter(|(one, _)| !landed(one)).map(|(one, _)| back(one)).collect();
    let returned = journaled(connection, &returns).await?;
    for (one, amount) in left() {
        if landed(one) || returned.get(&back(one)).is_some_and(|is| is.posted) {
            continue;
        }
        let code = amount.currency().code.to_string();
        let sum: &mut Decimal = under_way.entry(code).or_default();
        *sum += exact(&one.from, &amount.amount())?;
    }
    Ok(())
}

async fn prove_received(
    connection: &mut PgConnection,
    only: Option<&AccountKey>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let never_sent: Vec<(String, i64, String, String)> =
        sqlx::query_as(include_str!("never_sent.sql"))
            .bind(only.map_or("", AccountKey::as_str))
            .bind(i64::try_from(MISMATCHES_LISTED_MAX).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await
            .map_err(failed("looking for transfers that nobody sent"))?;
    for (account, seq, kind, request_id) in never_sent {
        let what = format!("its {kind} {request_id} was made up: the lane it names never sent it");
        report.add(StageName::Account, &account, u64::try_from(seq).ok(), what);
    }
    Ok(())
}

/// Proves that transit holds what is under way, no more and no less.
async fn prove_transit(
    connection: &mut PgConnection,
    under_way: &BTreeMap<String, Decimal>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let sums: Vec<(String, String)> = sqlx::query_as(include_str!("sum_transit.sql"))
        .fetch_all(connection)
        .await
        .map_err(failed("adding up what is in transit"))?;
    let mut held = BTreeMap::new();
    for (currency, text) in sums {
        let sum = Decimal::from_str_exact(&text)
            .map_err(|error| QueryError::unreadable("transit", format!("{text}: {error}")))?;
        held.insert(currency, sum);
    }
    for currency in held.keys().chain(under_way.keys().filter(|code| !held.contains_key(*code))) {
        let sum = |of: &BTreeMap<String, Decimal>| of.get(currency).copied().unwrap_or_default();
        let (held, due) = (sum(&held), sum(under_way));
        if held != due {
            let what =
                format!("transit holds {held} {currency}, the transfers under way come to {due}");
            report.add(StageName::Account, ALL_COMPANIES, None, what);
        }
    }
    Ok(())
}

fn exact(account: &AccountKey, amount: &str) -> Result<Decimal, QueryError> {
    Decimal::from_str_exact(amount)
        .map_err(|error| QueryError::unreadable(account, format!("{amount}: {error}")))
}
