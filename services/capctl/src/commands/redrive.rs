//! `capctl redrive`: a suspended lane takes its parked messages back, in order.

use std::fmt;

use anyhow::bail;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_store::inspect::show_lane;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sqlx::PgPool;

use super::dry_run;
use crate::answer::{Answer, is_watched};
use crate::arguments::RedriveArguments;
use crate::connection::{self, Connection};
use crate::consent;
use crate::databases::{find_account, of_stages};
use crate::redrive::{REDRIVE_PATIENCE, Redrive, RedriveError, Redriven, Through};

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    account: AccountKey,
    /// Whether all that was asked for was done.
    done: bool,
    /// One a lane, in the order they were redriven.
    redrives: Vec<StageRedriven>,
    /// Lanes that were left as they were, because one before them stopped.
    left: Vec<StageName>,
}

#[derive(Debug, Serialize)]
struct StageRedriven {
    stage: StageName,
    #[serde(flatten)]
    redriven: Redriven,
}

/// A lane that is to be redriven.
pub(super) struct Waiting {
    pub(super) stage: StageName,
    pub(super) pool: PgPool,
    pub(super) lane: Lane,
    pub(super) through: Through,
}

pub(super) async fn redrive(arguments: &RedriveArguments, by: &str) -> anyhow::Result<Answer> {
    let (account, waiting) = asked_for(arguments).await?;
    let connection = connection::from_environment().await?;
    let mut report =
        Report { account: account.clone(), done: true, redrives: Vec::new(), left: Vec::new() };
    for lane in waiting {
        if !report.done {
            report.left.push(lane.stage);
            continue;
        }
        let stage = lane.stage;
        let redriven = redrive_one(lane, &account, &connection, by, arguments.yes).await?;
        report.done = redriven.is_done();
        report.redrives.push(StageRedriven { stage, redriven });
    }
    Ok(Answer::new(&report)?.done(report.done))
}

/// Tells what the redrive would do; nothing is changed, so nobody is named.
pub(super) async fn dry_run(arguments: &RedriveArguments) -> anyhow::Result<Answer> {
    let (account, waiting) = asked_for(arguments).await?;
    dry_run::rehearse(&account, &waiting).await
}

async fn asked_for(arguments: &RedriveArguments) -> anyhow::Result<(AccountKey, Vec<Waiting>)> {
    let stages = of_stages(arguments.stage)?;
    let account = find_account(stages.iter().map(|(_, pool)| pool), &arguments.account).await?;
    let waiting = waiting(&account, stages, arguments).await?;
    Ok((account, waiting))
}

/// The lanes that are to be redriven, the last stage first: what an earlier one sends on then finds
/// the later one open.
async fn waiting(
    account: &AccountKey,
    stages: Vec<(StageName, PgPool)>,
    arguments: &RedriveArguments,
) -> anyhow::Result<Vec<Waiting>> {
    let mut waiting = Vec::new();
    for (stage, pool) in stages.into_iter().rev() {
        let Some(lane) = show_lane(&pool, account).await? else { continue };
        if lane.status == LaneStatus::Active {
            continue;
        }
        let through = match (arguments.canary, arguments.through) {
            (true, _) => Through::Number(lane.redriven_seq + 1),
            (false, Some(number)) => Through::Number(number),
            (false, None) => Through::UntilOpen,
        };
        waiting.push(Waiting { stage, pool, lane, through });
    }
    let is_bounded = arguments.canary || arguments.through.is_some();
    match (waiting.as_slice(), arguments.stage) {
        ([], None) => bail!("no lane of {account} is suspended: nothing is parked"),
        ([], Some(stage)) => bail!("{account} is not suspended at {stage}: nothing is parked"),
        ([_, _, ..], _) if is_bounded => {
            let stages: Vec<&str> = waiting.iter().map(|lane| lane.stage.as_str()).collect();
            bail!("{account} is suspended at {}: say which with --stage", stages.join(" and "))
        }
        _ => Ok(waiting),
    }
}

async fn redrive_one(
    waiting: Waiting,
    account: &AccountKey,
    connection: &Connection,
    by: &str,
    yes: bool,
) -> anyhow::Result<Redriven> {
    let Waiting { stage, pool, mut lane, through } = waiting;
    // Of a bounded redrive the set is the same whatever is parked behind it.
    let mut is_frozen = !yes && through == Through::UntilOpen;
    loop {
        consent::ask(&question(account, stage, &lane, through), yes)?;
        let redrive = Redrive {
            pool: &pool,
            queues: &connection.queues,
            routes: &connection.routes,
            stage,
            account,
            operator: by,
            through,
            shown_last: is_frozen.then_some(lane.parked_seq),
            patience: REDRIVE_PATIENCE,
        };
        let bar = progress_bar(stage);
        let redriven = redrive.run(|progress| {
            bar.set_length(progress.last + 1 - progress.first);
            bar.set_position((progress.taken + 1).saturating_sub(progress.first));
        });
        let redriven = redriven.await;
        bar.finish_and_clear();
        match redriven {
            // What was shown is not what waits: shown again, asked again.
            Err(RedriveError::MoreParked { first, last, more }) => {
                eprintln!(
                    "{more} more were parked meanwhile; those that follow until it begins are taken with them:"
                );
                // Under live traffic there would be no end to asking.
                is_frozen = false;
                lane = Lane { redriven_seq: first - 1, parked_seq: last, ..lane };
            }
            redriven => return Ok(redriven?),
        }
    }
}

fn question(account: &AccountKey, stage: StageName, lane: &Lane, through: Through) -> String {
    let (first, waits) = (lane.redriven_seq + 1, lane.parked_seq);
    let (last, then) = match through {
        Through::Number(number) if number < waits => {
            (number, "the lane stays suspended after the last.".to_owned())
        }
        _ => (
            waits,
            "what is parked behind them meanwhile is taken too, and the lane opens.".to_owned(),
        ),
    };
    let count = (last + 1).saturating_sub(first);
    format!(
        "{account} is {} at {stage}: redrive numbers {first} to {last} ({count})?\nThey are tried in order; the first that fails again stops it; {then}",
        lane.status
    )
}

fn progress_bar(stage: StageName) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let template = format!(
        "{{bar:40}} {{human_pos}} of {{human_len}} redriven at {stage}, {{per_sec}}, {{eta}} left"
    );
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.account;
        for StageRedriven { stage, redriven } in &self.redrives {
            writeln!(f, "{account} · {stage} · {redriven}")?;
        }
        for stage in &self.left {
            writeln!(f, "{account} · {stage} · left as it was")?;
        }
        if !self.done {
            writeln!(
                f,
                "see `capctl parked list {account}`; what to do: `parked show`, `repair`, then `redrive` again, or `parked skip`"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_set_and_what_comes_after_it() {
        let account: AccountKey = "acme_spot_retail_A-1".parse().unwrap();
        let lane = Lane {
            status: LaneStatus::Suspended,
            redriven_seq: 2,
            parked_seq: 17,
            ..Lane::default()
        };
        let asked = |through| question(&account, StageName::Account, &lane, through);
        let start = "acme_spot_retail_A-1 is suspended at account: redrive numbers 3 to";
        let all = asked(Through::UntilOpen);
        assert!(all.starts_with(&format!("{start} 17 (15)?")), "{all}");
        assert!(all.ends_with("meanwhile is taken too, and the lane opens."), "{all}");
        let one = asked(Through::Number(3));
        assert!(one.starts_with(&format!("{start} 3 (1)?")), "{one}");
        assert!(one.ends_with("the lane stays suspended after the last."), "{one}");
    }
}
