//! `capctl parked`: what a suspended lane could not take.

use std::fmt;

use anyhow::bail;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_domain::time::Timestamp;
use cap_store::inspect::{Parked, list_parked, show_parked};
use serde::Serialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::arguments::AccountArgument;
use crate::databases::{find_account, of_stages};
use crate::table::{Align, Table};

#[derive(Debug, Serialize)]
struct ToldParked {
    stage: StageName,
    parked_seq: u64,
    request_id: RequestId,
    source_id: String,
    sent_at: Timestamp,
    parked_at: Timestamp,
    error: String,
    resolution: Option<ToldResolution>,
}

#[derive(Debug, Serialize)]
struct ToldResolution {
    what: &'static str,
    at: Timestamp,
    by: Option<String>,
    reason: Option<String>,
}

impl ToldParked {
    fn new(stage: StageName, parked: Parked) -> Self {
        let Parked { message, resolution } = parked;
        Self {
            stage,
            parked_seq: message.parked_seq,
            request_id: message.request_id,
            source_id: message.source_id.to_string(),
            sent_at: message.sent_at,
            parked_at: message.parked_at,
            error: message.error,
            resolution: resolution.map(|resolution| ToldResolution {
                what: if resolution.skipped { "skipped" } else { "redriven" },
                at: resolution.at,
                by: resolution.by,
                reason: resolution.reason,
            }),
        }
    }

    fn state(&self) -> &'static str {
        self.resolution.as_ref().map_or("waits", |resolution| resolution.what)
    }
}

#[derive(Debug, Serialize)]
struct Listing {
    account: AccountKey,
    parked: Vec<ToldParked>,
    /// Where a stage has more, the last number that was listed.
    more_after: Vec<(StageName, u64)>,
}

#[derive(Debug, Serialize)]
struct Shown {
    account: AccountKey,
    parked: Vec<ShownParked>,
}

#[derive(Debug, Serialize)]
struct ShownParked {
    #[serde(flatten)]
    told: ToldParked,
    /// The message: as JSON if it is some, else as the text it is.
    message: Value,
}

pub(super) async fn list(
    argument: &AccountArgument,
    stage: Option<StageName>,
    after: u64,
    limit: u32,
) -> anyhow::Result<Answer> {
    let stages = of_stages(stage)?;
    let account = find_account(stages.iter().map(|(_, pool)| pool), argument).await?;
    let (mut parked, mut more_after) = (Vec::new(), Vec::new());
    for (stage, pool) in stages {
        let mut found = list_parked(&pool, &account, after, limit + 1).await?;
        if found.len() > limit as usize {
            found.truncate(limit as usize);
            more_after.extend(found.last().map(|last| (stage, last.message.parked_seq)));
        }
        parked.extend(found.into_iter().map(|parked| ToldParked::new(stage, parked)));
    }
    Answer::new(&Listing { account, parked, more_after })
}

pub(super) async fn show(
    argument: &AccountArgument,
    parked_seq: u64,
    stage: Option<StageName>,
) -> anyhow::Result<Answer> {
    let stages = of_stages(stage)?;
    let account = find_account(stages.iter().map(|(_, pool)| pool), argument).await?;
    let mut parked = Vec::new();
    for (stage, pool) in stages {
        if let Some(found) = show_parked(&pool, &account, parked_seq).await? {
            let body = &found.message.body;
            let message =
                serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.clone()));
            parked.push(ShownParked { told: ToldParked::new(stage, found), message });
        }
    }
    if parked.is_empty() {
        bail!("{account} has no parked message {parked_seq}: see `capctl parked list {account}`");
    }
    Answer::new(&Shown { account, parked })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.account;
        if self.parked.is_empty() {
            return writeln!(f, "nothing of {account} is parked");
        }
        let mut table = Table::new(&[
            ("stage", Align::Left),
            ("number", Align::Right),
            ("request", Align::Left),
            ("parked", Align::Left),
            ("", Align::Left),
            ("why", Align::Left),
        ]);
        for parked in &self.parked {
            table.row([
                parked.stage.to_string(),
                parked.parked_seq.to_string(),
                parked.request_id.to_string(),
                parked.parked_at.to_string(),
                parked.state().to_owned(),
                parked.error.clone(),
            ]);
        }
        write!(f, "{account}\n\n{table}")?;
        for (stage, parked_seq) in &self.more_after {
            writeln!(f, "{stage} has more: --stage {stage} --after {parked_seq}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ShownParked { told, message } in &self.parked {
            let ToldParked { stage, parked_seq, request_id, sent_at, parked_at, error, .. } = told;
            writeln!(f, "{} · {stage} · parked message {parked_seq}\n", self.account)?;
            writeln!(f, "request    {request_id}")?;
            writeln!(f, "sent       {sent_at}")?;
            writeln!(f, "parked     {parked_at}")?;
            writeln!(f, "why        {error}")?;
            match &told.resolution {
                None => writeln!(f, "now        it waits")?,
                Some(ToldResolution { what, at, by, reason }) => {
                    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                    let reason =
                        reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    writeln!(f, "now        {what} {at}{by}{reason}")?;
                }
            }
            match message {
                Value::String(text) => writeln!(f, "\n{text}\n")?,
                message => writeln!(f, "\n{message:#}\n")?,
            }
        }
        Ok(())
    }
}
