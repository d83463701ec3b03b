//! A new rulebook tried on what really happened: recorded events, decided again by it.
//!
//! Clearing alone follows a rulebook, so its journal is all there is to try it on: every envelope is
//! read and decided again under the configuration in force with the new rulebook in it, and
//! compared with the plan that was made then. Nothing is written. Each difference is handed over as it
//! is found, so that there may be as many as there are events.

use std::sync::Arc;

use cap_domain::clearing::{Clearing, ClearingRuling};
use cap_domain::configuration::Configuration;
use cap_domain::ids::{AccountKey, Product, RequestId};
use cap_domain::lane::{Row, Stage};
use cap_domain::plan::{PlannedAmount, PlannedLeg};
use cap_domain::refusal::Refusal;
use cap_domain::time::Timestamp;
use cap_store::QueryError;
use cap_store::journal::Recorded;
use serde::Serialize;
use sqlx::PgPool;

/// A rulebook on trial.
pub struct Rehearsal<'a> {
    /// Clearing's database.
    pub clearing: &'a PgPool,
    /// The configuration in force with the new rulebook in it.
    pub configuration: Arc<Configuration>,
    /// Whose rulebook it is.
    pub product: &'a Product,
    /// Events that were decided before this moment are left out.
    pub since: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The product.
    pub product: Product,
    /// The version on trial.
    pub version: u32,
    /// From when on.
    pub since: Timestamp,
    /// Events that were decided again.
    pub events: u64,
    /// Those whose posting would be another.
    pub differ: u64,
}

/// An event whose posting would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose.
    pub account: AccountKey,
    /// Its number in the lane.
    pub lane_seq: u64,
    /// The request.
    pub request_id: RequestId,
    /// The event's type.
    pub kind: String,
    /// What was planned.
    pub was: Planned,
    /// What would be.
    pub would_be: Planned,
}

/// What clearing makes of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// It moves this, from → to; a figure that a later stage computes goes by its name.
    Moves(Vec<String>),
    /// It is refused.
    Refused(String),
    /// It suspends the account.
    Suspends(String),
}

impl Rehearsal<'_> {
    /// Decides everything again, and tells as it goes how many events are done and what differs, in the
    /// order of account and number. A page of the journal is in memory.
    ///
    /// # Errors
    /// See [`QueryError`]; and whatever `differs` ends with.
    pub async fn run<E: From<QueryError>>(
        &self,
        mut progress: impl FnMut(u64),
        mut differs: impl FnMut(Difference) -> Result<(), E>,
    ) -> Result<Rehearsed, E> {
        let stage = Clearing::new(Arc::clone(&self.configuration));
        let mut rehearsed = Rehearsed {
            product: self.product.clone(),
            version: self.version(),
            since: self.since,
            events: 0,
            differ: 0,
        };
        let mut recorded = Recorded::of_product(self.clearing, self.product, self.since).await?;
        while let Some((account, row)) = recorded.next().await? {
            rehearsed.events += 1;
            progress(rehearsed.events);
            let (was, would_be) = (planned_then(&row), planned_now(&stage, &account, &row));
            if was == would_be {
                continue;
            }
            rehearsed.differ += 1;
            let Row { seq: lane_seq, request_id, kind, .. } = row;
            differs(Difference {
                account,
                lane_seq,
                request_id,
                kind: kind.to_string(),
                was,
                would_be,
            })?;
        }
        Ok(rehearsed)
    }

    /// The version on trial.
    pub fn version(&self) -> u32 {
        let rulebook = self.configuration.rulebook(self.product);
        rulebook.map(|rulebook| rulebook.version).unwrap_or_default()
    }
}

fn planned_then(row: &Row) -> Planned {
    match serde_json::from_str(&row.result) {
        Ok(ruling) => planned(&ruling),
        Err(error) => Planned::Suspends(format!("what was decided cannot be read: {error}")),
    }
}

fn planned_now(stage: &Clearing, account: &AccountKey, row: &Row) -> Planned {
    let decided = Clearing::replay(row)
        .and_then(|message| stage.decide(account, &(), &message, row.decided_at));
    match decided {
        Ok((ruling, ())) => planned(&ruling),
        Err(poison) => Planned::Suspends(poison.to_string()),
    }
}

fn planned(ruling: &ClearingRuling) -> Planned {
    match ruling {
        ClearingRuling::Planned { legs, .. } => Planned::Moves(legs.iter().map(moves).collect()),
        ClearingRuling::Refused { refusal: Refusal::Rejected { code, detail }, .. } => {
            Planned::Refused(format!("{code}: {detail}"))
        }
        ClearingRuling::Refused { refusal: Refusal::Expired { detail }, .. } => {
            Planned::Refused(format!("expired: {detail}"))
        }
    }
}

fn moves(leg: &PlannedLeg) -> String {
    let amount = match &leg.amount {
        PlannedAmount::Known(money) => money.to_string(),
        PlannedAmount::Named(name) => name.to_string(),
    };
    let shortfall = format!("{:?}", leg.shortfall).to_lowercase();
    format!("{} → {} {amount} ({shortfall})", leg.from, leg.to)
}
