//! What CAP does in a second, beside what else would do it.
//!
//! Every figure comes from real PostgreSQL with full durability, after a warm-up, from several rounds, and
//! stands beside a baseline that was measured in the same rounds: a machine's speed drifts, ratios within a
//! round do not. It knows no production setting: what it measures are the services as they are.

#![allow(clippy::float_arithmetic, reason = "rates and ratios; no money is computed here")]

mod arena;
mod conventional;
mod feed;
mod ledger;
mod machine;
mod processes;
mod raw;
mod report;
mod stage;
mod stages;
mod traffic;

use std::path::Path;

use anyhow::bail;
use serde::Serialize;

pub use arena::Arena;
pub use machine::Machine;
pub use processes::relay;
pub use report::{Bound, Check, Figure, Section};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds that count; one more goes before them, as a warm-up.
    pub rounds: usize,
    /// What part of a bench's messages a round has: 1 is all of them.
    pub scale: f64,
}

impl Plan {
    /// The least rounds that a median is told of.
    pub const ROUNDS_MIN: usize = 3;

    /// `count` messages at this plan's scale.
    pub fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(1)
    }

    /// A round in words.
    pub fn name_of(&self, round: usize) -> String {
        if round == 0 { "warm-up".to_owned() } else { format!("round {round} of {}", self.rounds) }
    }
}

/// Hears what is being done.
pub type Told<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// What there is to measure, in the order it is.
pub const BENCHES: [&str; 9] =
    ["account", "position", "clearing", "pipeline", "latency", "scale", "hot", "backlog", "start"];

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// One section a bench.
    pub sections: Vec<Section>,
    /// The benches that could not be run to their end.
    pub broken: Vec<Broken>,
}

/// A bench that could not be run to its end.
#[derive(Debug, Clone, Serialize)]
pub struct Broken {
    /// The bench.
    pub name: &'static str,
    /// Why not.
    pub reason: String,
}

impl Report {
    /// The targets that were not reached.
    pub fn missed(&self) -> impl Iterator<Item = (&'static str, &Check)> {
        self.sections.iter().flat_map(|section| {
            section.checks.iter().filter(|check| !check.holds).map(|check| (section.name, check))
        })
    }
}

/// Runs the benches that are named, all if none is.
///
/// # Errors
/// If there is no such bench, or nothing can be run at all.
pub async fn run(
    names: &[String],
    plan: &Plan,
    configuration: &Path,
    binaries: &Path,
    told: &Told<'_>,
) -> anyhow::Result<Report> {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.contains(&name.as_str())) {
        bail!("there is no bench {unknown:?}: {}", BENCHES.join(", "));
    }
    let arena = Arena::start(configuration, binaries).await?;
    let (mut sections, mut broken) = (Vec::new(), Vec::new());
    for name in BENCHES {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let section = match name {
            "account" => stages::account(&arena, plan, told).await,
            "position" => stages::position(&arena, plan, told).await,
            "clearing" => stages::clearing(&arena, plan, told).await,
            "pipeline" => processes::pipeline(&arena, plan, told).await,
            "latency" => processes::latency(&arena, plan, told).await,
            "scale" => stages::scale(&arena, plan, told).await,
            "hot" => processes::hot(&arena, plan, told).await,
            "backlog" => processes::backlog(&arena, plan, told).await,
            _ => processes::start(&arena, plan, told).await,
        };
        // What the others measured is not lost with one that cannot be run.
        match section {
            Ok(section) => sections.push(section),
            Err(error) => broken.push(Broken { name, reason: format!("{error:#}") }),
        }
    }
    Ok(Report { machine: arena.machine().await?, sections, broken })
}
