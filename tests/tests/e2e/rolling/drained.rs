//! SIGTERM in the midst of thousands of messages, for each stage.

use std::time::{Duration, Instant};

use cap_domain::lane::StageName;
use cap_stack::Service;
use cap_tests::{World, binaries};

use super::rush::{Rush, SCOPE, journal_passes, journal_rows};

/// How long a service may take from SIGTERM to its end (C20).
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long the one after it may take to its first commit, its own start included. What a service
/// does not give back would come again after a minute.
const TAKE_OVER_MAX: Duration = Duration::from_secs(5);

/// How many events wait for a service when it starts: more than it does before it is told to stop.
const PLENTY: i64 = 3_000;

/// How often a service is replaced while there is something to do.
const REPLACED: usize = 3;

/// Tells the service of `stage` to stop in the midst of a rush, again and again.
async fn drains(stage: StageName) {
    let world = World::install().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |stage: StageName| {
        let (world, log) = (&world, logs.path().join(format!("{stage}.log")));
        async move { Service::start(stage, &binaries(), &world.installation, &[], log).await.unwrap() }
    };
    let mut others = Vec::new();
    for other in StageName::ALL.into_iter().filter(|other| *other != stage) {
        others.push(start(other).await);
    }
    let first = start(stage).await;
    let mut rush = Rush::open(&world, 300).await;
    rush.all_told().await;
    first.stop().await.unwrap();
    let database = world.database(stage);
    let queue = format!("{stage}-{SCOPE}");

    let mut rows = journal_rows(&database).await;
    for nth in 0..REPLACED {
        while rush.events() - rows < PLENTY {
            rush.publish().await;
        }
        wait_until_all_lies_before(&world, stage).await;
        let begun = Instant::now();
        let service = start(stage).await;
        journal_passes(&database, rows).await;
        // The first one of all begins with nobody's messages but the queue's.
        if nth > 0 {
            let took = begun.elapsed();
            assert!(took < TAKE_OVER_MAX, "first commit of the next after {took:?}");
        }
        let told_to_stop = Instant::now();
        service.stop().await.unwrap();
        let took = told_to_stop.elapsed();
        assert!(took < DRAIN_MAX, "{stage} took {took:?} from SIGTERM to its end");
        // Finished and deleted, or given back: none of it has to wait for its visibility.
        assert_eq!(world.in_flight(&queue).await, 0, "messages that {stage} did not give back");
        rows = journal_rows(&database).await;
        assert!(rows < rush.events(), "{stage} had done everything before it was told to stop");
    }
    let last = start(stage).await;
    rush.all_told().await;
    rush.proved().await;
    for service in others.into_iter().chain([last]) {
        service.stop().await.unwrap();
    }
}

/// Waits until the stages before `stage` have nothing left to do.
async fn wait_until_all_lies_before(world: &World, stage: StageName) {
    let begun = Instant::now();
    loop {
        let queues = cap_aws::provision::list_queues(&world.aws.sqs, &world.installation.prefix);
        let queues = queues.await.unwrap();
        let before = StageName::ALL.into_iter().take_while(|before| *before != stage);
        let waiting = before.map(|before| {
            let name = format!("{}-{before}-{SCOPE}.fifo", world.installation.prefix);
            let queue = queues.iter().find(|listed| listed.name == name).unwrap();
            queue.visible + queue.in_flight
        });
        if waiting.sum::<u64>() == 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the stages before {stage} go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_told_to_stop_in_a_rush_ends_in_time_and_the_next_goes_on_at_once() {
    drains(StageName::Clearing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_told_to_stop_in_a_rush_ends_in_time_and_the_next_goes_on_at_once() {
    drains(StageName::Position).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_told_to_stop_in_a_rush_ends_in_time_and_the_next_goes_on_at_once() {
    drains(StageName::Account).await;
}
