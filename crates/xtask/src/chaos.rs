//! `cargo xtask chaos`: CAP in trouble, and whether it is right all the same (T64).

mod told;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use cap_chaos::campaign::{Tally, in_process, with_processes};
use cap_chaos::yard::Yard;
use cap_local::postgres::PostgresCluster;
use clap::Args;
use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::build;
use crate::progress::Progress;
use told::Told;

/// Seeds in one process that are run unless something else is asked for.
const SEEDS: u64 = 200;

/// Seeds with real processes that are run unless something else is asked for.
const PROCESS_SEEDS: u64 = 15;

/// After so many seeds a long run tells a log how far it is.
const SEEDS_TOLD: u64 = 20;

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// How many seeds to run in this process, with simulated crashes [default: 200].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// How many seeds to run with real processes and `kill -9` [default: 15].
    #[arg(long, value_name = "N")]
    process_seeds: Option<u64>,
    /// Run seeds with real processes for so long; no others unless `--seeds` says so.
    #[arg(long, value_name = "M", conflicts_with = "process_seeds")]
    minutes: Option<u64>,
    /// Run this seed alone: in this process, or with `--processes`.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "process_seeds", "minutes"])]
    seed: Option<u64>,
    /// Run the one seed with real processes.
    #[arg(long, requires = "seed")]
    processes: bool,
    /// Print one JSON object instead of the report.
    #[arg(long)]
    json: bool,
    /// Take the services as they are built already.
    #[arg(long)]
    built: bool,
}

/// The seeds of each kind, and until when.
struct Plan {
    in_process: Vec<u64>,
    with_processes: Box<dyn Iterator<Item = u64> + Send>,
    expected: usize,
    minutes: Option<u64>,
}

impl Chaos {
    fn plan(&self) -> Plan {
        let none = || Box::new(std::iter::empty());
        if let Some(seed) = self.seed {
            return if self.processes {
                let with_processes = Box::new(std::iter::once(seed));
                Plan { in_process: Vec::new(), with_processes, expected: 1, minutes: None }
            } else {
                Plan { in_process: vec![seed], with_processes: none(), expected: 0, minutes: None }
            };
        }
        if self.minutes.is_some() {
            return Plan {
                in_process: (1..=self.seeds.unwrap_or(0)).collect(),
                with_processes: Box::new(1..),
                expected: 0,
                minutes: self.minutes,
            };
        }
        let processes = self.process_seeds.unwrap_or(PROCESS_SEEDS);
        Plan {
            in_process: (1..=self.seeds.unwrap_or(SEEDS)).collect(),
            with_processes: Box::new(1..=processes),
            expected: usize::try_from(processes).unwrap_or(usize::MAX),
            minutes: None,
        }
    }
}

/// Runs chaos and reports; fails if anything does not hold.
pub(crate) fn run(chaos: &Chaos) -> anyhow::Result<()> {
    let progress = Progress::new();
    let step = progress.step("services built");
    let binaries = build::services(chaos.built)?;
    step.done();
    let step = progress.step("PostgreSQL started");
    let postgres = PostgresCluster::start_temporary().context("starting PostgreSQL")?;
    step.done();
    let logs = binaries.join("chaos-logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
    let configuration = build::root().join("config");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("a runtime")?;
    let told = runtime.block_on(async {
        let plan = chaos.plan();
        let url = postgres.url("postgres");
        let simulated = simulate(&url, &configuration, plan.in_process, &progress).await?;
        let yard = Arc::new(Yard {
            binaries,
            logs,
            kill_points: Default::default(),
            postgres: tokio::sync::Mutex::new(postgres),
        });
        let until = plan.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
        let bar = match plan.expected {
            0 if until.is_none() => ProgressBar::hidden(),
            0 => ProgressBar::new_spinner().with_message("real processes"),
            expected => progress.bar("real processes", expected),
        };
        let seeds = plan.with_processes;
        let killed = with_processes(&yard, &configuration, seeds, until, |tally| {
            advance(&bar, tally);
        });
        let killed = killed.await?;
        bar.finish_and_clear();
        if killed.seeds > 0 {
            progress.say(&format!("{} seeds with real processes", killed.seeds));
        }
        anyhow::Ok(Told::new(simulated, killed, yard.kill_points.hits(), progress.elapsed()))
    })?;
    if chaos.json {
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        print!("{told}");
    }
    ensure!(told.holds(), "chaos found something: the seeds are above");
    Ok(())
}

async fn simulate(
    url: &str,
    configuration: &Path,
    seeds: Vec<u64>,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    if seeds.is_empty() {
        return Ok(Tally::default());
    }
    let bar = progress.bar("one process", seeds.len());
    let tally = in_process(url, configuration, seeds, |tally| advance(&bar, tally)).await?;
    bar.finish_and_clear();
    progress.say(&format!("{} seeds in one process", tally.seeds));
    Ok(tally)
}

fn advance(bar: &ProgressBar, tally: &Tally) {
    bar.set_position(tally.seeds as u64);
    if bar.is_hidden() && (tally.seeds as u64).is_multiple_of(SEEDS_TOLD) {
        // Nobody watches: what is kept of it is a log.
        eprintln!("  {} seeds, {} failed", tally.seeds, tally.failed.len());
    }
    if let Some((seed, findings)) = tally.failed.last() {
        let violations = &findings.violations;
        bar.set_message(format!("seed {seed}: {} violations", violations.len()));
    }
}
