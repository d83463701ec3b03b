//! What led to a request that CAP made itself, and what CAP sent itself after one.
//!
//! What follows is told by the account stage's row alone, and found by its key. What led to it is the
//! row that says so: the lane it lies in is named by the event, or is the event's own.

use cap_domain::account::Accounts;
use cap_domain::envelope::{Envelope, Fingerprint};
use cap_domain::event::EventKind;
use cap_domain::event::door::destination;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Output, Row, Stage as _, StageName};
use cap_domain::position::PositionRuling;
use cap_domain::time::Timestamp;
use cap_domain::transfer::Arriving;
use cap_store::inspect::HISTORY_ROWS_MAX;
use cap_store::journal::{JournalPages, row_of_request};

use super::trail::Trail;
use super::{Cause, EventTold, Followed, Hop, event};
use crate::databases::Databases;

/// The most steps that are told forwards, and backwards: a transfer arrives, and then lands or comes
/// back. Nothing that CAP sends itself leads further.
const STEPS_MAX: usize = 2;

/// An envelope that a row of account sent on.
struct Sent {
    to: AccountKey,
    request_id: RequestId,
    kind: String,
    made_at: Timestamp,
    content: Fingerprint,
}

/// What followed from the account stage's row of a request, step by step, and what became of it.
pub(super) async fn followed(
    databases: &Databases,
    account: &AccountKey,
    row: &Row,
) -> anyhow::Result<Vec<Followed>> {
    let mut told = Vec::new();
    let mut due = sent_by(account, row);
    for _ in 0..STEPS_MAX {
        for sent in std::mem::take(&mut due) {
            let trail = Trail::find(databases, &sent.to, &sent.request_id).await?;
            let trail = trail.of_content(sent.content);
            if let Some(row) = &trail.account {
                due.extend(sent_by(&sent.to, row));
            }
            told.push(tell(sent, &trail)?);
        }
    }
    Ok(told)
}

fn tell(sent: Sent, trail: &Trail) -> anyhow::Result<Followed> {
    let position = match trail.position.as_ref().map(Row::ruling).transpose()? {
        Some(PositionRuling::Changed { position, .. }) => position,
        Some(PositionRuling::Passed | PositionRuling::Refused(_)) | None => None,
    };
    let hop = |stage| {
        let Row { seq, decided_at, .. } = trail.row(stage)?;
        Some(Hop { stage, seq: *seq, decided_at: *decided_at })
    };
    Ok(Followed {
        account: sent.to,
        request_id: sent.request_id,
        kind: sent.kind,
        made_at: sent.made_at,
        queued_at: trail.clearing.as_ref().map(|row| row.sent_at),
        hops: StageName::ALL.into_iter().filter_map(hop).collect(),
        position,
        posting: trail.account.as_ref().map(Row::ruling).transpose()?,
        ending: trail.ending()?,
    })
}

/// What a row of the account stage sent on; that it cannot be sent, `verify` tells.
fn sent_by(account: &AccountKey, row: &Row) -> Vec<Sent> {
    let outputs = Accounts::outputs(account, row).unwrap_or_default().into_iter();
    let sent = outputs.filter_map(|output| match output {
        Output::Event { account, body, .. } => {
            let envelope = Envelope::read(&body).ok()?;
            Some(Sent {
                to: account,
                kind: envelope.event["type"].as_str().unwrap_or_default().to_owned(),
                made_at: envelope.header.initiated_at,
                content: envelope.fingerprint(),
                request_id: envelope.header.request_id,
            })
        }
        Output::Forward { .. } | Output::Outcome { .. } => None,
    });
    sent.collect()
}

/// What led to a request of CAP's own, the nearest first; nothing if upstream made it, or nobody did.
pub(super) async fn causes(
    databases: &Databases,
    account: &AccountKey,
    request_id: &RequestId,
    told: &EventTold,
) -> anyhow::Result<Vec<Cause>> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut of = (account.clone(), request_id.clone(), told.clone());
    while causes.len() < STEPS_MAX {
        let (account, request_id, told) = &of;
        let Some((lane, row)) = cause(databases, account, request_id, told).await? else { break };
        let cleared = row_of_request(&databases.clearing, &lane, &row.request_id).await?;
        causes.push(Cause {
            account: lane.clone(),
            request_id: row.request_id.clone(),
            kind: row.kind.to_string(),
            seq: row.seq,
            decided_at: row.decided_at,
        });
        let Some(cleared) = cleared else { break };
        of = (lane, row.request_id, event(&cleared)?);
    }
    Ok(causes)
}

/// The row of account that sent `request_id` into the lane of `account`.
async fn cause(
    databases: &Databases,
    account: &AccountKey,
    request_id: &RequestId,
    told: &EventTold,
) -> anyhow::Result<Option<(AccountKey, Row)>> {
    use EventKind::*;
    let fields = &told.fields;
    let arriving = || Arriving::read(&told.kind, fields).map(|arriving| arriving.from);
    let (lane, kinds): (_, &[EventKind]) = match told.kind.parse() {
        Ok(TransferArrived) => (arriving(), &[TransferRequested]),
        Ok(TransferLanded | TransferReturned) => (destination(fields), &[TransferArrived]),
        Ok(MarginPosted) => (Some(account.clone()), &[MarginChanged, LeverageChanged]),
        Ok(FundingUnpaid) => (Some(account.clone()), &[FundingCharged]),
        _ => return Ok(None),
    };
    let Some(lane) = lane else { return Ok(None) };
    let sends = |row: &Row| {
        kinds.iter().any(|kind| row.kind == kind.name())
            && sent_by(&lane, row)
                .iter()
                .any(|sent| sent.to == *account && sent.request_id == *request_id)
    };
    // What lands or comes back says what it answers.
    let arrival = fields["arrival"].as_str().and_then(|arrival| RequestId::new(arrival).ok());
    if let Some(arrival) = arrival {
        let row = row_of_request(&databases.account, &lane, &arrival).await?;
        return Ok(row.filter(sends).map(|row| (lane, row)));
    }
    let mut connection = databases.account.acquire().await?;
    let mut pages = JournalPages::new(Some(&lane));
    while let Some(row) = pages.next_of(&mut connection, &lane).await? {
        if sends(&row) {
            return Ok(Some((lane, row)));
        }
        if row.seq >= HISTORY_ROWS_MAX {
            break;
        }
    }
    Ok(None)
}
