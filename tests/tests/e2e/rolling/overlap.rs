//! A rolling update as ECS does it: the new process is started, then the old one is told to stop.

use std::time::Duration;

use cap_domain::lane::StageName;
use cap_stack::Service;
use cap_tests::{World, binaries};
use tokio_util::sync::CancellationToken;

use super::rush::Rush;

/// How long old and new of a stage run side by side.
const SIDE_BY_SIDE: Duration = Duration::from_millis(700);

/// How often events are published: more a second than one process is bored by.
const WAVE_EVERY: Duration = Duration::from_millis(120);

/// Settings of one release and of the next: whatever may differ, differs.
const RELEASES: [&[(&str, &str)]; 2] = [
    &[
        ("CAP_BATCH_MESSAGES_MAX", "20"),
        ("CAP_BATCH_WAIT_MILLIS", "0"),
        ("CAP_COMMITTERS", "1"),
        ("CAP_RECEIVERS_PER_QUEUE", "1"),
        ("CAP_VISIBILITY_SECS", "5"),
    ],
    &[
        ("CAP_BATCH_MESSAGES_MAX", "500"),
        ("CAP_BATCH_WAIT_MILLIS", "20"),
        ("CAP_COMMITTERS", "4"),
        ("CAP_RECEIVERS_PER_QUEUE", "4"),
        ("CAP_VISIBILITY_SECS", "30"),
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn twice_around_a_rolling_update_of_every_stage_loses_doubles_and_reorders_nothing() {
    let world = World::install().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |stage: StageName, release: usize| {
        let (world, log) = (&world, logs.path().join(format!("{stage}-{release}.log")));
        let settings = RELEASES[release % RELEASES.len()];
        async move {
            Service::start(stage, &binaries(), &world.installation, settings, log).await.unwrap()
        }
    };
    let mut running = Vec::new();
    for stage in StageName::ALL {
        running.push(start(stage, 0).await);
    }
    let mut rush = Rush::open(&world, 60).await;
    let rolled = CancellationToken::new();
    let publishing = async {
        while !rolled.is_cancelled() {
            rush.publish().await;
            tokio::time::sleep(WAVE_EVERY).await;
        }
        rush
    };
    let rolling = async {
        for release in [1, 2] {
            for stage in StageName::ALL {
                let new = start(stage, release).await;
                tokio::time::sleep(SIDE_BY_SIDE).await;
                let place = running.iter().position(|old| old.stage == stage).unwrap();
                running.remove(place).stop().await.unwrap();
                running.push(new);
            }
        }
        rolled.cancel();
    };
    let (mut rush, ()) = tokio::join!(publishing, rolling);
    rush.all_told().await;
    rush.proved().await;
    for service in running {
        service.stop().await.unwrap();
    }
}
