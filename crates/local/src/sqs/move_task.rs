//! Move tasks: the native redrive of a dead-letter queue.
//!
//! Guarantees that a task moves the messages that were visible when it started, oldest first
//! and at most at its rate, and that one it cannot place stays where it is. Knows no queues:
//! the engine asks how many may go and tells what went.
//! Source: Amazon SQS API Reference, "StartMessageMoveTask" and "ListMessageMoveTasks"; Amazon
//! SQS Developer Guide, "Learn how to configure a dead-letter queue redrive".

/// The highest rate that a task can be given.
pub const MOVES_PER_SECOND_MAX: u32 = 500;
/// Messages moved before the task lets others at the queues again.
const STEP_MOVES_MAX: u64 = 256;

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveStatus {
    /// Moving.
    Running,
    /// Asked to stop.
    Cancelling,
    /// Stopped on request.
    Cancelled,
    /// Everything has been moved.
    Completed,
    /// Stopped at a message that it could not place.
    Failed,
}

impl MoveStatus {
    /// The status as it reads on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// One move task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTask {
    /// Names the task.
    pub handle: String,
    /// The dead-letter queue.
    pub source_arn: String,
    /// Where to; without one, back to where each message came from.
    pub destination_arn: Option<String>,
    /// The rate it was given, if any.
    pub moves_per_second_max: Option<u32>,
    /// How it stands.
    pub status: MoveStatus,
    /// Messages moved so far.
    pub moved: u64,
    /// Messages there were to move when it started.
    pub to_move: u64,
    /// When it started.
    pub started_at: u64,
    /// Why it failed.
    pub failure: Option<&'static str>,
    /// The message to look at next, and the one where it ends.
    pub(crate) serials: std::ops::Range<u64>,
}

impl MoveTask {
    /// Whether it still has to do something.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.status, MoveStatus::Running | MoveStatus::Cancelling)
    }

    /// Messages that may be moved now.
    pub(crate) fn allowance(&self, now: u64) -> u64 {
        match self.moves_per_second_max {
            None => STEP_MOVES_MAX,
            Some(rate) => {
                let elapsed = now.saturating_sub(self.started_at);
                let due = 1 + u64::from(rate) * elapsed / 1_000;
                due.saturating_sub(self.moved).min(STEP_MOVES_MAX)
            }
        }
    }

    pub(crate) fn fail(&mut self, why: &'static str) {
        self.status = MoveStatus::Failed;
        self.failure = Some(why);
    }
}
