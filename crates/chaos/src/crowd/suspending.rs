//! The crowd itself: accounts that are suspended as accounts are, through the broker.

use std::time::Duration;

use anyhow::{Context, ensure};
use cap_domain::lane::StageName;
use tokio::time::Instant;

use super::site::{SCOPE, Site};
use super::traffic::{Message, deposit, opened, publish};
use super::{Plan, Progress};

/// How long nothing may be parked before it is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked how many are parked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What became of it.
pub(super) struct Suspended {
    pub(super) took_millis: u64,
    accounts: usize,
}

impl Suspended {
    /// An account in the midst of the crowd that is suspended at `stage`.
    pub(super) fn one_of(&self, stage: StageName) -> String {
        let middle = self.accounts / 2;
        account(if stage_of(middle) == stage { middle } else { middle + 1 })
    }
}

/// The name of an account of the crowd, counted from zero.
fn account(number: usize) -> String {
    format!("S-{number:06}")
}

/// Where its poison stops it.
const fn stage_of(number: usize) -> StageName {
    if number.is_multiple_of(2) { StageName::Clearing } else { StageName::Account }
}

/// The `nth` message of an account: its poison, then its opening, then deposits. A deposit to an
/// account that was never opened is poison at account; what is not JSON, at clearing.
fn message(number: usize, nth: usize) -> Message {
    let account = account(number);
    let request_id = format!("crowd-{account}-{nth}");
    match (nth, stage_of(number)) {
        (0, StageName::Clearing) => {
            Message { account, request_id, body: "this is not JSON".to_owned() }
        }
        (1, _) => Message::event(&account, request_id, &opened()),
        _ => Message::event(&account, request_id, &deposit()),
    }
}

/// Suspends the crowd and waits until all its messages are parked, told, and in the dead-letter
/// queues.
pub(super) async fn suspend(
    site: &Site,
    plan: &Plan,
    progress: Progress<'_>,
) -> anyhow::Result<Suspended> {
    ensure!(plan.suspended >= 2 && plan.parked_each >= 2, "a crowd of two has two messages each");
    let begun = Instant::now();
    let all = plan.suspended * plan.parked_each;
    let publishing = async {
        for nth in 0..plan.parked_each {
            let wave = (0..plan.suspended).map(|number| message(number, nth)).collect();
            publish(site, wave).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publishing, all_told(site, all, progress))?;
    for stage in [StageName::Clearing, StageName::Account] {
        let lanes = (0..plan.suspended).filter(|number| stage_of(*number) == stage).count();
        all_parked(site, stage, lanes * plan.parked_each).await?;
        all_in_dead_letters(site, stage, lanes * plan.parked_each).await?;
    }
    let took_millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Suspended { took_millis, accounts: plan.suspended })
}

async fn all_told(site: &Site, all: usize, progress: Progress<'_>) -> anyhow::Result<()> {
    let (mut seen, mut seen_at) = (0, Instant::now());
    loop {
        let parked = site.hearing.parked();
        progress("messages parked", parked, all);
        if parked >= all {
            return Ok(());
        }
        if parked > seen {
            (seen, seen_at) = (parked, Instant::now());
        }
        let waited = seen_at.elapsed();
        ensure!(waited < PATIENCE, "{parked} of {all} messages were told to be parked");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn all_parked(site: &Site, stage: StageName, all: usize) -> anyhow::Result<()> {
    let count = "select count(*) from parked_message where resolution is null";
    let parked: i64 = sqlx::query_scalar(count)
        .fetch_one(site.database(stage)?)
        .await
        .context("counting parked messages")?;
    ensure!(
        usize::try_from(parked) == Ok(all),
        "{parked} messages are parked at {stage}, not {all}"
    );
    Ok(())
}

/// The letters follow the notices within moments.
async fn all_in_dead_letters(site: &Site, stage: StageName, all: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let letters = site.letters(stage).await?;
        if letters == all {
            return Ok(());
        }
        ensure!(
            letters < all && begun.elapsed() < PATIENCE,
            "{letters} letters are in the dead-letter queue of {stage}-{SCOPE}, not {all}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
