//! `capctl job`: a file of accounts becomes ordinary adjustments (C15).

mod report;

use std::path::Path;

use anyhow::{Context as _, ensure};
use cap_client::Publisher;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_pipeline::system_time;
use cap_service::environment;
use indicatif::{ProgressBar, ProgressStyle};

use super::dry_run::in_force;
use crate::answer::{Answer, is_watched};
use crate::arguments::{JobArguments, JobCommand};
use crate::audit_log::AuditLog;
use crate::connection;
use crate::consent;
use crate::databases::{of_stage, pool};
use crate::job::{Checked, Job, JobId, Kind, Outcomes, Posted, Total, check, post};
use crate::settings::DatabaseUrl;
use report::Report;

pub(super) async fn dry_run(command: &JobCommand) -> anyhow::Result<Answer> {
    let Checking { checked, .. } = checking(command).await?;
    let good = checked.bad == 0;
    Ok(Answer::new(&Report::of(command.job(), checked))?.done(good))
}

/// A file that was read once, and what it was read with.
struct Checking {
    checked: Checked,
    kind: Kind,
    configuration: cap_domain::configuration::Configuration,
    connection: connection::Connection,
    accounts: Option<sqlx::PgPool>,
}

/// Whether the account stage's database is read: for balances, or for outcomes.
const fn needs_accounts(command: &JobCommand) -> bool {
    command.job().wait || matches!(command, JobCommand::Zero { .. })
}

async fn checking(command: &JobCommand) -> anyhow::Result<Checking> {
    let JobArguments { file, job, .. } = command.job();
    let kind = command.kind();
    if let Kind::Zero { reason, .. } | Kind::Action { reason, .. } = &kind {
        ensure!(!reason.trim().is_empty(), "--reason is empty: say why, for the journals");
    }
    let accounts = needs_accounts(command).then(of_stage::<Accounts>).transpose()?;
    let configuration = in_force().await?;
    let connection = connection::from_environment().await?;
    let bytes = std::fs::metadata(file).with_context(|| reading(file))?.len();
    let bar = bar(bytes, "{bar:40} {bytes} of {total_bytes} checked, {eta} left");
    let described = Job {
        id: job,
        kind: &kind,
        configuration: &configuration,
        routes: &connection.routes,
        accounts: accounts.as_ref(),
    };
    let checked = check(&described, file, |bytes| bar.set_position(bytes)).await;
    bar.finish_and_clear();
    let checked = checked.with_context(|| reading(file))?;
    Ok(Checking { checked, kind, configuration, connection, accounts })
}

pub(super) async fn run(command: &JobCommand, by: &str) -> anyhow::Result<Answer> {
    let JobArguments { file, job, wait, yes, .. } = command.job();
    let clearing = if needs_accounts(command) {
        type Wanted = (DatabaseUrl<Clearing>, DatabaseUrl<Accounts>);
        environment::read::<Wanted>(&environment::process)?.0
    } else {
        environment::read::<DatabaseUrl<Clearing>>(&environment::process)?
    };
    let Checking { checked, kind, configuration, connection, accounts } = checking(command).await?;
    if checked.bad > 0 || checked.adjustments == 0 {
        let good = checked.bad == 0;
        return Ok(Answer::new(&Report::of(command.job(), checked))?.done(good));
    }
    consent::ask(&question(job, &checked), *yes)?;

    let asked = format!("{} (sha256 {})", words(command), checked.sha256);
    let log = AuditLog::open(pool(&clearing.url)?, by, asked).await?;
    let reason = match &kind {
        Kind::Adjust => None,
        Kind::Zero { reason, .. } | Kind::Action { reason, .. } => Some(reason.as_str()),
    };
    let write = |result: String| log.write_of(None, reason, result);
    write(format!("begun: {} adjustments", checked.adjustments)).await?;
    let described = Job {
        id: job,
        kind: &kind,
        configuration: &configuration,
        routes: &connection.routes,
        accounts: accounts.as_ref(),
    };
    let publisher = Publisher::new(connection.queues.clone());
    let bar = bar(checked.lines as u64, "{bar:40} {human_pos} of {human_len} lines, {eta} left");
    let progress = |lines| bar.set_position(lines);
    let posted = post(&described, file, &checked, &publisher, *wait, system_time, progress).await;
    bar.finish_and_clear();
    let posted = match posted {
        Ok(posted) => posted,
        Err(error) => {
            let error = anyhow::Error::from(error);
            // The command's own error is the one to be told.
            let _ = write(format!("failed: {error:#}")).await;
            return Err(error.context(format!(
                "job {job} stopped; run it again under the same id, what is posted is not posted twice"
            )));
        }
    };
    let (published, lines) = (posted.published, checked.lines);
    tracing::info!(operator = by, job = %job, lines, published, "posted a job");
    write(told(&posted)).await?;
    let report = Report::of(command.job(), checked).with(posted);
    let done = report.is_done();
    Ok(Answer::new(&report)?.done(done))
}

/// The command as it was written, for the audit log.
fn words(command: &JobCommand) -> String {
    let JobArguments { file, job, .. } = command.job();
    let (name, more) = match command.kind() {
        Kind::Adjust => ("adjust", String::new()),
        Kind::Zero { of: crate::job::ZeroOf::Borrowed, .. } => {
            ("zero", " --of borrowed".to_owned())
        }
        Kind::Zero { of: crate::job::ZeroOf::Available, .. } => {
            ("zero", " --of available".to_owned())
        }
        Kind::Action { ratio, .. } => ("action", format!(" --ratio {ratio}")),
    };
    format!("job {name} {} --job {job}{more}", file.display())
}

fn question(job: &JobId, checked: &Checked) -> String {
    let totals = checked.totals.listed();
    let sums = totals.iter().map(|total| {
        let Total { currency, given, taken, .. } = total;
        format!("{given} {currency} given and {taken} taken")
    });
    let sums = sums.collect::<Vec<_>>().join(", ");
    format!("job {job}: post {} adjustments, {sums}?", checked.adjustments)
}

fn told(posted: &Posted) -> String {
    let sent = format!("{} sent, {} not sent", posted.published, posted.not_published.len());
    match &posted.outcomes {
        None => sent,
        Some(Outcomes { posted, refused, undecided, .. }) => {
            format!("{sent}; {posted} posted, {refused} refused, {undecided} undecided")
        }
    }
}

fn reading(file: &Path) -> String {
    format!("reading {}", file.display())
}

fn bar(length: u64, template: &str) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
