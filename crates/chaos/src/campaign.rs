//! Many seeds, one after the other or side by side, and what they came to together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::arena::Arena;
use crate::check::Findings;
use crate::seed::{DynamoDb, Report, run};
use crate::trouble::lock;
use crate::yard::Yard;

/// Runs in this process that go on side by side.
pub const SIDE_BY_SIDE: usize = 6;

/// Seeds that one installation goes through; DynamoDB is gone for the last of them.
const SEEDS_OF_ARENA: u64 = 20;

/// Of so many runs with processes, one has no DynamoDB.
const WITHOUT_DYNAMODB: u64 = 6;

/// How many failing seeds end a campaign: more would say the same again.
const FAILURES_MAX: usize = 5;

/// What seeds came to together.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many there were.
    pub seeds: usize,
    /// Messages published.
    pub published: usize,
    /// Outcomes read, copies included.
    pub outcomes: usize,
    /// What went wrong on purpose, and how often.
    pub struck: BTreeMap<&'static str, u64>,
    /// Seeds in which something does not hold, and what.
    pub failed: Vec<(u64, Findings)>,
    /// Seeds whose arena broke down, and why: they say nothing of CAP, for or against it.
    pub broken_down: Vec<(u64, String)>,
    /// The longest of them.
    pub longest: Duration,
}

impl Tally {
    /// Adds a seed.
    pub fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.published += report.published;
        self.outcomes += report.outcomes;
        self.longest = self.longest.max(report.took);
        for (what, count) in report.struck {
            *self.struck.entry(what).or_default() += count;
        }
        if !report.findings.violations.is_empty() {
            self.failed.push((report.seed, report.findings));
        }
    }
}

/// Runs `seeds` in this process, several at a time, over the cluster of `postgres_url`.
///
/// # Errors
/// If an installation cannot be made, or breaks down.
pub async fn in_process(
    postgres_url: &str,
    configuration: &Path,
    seeds: impl IntoIterator<Item = u64>,
    mut done: impl FnMut(&Tally),
) -> anyhow::Result<Tally> {
    let mut seeds: Vec<u64> = seeds.into_iter().collect();
    seeds.reverse();
    let waiting = Mutex::new(seeds);
    let (sender, mut reports) = mpsc::channel(SIDE_BY_SIDE);
    let workers: Vec<_> = (0..SIDE_BY_SIDE)
        .map(|_| work(postgres_url, configuration, &waiting, sender.clone()))
        .collect();
    drop(sender);
    let mut tally = Tally::default();
    let collecting = async {
        while let Some(report) = reports.recv().await {
            tally.add(report);
            done(&tally);
            if tally.failed.len() == FAILURES_MAX {
                lock(&waiting).clear();
            }
        }
    };
    let (worked, ()) = tokio::join!(futures::future::join_all(workers), collecting);
    worked.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(tally)
}

async fn work(
    postgres_url: &str,
    configuration: &Path,
    waiting: &Mutex<Vec<u64>>,
    reports: mpsc::Sender<Report>,
) -> anyhow::Result<()> {
    loop {
        if lock(waiting).is_empty() {
            return Ok(());
        }
        let arena = Arc::new(Arena::open(postgres_url, &prefix(), configuration).await?);
        for nth in 1..=SEEDS_OF_ARENA {
            let Some(seed) = lock(waiting).pop() else { break };
            let dynamodb = if nth == SEEDS_OF_ARENA { DynamoDb::Ends } else { DynamoDb::Stays };
            let report = run(&arena, seed, "c", None, dynamodb).await?;
            if reports.send(report).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Runs `seeds` with the processes of `yard`, one after the other, until there are no more or
/// `until` has come.
///
/// # Errors
/// If an installation cannot be made, or breaks down.
pub async fn with_processes(
    yard: &Arc<Yard>,
    configuration: &Path,
    seeds: impl IntoIterator<Item = u64>,
    until: Option<Instant>,
    mut done: impl FnMut(&Tally),
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for seed in seeds {
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let url = yard.postgres.lock().await.url("postgres");
        let arena = Arc::new(Arena::open(&url, &prefix(), configuration).await?);
        let ends = seed % WITHOUT_DYNAMODB == WITHOUT_DYNAMODB - 1;
        let dynamodb = if ends { DynamoDb::Ends } else { DynamoDb::Stays };
        match run(&arena, seed, "p", Some(yard), dynamodb).await {
            Ok(report) => tally.add(report),
            Err(error) => tally.broken_down.push((seed, format!("{error:#}"))),
        }
        done(&tally);
        if tally.failed.len() + tally.broken_down.len() >= FAILURES_MAX {
            break;
        }
        arena.close().await;
    }
    Ok(tally)
}

/// A new installation's prefix.
fn prefix() -> String {
    format!("x{}", &uuid::Uuid::new_v4().simple().to_string()[..9])
}
