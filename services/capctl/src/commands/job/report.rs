//! What a job is answered with.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::arguments::JobArguments;
use crate::job::{BadLine, Checked, JobId, NotPublished, Outcomes, Posted, ShownEvent, Total};
use crate::table::{Align, ROWS_MAX, Table};

/// What a job found and did.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    job: JobId,
    file: PathBuf,
    sha256: String,
    lines: usize,
    /// Lines that come to an adjustment.
    adjustments: usize,
    /// Lines that come to nothing.
    nothing: usize,
    bad: usize,
    bad_lines: Vec<BadLine>,
    totals: Vec<Total>,
    /// The first events, of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<ShownEvent>>,
    published: usize,
    not_published: Vec<NotPublished>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<Outcomes>,
}

impl Report {
    pub(super) fn of(arguments: &JobArguments, checked: Checked) -> Self {
        let Checked { lines, adjustments, nothing, bad, bad_lines, shown, totals, sha256, .. } =
            checked;
        Self {
            job: arguments.job.clone(),
            file: arguments.file.clone(),
            sha256,
            lines,
            adjustments,
            nothing,
            bad,
            bad_lines,
            totals: totals.listed(),
            events: arguments.dry_run.then_some(shown),
            published: 0,
            not_published: Vec::new(),
            outcomes: None,
        }
    }

    pub(super) fn with(self, posted: Posted) -> Self {
        let Posted { published, totals, not_published, outcomes } = posted;
        Self { published, totals: totals.listed(), not_published, outcomes, ..self }
    }

    pub(super) fn is_done(&self) -> bool {
        self.bad == 0
            && self.not_published.is_empty()
            && self.outcomes.as_ref().is_none_or(Outcomes::all_posted)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bad > 0 {
            return self.bad_lines(f);
        }
        if let Some(events) = &self.events {
            shown(f, events)?;
        }
        self.totals(f)?;
        let Self { job, lines, adjustments, nothing, published, not_published, .. } = self;
        let nothing_to_do = match nothing {
            0 => String::new(),
            1 => ", 1 comes to nothing".to_owned(),
            more => format!(", {more} come to nothing"),
        };
        writeln!(f, "{lines} lines: {adjustments} adjustments{nothing_to_do}")?;
        if self.events.is_some() || *adjustments == 0 {
            return writeln!(f, "nothing was sent");
        }
        writeln!(f, "{published} sent under job {job}")?;
        if !not_published.is_empty() {
            for NotPublished { line, account, reason, .. } in not_published.iter().take(ROWS_MAX) {
                writeln!(f, "  line {line}, {account}: not sent: {reason}")?;
            }
            writeln!(f, "it stopped there: run it again under the same job id")?;
        }
        match &self.outcomes {
            Some(outcomes) => told_outcomes(f, outcomes),
            None => Ok(()),
        }
    }
}

impl Report {
    fn bad_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for BadLine { line, field, reason } in self.bad_lines.iter().take(ROWS_MAX) {
            writeln!(f, "line {line}, {field}: {reason}")?;
        }
        let more = self.bad.saturating_sub(ROWS_MAX);
        if more > 0 {
            writeln!(f, "… and {more} more")?;
        }
        let (bad, lines) = (self.bad, self.lines);
        writeln!(f, "{bad} of {lines} lines are wrong: nothing was sent")
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.totals.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&[
            ("currency", Align::Left),
            ("adjustments", Align::Right),
            ("given", Align::Right),
            ("taken", Align::Right),
            ("net", Align::Right),
        ]);
        for Total { currency, adjustments, given, taken, net } in &self.totals {
            let count = adjustments.to_string();
            table.row([currency.to_string(), count, given.clone(), taken.clone(), net.clone()]);
        }
        writeln!(f, "{table}")
    }
}

fn shown(f: &mut fmt::Formatter<'_>, events: &[ShownEvent]) -> fmt::Result {
    let mut table = Table::new(&[
        ("line", Align::Right),
        ("account", Align::Left),
        ("amount", Align::Right),
        ("request", Align::Left),
    ]);
    for ShownEvent { line, account, request_id, amount, .. } in events {
        let (line, amount) = (line.to_string(), amount.to_string());
        table.row([line, account.to_string(), amount, request_id.to_string()]);
    }
    writeln!(f, "{table}")
}

fn told_outcomes(f: &mut fmt::Formatter<'_>, outcomes: &Outcomes) -> fmt::Result {
    let Outcomes { posted, posted_before, refused, undecided, .. } = outcomes;
    let before = match posted_before {
        0 => String::new(),
        before => format!(" ({before} of them in an earlier run)"),
    };
    writeln!(f, "{posted} posted{before}, {refused} refused, {undecided} undecided")?;
    for refusal in outcomes.refusals.iter().take(ROWS_MAX) {
        let (sent, reason) = (&refusal.sent, &refusal.reason);
        let (line, account, detail) = (sent.line, &sent.account, &reason.detail);
        writeln!(f, "  line {line}, {account}: {detail}")?;
    }
    for sent in outcomes.undecided_lines.iter().take(ROWS_MAX) {
        let (line, account, id) = (sent.line, &sent.account, &sent.request_id);
        writeln!(
            f,
            "  line {line}, {account}: sent, and not decided yet: `capctl trace {id} --account {account}`"
        )?;
    }
    Ok(())
}
