//! `cargo xtask bench`: how fast CAP is, beside what else would do it.

mod report;

use anyhow::{Context, ensure};
use cap_bench::{BENCHES, Plan};
use cap_domain::lane::StageName;
use cap_service::logs;
use cap_service::run::WORKER_THREADS_USUAL;
use clap::Args;

use crate::build;
use crate::progress::Progress;

/// What is measured, and how long.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The benches to run; all if none is named.
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(BENCHES))]
    names: Vec<String>,
    /// Rounds that count, after one of warm-up; their median is told.
    #[arg(long, value_name = "N", default_value_t = Plan::ROUNDS_MIN)]
    rounds: usize,
    /// What part of the messages a round has; less than 1 is for looking, not for figures.
    #[arg(long, value_name = "PART", default_value_t = 1.0)]
    scale: f64,
    /// Fail if a target is missed.
    #[arg(long)]
    check: bool,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Take the optimised programs as they are built already.
    #[arg(long)]
    built: bool,
}

/// One hop of the relay; what it connects to is in the environment.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// What the names of the installation's queues begin with.
    #[arg(long)]
    prefix: String,
    /// The stage whose messages are passed on.
    #[arg(long)]
    from: StageName,
    /// The stage they are passed to; the outcome queues if none is named.
    #[arg(long)]
    to: Option<StageName>,
}

/// Relays until the process is ended.
pub(crate) fn relay(relay: &Relay) -> anyhow::Result<()> {
    // As many threads as a service has.
    let worker_threads = WORKER_THREADS_USUAL.parse().context("a number of threads")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .enable_all()
        .build()
        .context("a runtime")?;
    runtime.block_on(cap_bench::relay(&relay.prefix, relay.from, relay.to))
}

/// Measures and reports; fails if a target is missed and that was asked for.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    ensure!(bench.rounds >= Plan::ROUNDS_MIN, "--rounds: {} is the least", Plan::ROUNDS_MIN);
    ensure!(bench.scale > 0.0 && bench.scale <= 1.0, "--scale: above 0, up to 1");
    if !bench.built {
        return build::run_release(std::env::args_os().skip(1));
    }
    // What the stages complain of, if they do.
    let _logs = logs::start("bench", &"warn".parse()?)?;
    let program = std::env::current_exe().context("finding this program")?;
    let binaries = program.parent().context("finding this program's folder")?;
    let plan = Plan { rounds: bench.rounds, scale: bench.scale };
    let progress = Progress::new();
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let told = |what: &str| bar.set_message(format!("{:>4.0?}  {what}", progress.elapsed()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("a runtime")?;
    let configuration = build::root().join("config");
    let report =
        runtime.block_on(cap_bench::run(&bench.names, &plan, &configuration, binaries, &told));
    bar.finish_and_clear();
    let report = report?;
    if bench.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report::Told(&report));
    }
    eprintln!("  ✓ {:.0?}", progress.elapsed());
    let broken: Vec<&str> = report.broken.iter().map(|broken| broken.name).collect();
    ensure!(broken.is_empty(), "not measured to the end: {}", broken.join(", "));
    let missed = report.missed().count();
    ensure!(!bench.check || missed == 0, "{missed} targets were missed");
    Ok(())
}
