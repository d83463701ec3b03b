//! `cargo xtask planted`: bugs introduced on purpose, and what finds them. A net that catches
//! nothing looks like one that has nothing to catch.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::build;
use crate::progress::Progress;

/// Where the bugs are, in the repository: patches, each with a sentence on top.
const PATCHES: &str = "crates/chaos/planted";

/// What to plant.
#[derive(Debug, Args)]
pub(crate) struct Planted {
    /// Only bugs whose file name contains this.
    filter: Option<String>,
    /// How many seeds each bug has to hide in.
    #[arg(long, value_name = "N", default_value_t = 50)]
    seeds: u64,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// A bug, and what became of it.
#[derive(Debug, Serialize)]
struct Found {
    bug: String,
    is: String,
    /// Seeds that were run until enough had failed.
    seeds: u64,
    failed: Vec<u64>,
    invariants: BTreeSet<String>,
}

/// Plants every bug in a copy of the last commit and runs chaos there; fails if one is not found.
pub(crate) fn run(planted: &Planted) -> anyhow::Result<()> {
    let progress = Progress::new();
    let tree = Tree::check_out()?;
    let mut found = Vec::new();
    for patch in patches(planted.filter.as_deref())? {
        let one = plant(&tree, &patch, planted.seeds)?;
        let Found { bug, seeds, failed, .. } = &one;
        progress.say(&format!("{bug}: {} of {seeds} seeds failed", failed.len()));
        found.push(one);
    }
    if planted.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print_table(&found);
    }
    let missed: Vec<&str> =
        found.iter().filter(|one| one.failed.is_empty()).map(|one| one.bug.as_str()).collect();
    ensure!(missed.is_empty(), "chaos did not find: {}", missed.join(", "));
    Ok(())
}

/// The patches, by name.
fn patches(filter: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let folder = build::root().join(PATCHES);
    let listed = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut patches = Vec::new();
    for entry in listed {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("patch"))
            && filter.is_none_or(|filter| name(&path).contains(filter))
        {
            patches.push(path);
        }
    }
    patches.sort();
    ensure!(!patches.is_empty(), "no bug in {} has such a name", folder.display());
    Ok(patches)
}

fn name(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn plant(tree: &Tree, patch: &Path, seeds: u64) -> anyhow::Result<Found> {
    let text = std::fs::read_to_string(patch).with_context(|| patch.display().to_string())?;
    let is = text.lines().next().unwrap_or_default().to_owned();
    tree.reset()?;
    tree.git(&[OsStr::new("apply"), patch.as_os_str()])
        .with_context(|| format!("{} does not apply any more: make it anew", patch.display()))?;
    tree.build()?;
    let program = tree.builds.join("debug").join("xtask");
    let asked = Command::new(&program)
        .args(["chaos", "--process-seeds", "0", "--json", "--built", "--seeds"])
        .arg(seeds.to_string())
        .stderr(Stdio::inherit())
        .output();
    let asked = asked.with_context(|| format!("starting {}", program.display()))?;
    let told: Value = match serde_json::from_slice(&asked.stdout) {
        Ok(told) => told,
        Err(error) => bail!("chaos with {} broke down and told nothing: {error}", name(patch)),
    };
    let campaign = &told["in_process"];
    let failed = campaign["failed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let broken = failed.iter().filter_map(|seed| seed["violations"].as_array()).flatten();
    let invariants = broken.filter_map(|one| one["invariant"].as_str().map(str::to_owned));
    Ok(Found {
        bug: name(patch),
        is,
        seeds: campaign["seeds"].as_u64().unwrap_or_default(),
        failed: failed.iter().filter_map(|seed| seed["seed"].as_u64()).collect(),
        invariants: invariants.collect(),
    })
}

fn print_table(found: &[Found]) {
    println!("\n| bug | failing seeds | caught by |\n|---|---|---|");
    for Found { bug, is, seeds, failed, invariants } in found {
        let caught: Vec<&str> = invariants.iter().map(String::as_str).collect();
        let caught = if caught.is_empty() { "NOTHING".to_owned() } else { caught.join("; ") };
        println!("| `{bug}`: {is} | {} of {seeds} | {caught} |", failed.len());
    }
}

/// The last commit, checked out beside the repository's own files.
struct Tree {
    path: PathBuf,
    /// Where it is built: with the dependencies that are built already.
    builds: PathBuf,
}

impl Tree {
    fn check_out() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let builds = program.ancestors().nth(2).context("finding the folder of builds")?.to_owned();
        let tree = Self { path: builds.join("planted"), builds };
        tree.remove();
        git(
            build::root(),
            &["worktree", "add", "--force", "--detach"].map(OsStr::new),
            |command| {
                command.arg(&tree.path).arg("HEAD");
            },
        )?;
        Ok(tree)
    }

    fn git(&self, arguments: &[&OsStr]) -> anyhow::Result<()> {
        git(&self.path, arguments, |_| {})
    }

    fn reset(&self) -> anyhow::Result<()> {
        self.git(&["reset", "--quiet", "--hard"].map(OsStr::new))
    }

    fn build(&self) -> anyhow::Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "xtask"])
            .env("CARGO_TARGET_DIR", &self.builds)
            .current_dir(&self.path)
            .status();
        ensure!(status.context("starting cargo")?.success(), "the planted bug does not compile");
        Ok(())
    }

    /// A worktree that an ended run left, or this one's.
    fn remove(&self) {
        let _ = Command::new("git")
            .args(["worktree", "remove", "--force"])
            .arg(&self.path)
            .current_dir(build::root())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.remove();
    }
}

fn git(folder: &Path, arguments: &[&OsStr], with: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdout(Stdio::null());
    with(&mut command);
    let status = command.status().context("starting git")?;
    ensure!(status.success(), "git {:?} failed in {}", arguments, folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_can_still_be_planted() {
        for patch in patches(None).expect("there are planted bugs") {
            let apply = ["apply", "--check"].map(OsStr::new);
            let applied = git(build::root(), &apply, |command| {
                command.arg(&patch);
            });
            applied.unwrap_or_else(|error| panic!("{}: make it anew: {error}", patch.display()));
        }
    }
}
