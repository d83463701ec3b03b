//! The services as processes, stopped dead at a labelled place (`pipeline/failpoint.rs`).

use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::lane::StageName;
use cap_domain::position::Positions;
use cap_stack::Service;
use cap_tests::{Stages, World, binaries, envelope, limits};

use crate::events::{balance, deposit, funded, opened, perpetual_fill};
use crate::tools::verified;

/// Long enough for a message that a dead process held to come again.
const VISIBILITY_SECS: &str = "2";

/// Kills the service of `stage` once at `failpoint`, starts it again, and expects every event of
/// an account of `product` to have been applied once and told once.
async fn survives(stage: StageName, failpoint: &str, product: &str) {
    let (account, scope) = (format!("acme/{product}/retail/A-1"), format!("acme_{product}"));
    let world = World::install().await;
    let mut others = Stages::default();
    if stage != StageName::Clearing {
        others.run(world.pipeline::<Clearing>(limits()).await);
    }
    if stage != StageName::Position {
        others.run(world.pipeline::<Positions>(limits()).await);
    }
    if stage != StageName::Account {
        others.run(world.pipeline::<Accounts>(limits()).await);
    }
    let logs = tempfile::tempdir().unwrap();
    let start = |failpoints: String| {
        let (world, log) = (&world, logs.path().join("log"));
        async move {
            let extra =
                [("CAP_FAILPOINTS", failpoints.as_str()), ("CAP_VISIBILITY_SECS", VISIBILITY_SECS)];
            Service::start(stage, &binaries(), &world.installation, &extra, log).await.unwrap()
        }
    };
    let healthy = start(String::new()).await;
    funded(&world.upstream, &account, &scope).await;
    healthy.stop().await.unwrap();

    let mut doomed = start(format!("{failpoint}=kill")).await;
    for n in 0..5 {
        let event = match product {
            "perpetual" => perpetual_fill(&format!("o-{n}"), "buy", "0.001", "20000", "-1"),
            _ => deposit("USDT", "1"),
        };
        world.upstream.publish(&envelope(&account, &format!("e-{n}"), event)).await;
    }
    let other = format!("acme/{product}/retail/A-2");
    world.upstream.publish(&envelope(&other, "open-2", opened())).await;
    assert!(!doomed.ended(Duration::from_secs(15)).await.unwrap(), "the failpoint was reached");
    let heir = start(String::new()).await;

    let outcomes = world.upstream.outcomes(&scope, 6).await;
    let told: Vec<_> =
        outcomes.iter().filter(|outcome| outcome["header"]["account"] == "A-1").collect();
    for (index, outcome) in told.iter().enumerate() {
        assert_eq!(outcome["outcome"]["lane_seq"], 3 + index, "{failpoint}: out of order or twice");
        assert!(outcome["outcome"].get("replayed").is_none(), "a redelivery is not a repetition");
    }
    let last = balance(told.last().unwrap(), "USDT");
    if product == "perpetual" {
        assert_eq!(told[4]["outcome"]["position"]["quantity"], "0.005");
        assert_eq!(
            (&last["available"], &last["margin"]),
            (&"995.000000".into(), &"10.000000".into())
        );
    } else {
        assert_eq!(last["available"], "1005.000000");
    }
    world.upstream.no_outcome(&scope).await;
    // What the dead process held comes again after its visibility, and is the heir's to delete.
    world.quiet().await;
    heir.stop().await.unwrap();
    others.stop().await;
    let stages = if product == "perpetual" { 3 } else { 2 };
    verified(&world, 8 * stages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_between_commit_and_delete_applies_and_tells_everything_once() {
    survives(StageName::Account, "before_delete", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_after_commit_applies_and_tells_everything_once() {
    survives(StageName::Account, "after_commit", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_between_two_outcomes_applies_and_tells_everything_once() {
    survives(StageName::Account, "mid_forward", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_killed_before_commit_applies_and_tells_everything_once() {
    survives(StageName::Account, "before_commit", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_killed_between_commit_and_delete_applies_and_tells_everything_once() {
    survives(StageName::Clearing, "before_delete", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_killed_after_its_claims_applies_and_tells_everything_once() {
    survives(StageName::Clearing, "after_prepare", "spot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_killed_between_commit_and_delete_applies_and_tells_everything_once() {
    survives(StageName::Position, "before_delete", "perpetual").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_killed_after_commit_applies_and_tells_everything_once() {
    survives(StageName::Position, "after_commit", "perpetual").await;
}
