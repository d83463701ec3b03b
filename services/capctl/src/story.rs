//! The story of one request: event → plan → position change → posting → outcome, as the journals
//! have it.
//!
//! Every decision is read, not made again: a story tells what was decided, and `verify` proves that it was
//! decided rightly. What was there before it, and the numbers behind a plan's names, no row has:
//! they are the fold of the rows in front of it ([`before`]). The journals are found by key, so a
//! story needs the account. What CAP sent itself has stories of its own, and is told in short in that of
//! the request it follows from ([`links`]): a transfer to where it landed, or came back.

mod before;
mod links;
mod telling;
mod trail;

use anyhow::{Context as _, bail};
use cap_domain::account::{AccountRuling, Accounts, Balance};
use cap_domain::clearing::{Clearing, ClearingRuling};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Row, Stage, StageName};
use cap_domain::money::Money;
use cap_domain::outcome::Outcome;
use cap_domain::plan::AmountName;
use cap_domain::position::{PositionChange, PositionRuling, Positions};
use cap_domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::databases::Databases;
pub(crate) use telling::{balance_after, outcome as ended};
use trail::Trail;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Story {
    /// Its account.
    pub account: AccountKey,
    /// The request.
    pub request_id: RequestId,
    /// How it ended, or where it is now, in a sentence.
    pub ending: String,
    /// What upstream sent, or CAP itself; none while clearing has not journaled it.
    pub event: Option<EventTold>,
    /// If CAP sent it: what it followed from, the nearest first.
    pub causes: Vec<Cause>,
    /// The figures of the plan that are not zero, by the names that the rulebook has for them.
    pub figures: Vec<Figure>,
    /// What clearing decided.
    pub clearing: Option<Chapter<ClearingRuling>>,
    /// The positions of the event's symbol before it; none if there is no symbol, or nobody can tell.
    pub positions_before: Option<Vec<PositionChange>>,
    /// What position decided; none also where the product has no positions.
    pub position: Option<Chapter<PositionRuling>>,
    /// The balances of the currencies it touched, before it; none if nobody can tell.
    pub balances_before: Option<Vec<Balance>>,
    /// What account posted.
    pub posting: Option<Chapter<AccountRuling>>,
    /// What CAP sent itself after it, step by step: each has a story of its own.
    pub followed_by: Vec<Followed>,
    /// Where it was parked, and what became of that.
    pub parked: Vec<ParkedTold>,
    /// What upstream was told.
    pub outcome: Option<Outcome>,
}

/// One figure of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Its name in rulebooks; the first word says which stage computed it.
    pub name: AmountName,
    /// What it came to.
    pub amount: Money,
}

/// A request that CAP sent an event after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// In whose lane.
    pub account: AccountKey,
    /// The request.
    pub request_id: RequestId,
    /// The event's type.
    pub kind: String,
    /// The number of its row in the account stage's journal.
    pub seq: u64,
    /// When that was decided.
    pub decided_at: Timestamp,
}

/// An event that CAP sent itself, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Followed {
    /// Into whose lane.
    pub account: AccountKey,
    /// Its request id.
    pub request_id: RequestId,
    /// Its type.
    pub kind: String,
    /// When what it follows from was decided.
    pub made_at: Timestamp,
    /// When it entered clearing's queue; none while clearing has not journaled it.
    pub queued_at: Option<Timestamp>,
    /// The stages that have decided it, in order.
    pub hops: Vec<Hop>,
    /// What became of the position, if it was about one.
    pub position: Option<PositionChange>,
    /// What account posted.
    pub posting: Option<AccountRuling>,
    /// How it ended, or where it is now, in a sentence.
    pub ending: String,
}

/// One stage's row of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Where.
    pub stage: StageName,
    /// The number of the row in the lane's journal.
    pub seq: u64,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// What upstream sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventTold {
    /// The event's type.
    pub kind: String,
    /// The event as it was sent.
    pub fields: Value,
    /// When the caller made the request.
    pub initiated_at: Timestamp,
    /// When it entered the first queue.
    pub sent_at: Timestamp,
}

/// What one stage decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chapter<R> {
    /// The number of the row in the lane's journal.
    pub seq: u64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The version of the rules that decided.
    pub rules_version: u16,
    /// The revision of the configuration; 0 where the stage needs none.
    pub configuration: u64,
    /// The decision.
    pub ruling: R,
}

/// A request that waits, or waited, for support.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedTold {
    /// Where.
    pub stage: StageName,
    /// Its number among the lane's parked messages.
    pub parked_seq: u64,
    /// When.
    pub parked_at: Timestamp,
    /// Why.
    pub error: String,
    /// Whether it still waits.
    pub waits: bool,
    /// Whether it was given up.
    pub skipped: bool,
}

/// Tells the story of `request_id` of `account`.
///
/// # Errors
/// If no stage knows the request, or a database cannot be read.
pub async fn tell(
    databases: &Databases,
    account: &AccountKey,
    request_id: &RequestId,
) -> anyhow::Result<Story> {
    let trail = Trail::find(databases, account, request_id).await?;
    if trail.is_empty() {
        bail!(
            "no stage knows request {request_id} of {account}: it was not published for this account, or is still in the queue of clearing (`capctl queue list`)"
        );
    }
    let (outcome, ending) = (trail.outcome()?, trail.ending()?);
    let Trail { clearing: first, position: middle, account: last, parked } = trail;
    let event = first.as_ref().map(event).transpose()?;
    let causes = match &event {
        Some(told) => links::causes(databases, account, request_id, told).await?,
        None => Vec::new(),
    };
    let followed_by = match &last {
        Some(row) => links::followed(databases, account, row).await?,
        None => Vec::new(),
    };
    Ok(Story {
        account: account.clone(),
        request_id: request_id.clone(),
        ending,
        event,
        causes,
        figures: before::figures(databases, account, first.as_ref(), middle.as_ref()).await?,
        clearing: first.as_ref().map(chapter::<Clearing>).transpose()?,
        positions_before: before::positions(databases, account, middle.as_ref()).await?,
        position: middle.as_ref().map(chapter::<Positions>).transpose()?,
        balances_before: before::balances(databases, account, last.as_ref()).await?,
        posting: last.as_ref().map(chapter::<Accounts>).transpose()?,
        followed_by,
        parked,
        outcome,
    })
}

fn event(row: &Row) -> anyhow::Result<EventTold> {
    let envelope = Clearing::replay(row)?.input.envelope;
    Ok(EventTold {
        kind: row.kind.to_string(),
        fields: envelope.event,
        initiated_at: envelope.header.initiated_at,
        sent_at: row.sent_at,
    })
}

fn chapter<S: Stage>(row: &Row) -> anyhow::Result<Chapter<S::Ruling>> {
    let ruling = serde_json::from_str(&row.result);
    Ok(Chapter {
        seq: row.seq,
        decided_at: row.decided_at,
        rules_version: row.rules_version,
        configuration: row.configuration,
        ruling: ruling.with_context(|| format!("reading row {} of {}", row.seq, S::NAME))?,
    })
}

/// Whether the request's road leads by the position stage.
const fn by_position(ruling: &ClearingRuling) -> bool {
    match ruling {
        ClearingRuling::Planned { by_position, .. }
        | ClearingRuling::Refused { by_position, .. } => *by_position,
    }
}
