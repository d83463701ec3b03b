//! What processes are started from: programs, logs, and the places where they are killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use cap_local::postgres::PostgresCluster;
use cap_pipeline::failpoint;
use cap_stack::Installation;
use tokio::process::Command;

use crate::trouble::{Trouble, lock};

/// How long `capctl redrive` may take.
const REDRIVE_SECS_MAX: u64 = 12;

/// Places that only `capctl` passes.
const OF_CAPCTL: [&str; 3] = ["redrive_begun", "mid_redrive", "redrive_ended"];

/// Places that a service passes once in a while, so that the first pass has to do.
const RARE: [&str; 7] = [
    "after_park",
    "after_redriven",
    "before_dead_letter",
    "after_dead_letter",
    "in_drain",
    "in_janitor",
    "after_prepare",
];

/// The places where a process may be killed, and how often each was.
#[derive(Debug, Default)]
pub struct KillPoints(Mutex<BTreeMap<&'static str, u64>>);

impl KillPoints {
    /// How often a process was killed at each place there is.
    pub fn hits(&self) -> BTreeMap<&'static str, u64> {
        let hits = lock(&self.0);
        let all = failpoint::NAMES.iter();
        all.map(|name| (*name, hits.get(name).copied().unwrap_or_default())).collect()
    }

    /// Notes the place that the log of a killed process names; whether there was one.
    pub fn note(&self, log: &str) -> bool {
        let killed = log.lines().rev().find_map(|line| {
            let name = line.strip_prefix("failpoint ")?.strip_suffix(": killed")?;
            failpoint::NAMES.iter().find(|known| **known == name)
        });
        if let Some(name) = killed {
            *lock(&self.0).entry(name).or_default() += 1;
        }
        killed.is_some()
    }

    /// Where the next process is to be killed: one of the places that were hit least.
    fn next(&self, capctl: bool, trouble: &Trouble) -> String {
        let mut places: Vec<(u64, u64, &str)> = self
            .hits()
            .into_iter()
            .filter(|(name, _)| OF_CAPCTL.contains(name) == capctl)
            .map(|(name, hits)| (hits, trouble.below(1_000), name))
            .collect();
        places.sort_unstable();
        let third = (places.len() as u64).div_ceil(3);
        let place = usize::try_from(trouble.below(third)).unwrap_or_default();
        let name = places[place].2;
        let is_rare = capctl || RARE.contains(&name);
        let pass = if is_rare { 1 } else { 1 + trouble.below(6) };
        format!("{name}=kill@{pass}")
    }
}

/// Where processes come from.
pub struct Yard {
    /// The folder of the built programs.
    pub binaries: PathBuf,
    /// Where their logs go.
    pub logs: PathBuf,
    /// Where they are killed.
    pub kill_points: KillPoints,
    /// The cluster of their databases, to be stopped and killed.
    pub postgres: tokio::sync::Mutex<PostgresCluster>,
}

impl Yard {
    /// What a service that is to be killed is told; nothing if all is calm.
    pub fn failpoints(&self, trouble: &Trouble) -> String {
        if trouble.is_calm() { String::new() } else { self.kill_points.next(false, trouble) }
    }

    /// The end of the log at `path`.
    pub fn tail(path: &Path) -> String {
        let text = std::fs::read(path).unwrap_or_default();
        let from = text.len().saturating_sub(2_000);
        String::from_utf8_lossy(&text[from..]).into_owned()
    }

    /// Runs `capctl redrive` for an account; it may be killed on its way, also when all else is
    /// calm: most redrives are made then.
    ///
    /// # Errors
    /// If it cannot be run at all.
    pub async fn redrive(
        &self,
        installation: &Installation,
        stage: StageName,
        account: &AccountKey,
        trouble: &Trouble,
    ) -> anyhow::Result<()> {
        let failpoints = if trouble.below(2) == 0 {
            self.kill_points.next(true, trouble)
        } else {
            String::new()
        };
        let running = Command::new(self.binaries.join("capctl"))
            .args(["redrive", account.as_str(), "--stage", stage.as_str(), "--yes", "--json"])
            .args(["--operator", "chaos"])
            .envs(installation.environment.iter().map(|(name, value)| (name, value)))
            .env("CAP_FAILPOINTS", failpoints)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting capctl")?;
        let ended = running.wait_with_output();
        if let Ok(ended) = tokio::time::timeout(Duration::from_secs(REDRIVE_SECS_MAX), ended).await
        {
            let log = String::from_utf8_lossy(&ended?.stderr).into_owned();
            self.kill_points.note(&log);
        }
        Ok(())
    }
}
