//! The story of one request: event → plan → position change → posting → outcome, as the journals
//! have it.
//!
//! Every decision is read, not made again: a story tells what was decided, and `verify` proves that it was
//! decided rightly. What was there before it, and the numbers behind a plan's names, no row has:
//! they are the fold of the rows in front of it ([`before`]). The journals are found by key, so a
//! story needs the account.

mod before;
mod telling;

use anyhow::{Context as _, bail};
use cap_domain::account::{AccountRuling, Accounts, Balance};
use cap_domain::clearing::{Clearing, ClearingRuling};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Output, Row, Stage, StageName};
use cap_domain::money::Money;
use cap_domain::outcome::{Outcome, OutcomeMessage};
use cap_domain::plan::AmountName;
use cap_domain::position::{PositionChange, PositionRuling, Positions};
use cap_domain::time::Timestamp;
use cap_store::inspect::{list_parked, show_lane};
use cap_store::journal::row_of_request;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use crate::databases::{Databases, of};
pub(crate) use telling::{balance_after, outcome as ended};

/// Parked messages read at a time.
const PARKED_PAGE_MESSAGES: u32 = 500;

/// The most parked messages of a lane that are searched for the request.
const PARKED_SEARCHED_MAX: u64 = 100_000;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Story {
    /// Its account.
    pub account: AccountKey,
    /// The request.
    pub request_id: RequestId,
    /// How it ended, or where it is now, in a sentence.
    pub ending: String,
    /// What upstream sent; none while clearing has not journaled it.
    pub event: Option<EventTold>,
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
    /// What CAP sent itself after it: each has a story of its own.
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

/// An event that CAP sent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// Into whose lane.
    pub account: AccountKey,
    /// Its request id.
    pub request_id: String,
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
    // Downstream first: whatever is found there, its causes are found after it.
    let last = row_of_request(&databases.account, account, request_id).await?;
    let middle = row_of_request(&databases.position, account, request_id).await?;
    let first = row_of_request(&databases.clearing, account, request_id).await?;
    let mut parked = Vec::new();
    for stage in StageName::ALL {
        parked.extend(parked_at(stage, of(databases, stage), account, request_id).await?);
    }
    if first.is_none() && middle.is_none() && last.is_none() && parked.is_empty() {
        bail!(
            "no stage knows request {request_id} of {account}: it was not published for this account, or is still in the queue of clearing (`capctl queue list`)"
        );
    }
    let outcome = match &last {
        Some(row) => Some(OutcomeMessage::of_row(row)?.outcome),
        None => None,
    };
    let clearing = first.as_ref().map(chapter::<Clearing>).transpose()?;
    let position = middle.as_ref().map(chapter::<Positions>).transpose()?;
    let figures = before::figures(databases, account, first.as_ref(), middle.as_ref()).await?;
    let positions_before = before::positions(databases, account, middle.as_ref()).await?;
    let balances_before = before::balances(databases, account, last.as_ref()).await?;
    let followed_by = last.as_ref().map(|row| followed_by(account, row)).transpose()?;
    let ending = ending(outcome.as_ref(), &parked, clearing.as_ref(), position.is_some());
    Ok(Story {
        account: account.clone(),
        request_id: request_id.clone(),
        ending,
        event: first.as_ref().map(event).transpose()?,
        figures,
        clearing,
        positions_before,
        position,
        balances_before,
        posting: last.as_ref().map(chapter::<Accounts>).transpose()?,
        followed_by: followed_by.unwrap_or_default(),
        parked,
        outcome,
    })
}

fn followed_by(account: &AccountKey, row: &Row) -> anyhow::Result<Vec<Followed>> {
    let outputs = Accounts::outputs(account, row)?.into_iter();
    let followed = outputs.filter_map(|output| match output {
        Output::Event { account, deduplication_id, .. } => {
            Some(Followed { account, request_id: deduplication_id })
        }
        Output::Forward { .. } | Output::Outcome { .. } => None,
    });
    Ok(followed.collect())
}

fn event(row: &Row) -> anyhow::Result<EventTold> {
    let envelope = Clearing::replay(row)?.input.envelope;
    Ok(EventTold {
        kind: row.kind.clone(),
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

/// Where `request_id` is parked in `stage`: every time it was.
async fn parked_at(
    stage: StageName,
    pool: &PgPool,
    account: &AccountKey,
    request_id: &RequestId,
) -> anyhow::Result<Vec<ParkedTold>> {
    let parked_seq = show_lane(pool, account).await?.map_or(0, |lane| lane.parked_seq);
    let mut found = Vec::new();
    // The latest are asked for most; of more than anybody parks, the first are left out.
    let mut after = parked_seq.saturating_sub(PARKED_SEARCHED_MAX);
    while after < parked_seq {
        let page = list_parked(pool, account, after, PARKED_PAGE_MESSAGES).await?;
        let Some(last) = page.last() else { break };
        after = last.message.parked_seq;
        let of_request = page.into_iter().filter(|parked| parked.message.request_id == *request_id);
        found.extend(of_request.map(|parked| ParkedTold {
            stage,
            parked_seq: parked.message.parked_seq,
            parked_at: parked.message.parked_at,
            error: parked.message.error,
            waits: parked.resolution.is_none(),
        }));
    }
    Ok(found)
}

fn ending(
    outcome: Option<&Outcome>,
    parked: &[ParkedTold],
    clearing: Option<&Chapter<ClearingRuling>>,
    position_decided: bool,
) -> String {
    if let Some(outcome) = outcome {
        return telling::outcome(outcome);
    }
    if let Some(parked) = parked.iter().find(|parked| parked.waits) {
        let ParkedTold { stage, parked_seq, error, .. } = parked;
        return format!("parked at {stage} as message {parked_seq}: {error}");
    }
    let by_position = clearing.is_some_and(|chapter| by_position(&chapter.ruling));
    match (clearing, by_position && !position_decided) {
        (None, _) => "on its way to clearing".to_owned(),
        (Some(_), true) => "on its way to position".to_owned(),
        (Some(_), false) => "on its way to account".to_owned(),
    }
}

/// Whether the request's road leads by the position stage.
const fn by_position(ruling: &ClearingRuling) -> bool {
    match ruling {
        ClearingRuling::Planned { by_position, .. }
        | ClearingRuling::Refused { by_position, .. } => *by_position,
    }
}
