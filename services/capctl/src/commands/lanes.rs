//! `capctl lanes` and `capctl lane show`: where lanes stand, and why they stand still.

use std::fmt;

use anyhow::bail;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_domain::time::Timestamp;
use cap_store::inspect::{list_lanes, show_lane};
use serde::Serialize;

use crate::answer::Answer;
use crate::arguments::AccountArgument;
use crate::databases::{self, find_account, of_stages};
use crate::table::{Align, Table};

/// A lane as it is told.
#[derive(Debug, Serialize)]
struct ToldLane {
    stage: StageName,
    account: AccountKey,
    status: LaneStatus,
    seq: u64,
    upstream_seq: u64,
    /// Parked messages that wait.
    parked: u64,
    parked_seq: u64,
    redriven_seq: u64,
    /// While redriving: the last number that is to be taken; none: all, until the lane opens.
    redrive_through: Option<u64>,
    since: Option<Timestamp>,
    reason: Option<String>,
    head: String,
}

impl ToldLane {
    fn new(stage: StageName, account: AccountKey, lane: Lane) -> Self {
        let waiting = lane.waiting();
        let (since, reason) = match lane.suspension {
            Some(suspension) => (Some(suspension.at), Some(suspension.reason)),
            None => (None, None),
        };
        Self {
            stage,
            account,
            status: lane.status,
            seq: lane.seq,
            upstream_seq: lane.upstream_seq,
            parked: waiting,
            parked_seq: lane.parked_seq,
            redriven_seq: lane.redriven_seq,
            redrive_through: lane.redrive_through,
            since,
            reason,
            head: lane.head.to_string(),
        }
    }
}

impl ToldLane {
    /// How far it is being redriven, if it is.
    fn redriving(&self) -> String {
        match (self.status, self.redrive_through) {
            (LaneStatus::Redriving, Some(through)) => format!("through number {through}"),
            (LaneStatus::Redriving, None) => "until it opens".to_owned(),
            (LaneStatus::Active | LaneStatus::Suspended, _) => String::new(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Listing {
    lanes: Vec<ToldLane>,
    /// Where a stage has more, the last one that was listed.
    more_after: Vec<(StageName, AccountKey)>,
}

#[derive(Debug, Serialize)]
struct Shown {
    account: AccountKey,
    lanes: Vec<ToldLane>,
}

pub(super) async fn list(
    status: Option<LaneStatus>,
    stage: Option<StageName>,
    after: Option<&AccountKey>,
    limit: u32,
) -> anyhow::Result<Answer> {
    let mut listing = Listing { lanes: Vec::new(), more_after: Vec::new() };
    for (stage, pool) in of_stages(stage)? {
        let mut lanes = list_lanes(&pool, status, after, limit + 1).await?;
        if lanes.len() > limit as usize {
            lanes.truncate(limit as usize);
            let last = lanes.last().map(|(account, _)| (stage, account.clone()));
            listing.more_after.extend(last);
        }
        let told = lanes.into_iter().map(|(account, lane)| ToldLane::new(stage, account, lane));
        listing.lanes.extend(told);
    }
    Answer::new(&listing)
}

pub(super) async fn show(argument: &AccountArgument) -> anyhow::Result<Answer> {
    let databases = databases::from_environment()?;
    let pools = StageName::ALL.map(|stage| databases::of(&databases, stage));
    let account = find_account(pools, argument).await?;
    let mut lanes = Vec::new();
    for stage in StageName::ALL {
        if let Some(lane) = show_lane(databases::of(&databases, stage), &account).await? {
            lanes.push(ToldLane::new(stage, account.clone(), lane));
        }
    }
    if lanes.is_empty() {
        bail!("{account} has no lane in any stage: nothing ever came for it");
    }
    Answer::new(&Shown { account, lanes })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lanes.is_empty() {
            return writeln!(f, "no such lanes");
        }
        let mut table = Table::new(&[
            ("stage", Align::Left),
            ("account", Align::Left),
            ("status", Align::Left),
            ("seq", Align::Right),
            ("parked", Align::Right),
            ("since", Align::Left),
            ("why", Align::Left),
        ]);
        for lane in &self.lanes {
            table.row([
                lane.stage.to_string(),
                lane.account.to_string(),
                lane.status.to_string(),
                lane.seq.to_string(),
                lane.parked.to_string(),
                lane.since.map(|since| since.to_string()).unwrap_or_default(),
                lane.reason.clone().unwrap_or_default(),
            ]);
        }
        table.fmt(f)?;
        for (stage, account) in &self.more_after {
            writeln!(f, "{stage} has more: --stage {stage} --after {account}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.account)?;
        let mut table = Table::new(&[
            ("stage", Align::Left),
            ("status", Align::Left),
            ("seq", Align::Right),
            ("upstream seq", Align::Right),
            ("waiting", Align::Right),
            ("redriven", Align::Right),
            ("redriving", Align::Left),
        ]);
        for lane in &self.lanes {
            table.row([
                lane.stage.to_string(),
                lane.status.to_string(),
                lane.seq.to_string(),
                lane.upstream_seq.to_string(),
                lane.parked.to_string(),
                lane.redriven_seq.to_string(),
                lane.redriving(),
            ]);
        }
        table.fmt(f)?;
        for lane in &self.lanes {
            if let (Some(since), Some(reason)) = (lane.since, &lane.reason) {
                let ToldLane { stage, status, account, .. } = lane;
                writeln!(f, "\n{stage} is {status} since {since}: {reason}")?;
                writeln!(f, "see `capctl parked list {account} --stage {stage}`")?;
            }
        }
        Ok(())
    }
}
