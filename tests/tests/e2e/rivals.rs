//! Several consumers of one queue: nothing is lost, doubled or reordered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_domain::position::Positions;
use cap_domain::routing::{QueueName, Routes};
use cap_pipeline::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Wanted};
use cap_pipeline::queues::{EntryResult, Outgoing, Queues, Received, Unreachable};
use cap_tests::{Stages, World, envelope, limits};
use serde_json::Value;
use tokio::sync::Notify;

use crate::events::{SPOT, balance, deposit, funded, opened};
use crate::tools::verified;

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_on_one_queue_apply_everything_once_and_in_order() {
    let (world, first) = World::running().await;
    let second = world.run_stages().await;
    let accounts: Vec<String> = (0..10).map(|n| format!("acme/spot/retail/R-{n}")).collect();
    for (index, account) in accounts.iter().enumerate() {
        world.upstream.publish(&envelope(account, &format!("open-{index}"), opened())).await;
    }
    for n in 0..15 {
        for (index, account) in accounts.iter().enumerate() {
            world
                .upstream
                .publish(&envelope(account, &format!("d-{index}-{n}"), deposit("USDT", "1")))
                .await;
        }
    }

    let outcomes = world.upstream.outcomes("acme_spot", 160).await;

    let mut seqs: HashMap<&str, u64> = HashMap::new();
    for outcome in &outcomes {
        assert_eq!(outcome["outcome"]["status"], "posted");
        let last = seqs.entry(outcome["header"]["account"].as_str().unwrap()).or_default();
        *last += 1;
        assert_eq!(
            outcome["outcome"]["lane_seq"].as_u64(),
            Some(*last),
            "out of order: {outcome:#}"
        );
    }
    world.upstream.no_outcome("acme_spot").await;
    first.stop().await;
    second.stop().await;
    verified(&world, 160 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_outlives_its_visibility_timeout_is_fenced_off() {
    // Given a zombie: it does not extend, and its first commit stalls after the last check.
    let world = World::install().await;
    let mut zombie = Stages::default();
    zombie.run(world.pipeline::<Clearing>(limits()).await);
    zombie.run(world.pipeline::<Positions>(limits()).await);
    let mut accounts =
        world.pipeline::<Accounts>(cap_pipeline::Limits { visibility_secs: 2, ..limits() }).await;
    let stalled = Arc::new(Stall::default());
    accounts.store =
        Arc::new(StallingStore { inner: Arc::clone(&accounts.store), stall: Arc::clone(&stalled) });
    accounts.queues = Arc::new(NeverExtends(Arc::clone(&accounts.queues)));
    zombie.run(accounts);
    world.upstream.publish(&envelope(SPOT, "open", opened())).await;
    stalled.reached.notified().await;

    // When its visibility ends and another consumer takes the message
    let mut heir = Stages::default();
    heir.run(world.pipeline::<Accounts>(limits()).await);
    let first = world.upstream.outcome("acme_spot").await;
    world.upstream.publish(&envelope(SPOT, "fund", deposit("USDT", "7"))).await;
    let second = world.upstream.outcome("acme_spot").await;

    // Then the zombie, when it wakes, changes nothing and says nothing new.
    stalled.released.notify_one();
    world.upstream.no_outcome("acme_spot").await;
    assert_eq!(
        (&first["outcome"]["lane_seq"], &second["outcome"]["lane_seq"]),
        (&1.into(), &2.into())
    );
    assert_eq!(balance(&second, "USDT")["available"], "7.000000");
    zombie.stop().await;
    heir.stop().await;
    verified(&world, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_crash_mid_work_lose_nothing() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    for n in 0..60 {
        world.upstream.publish(&envelope(SPOT, &format!("d-{n}"), deposit("USDT", "1"))).await;
        if n == 30 {
            // Not drained: whatever was in hand comes again after its visibility.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stages.crash();
    let stages = world.run_stages().await;
    world.quiet().await;
    let mut outcomes: Vec<Value> = world.upstream.outcomes("acme_spot", 60).await;
    assert_eq!(balance(&outcomes.pop().unwrap(), "USDT")["available"], "1060.000000");
    stages.stop().await;
    verified(&world, 62 * 2).await;
}

/// Where a commit stands still until it is released.
#[derive(Default)]
struct Stall {
    used: AtomicBool,
    reached: Notify,
    released: Notify,
}

struct StallingStore {
    inner: Arc<dyn LaneStore<Accounts>>,
    stall: Arc<Stall>,
}

#[async_trait]
impl LaneStore<Accounts> for StallingStore {
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
        if !self.stall.used.swap(true, Ordering::SeqCst) {
            self.stall.reached.notify_one();
            self.stall.released.notified().await;
            let late = self.inner.commit(changes).await;
            assert!(matches!(late, Err(CommitError::Fenced)), "the zombie is fenced off: {late:?}");
            return late;
        }
        self.inner.commit(changes).await
    }
}

struct NeverExtends(Arc<dyn Queues>);

#[async_trait]
impl Queues for NeverExtends {
    async fn receive(
        &self,
        queue: &QueueName,
        wait_secs: u32,
        visibility_secs: u32,
    ) -> Result<Vec<Received>, Unreachable> {
        self.0.receive(queue, wait_secs, visibility_secs).await
    }

    async fn send(
        &self,
        queue: &QueueName,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        self.0.send(queue, messages).await
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        self.0.delete(queue, receipt_handles).await
    }

    async fn extend(
        &self,
        _: &QueueName,
        _: &[&str],
        _: u32,
    ) -> Result<Vec<EntryResult>, Unreachable> {
        Err(Unreachable {
            attempted: "extending".to_owned(),
            cause: "this consumer is stalled".to_owned(),
        })
    }

    async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
        self.0.list_again().await
    }
}
