//! The services as processes, stopped dead at a labelled place (`pipeline/failpoint.rs`).

use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::lane::StageName;
use cap_domain::position::Positions;
use cap_stack::Service;
use cap_tests::{Stages, World, binaries, envelope, limits};

use crate::events::{SPOT, balance, deposit, funded, opened};
use crate::tools::verified;

/// Long enough for a message that a dead process held to come again.
const VISIBILITY_SECS: &str = "2";

/// Kills the account service once at `failpoint`, starts it again, and expects every deposit to
/// have been applied once and told once.
async fn survives(stage: StageName, failpoint: &str) {
    let world = World::install().await;
    let mut others = Stages::default();
    if stage != StageName::Clearing {
        others.run(world.pipeline::<Clearing>(limits()).await);
    }
    if stage != StageName::Account {
        others.run(world.pipeline::<Accounts>(limits()).await);
    }
    others.run(world.pipeline::<Positions>(limits()).await);
    let log = std::env::temp_dir().join(format!("cap-{}-{stage}.log", world.installation.prefix));
    let start = |failpoints: String| {
        let (world, log) = (&world, log.clone());
        async move {
            let extra =
                [("CAP_FAILPOINTS", failpoints.as_str()), ("CAP_VISIBILITY_SECS", VISIBILITY_SECS)];
            Service::start(stage, &binaries(), &world.installation, &extra, log).await.unwrap()
        }
    };
    let healthy = start(String::new()).await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    healthy.stop().await.unwrap();

    let mut doomed = start(format!("{failpoint}=abort")).await;
    for n in 0..5 {
        world.upstream.publish(&envelope(SPOT, &format!("d-{n}"), deposit("USDT", "1"))).await;
    }
    world.upstream.publish(&envelope("acme/spot/retail/A-2", "open-2", opened())).await;
    assert!(!doomed.ended(Duration::from_secs(15)).await.unwrap(), "the failpoint was reached");
    let heir = start(String::new()).await;

    let outcomes = world.upstream.outcomes("acme_spot", 6).await;
    let deposits: Vec<_> =
        outcomes.iter().filter(|outcome| outcome["header"]["account"] == "A-1").collect();
    for (index, outcome) in deposits.iter().enumerate() {
        assert_eq!(outcome["outcome"]["lane_seq"], 3 + index, "{failpoint}: out of order or twice");
        assert!(outcome["outcome"].get("replayed").is_none(), "a redelivery is not a repetition");
    }
    assert_eq!(balance(deposits.last().unwrap(), "USDT")["available"], "1005.000000");
    world.upstream.no_outcome("acme_spot").await;
    heir.stop().await.unwrap();
    others.stop().await;
    verified(&world, 8 * 2).await;
    let _ = std::fs::remove_file(log);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_between_commit_and_delete_applies_and_tells_everything_once() {
    survives(StageName::Account, "before_delete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_after_commit_applies_and_tells_everything_once() {
    survives(StageName::Account, "after_commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_between_two_outcomes_applies_and_tells_everything_once() {
    survives(StageName::Account, "mid_forward").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_before_commit_applies_and_tells_everything_once() {
    survives(StageName::Account, "before_commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_killed_between_commit_and_delete_applies_and_tells_everything_once() {
    survives(StageName::Clearing, "before_delete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_killed_after_its_claims_applies_and_tells_everything_once() {
    survives(StageName::Clearing, "after_prepare").await;
}
