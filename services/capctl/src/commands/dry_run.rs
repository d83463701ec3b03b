//! `capctl redrive --dry-run`: what a redrive would do.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use cap_aws::ConfigurationStore;
use cap_domain::configuration::Configuration;
use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use cap_pipeline::system_time;
use cap_service::environment;
use indicatif::ProgressBar;
use serde::Serialize;

use super::redrive::Waiting;
use crate::answer::{Answer, is_watched};
use crate::databases;
use crate::dry_run::{DryRun, Rehearsal};
use crate::redrive::Through;
use crate::settings::Prefix;

#[derive(Debug, Serialize)]
struct Report {
    rehearsals: Vec<Rehearsal>,
}

/// Rehearses the redrive of each lane of `waiting`, each as if the others stayed as they are.
pub(super) async fn rehearse(account: &AccountKey, waiting: &[Waiting]) -> anyhow::Result<Answer> {
    let databases = databases::from_environment()?;
    let needs_rules = waiting.iter().any(|lane| lane.stage == StageName::Clearing);
    let configuration = if needs_rules { in_force().await? } else { Configuration::default() };
    let configuration = Arc::new(configuration);
    let mut rehearsals = Vec::new();
    for Waiting { stage, lane, through, .. } in waiting {
        let through = match through {
            Through::UntilOpen => None,
            Through::Number(number) => Some(*number),
        };
        let bar =
            if is_watched() { ProgressBar::new(lane.waiting()) } else { ProgressBar::hidden() };
        let configuration = Arc::clone(&configuration);
        let (stage, now) = (*stage, system_time());
        let dry_run = DryRun { databases: &databases, configuration, stage, account, through, now };
        let rehearsal = dry_run.rehearse(|done| bar.set_position(done)).await;
        bar.finish_and_clear();
        rehearsals.push(rehearsal?);
    }
    Answer::new(&Report { rehearsals })
}

/// What clearing decides by: the latest revision, as it takes it up itself.
pub(super) async fn in_force() -> anyhow::Result<Configuration> {
    let Prefix(prefix) = environment::read(&environment::process)?;
    let store = ConfigurationStore::new(cap_aws::connect().await.dynamodb, &prefix);
    let latest = store.latest().await?;
    let latest = latest.context(
        "there is no configuration to decide by: push one with `capctl config push DIR`",
    )?;
    Ok(Configuration::check(latest.revision, latest.document)?)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rehearsal) in self.rehearsals.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            rehearsal.fmt(f)?;
        }
        Ok(())
    }
}
