//! Late finishers: a process freezes with messages in hand, another takes them over after their
//! visibility, and then the first one goes on where it stood.

use std::time::{Duration, Instant};

use cap_domain::lane::StageName;
use cap_stack::Service;
use cap_tests::{World, binaries};
use tokio::process::Command;

use super::rush::{Rush, SCOPE};

/// So that what a frozen process holds comes to another soon.
const VISIBILITY: (&str, &str) = ("CAP_VISIBILITY_SECS", "2");

/// How long a process may take until it freezes.
const FREEZE_SECS_MAX: u64 = 20;

/// How long a thawed one is left alone with what it had in hand.
const THAWED: Duration = Duration::from_millis(500);

/// Freezes the service of `stage` at `failpoint`, lets an heir do its work, and thaws it.
async fn harmless(stage: StageName, failpoint: &str) {
    let world = World::install().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |stage: StageName, failpoints: String| {
        let (world, log) = (&world, logs.path().join(format!("{stage}.log")));
        async move {
            let extra = [VISIBILITY, ("CAP_FAILPOINTS", failpoints.as_str())];
            Service::start(stage, &binaries(), &world.installation, &extra, log).await.unwrap()
        }
    };
    let mut running = Vec::new();
    for other in StageName::ALL {
        running.push(start(other, String::new()).await);
    }
    let mut rush = Rush::open(&world, 20).await;
    rush.all_told().await;
    let place = running.iter().position(|service| service.stage == stage).unwrap();
    running.remove(place).stop().await.unwrap();

    let zombie = start(stage, format!("{failpoint}=freeze@2")).await;
    for _ in 0..6 {
        rush.publish().await;
    }
    is_frozen(&zombie).await;
    let held = world.in_flight(&format!("{stage}-{SCOPE}")).await;
    assert!(held > 0, "{stage} holds nothing at {failpoint}");
    running.push(start(stage, String::new()).await);
    rush.publish().await;
    rush.all_told().await;

    signal(&zombie, "-CONT").await;
    tokio::time::sleep(THAWED).await;
    rush.publish().await;
    rush.all_told().await;
    rush.proved().await;
    for service in running.into_iter().chain([zombie]) {
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_frozen_before_it_decides_leaves_that_to_its_heir() {
    harmless(StageName::Clearing, "after_prepare").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_frozen_before_it_sends_on_sends_nothing_twice() {
    harmless(StageName::Clearing, "after_commit").await;
}

/// It looked a last time whether its messages are its own before it froze (Q20): only the fence is
/// left.
#[tokio::test(flavor = "multi_thread")]
async fn position_frozen_between_its_last_look_and_its_commit_is_fenced_off() {
    harmless(StageName::Position, "before_begin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_frozen_half_way_through_sending_sends_nothing_twice() {
    harmless(StageName::Position, "mid_forward").await;
}

/// The database takes the locks of a transaction that stands still from it (`pool.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn account_frozen_within_its_transaction_loses_it_and_the_lanes_go_on() {
    harmless(StageName::Account, "after_fence").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_frozen_while_its_commit_is_on_its_way_tells_nothing_twice() {
    harmless(StageName::Account, "commit_sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_frozen_before_it_deletes_deletes_nobody_elses_message() {
    harmless(StageName::Account, "before_delete").await;
}

/// Wherever they happen to stand.
#[tokio::test(flavor = "multi_thread")]
async fn all_stages_frozen_in_a_rush_harm_nothing_when_they_go_on() {
    let world = World::install().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |stage: StageName| {
        let (world, log) = (&world, logs.path().join(format!("{stage}.log")));
        async move {
            let settings = [VISIBILITY];
            Service::start(stage, &binaries(), &world.installation, &settings, log).await.unwrap()
        }
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for stage in StageName::ALL {
        old.push(start(stage).await);
    }
    let mut rush = Rush::open(&world, 200).await;
    rush.all_told().await;
    for _ in 0..10 {
        rush.publish().await;
    }
    let mut held = 0;
    for service in &old {
        signal(service, "-STOP").await;
        held += world.in_flight(&format!("{}-{SCOPE}", service.stage)).await;
    }
    assert!(held > 0, "none of them had anything in hand");
    for stage in StageName::ALL {
        new.push(start(stage).await);
    }
    rush.all_told().await;

    for service in &old {
        signal(service, "-CONT").await;
    }
    rush.publish().await;
    rush.all_told().await;
    rush.proved().await;
    for service in old.into_iter().chain(new) {
        service.stop().await.unwrap();
    }
}

async fn signal(service: &Service, signal: &str) {
    let id = service.process_id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
}

async fn is_frozen(service: &Service) {
    let status = format!("/proc/{}/status", service.process_id().unwrap());
    let begun = Instant::now();
    while !std::fs::read_to_string(&status).unwrap().contains("State:\tT") {
        let waited = begun.elapsed().as_secs();
        assert!(waited < FREEZE_SECS_MAX, "{} does not come to where it freezes", service.stage);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
