//! One account out of the crowd: its poison skipped, the rest redriven, by `capctl` as a process;
//! and that nobody else was touched.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use cap_domain::lane::{LaneStatus, StageName};
use cap_store::inspect::show_lane;
use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use super::report::Round;
use super::site::{Site, key};
use super::{Place, Plan};

/// How long it is waited for the letters of a redriven account to be taken away. They are not what
/// is redriven, and in a long queue the janitor comes to them late.
const LETTERS_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long what was redriven may take to the end of its lane.
const OUTCOMES_PATIENCE: Duration = Duration::from_secs(20);

/// A redrive, as it went.
#[derive(Debug, Clone, Serialize)]
pub struct Redriven {
    /// The stage the account was suspended at.
    pub stage: StageName,
    /// How long `capctl parked skip` took.
    pub skip_millis: u64,
    /// How long `capctl redrive` took, from its start until the lane was active.
    pub redrive_millis: u64,
    /// How many messages it put back.
    pub redriven: usize,
    /// How many letters lay in the stage's dead-letter queue when it began.
    pub letters: usize,
    /// How long after that the account's letters were taken away, if they were while it was waited.
    pub letters_gone_millis: Option<u64>,
    /// The healthy traffic meanwhile.
    pub beside: Round,
}

impl Redriven {
    /// From the first thought until the lane was active.
    pub const fn took(&self) -> Duration {
        Duration::from_millis(self.skip_millis + self.redrive_millis)
    }
}

/// A redrive that has just ended.
pub(super) struct Redrive {
    stage: StageName,
    skip_millis: u64,
    redrive_millis: u64,
    redriven: usize,
    letters: usize,
    parked: usize,
    opened_at: Instant,
}

/// Skips the poison of `account` and redrives what is parked behind it.
pub(super) async fn redrive(
    place: &Place<'_>,
    site: &Site,
    account: &str,
    stage: StageName,
    plan: &Plan,
) -> anyhow::Result<Redrive> {
    let key = key(account)?;
    let letters = site.letters(stage).await?;
    let at = ["--stage", stage.as_str(), "--yes", "--json", "--operator", "crowd"];
    let asked = Instant::now();
    let skip = ["parked", "skip", key.as_str(), "1", "--reason", "cannot be saved"];
    capctl(place, site, &[&skip[..], &at[..]].concat()).await?;
    let skipped = Instant::now();
    capctl(place, site, &[&["redrive", key.as_str()], &at[..]].concat()).await?;
    let opened_at = Instant::now();
    let lane = show_lane(site.database(stage)?, &key).await?;
    let lane = lane.with_context(|| format!("{key} has no lane at {stage}"))?;
    let redriven = plan.parked_each - 1;
    ensure!(
        lane.status == LaneStatus::Active && lane.seq == redriven as u64,
        "{key} is {} at {stage} with number {} after its redrive",
        lane.status,
        lane.seq
    );
    // Its outcomes come in its order, each once: whoever hears them counts.
    while site.hearing.last(account) < redriven as u64 {
        let heard = site.hearing.last(account);
        let waited = opened_at.elapsed();
        ensure!(waited < OUTCOMES_PATIENCE, "{heard} of {redriven} outcomes of {key} came");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Redrive {
        stage,
        skip_millis: millis(skipped - asked),
        redrive_millis: millis(opened_at - skipped),
        redriven,
        letters,
        parked: plan.parked_each,
        opened_at,
    })
}

impl Redrive {
    /// Waits until the janitor has taken the account's letters away; how long after the lane was
    /// active that was.
    pub(super) async fn letters_gone(&self, site: &Site) -> anyhow::Result<Option<u64>> {
        while site.letters(self.stage).await? + self.parked > self.letters {
            if self.opened_at.elapsed() > LETTERS_PATIENCE {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Some(millis(self.opened_at.elapsed())))
    }

    /// The whole of it.
    pub(super) fn told(self, beside: Round, letters_gone_millis: Option<u64>) -> Redriven {
        let Self { stage, skip_millis, redrive_millis, redriven, letters, .. } = self;
        Redriven {
            stage,
            skip_millis,
            redrive_millis,
            redriven,
            letters,
            letters_gone_millis,
            beside,
        }
    }
}

/// Asserts that `capctl verify` finds nothing wrong with an account.
pub(super) async fn verify(place: &Place<'_>, site: &Site, account: &str) -> anyhow::Result<()> {
    let key = key(account)?;
    let report = capctl(place, site, &["verify", "--account", key.as_str(), "--json"]).await?;
    ensure!(
        report["mismatches"] == 0 && report["journal_rows"].as_u64() > Some(0),
        "verify of {key}: {report:#}"
    );
    Ok(())
}

async fn capctl(place: &Place<'_>, site: &Site, arguments: &[&str]) -> anyhow::Result<Value> {
    let environment = site.installation.environment.iter();
    let ended = Command::new(place.binaries.join("capctl"))
        .args(arguments)
        .envs(environment.map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("running capctl")?;
    let line = arguments.join(" ");
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "capctl {line} ended with {}: {said}", ended.status);
    serde_json::from_slice(&ended.stdout)
        .with_context(|| format!("reading what capctl {line} says"))
}

/// The rest of the crowd: lanes and what is parked, as one digest a stage.
#[derive(PartialEq, Eq)]
pub(super) struct Bystanders(Vec<(i64, Option<String>)>);

impl Bystanders {
    /// The crowd without `account`.
    pub(super) async fn see(site: &Site, account: &str) -> anyhow::Result<Self> {
        let key = key(account)?;
        let lanes = "select count(*), md5(string_agg(lane::text, ';' order by account_id))
            from lane where account_id like '%\\_S-%' and account_id <> $1";
        let parked = "select count(*),
                md5(string_agg(concat_ws(',', account_id, parked_seq, resolution), ';' order by account_id, parked_seq))
            from parked_message where account_id <> $1";
        let mut seen = Vec::new();
        for stage in [StageName::Clearing, StageName::Account] {
            for digest in [lanes, parked] {
                let row = sqlx::query_as(digest).bind(key.as_str());
                let row = row.fetch_one(site.database(stage)?).await;
                seen.push(row.with_context(|| format!("looking at the crowd of {stage}"))?);
            }
        }
        Ok(Self(seen))
    }

    /// Asserts that nothing of the crowd but `account` was touched.
    pub(super) async fn are_as_before(&self, site: &Site, account: &str) -> anyhow::Result<()> {
        let now = Self::see(site, account).await?;
        ensure!(*self == now, "others of the crowd were touched: {:?}, then {:?}", self.0, now.0);
        Ok(())
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
