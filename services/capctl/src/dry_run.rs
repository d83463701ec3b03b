//! A redrive that writes nothing: the real rules over what is parked, in memory, to the end of the
//! lane.
//!
//! Guarantees that what it tells is what a redrive would do if nothing else came in between: lanes,
//! states and journals are read as the services read them, and the same `advance` decides. It sends
//! nothing, claims nothing and writes nothing.

mod changes;
mod lane;
mod road;
mod telling;

use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{ParkedMessage, RedriveRefused, StageName};
use cap_domain::outcome::{Outcome, OutcomeMessage};
use cap_domain::refusal::Poison;
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::LoadError;
use cap_store::QueryError;
use cap_store::inspect::list_parked;
use serde::Serialize;

use crate::databases::{Databases, of};
pub use changes::{BalanceChange, PositionChange};
use changes::{balance_changes, position_change};
use road::Road;

/// The most parked messages that are rehearsed at once.
pub const REHEARSED_MAX: u64 = 10_000;

/// Parked messages read at a time.
const PAGE_MESSAGES: u32 = 100;

/// What a dry run cannot know.
pub const UNKNOWN: &str = "what arrives meanwhile, what is in transit between the stages, a configuration that is pushed meanwhile, and whether another account used a request id in the last 8 minutes";

/// A rehearsal of the redrive of one lane.
pub struct DryRun<'a> {
    /// The stages' databases.
    pub databases: &'a Databases,
    /// The configuration in force: by it clearing decides, and clearing alone.
    pub configuration: Arc<Configuration>,
    /// The stage whose lane it is.
    pub stage: StageName,
    /// The account whose lane it is.
    pub account: &'a AccountKey,
    /// The last number to be taken; none: all that wait.
    pub through: Option<u64>,
    /// The time of all decisions.
    pub now: Timestamp,
}

/// Why nothing was rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// There is nothing to be redriven, or not that.
    #[error(transparent)]
    Refused(#[from] RedriveRefused),
    /// A database does not answer, or a row cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A database does not answer, or a row cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A journal makes no sense any more.
    #[error("rehearsing at {stage}")]
    Altered {
        /// Whose journal.
        stage: StageName,
        /// What makes no sense.
        #[source]
        poison: Poison,
    },
    /// What came out at the end is no outcome.
    #[error("reading the outcome of number {parked_seq}")]
    Outcome {
        /// Of which message.
        parked_seq: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// What a redrive would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    /// The account.
    pub account: AccountKey,
    /// The stage.
    pub stage: StageName,
    /// The first number that waits.
    pub first: u64,
    /// The last that was rehearsed, or would have been if none had stopped it before.
    pub last: u64,
    /// How many wait.
    pub waiting: u64,
    /// What would become of each message that would be taken, in order.
    pub messages: Vec<RehearsedMessage>,
    /// Where it would stop.
    pub stops_at: Option<Stop>,
    /// Whether the lane would open.
    pub opens: bool,
    /// How many messages are under way to the stages behind: they come before anything redriven.
    pub in_transit: u64,
    /// What it cannot know.
    pub unknown: &'static str,
}

/// What would become of one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RehearsedMessage {
    /// Its number.
    pub parked_seq: u64,
    /// Its request.
    pub request_id: RequestId,
    /// Its event's type; none if it answers something, and does nothing.
    pub kind: Option<String>,
    /// What upstream would be told.
    pub outcome: Outcome,
    /// Every share of money that would be another.
    pub balances: Vec<BalanceChange>,
    /// The position that would be another.
    pub position: Option<PositionChange>,
}

/// Where a redrive would stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// At which number.
    pub parked_seq: u64,
    /// Its request.
    pub request_id: RequestId,
    /// The error's own words.
    pub error: String,
}

impl DryRun<'_> {
    /// Rehearses what waits, and tells as it goes how many messages are done.
    ///
    /// # Errors
    /// See [`DryRunError`].
    pub async fn rehearse(&self, mut progress: impl FnMut(u64)) -> Result<Rehearsal, DryRunError> {
        let mut road =
            Road::load(self.databases, &self.configuration, self.account, self.now).await?;
        let before = road.begin_redrive(self.stage, self.through)?;
        let (first, waits) = (before.redriven_seq + 1, before.parked_seq);
        let asked = self.through.unwrap_or(waits);
        let mut rehearsal = Rehearsal {
            account: self.account.clone(),
            stage: self.stage,
            first,
            last: asked.min(first + REHEARSED_MAX - 1),
            waiting: before.waiting(),
            messages: Vec::new(),
            stops_at: None,
            opens: false,
            in_transit: 0,
            unknown: UNKNOWN,
        };
        let pool = of(self.databases, self.stage);
        let mut done = first - 1;
        while done < rehearsal.last && rehearsal.stops_at.is_none() {
            let page = list_parked(pool, self.account, done, PAGE_MESSAGES).await?;
            if page.is_empty() {
                break;
            }
            for parked in page.into_iter().map(|parked| parked.message) {
                if parked.parked_seq > rehearsal.last || rehearsal.stops_at.is_some() {
                    break;
                }
                done = parked.parked_seq;
                self.rehearse_one(&mut road, &parked, &mut rehearsal).await?;
                progress(done + 1 - first);
            }
        }
        rehearsal.opens = road.is_open(self.stage);
        rehearsal.in_transit = road.in_transit;
        Ok(rehearsal)
    }

    async fn rehearse_one(
        &self,
        road: &mut Road,
        parked: &ParkedMessage,
        rehearsal: &mut Rehearsal,
    ) -> Result<(), DryRunError> {
        let (parked_seq, request_id) = (parked.parked_seq, parked.request_id.clone());
        let (money, held) = (road.accounts.state.clone(), road.positions.state.clone());
        let went = road.redrive(self.stage, parked).await?;
        if let Some(error) = went.failed_again {
            rehearsal.stops_at = Some(Stop { parked_seq, request_id, error });
            return Ok(());
        }
        let Some(body) = went.outcome else { return Ok(()) };
        let outcome: OutcomeMessage = serde_json::from_str(&body)
            .map_err(|source| DryRunError::Outcome { parked_seq, source })?;
        rehearsal.messages.push(RehearsedMessage {
            parked_seq,
            request_id,
            kind: went.kind,
            outcome: outcome.outcome,
            balances: balance_changes(&money, &road.accounts.state),
            position: went
                .contract
                .and_then(|contract| position_change(&contract, &held, &road.positions.state)),
        });
        Ok(())
    }
}
