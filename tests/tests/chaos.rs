//! Chaos, the short version (T64): a few seeds of each kind. `cargo xtask chaos` runs hundreds.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

use std::sync::Arc;

use cap_chaos::campaign::{Tally, in_process, with_processes};
use cap_chaos::yard::Yard;
use cap_local::postgres::PostgresCluster;
use cap_tests::{binaries, repository};

/// Seeds in one process; others than those that `cargo xtask chaos` begins with.
const SEEDS: std::ops::RangeInclusive<u64> = 9_001..=9_008;

/// Seeds with real processes: one alone may be over before much has gone wrong. The last of them
/// has no DynamoDB.
const PROCESS_SEEDS: std::ops::RangeInclusive<u64> = 9_003..=9_005;

/// Kinds of trouble that seeds of either sort together must have seen.
const TROUBLES_MIN: usize = 11;

fn assert_holds(tally: &Tally, seeds: usize, flag: &str) {
    for (seed, findings) in &tally.failed {
        let violations = &findings.violations;
        eprintln!(
            "seed {seed} failed; again: cargo xtask chaos --seed {seed}{flag}: {violations:#?}"
        );
        findings.evidence.iter().for_each(|account| eprintln!("{account}"));
    }
    assert!(tally.failed.is_empty(), "an invariant does not hold: see above");
    assert_eq!(tally.broken_down, [], "an arena broke down");
    assert_eq!(tally.seeds, seeds, "every seed was run");
    assert!(tally.outcomes >= tally.published, "every message was answered at least once");
    assert!(tally.struck.len() >= TROUBLES_MIN, "trouble was made: {:?}", tally.struck);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invariant_holds_whatever_goes_wrong() {
    let cluster = tokio::task::spawn_blocking(PostgresCluster::start_temporary);
    let postgres = cluster.await.unwrap().unwrap();
    let (url, configuration) = (postgres.url("postgres"), repository().join("config"));
    let simulated = in_process(&url, &configuration, SEEDS, |_| {}).await.unwrap();
    assert_holds(&simulated, SEEDS.count(), "");

    let logs = tempfile::tempdir().unwrap();
    let yard = Arc::new(Yard {
        binaries: binaries(),
        logs: logs.path().to_owned(),
        kill_points: Default::default(),
        postgres: tokio::sync::Mutex::new(postgres),
    });
    let killed = with_processes(&yard, &configuration, PROCESS_SEEDS, None, |_| {}).await.unwrap();
    assert_holds(&killed, PROCESS_SEEDS.count(), " --processes");
    assert!(yard.kill_points.hits().values().sum::<u64>() > 0, "processes were killed");
}
