//! What became of what was sent, read in the account's journal by account and request id.
//!
//! The outcome queues are upstream's to read: a tool that took outcomes from them would take them
//! away from it.

use std::time::Duration;

use cap_domain::envelope::Envelope;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::Row;
use cap_domain::outcome::{OutcomeMessage, OutcomeStatus, Reason};
use cap_domain::time::Timestamp;
use cap_store::journal::row_of_request;
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{JobError, LISTED_MAX};

/// How long nothing may arrive before the rest is no longer waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often journals are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of a job's events.
#[derive(Debug, Default, Serialize)]
pub struct Outcomes {
    /// Posted.
    pub posted: usize,
    /// How many of those an earlier run had posted.
    pub posted_before: usize,
    /// Not posted, for a reason that stays.
    pub refused: usize,
    /// The first of them, up to [`LISTED_MAX`].
    pub refusals: Vec<Refused>,
    /// Sent, and not decided on yet: parked, or on their way.
    pub undecided: usize,
    /// The first of them, up to [`LISTED_MAX`].
    pub undecided_lines: Vec<Sent>,
}

/// A line that was not posted.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Which.
    #[serde(flatten)]
    pub sent: Sent,
    /// Why.
    pub reason: Reason,
}

/// A line that was sent.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// Its number.
    pub line: usize,
    /// Whose money it is.
    pub account: AccountKey,
    /// Its request id.
    pub request_id: RequestId,
}

/// A line on its way.
pub(super) struct UnderWay {
    pub(super) sent: Sent,
    pub(super) envelope: Envelope,
}

impl Outcomes {
    /// Waits for `under_way`, until all is decided or nothing more comes.
    pub(super) async fn wait(
        &mut self,
        accounts: &PgPool,
        mut under_way: Vec<UnderWay>,
        begun_at: Timestamp,
    ) -> Result<(), JobError> {
        let mut give_up_at = Instant::now() + PATIENCE;
        loop {
            let before = under_way.len();
            let mut left = Vec::new();
            for line in under_way {
                let Sent { account, request_id, .. } = &line.sent;
                match row_of_request(accounts, account, request_id).await? {
                    Some(row) => self.note(line, &row, begun_at)?,
                    None => left.push(line),
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            if left.len() < before {
                give_up_at = Instant::now() + PATIENCE;
            } else if Instant::now() > give_up_at {
                self.give_up(left);
                return Ok(());
            }
            under_way = left;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note(&mut self, line: UnderWay, row: &Row, begun_at: Timestamp) -> Result<(), JobError> {
        let UnderWay { sent, envelope } = line;
        if row.fingerprint != envelope.fingerprint() {
            let detail = format!(
                "request id {} was used at {} for another adjustment of this account: the line says something else now, and nothing was posted",
                sent.request_id, row.decided_at
            );
            self.refuse(sent, conflict(detail));
            return Ok(());
        }
        let outcome = OutcomeMessage::of_row(row)?.outcome;
        match (outcome.status, outcome.reason) {
            (OutcomeStatus::Posted, _) => {
                self.posted += 1;
                self.posted_before += usize::from(row.decided_at < begun_at);
            }
            (_, Some(reason)) => self.refuse(sent, reason),
            // Whatever is not posted has a reason.
            (_, None) => self.give_up(vec![UnderWay { sent, envelope }]),
        }
        Ok(())
    }

    fn refuse(&mut self, sent: Sent, reason: Reason) {
        self.refused += 1;
        if self.refusals.len() < LISTED_MAX {
            self.refusals.push(Refused { sent, reason });
        }
    }

    fn give_up(&mut self, left: Vec<UnderWay>) {
        self.undecided += left.len();
        let room = LISTED_MAX.saturating_sub(self.undecided_lines.len());
        self.undecided_lines.extend(left.into_iter().take(room).map(|line| line.sent));
    }

    /// Whether all was posted.
    pub const fn all_posted(&self) -> bool {
        self.refused == 0 && self.undecided == 0
    }
}

fn conflict(detail: String) -> Reason {
    use cap_domain::outcome::ReasonCode;
    use cap_domain::refusal::RejectionCode;
    Reason { code: ReasonCode::Rejected(RejectionCode::RequestIdConflict), detail }
}
