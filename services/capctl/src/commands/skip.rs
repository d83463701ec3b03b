//! `capctl parked skip`: a parked message is given up.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::event::{Event, EventKind};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Body, Content, Lane, LaneStatus, ParkedMessage, RawMessage, Stage, StageName,
};
use cap_pipeline::system_time;
use cap_store::audit::Entry;
use cap_store::inspect::{Parked, show_lane, show_parked};
use cap_store::operate::{self, OperateError};
use serde::Serialize;
use sqlx::PgPool;

use crate::answer::Answer;
use crate::arguments::SkipArguments;
use crate::consent;
use crate::databases::{find_account, of_stages};

/// How often a lane that moves is read again, and how long after.
const TRIES_MAX: u32 = 50;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What skipping a fill at account leaves behind.
const APART: &str = "position has applied this fill already: skipped, position and money are apart, and `verify` will say so; rather repair what keeps it from being posted, and redrive";

/// What to do instead of giving up what CAP sent itself.
const RATHER: &str = "rather mend what keeps it from being applied (`capctl repair`, or a configuration), and redrive";

#[derive(Debug, Serialize)]
struct Skipped {
    account: AccountKey,
    stage: StageName,
    parked_seq: u64,
    request_id: RequestId,
    reason: String,
    /// How the lane is now.
    status: LaneStatus,
    /// How many wait still.
    waiting: u64,
    warning: Option<String>,
}

pub(super) async fn skip(arguments: &SkipArguments, by: &str) -> anyhow::Result<Answer> {
    let SkipArguments { parked_seq, reason, stage, abandon, yes, .. } = arguments;
    ensure!(!reason.trim().is_empty(), "--reason is empty: say why, for the audit log");
    let stages = of_stages(*stage)?;
    let account = find_account(stages.iter().map(|(_, pool)| pool), &arguments.account).await?;
    let (stage, pool) = only_suspended(&account, stages).await?;
    let skipped = parked(&pool, &account, *parked_seq).await?.message;
    let left = left_behind(stage, &account, &skipped);
    if let Some(left) = left.as_ref().filter(|left| left.asks_for_abandon && !*abandon) {
        bail!(
            "{account} at {stage}: number {parked_seq} was not skipped: {}; --abandon skips it all the same",
            left.warning
        );
    }
    let warning = left.map(|left| left.warning);
    consent::ask(&question(&account, stage, &skipped, warning.as_deref()), *yes)?;

    let entry = Entry {
        at: system_time(),
        operator: by.to_owned(),
        command: format!(
            "parked skip {account} {parked_seq} --stage {stage}{}",
            if *abandon { " --abandon" } else { "" }
        ),
        account: Some(account.clone()),
        reason: Some(reason.clone()),
        result: format!("skipped request {}", skipped.request_id),
    };
    let lane = skip_next(&pool, &account, stage, &skipped, &entry).await?;
    Answer::new(&Skipped {
        account,
        stage,
        parked_seq: *parked_seq,
        request_id: skipped.request_id,
        reason: reason.clone(),
        status: lane.status,
        waiting: lane.waiting(),
        warning,
    })
}

/// The lane that is meant: the only one of `stages` that is not active.
async fn only_suspended(
    account: &AccountKey,
    stages: Vec<(StageName, PgPool)>,
) -> anyhow::Result<(StageName, PgPool)> {
    let mut found = Vec::new();
    for (stage, pool) in stages {
        let lane = show_lane(&pool, account).await?;
        if lane.is_some_and(|lane| lane.status != LaneStatus::Active) {
            found.push((stage, pool));
        }
    }
    match found.len() {
        0 => bail!("{account} is not suspended: nothing is parked"),
        1 => Ok(found.remove(0)),
        _ => {
            let stages: Vec<&str> = found.iter().map(|(stage, _)| stage.as_str()).collect();
            bail!("{account} is suspended at {}: say which with --stage", stages.join(" and "))
        }
    }
}

async fn parked(pool: &PgPool, account: &AccountKey, parked_seq: u64) -> anyhow::Result<Parked> {
    let found = show_parked(pool, account, parked_seq).await?;
    found.with_context(|| {
        format!("{account} has no parked message {parked_seq}: see `capctl parked list {account}`")
    })
}

/// Skips it, if it is still the next one, however often the lane moves meanwhile.
async fn skip_next(
    pool: &PgPool,
    account: &AccountKey,
    stage: StageName,
    skipped: &ParkedMessage,
    entry: &Entry,
) -> anyhow::Result<Lane> {
    for _ in 0..TRIES_MAX {
        let before = show_lane(pool, account).await?.context("the lane is gone")?;
        let behind = show_parked(pool, account, skipped.parked_seq + 1).await?;
        let behind = behind.as_ref().map(|parked| &parked.message);
        let after = before.skip(stage, skipped, behind, entry.at)?;
        match operate::skip(pool, account, &before, &after, entry).await {
            Ok(()) => return Ok(after),
            Err(OperateError::Moved(_)) => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the lane of {account} moved each time it was to be skipped: try again")
}

/// What skipping a message leaves behind.
struct LeftBehind {
    /// A sentence for whoever decides.
    warning: String,
    /// Whether that has to be said to be wanted.
    asks_for_abandon: bool,
}

/// What skipping it leaves behind; none if that is no more than the message itself.
fn left_behind(
    stage: StageName,
    account: &AccountKey,
    parked: &ParkedMessage,
) -> Option<LeftBehind> {
    if is_fill_of_a_position(stage, account, parked) {
        return Some(LeftBehind { warning: APART.to_owned(), asks_for_abandon: false });
    }
    let kind: EventKind = kind(stage, account, parked)?.parse().ok()?;
    let unfinished = unfinished(kind)?;
    Some(match stage {
        // Clearing has not taken its id: it is still taken if it comes again as it is.
        StageName::Clearing => LeftBehind {
            warning: format!(
                "CAP sent this {kind} to itself: skipped, {unfinished} until its body is published again as it is, and `verify` will say so; {RATHER}"
            ),
            asks_for_abandon: false,
        },
        StageName::Position | StageName::Account => LeftBehind {
            warning: format!(
                "CAP sent this {kind} to itself, and nothing sends it again: skipped, {unfinished}, and `verify` will say so; {RATHER}"
            ),
            asks_for_abandon: true,
        },
    })
}

/// What stays unfinished without an event of CAP's own.
const fn unfinished(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::TransferArrived => {
            Some("its money stays in transit and the account that sent it cannot be closed")
        }
        EventKind::TransferReturned => {
            Some("its money stays in transit and the account cannot be closed")
        }
        EventKind::TransferLanded => {
            Some("the transfer stays under way and the account cannot be closed")
        }
        EventKind::MarginPosted => Some(
            "its money stays in a margin that no position has and the account cannot be closed",
        ),
        EventKind::FundingUnpaid => {
            Some("the funding stays unpaid and the account cannot be closed")
        }
        _ => None,
    }
}

/// Whether it is a fill that position has applied before account could not.
fn is_fill_of_a_position(stage: StageName, account: &AccountKey, parked: &ParkedMessage) -> bool {
    let is_fill = |content: &Content<cap_domain::lane::Item>| match content {
        Content::Message(message) => match &message.input.body {
            Body::Planned { event, position, .. } => {
                position.is_some() && matches!(**event, Event::ContractFilled(_))
            }
            Body::Refused(_) => false,
        },
        Content::Echo(_) | Content::Unreadable(_) => false,
    };
    stage == StageName::Account
        && Accounts::read(account, raw(parked)).iter().any(|arrival| is_fill(&arrival.content))
}

fn kind(stage: StageName, account: &AccountKey, parked: &ParkedMessage) -> Option<String> {
    fn kind_of<S: Stage>(account: &AccountKey, parked: &ParkedMessage) -> Option<String> {
        S::read(account, raw(parked)).into_iter().find_map(|arrival| match arrival.content {
            Content::Message(message) => Some(message.kind.to_string()),
            Content::Echo(_) | Content::Unreadable(_) => None,
        })
    }
    match stage {
        StageName::Clearing => kind_of::<Clearing>(account, parked),
        StageName::Position | StageName::Account => kind_of::<Accounts>(account, parked),
    }
}

fn raw(parked: &ParkedMessage) -> RawMessage<'_> {
    RawMessage {
        message_id: &parked.source_id,
        deduplication_id: Some(&parked.request_id),
        sent_at: parked.sent_at,
        receives: 1,
        repair: false,
        body: &parked.body,
    }
}

fn question(
    account: &AccountKey,
    stage: StageName,
    skipped: &ParkedMessage,
    warning: Option<&str>,
) -> String {
    let ParkedMessage { parked_seq, request_id, error, .. } = skipped;
    let kind = kind(stage, account, skipped).unwrap_or_else(|| "not readable".to_owned());
    let warning = warning.map(|warning| format!("\nWARNING: {warning}.")).unwrap_or_default();
    format!(
        "{account} at {stage}: give up number {parked_seq}, request {request_id} ({kind})?\n{error}\nIt is never applied, and upstream is told nothing more about it.{warning}"
    )
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, stage, parked_seq, request_id, status, waiting, .. } = self;
        writeln!(f, "{account} · {stage} · number {parked_seq}, request {request_id}, skipped")?;
        writeln!(f, "the lane is {status}, {waiting} wait")?;
        match &self.warning {
            Some(warning) => writeln!(f, "WARNING: {warning}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use cap_domain::time::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_cap_sends_itself_says_what_stays_unfinished_without_it() {
        for kind in EventKind::ALL {
            assert_eq!(unfinished(*kind).is_some(), kind.is_from_cap(), "{kind}");
        }
    }

    #[test]
    fn at_clearing_it_may_be_skipped_because_it_may_come_again() {
        let account: AccountKey = "acme_spot_retail_A-1".parse().unwrap();
        for kind in EventKind::ALL {
            let header = json!({
                "version": 1, "request_id": "r-1", "initiated_at": "2026-11-21T10:00:00.123Z",
                "company": "acme", "product": "spot", "customer_group": "retail", "account": "A-1",
            });
            let parked = ParkedMessage {
                parked_seq: 1,
                request_id: RequestId::new("r-1").unwrap(),
                source_id: "m-1".into(),
                body: json!({ "header": header, "event": { "type": kind } }).to_string(),
                sent_at: Timestamp::from_millis(0),
                parked_at: Timestamp::from_millis(0),
                error: "the database refused it".to_owned(),
                taken_by: None,
            };
            let left = left_behind(StageName::Clearing, &account, &parked);
            assert_eq!(left.is_some(), kind.is_from_cap(), "{kind}");
            assert!(left.is_none_or(|left| {
                !left.asks_for_abandon && left.warning.contains("published again as it is")
            }));
        }
    }
}
