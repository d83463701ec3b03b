//! Messages that came too often are worked on alone: if one of them kills the process, it takes
//! no other lane with it (C5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_pipeline::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Wanted};
use cap_tests::{Stages, World, envelope, limits};

use crate::events::opened;
use crate::tools::verified;

/// Accounts with a message each.
const ACCOUNTS: usize = 6;

/// Enough receives to be suspected, and far fewer than make poison.
const RECEIVES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_too_often_is_decided_one_lane_at_a_time() {
    // Given messages for account that a consumer received again and again and never finished
    let world = World::install().await;
    let mut stages = Stages::default();
    stages.run(world.pipeline::<Clearing>(limits()).await);
    for n in 0..ACCOUNTS {
        let account = format!("acme/spot/retail/S-{n}");
        world.upstream.publish(&envelope(&account, &format!("open-{n}"), opened())).await;
    }
    for _ in 0..RECEIVES {
        world.upstream.receive_and_give_back("account-acme_spot", ACCOUNTS).await;
    }

    // When a healthy consumer takes them
    let commits = Arc::new(Mutex::new(Vec::new()));
    let mut accounts = world.pipeline::<Accounts>(limits()).await;
    accounts.store =
        Arc::new(Watched { inner: Arc::clone(&accounts.store), commits: Arc::clone(&commits) });
    stages.run(accounts);
    let outcomes = world.upstream.outcomes("acme_spot", ACCOUNTS).await;

    // Then all are decided, and never two in one transaction
    assert!(outcomes.iter().all(|outcome| outcome["outcome"]["status"] == "posted"));
    assert_eq!(*commits.lock().unwrap(), vec![1; ACCOUNTS]);
    stages.stop().await;
    verified(&world, ACCOUNTS as u64 * 2).await;
}

/// Notes how many lanes each commit writes.
struct Watched {
    inner: Arc<dyn LaneStore<Accounts>>,
    commits: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl LaneStore<Accounts> for Watched {
    fn kept(&self, accounts: &[&AccountKey]) -> Vec<(AccountKey, Loaded<Accounts>)> {
        self.inner.kept(accounts)
    }

    async fn load(
        &self,
        wanted: &[Wanted],
    ) -> Result<HashMap<AccountKey, Loaded<Accounts>>, LoadError> {
        self.inner.load(wanted).await
    }

    async fn are_resolved(&self, parked: &[(AccountKey, u64)]) -> Result<Vec<bool>, LoadError> {
        self.inner.are_resolved(parked).await
    }

    async fn commit(&self, changes: &[LaneChange<Accounts>]) -> Result<(), CommitError> {
        self.commits.lock().unwrap().push(changes.len());
        self.inner.commit(changes).await
    }
}
