//! Redrive: a suspended lane is given its parked messages back, in order, until it opens (C5,
//! DESIGN §3).
//!
//! The lane alone decides what it takes, by number. This tells it to begin, puts the first copy into
//! its queue, and watches: each copy sends the next. So it may be killed anywhere, begun again, or
//! run twice at once, and the result is the same. What is redriven is the set that waits when it
//! begins; what arrives while it runs is parked behind, and has to be taken too before the lane can
//! open.

mod copies;
mod error;
mod report;

use std::time::Duration;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_domain::routing::{Channel, Routes};
use cap_pipeline::queues::Queues;
use cap_pipeline::{failpoint, system_time};
use cap_store::audit::{self, Entry};
use cap_store::inspect::show_lane;
use cap_store::operate::{OperateError, move_lane};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use copies::Copies;
pub use error::RedriveError;
pub use report::{Ending, Progress, Redriven};

/// How long nothing may be taken before a redrive gives up: longer than a message stays hidden that
/// a service had in hand when it died.
pub const REDRIVE_PATIENCE: Duration = Duration::from_secs(90);

/// How often the lane is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long after a database did not answer it is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long nothing is taken before the copy whose turn it is is sent once more; twice as long each
/// time.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(4);

/// How often a lane that moves is read again before a redrive does not begin.
const BEGIN_TRIES_MAX: u32 = 50;

/// How far a redrive goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Until nothing waits, and the lane is open.
    UntilOpen,
    /// Up to this number; the lane stays suspended if others wait behind it.
    Number(u64),
}

impl Through {
    const fn number(self) -> Option<u64> {
        match self {
            Self::UntilOpen => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// A redrive of one lane.
#[derive(Clone, Copy)]
pub struct Redrive<'a> {
    /// The stage's database.
    pub pool: &'a PgPool,
    /// Where copies are sent.
    pub queues: &'a dyn Queues,
    /// Which queues there are.
    pub routes: &'a Routes,
    /// The stage whose lane it is.
    pub stage: StageName,
    /// The account whose lane it is.
    pub account: &'a AccountKey,
    /// Who redrives.
    pub operator: &'a str,
    /// How far.
    pub through: Through,
    /// The last number that was shown to the operator: the redrive begins only if it is the last one
    /// still. None: whatever waits when it begins.
    pub shown_last: Option<u64>,
    /// How long nothing may be taken: usually [`REDRIVE_PATIENCE`].
    pub patience: Duration,
}

impl Redrive<'_> {
    /// Redrives the lane, and tells as it goes how far it is. It is in the audit log twice: that it
    /// began, in the transaction in which it did, and what came of it.
    ///
    /// # Errors
    /// See [`RedriveError`]. Whatever was taken until then is taken for good.
    pub async fn run(&self, progress: impl FnMut(Progress)) -> Result<Redriven, RedriveError> {
        let channel = Channel::Stage(self.stage);
        let route = self.routes.resolve(channel, self.account).ok_or_else(|| {
            RedriveError::NoQueue { account: self.account.clone(), stage: self.stage }
        })?;
        let begun = self.begin().await?;
        failpoint::hit("redrive_begun");
        let copies = Copies::new(self, route, Uuid::new_v4().to_string());
        let ended = self.watch_until_ended(&begun, copies, progress).await;
        let result = match &ended {
            Ok(redriven) => redriven.to_string(),
            Err(error) => format!("not ended: {error}"),
        };
        audit::append(self.pool, &self.entry(result)).await?;
        ended
    }

    /// Tells the lane that it is redriving: from here on it takes copies. One that is redriving
    /// already, as far as this one is to go, is joined.
    async fn begin(&self) -> Result<Lane, RedriveError> {
        for _ in 0..BEGIN_TRIES_MAX {
            let before = self.lane().await?;
            let after = before.begin_redrive(self.through.number())?;
            let (first, last) = (before.redriven_seq + 1, before.parked_seq);
            if let Some(shown) = self.shown_last
                && shown != last
            {
                let more = last.saturating_sub(shown);
                return Err(RedriveError::MoreParked { more, first, last });
            }
            if before == after {
                audit::append(self.pool, &self.entry(format!("joined at number {first}"))).await?;
                return Ok(after);
            }
            let entry = self.entry(format!("begun, numbers {first} to {last} wait"));
            match move_lane(self.pool, self.account, &before, &after, &entry).await {
                Ok(()) => return Ok(after),
                Err(OperateError::Moved(_)) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(RedriveError::Moving(self.account.clone()))
    }

    /// Sends the first copy, which sends the others, and watches. Where nothing is taken for a
    /// while it is sent again: it may have been lost with the process that held it.
    async fn watch_until_ended(
        &self,
        begun: &Lane,
        mut copies: Copies<'_>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Redriven, RedriveError> {
        let (first, waited) = (begun.redriven_seq + 1, begun.parked_seq);
        let last = self.through.number().map_or(waited, |number| number.min(waited));
        let mut taken = begun.redriven_seq;
        let mut moved_at = Instant::now();
        let mut send_again_after = SEND_AGAIN_AFTER;
        copies.send(begun).await?;
        failpoint::hit("mid_redrive");
        loop {
            let may_wait = moved_at.elapsed() < self.patience;
            let Some(lane) = answered(self.lane().await, may_wait).await? else { continue };
            progress(Progress { first, last, taken: lane.redriven_seq });
            if let Some(ending) = self.ending(&lane) {
                failpoint::hit("redrive_ended");
                return Ok(Redriven::new(first, last, &lane, ending));
            }
            if lane.redriven_seq > taken {
                (taken, moved_at) = (lane.redriven_seq, Instant::now());
                send_again_after = SEND_AGAIN_AFTER;
            } else if moved_at.elapsed() > self.patience {
                let (stage, next) = (self.stage, taken + 1);
                return Err(RedriveError::NothingTaken { stage, next, patience: self.patience });
            } else if moved_at.elapsed() > send_again_after {
                send_again_after *= 2;
                copies.send(&lane).await?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How the redrive ended, if `lane` says that it did.
    fn ending(&self, lane: &Lane) -> Option<Ending> {
        let is_through = self.through.number().is_some_and(|number| number <= lane.redriven_seq);
        match lane.status {
            LaneStatus::Active => Some(Ending::Open),
            _ if is_through => Some(Ending::Through),
            LaneStatus::Suspended => Some(Ending::Stopped {
                parked_seq: lane.redriven_seq + 1,
                error: lane.suspension.as_ref().map_or_else(String::new, |why| why.reason.clone()),
            }),
            LaneStatus::Redriving => None,
        }
    }

    async fn lane(&self) -> Result<Lane, RedriveError> {
        let (account, stage) = (self.account, self.stage);
        let lane = show_lane(self.pool, account).await?;
        lane.ok_or_else(|| RedriveError::NoLane { account: account.clone(), stage })
    }

    fn entry(&self, result: String) -> Entry {
        let through = match self.through {
            Through::UntilOpen => String::new(),
            Through::Number(number) => format!(" --through {number}"),
        };
        Entry {
            at: system_time(),
            operator: self.operator.to_owned(),
            command: format!("redrive {} --stage {}{through}", self.account, self.stage),
            account: Some(self.account.clone()),
            reason: None,
            result,
        }
    }
}

/// What the database said; none if it was away, and may be waited for.
async fn answered<T>(
    answer: Result<T, RedriveError>,
    may_wait: bool,
) -> Result<Option<T>, RedriveError> {
    match answer {
        Err(RedriveError::Query(_)) if may_wait => {
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
