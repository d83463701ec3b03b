//! The lanes of a stage in PostgreSQL: what the pipeline loads and commits.
//!
//! A load is one read a table, by key: lanes, state, then journal rows and parked messages if the
//! lanes can have any. The lane is read first, so whatever a rival changes between the reads, the
//! fence of the commit finds. What this process wrote last, and nobody seems to have changed since, is
//! not read: [`states`] keeps it. A commit is one transaction: the fence first, then journal, state
//! and parked messages, each one statement over arrays, whatever the size of the batch.
//!
//! It knows no stage: what a stage keeps is behind [`StateTables`].

mod commit;
mod load;
mod pages;
mod record;
mod states;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::lane::Memory;
use cap_pipeline::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Wanted};
use sqlx::PgPool;

use crate::state::StateTables;

pub(crate) use commit::{advance_lanes, fence};
pub use pages::LanePages;
use states::States;

pub(crate) use record::{LaneRecord, hash, lane_columns};

/// The lanes of stage `S` in its own database.
#[derive(Debug, Clone)]
pub struct PostgresLanes<S: StateTables> {
    pool: PgPool,
    states: Arc<States<S>>,
}

impl<S: StateTables> PostgresLanes<S> {
    /// The lanes in the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, states: Arc::default() }
    }
}

#[async_trait]
impl<S: StateTables> LaneStore<S> for PostgresLanes<S> {
    fn kept(&self, accounts: &[&AccountKey]) -> Vec<(AccountKey, Loaded<S>)> {
        let kept = self.states.lanes_of(accounts, Instant::now()).into_iter();
        let loaded = |(account, lane, state)| {
            let memory = Memory::default();
            (account, Loaded { lane: Some(lane), state, memory })
        };
        kept.map(loaded).collect()
    }

    async fn load(&self, wanted: &[Wanted]) -> Result<HashMap<AccountKey, Loaded<S>>, LoadError> {
        load::load(&self.pool, &self.states, wanted).await.map_err(LoadError::from)
    }

    async fn are_resolved(&self, parked: &[(AccountKey, u64)]) -> Result<Vec<bool>, LoadError> {
        load::are_resolved(&self.pool, parked).await.map_err(LoadError::from)
    }

    async fn commit(&self, changes: &[LaneChange<S>]) -> Result<(), CommitError> {
        let committed = commit::commit(&self.pool, changes).await;
        if matches!(committed, Err(CommitError::Fenced)) {
            self.states.rival_seen(Instant::now());
        }
        committed?;
        self.states.keep(
            changes
                .iter()
                .filter(|change| commit::writes(change))
                .map(|change| (&change.account, &change.after, &change.state_after)),
        );
        Ok(())
    }
}
