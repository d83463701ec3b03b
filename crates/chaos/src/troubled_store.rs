//! A database that fails, stalls, loses the answers to its commits, and crashes who calls it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::lane::Stage;
use cap_pipeline::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Wanted};
use cap_pipeline::queues::Unreachable;

use crate::trouble::Life;

/// `inner`, in trouble.
pub struct TroubledStore<S: Stage> {
    /// The real one.
    pub inner: Arc<dyn LaneStore<S>>,
    /// Whose calls these are.
    pub life: Life,
    /// How long a message stays hidden.
    pub visibility: Duration,
}

impl<S: Stage> TroubledStore<S> {
    async fn stall(&self) {
        let trouble = &self.life.trouble;
        if trouble.strikes("slow database", trouble.odds().slow) {
            tokio::time::sleep(trouble.slowness()).await;
        }
        if trouble.strikes("batch past its messages' visibility", trouble.odds().overdue) {
            tokio::time::sleep(self.visibility + Duration::from_millis(300)).await;
        }
    }
}

#[async_trait]
impl<S: Stage> LaneStore<S> for TroubledStore<S> {
    fn kept(&self, accounts: &[&AccountKey]) -> Vec<(AccountKey, Loaded<S>)> {
        self.inner.kept(accounts)
    }

    async fn load(&self, wanted: &[Wanted]) -> Result<HashMap<AccountKey, Loaded<S>>, LoadError> {
        let (life, trouble) = (&self.life, &self.life.trouble);
        life.may_end("crash before loading", trouble.odds().crash_before).await;
        self.stall().await;
        if trouble.strikes("database unreachable", trouble.odds().unreachable) {
            return Err(unreachable("no connection").into());
        }
        let loaded = self.inner.load(wanted).await?;
        life.may_end("crash after loading", trouble.odds().crash_after).await;
        Ok(loaded)
    }

    async fn are_resolved(&self, parked: &[(AccountKey, u64)]) -> Result<Vec<bool>, LoadError> {
        let resolved = self.inner.are_resolved(parked).await?;
        self.life.may_end("crash in the janitor", self.life.trouble.odds().crash_after).await;
        Ok(resolved)
    }

    async fn commit(&self, changes: &[LaneChange<S>]) -> Result<(), CommitError> {
        let (life, trouble) = (&self.life, &self.life.trouble);
        let parks = changes.iter().any(|change| !change.parked.is_empty());
        let redrives = changes.iter().any(|change| !change.redriven.is_empty());
        life.may_end("crash before commit", trouble.odds().crash_before).await;
        self.stall().await;
        if trouble.strikes("database unreachable", trouble.odds().unreachable) {
            return Err(unreachable("no connection").into());
        }
        if trouble.strikes("serialization failure", trouble.odds().unreachable) {
            return Err(unreachable("could not serialize access").into());
        }
        if trouble.strikes("fenced without a rival", trouble.odds().fenced) {
            return Err(CommitError::Fenced);
        }
        self.inner.commit(changes).await?;
        let place = match (parks, redrives) {
            (true, _) => "crash between parking and the DLQ",
            (_, true) => "crash in a redrive, after commit",
            _ => "crash after commit",
        };
        life.may_end(place, trouble.odds().crash_after).await;
        if trouble.strikes("commit's reply lost", trouble.odds().reply_lost) {
            return Err(unreachable("the reply to COMMIT was lost").into());
        }
        Ok(())
    }
}

fn unreachable(cause: &str) -> Unreachable {
    Unreachable {
        attempted: "calling the database under chaos".to_owned(),
        cause: cause.to_owned(),
    }
}
