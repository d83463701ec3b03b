//! The crowd: very many suspended accounts, and whether the healthy ones notice (C5).
//!
//! Two installations lie on one stack and one PostgreSQL: in one of them a crowd of accounts is
//! suspended, each by a poison message of its own with others parked behind it, half of them at
//! clearing and half at account; in the other nobody is. The same healthy traffic goes through both
//! in turn. Only one installation's services run at a time, the other's are stopped by SIGSTOP with
//! nothing in hand; and because a machine's speed drifts, what is told is the ratio of two
//! neighbouring rounds, and the median of these.
//!
//! Then one account of each half is redriven with `capctl` while healthy traffic flows.

mod hearing;
mod redriving;
mod report;
mod site;
mod suspending;
mod traffic;

use std::path::Path;

use cap_domain::lane::StageName;
use cap_stack::Stack;

pub use redriving::Redriven;
pub use report::{Pair, Report, Round, Size};

use redriving::{Bystanders, redrive, verify};
use site::Site;
use suspending::suspend;
use traffic::{Pace, Traffic, open_healthy, round};

/// How big a crowd, and how much traffic beside it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Suspended accounts.
    pub suspended: usize,
    /// Parked messages of each, its poison included: two at least.
    pub parked_each: usize,
    /// Healthy accounts in each installation.
    pub healthy: usize,
    /// Deposits of each of them in one round.
    pub deposits: usize,
    /// Pairs of rounds that are compared, besides the one to warm up; there may be none.
    pub rounds: usize,
}

/// Where all of it happens.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Broker, DynamoDB and PostgreSQL.
    pub stack: &'a Stack,
    /// The folder of the built programs.
    pub binaries: &'a Path,
    /// The folder of the configuration that is pushed.
    pub configuration: &'a Path,
    /// The folder of the services' logs.
    pub logs: &'a Path,
}

/// Is told what is being done, how much of it is done, and of how much.
pub type Progress<'a> = &'a (dyn Fn(&'static str, usize, usize) + Sync);

/// Makes the crowd, measures, redrives, and checks that nobody else was touched.
///
/// # Errors
/// If something that must hold does not, or the stack breaks down. That the healthy rate is within
/// bounds is for the caller to ask of the [`Report`].
pub async fn measure(
    place: &Place<'_>,
    plan: &Plan,
    progress: Progress<'_>,
) -> anyhow::Result<Report> {
    let alone = Site::open(place, "alone").await?;
    open_healthy(&alone, plan).await?;
    alone.pause().await?;
    let crowded = Site::open(place, "crowded").await?;
    open_healthy(&crowded, plan).await?;
    let suspended = suspend(&crowded, plan, progress).await?;
    crowded.pause().await?;

    let mut traffic = Traffic::default();
    let mut pairs = Vec::new();
    for number in 0..=plan.rounds {
        progress("pairs of rounds", number, plan.rounds + 1);
        // Who goes first changes, so that a machine that gets slower favours nobody.
        let crowd_first = number % 2 == 1;
        let order = if crowd_first { [&crowded, &alone] } else { [&alone, &crowded] };
        let mut rounds = Vec::new();
        for site in order {
            site.resume().await?;
            rounds.push(round(site, plan, Pace::Flood, &mut traffic).await?);
            site.pause().await?;
        }
        let [first, second] = [rounds[0], rounds[1]];
        let (with, without) = if crowd_first { (first, second) } else { (second, first) };
        // The first pair warms up.
        if number > 0 {
            pairs.push(Pair { with, without });
        }
    }
    progress("pairs of rounds", plan.rounds + 1, plan.rounds + 1);

    crowded.resume().await?;
    let mut redriven = Vec::new();
    for (nth, stage) in [StageName::Account, StageName::Clearing].into_iter().enumerate() {
        progress("accounts redriven", nth, 2);
        let account = suspended.one_of(stage);
        let bystanders = Bystanders::see(&crowded, &account).await?;
        let (redrive, beside) = tokio::try_join!(
            redrive(place, &crowded, &account, stage, plan),
            round(&crowded, plan, Pace::Flow, &mut traffic),
        )?;
        bystanders.are_as_before(&crowded, &account).await?;
        let letters_gone_millis = redrive.letters_gone(&crowded).await?;
        verify(place, &crowded, &account).await?;
        redriven.push(redrive.told(beside, letters_gone_millis));
    }
    progress("accounts redriven", 2, 2);
    for number in [1, plan.healthy.div_ceil(2), plan.healthy] {
        verify(place, &crowded, &traffic::healthy_account(number)).await?;
    }
    tokio::try_join!(alone.close(), crowded.close())?;
    Ok(Report {
        size: report::Size::of(plan),
        built: if cfg!(debug_assertions) { "dev" } else { "release" },
        suspended_in_millis: suspended.took_millis,
        pairs,
        redriven,
    })
}
