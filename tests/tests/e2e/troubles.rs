//! What the unit of work promises when calls fail in part, take long, or are refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_local::sqs::{Fault, FaultPlan, FaultRule, LostReply};
use cap_pipeline::Limits;
use cap_pipeline::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Wanted};
use cap_stack::Stack;
use cap_tests::{Stages, World, envelope, limits};

use crate::events::{SPOT, balance, deposit, funded, opened};
use crate::tools::verified;

#[tokio::test(flavor = "multi_thread")]
async fn partial_failures_lost_replies_throttling_and_duplicates_change_nothing() {
    let stack = Stack::start().await.unwrap();
    let world = World::install_on(&stack).await;
    let stages = world.run_stages().await;
    let accounts: Vec<String> = (0..8).map(|n| format!("acme/spot/retail/F-{n}")).collect();
    let rule = |fault, probability| FaultRule {
        fault,
        probability,
        queue_prefix: Some(format!("{}-account-", world.installation.prefix)),
        operation: None,
    };
    let rules = vec![
        rule(Fault::PartialFailure, 0.2),
        rule(Fault::LostReply { seen: LostReply::InternalError }, 0.1),
        rule(Fault::Throttle, 0.1),
        rule(Fault::Duplicate, 0.3),
    ];
    stack.broker.set_faults(FaultPlan { seed: 21, rules }).unwrap();

    for (index, account) in accounts.iter().enumerate() {
        world.upstream.publish(&envelope(account, &format!("open-{index}"), opened())).await;
        for n in 0..15 {
            let id = format!("d-{index}-{n}");
            world.upstream.publish(&envelope(account, &id, deposit("USDT", "1"))).await;
        }
    }
    let outcomes = world.upstream.outcomes("acme_spot", accounts.len() * 16).await;
    stack.broker.set_faults(FaultPlan::default()).unwrap();

    let mut seqs: HashMap<&str, u64> = HashMap::new();
    for outcome in &outcomes {
        assert_eq!(outcome["outcome"]["status"], "posted");
        let last = seqs.entry(outcome["header"]["account"].as_str().unwrap()).or_default();
        *last += 1;
        assert_eq!(outcome["outcome"]["lane_seq"].as_u64(), Some(*last), "{outcome:#}");
    }
    world.upstream.no_outcome("acme_spot").await;
    stages.stop().await;
    verified(&world, outcomes.len() as u64 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_takes_longer_than_its_visibility_is_kept_by_its_heartbeat() {
    // Given a commit that takes three times as long as a message stays hidden
    let world = World::install().await;
    let mut stages = Stages::default();
    stages.run(world.pipeline::<Clearing>(limits()).await);
    let short = Limits { visibility_secs: 2, ..limits() };
    let mut slow = world.pipeline::<Accounts>(short).await;
    let delayed = AtomicBool::new(false);
    slow.store = Arc::new(Troubled { inner: Arc::clone(&slow.store), delayed: Some(delayed) });
    stages.run(slow);
    world.upstream.publish(&envelope(SPOT, "open", opened())).await;

    // When a rival waits for the message all the while
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..8 {
        let in_flight = world.in_flight("account-acme_spot").await;
        assert_eq!(in_flight, 1, "the message is hidden from others while it is worked on");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    // Then the slow one finishes, once.
    assert_eq!(world.upstream.outcome("acme_spot").await["outcome"]["lane_seq"], 1);
    world.upstream.no_outcome("acme_spot").await;
    stages.stop().await;
    verified(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_suspends_its_own_lane_and_no_other() {
    let world = World::install().await;
    let mut stages = Stages::default();
    stages.run(world.pipeline::<Clearing>(limits()).await);
    let mut accounts = world.pipeline::<Accounts>(limits()).await;
    accounts.store = Arc::new(Troubled { inner: Arc::clone(&accounts.store), delayed: None });
    stages.run(accounts);
    funded(&world.upstream, SPOT, "acme_spot").await;

    for id in ["before", REFUSED, "after"] {
        world.upstream.publish(&envelope(SPOT, id, deposit("USDT", "1"))).await;
    }
    world.upstream.publish(&envelope("acme/spot/retail/A-2", "other", opened())).await;
    let outcomes = world.upstream.outcomes("acme_spot", 4).await;

    let of = |id: &str| {
        let told = outcomes.iter().find(|outcome| outcome["header"]["request_id"] == id);
        &told.unwrap()["outcome"]
    };
    assert_eq!(
        (&of("before")["status"], &of("other")["status"]),
        (&"posted".into(), &"posted".into())
    );
    assert_eq!(
        (&of(REFUSED)["status"], &of("after")["status"]),
        (&"parked".into(), &"parked".into())
    );
    let detail = of(REFUSED)["reason"]["detail"].as_str().unwrap();
    assert!(detail.contains("the database refused it"), "{detail}");
    let before = outcomes.iter().find(|outcome| outcome["header"]["request_id"] == "before");
    assert_eq!(balance(before.unwrap(), "USDT")["available"], "1001.000000");
    let letters = world.upstream.dead_letters("account-acme_spot", 2).await;
    assert_eq!((&*letters[0].1["parked_seq"], &*letters[1].1["parked_seq"]), ("1", "2"));
    stages.stop().await;
}

/// The request whose row the database of [`Troubled`] refuses.
const REFUSED: &str = "refused";

/// How long its first commit takes, if it is to be delayed.
const DELAY: Duration = Duration::from_secs(6);

/// A database that refuses one request, or takes its time once.
struct Troubled {
    inner: Arc<dyn LaneStore<Accounts>>,
    /// Whether the first commit was delayed already; none: nothing is to be delayed.
    delayed: Option<AtomicBool>,
}

#[async_trait]
impl LaneStore<Accounts> for Troubled {
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
        let mut rows = changes.iter().flat_map(|change| &change.rows);
        if rows.any(|row| row.request_id.as_str() == REFUSED) {
            return Err(CommitError::Refused("a named constraint".to_owned()));
        }
        if let Some(delayed) = &self.delayed
            && !delayed.swap(true, Ordering::SeqCst)
        {
            tokio::time::sleep(DELAY).await;
        }
        self.inner.commit(changes).await
    }
}
