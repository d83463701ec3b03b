//! `cargo xtask crowd`: ten thousand suspended accounts, and whether the healthy ones notice (C5).

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cap_chaos::crowd::{Pair, Place, Plan, Redriven, Report, Round, Size, measure};
use cap_stack::Stack;
use clap::Args;
use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use crate::build;
use crate::progress::Progress;

/// The rate beside the crowd must reach so much of the rate without it, in thousandths.
const PERMILLE_MIN: u64 = 900;

/// How long a redrive of one account may take, whatever lies beside it.
const REDRIVE_MAX: Duration = Duration::from_secs(10);

/// How big a crowd, and how it is measured.
#[derive(Debug, Args)]
pub(crate) struct Crowd {
    /// Suspended accounts.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least::<2>)]
    suspended: usize,
    /// Parked messages of each.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least::<2>)]
    parked: usize,
    /// Healthy accounts.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = at_least::<1>)]
    healthy: usize,
    /// Deposits of each healthy account in a round.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least::<1>)]
    deposits: usize,
    /// Pairs of rounds, with and without the crowd; their median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least::<1>)]
    rounds: usize,
    /// Build and run everything optimised.
    #[arg(long, conflicts_with = "built")]
    release: bool,
    /// Print one JSON object instead of the report.
    #[arg(long)]
    json: bool,
    /// Take the services as they are built already.
    #[arg(long)]
    built: bool,
}

fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if number < LEAST { Err(format!("{LEAST} is the least")) } else { Ok(number) }
}

/// Measures and reports; fails if the healthy accounts noticed, or a redrive took too long.
pub(crate) fn run(crowd: &Crowd) -> anyhow::Result<()> {
    if crowd.release {
        return build::run_release(std::env::args_os().skip(1).filter(|flag| flag != "--release"));
    }
    let progress = Progress::new();
    let step = progress.step("services built");
    let binaries = build::services(crowd.built)?;
    step.done();
    let logs = binaries.join("crowd-logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
    let Crowd { suspended, parked: parked_each, healthy, deposits, rounds, .. } = *crowd;
    let plan = Plan { suspended, parked_each, healthy, deposits, rounds };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("a runtime")?;
    let report = runtime.block_on(on_a_stack(&binaries, &logs, &plan, &progress))?;
    if crowd.json {
        println!("{}", serde_json::to_string_pretty(&in_full(&report)?)?);
    } else {
        print!("{}", Told(&report));
    }
    eprintln!("  ✓ {:.0?}", progress.elapsed());
    check(&report)
}

async fn on_a_stack(
    binaries: &Path,
    logs: &Path,
    plan: &Plan,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let step = progress.step("PostgreSQL, an SQS broker and DynamoDB started");
    let stack = Stack::start().await?;
    step.done();
    let configuration = build::root().join("config");
    let place = Place { stack: &stack, binaries, configuration: &configuration, logs };
    let shown: Mutex<Option<(&'static str, ProgressBar)>> = Mutex::default();
    let told = |what, done, of| show(progress, &shown, what, done, of);
    // Told to end, it leaves no service behind: half of them stand still and would never notice.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        measured = measure(&place, plan, &told) => measured,
        _ = tokio::signal::ctrl_c() => bail!("told to end"),
        _ = terminate.recv() => bail!("told to end"),
    }
}

/// One bar at a time; one that is full is said to be done.
fn show(
    progress: &Progress,
    shown: &Mutex<Option<(&'static str, ProgressBar)>>,
    what: &'static str,
    done: usize,
    of: usize,
) {
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, bar) = match shown.take() {
        Some((is, bar)) if is == what => shown.insert((is, bar)),
        _ => shown.insert((what, progress.bar(what, of))),
    };
    bar.set_position(done as u64);
    if done >= of {
        bar.finish_and_clear();
        progress.say(&format!("{of} {what}"));
    }
}

fn in_full(report: &Report) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(report)?;
    value["permille"] = report.permille().into();
    value["holds"] = check(report).is_ok().into();
    Ok(value)
}

fn check(report: &Report) -> anyhow::Result<()> {
    let permille = report.permille();
    ensure!(
        permille >= PERMILLE_MIN,
        "beside the crowd the healthy rate is {permille} ‰ of the rate without it; {PERMILLE_MIN} ‰ are wanted"
    );
    for redriven in &report.redriven {
        let (stage, took) = (redriven.stage, redriven.took());
        ensure!(took < REDRIVE_MAX, "redriving one account at {stage} took {took:.1?}");
    }
    Ok(())
}

/// The report for people.
struct Told<'a>(&'a Report);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { size, built, suspended_in_millis, pairs, redriven } = self.0;
        let Size { suspended, parked_each, healthy, deposits } = size;
        writeln!(
            f,
            "\n{suspended} suspended accounts with {parked_each} parked messages each, made in {:.1?}",
            Duration::from_millis(*suspended_in_millis)
        )?;
        writeln!(
            f,
            "{healthy} healthy accounts, {deposits} deposits each a round; {built} build\n"
        )?;
        writeln!(f, "  pair   beside the crowd    without a crowd    ratio")?;
        for (index, pair) in pairs.iter().enumerate() {
            let Pair { with, without } = pair;
            let (nth, permille) = (index + 1, pair.permille());
            writeln!(f, "  {nth:>4}   {}   {}   {permille:>4} ‰", rate(with), rate(without))?;
        }
        writeln!(f, "  median of the ratios: {} ‰\n", self.0.permille())?;
        for Redriven {
            stage,
            redriven,
            skip_millis,
            redrive_millis,
            letters,
            letters_gone_millis,
            beside,
        } in redriven
        {
            writeln!(
                f,
                "one account redriven at {stage}, {letters} letters in its dead-letter queue:"
            )?;
            writeln!(
                f,
                "  poison skipped in {skip_millis} ms, {redriven} messages put back and the lane active in {redrive_millis} ms"
            )?;
            writeln!(f, "  healthy traffic meanwhile: {}", rate(beside).trim_start())?;
            match letters_gone_millis {
                Some(millis) => writeln!(f, "  its letters were gone {millis} ms later")?,
                None => {
                    writeln!(f, "  its letters were still there when nobody waited any longer")?
                }
            }
        }
        writeln!(f, "\nthe other suspended lanes are untouched; verify finds no mismatch")
    }
}

fn rate(round: &Round) -> String {
    format!("{:>6}/s in {:>5} ms", round.per_second, round.millis)
}
