//! What chaos came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cap_chaos::campaign::Tally;
use serde::Serialize;

/// The most violations of one seed that are printed.
const VIOLATIONS_PRINTED_MAX: usize = 12;

/// What was run, what went wrong on purpose, and what does not hold.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    seconds: u64,
    in_process: Campaign,
    with_processes: Campaign,
    kill_points: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Campaign {
    seeds: usize,
    published: usize,
    outcomes: usize,
    longest_seconds: u64,
    struck: BTreeMap<&'static str, u64>,
    failed: Vec<Failed>,
    broken_down: Vec<(u64, String)>,
}

#[derive(Debug, Serialize)]
struct Failed {
    seed: u64,
    again: String,
    violations: Vec<Broken>,
    evidence: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Broken {
    invariant: &'static str,
    what: String,
}

impl Campaign {
    fn new(tally: Tally, flag: &str) -> Self {
        let failed = tally.failed.into_iter().map(|(seed, findings)| Failed {
            seed,
            again: format!("cargo xtask chaos --seed {seed}{flag}"),
            violations: findings
                .violations
                .into_iter()
                .map(|one| Broken { invariant: one.invariant, what: one.what })
                .collect(),
            evidence: findings.evidence,
        });
        Self {
            seeds: tally.seeds,
            published: tally.published,
            outcomes: tally.outcomes,
            longest_seconds: tally.longest.as_secs(),
            struck: tally.struck,
            failed: failed.collect(),
            broken_down: tally.broken_down,
        }
    }
}

impl Told {
    pub(crate) fn new(
        in_process: Tally,
        with_processes: Tally,
        kill_points: BTreeMap<&'static str, u64>,
        took: Duration,
    ) -> Self {
        Self {
            seconds: took.as_secs(),
            in_process: Campaign::new(in_process, ""),
            with_processes: Campaign::new(with_processes, " --processes"),
            kill_points,
        }
    }

    /// Whether every invariant held in every seed.
    pub(crate) fn holds(&self) -> bool {
        [&self.in_process, &self.with_processes]
            .iter()
            .all(|campaign| campaign.failed.is_empty() && campaign.broken_down.is_empty())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, campaign) in
            [("in one process", &self.in_process), ("with real processes", &self.with_processes)]
        {
            if campaign.seeds > 0 {
                tell(f, title, campaign)?;
            }
        }
        if self.kill_points.values().any(|hits| *hits > 0) {
            writeln!(f, "\nkilled at (signal 9)")?;
            table(f, &self.kill_points)?;
        }
        let verdict =
            if self.holds() { "every invariant held" } else { "NOT EVERY INVARIANT HELD" };
        writeln!(f, "\n{verdict}, {} s", self.seconds)
    }
}

fn tell(f: &mut fmt::Formatter<'_>, title: &str, campaign: &Campaign) -> fmt::Result {
    let Campaign { seeds, published, outcomes, longest_seconds, struck, failed, broken_down } =
        campaign;
    writeln!(
        f,
        "\n{seeds} seeds {title}: {published} messages, {outcomes} outcomes, longest {longest_seconds} s"
    )?;
    table(f, struck)?;
    for (seed, error) in broken_down {
        writeln!(f, "\nseed {seed} says nothing, its arena broke down: {error}")?;
    }
    for Failed { seed, again, violations, evidence } in failed {
        writeln!(f, "\nseed {seed} failed; again: {again}")?;
        for Broken { invariant, what } in violations.iter().take(VIOLATIONS_PRINTED_MAX) {
            writeln!(f, "  ✗ {invariant}\n    {what}")?;
        }
        if violations.len() > VIOLATIONS_PRINTED_MAX {
            writeln!(f, "  … and {} more", violations.len() - VIOLATIONS_PRINTED_MAX)?;
        }
        for account in evidence {
            writeln!(f, "\n{account}")?;
        }
    }
    Ok(())
}

fn table(f: &mut fmt::Formatter<'_>, counts: &BTreeMap<&'static str, u64>) -> fmt::Result {
    for (what, count) in counts {
        writeln!(f, "  {count:>9}  {what}")?;
    }
    Ok(())
}
