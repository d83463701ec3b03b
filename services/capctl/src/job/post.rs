//! The second reading: what was checked is sent, a thousand lines at a time, in the order of the
//! file.
//!
//! A thousand lines are sent before the next thousand are read, so memory is bounded and no event
//! is older than the minute it takes to send them (C4). If one cannot be sent, it stops there.

use std::path::Path;

use cap_client::Publisher;
use cap_domain::envelope::Envelope;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::time::Timestamp;
use serde::Serialize;

use super::check::{Checked, Chunk, Made, adjustments};
use super::file::Records;
use super::outcomes::{Sent, UnderWay};
use super::totals::Totals;
use super::{Adjustment, Job, JobError, LISTED_MAX, Outcomes};

/// What was sent, and what became of it.
#[derive(Debug, Default)]
pub struct Posted {
    /// Adjustments that are in their queues.
    pub published: usize,
    /// What they move.
    pub totals: Totals,
    /// Adjustments that could not be sent: the job stopped there.
    pub not_published: Vec<NotPublished>,
    /// What became of them, if that was waited for.
    pub outcomes: Option<Outcomes>,
}

/// An adjustment that was not sent.
#[derive(Debug, Serialize)]
pub struct NotPublished {
    /// The line's number.
    pub line: usize,
    /// Whose money it is.
    pub account: AccountKey,
    /// Its id.
    pub request_id: RequestId,
    /// Why not.
    pub reason: String,
}

/// Sends what the file at `path` says, which was `checked`; `now` tells the time of sending, and
/// `progress` is told how many lines are done. Outcomes are waited for if `wait` is said and the
/// job has the account stage's database.
///
/// # Errors
/// See [`JobError`].
pub async fn post(
    job: &Job<'_>,
    path: &Path,
    checked: &Checked,
    publisher: &Publisher,
    wait: bool,
    now: fn() -> Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<Posted, JobError> {
    let begun_at = now();
    let mut posted = Posted::default();
    let accounts = job.accounts.filter(|_| wait);
    posted.outcomes = accounts.map(|_| Outcomes::default());
    let changed = |line: usize| JobError::Changed { line };
    let mut records = Records::open(path, job.kind)?.map_err(|bad| changed(bad.line))?;
    let mut done = 0;
    loop {
        let Chunk { drafts, bad, ended } = Chunk::read(job, &mut records)?;
        if let Some(bad) = bad.first() {
            return Err(changed(bad.line));
        }
        done += drafts.len() as u64;
        let Made { adjustments, bad, .. } = adjustments(job, drafts).await?;
        if let Some(bad) = bad.first() {
            return Err(changed(bad.line));
        }
        let under_way = send(job, &adjustments, publisher, now(), &mut posted).await?;
        if let (Some(accounts), Some(outcomes)) = (accounts, &mut posted.outcomes) {
            outcomes.wait(accounts, under_way, begun_at).await?;
        }
        progress(done);
        if ended || !posted.not_published.is_empty() {
            break;
        }
    }
    if posted.not_published.is_empty() && records.sha256() != checked.sha256 {
        return Err(changed(records.line()));
    }
    Ok(posted)
}

/// Sends `adjustments`, all made `at`; gives those that are in their queues.
async fn send(
    job: &Job<'_>,
    adjustments: &[Adjustment],
    publisher: &Publisher,
    at: Timestamp,
    posted: &mut Posted,
) -> Result<Vec<UnderWay>, JobError> {
    let envelopes: Vec<Envelope> = adjustments
        .iter()
        .map(|adjustment| adjustment.envelope(job.id, at))
        .collect::<Result<_, _>>()
        .map_err(|_| JobError::Changed {
            line: adjustments.first().map_or(0, |first| first.line),
        })?;
    let results = publisher.publish(&envelopes).await;
    let mut under_way = Vec::with_capacity(adjustments.len());
    for ((adjustment, envelope), result) in adjustments.iter().zip(envelopes).zip(results) {
        let (line, account) = (adjustment.line, adjustment.account.clone());
        let request_id = adjustment.request_id.clone();
        match result {
            Ok(_) => {
                posted.published += 1;
                posted.totals.add(adjustment)?;
                under_way.push(UnderWay { sent: Sent { line, account, request_id }, envelope });
            }
            Err(error) if posted.not_published.len() < LISTED_MAX => {
                let reason = format!("{:#}", anyhow::Error::from(error));
                let refused = NotPublished { line, account, request_id, reason };
                posted.not_published.push(refused);
            }
            Err(_) => {}
        }
    }
    Ok(under_way)
}
