//! How long each step of a batch takes: `cap_step_seconds`, by step. Together they are what a batch takes, but
//! for `complete`, which goes on beside `read`, and for waiting in between.

use std::time::Duration;

use tokio::time::Instant;

/// A step of the unit of work, in the order a batch passes them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BatchStep {
    /// Waiting for more messages, once there is one.
    Gather,
    /// Taking messages apart into lanes.
    TakeApart,
    /// Reading lanes and states from the database.
    Read,
    /// Completing new arrivals, such as claiming their request ids.
    Complete,
    /// Deciding.
    Decide,
    /// Writing, until the database has flushed it.
    Commit,
    /// Sending on.
    Send,
    /// Deleting what was received.
    Delete,
}

impl BatchStep {
    fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::TakeApart => "take_apart",
            Self::Read => "read",
            Self::Complete => "complete",
            Self::Decide => "decide",
            Self::Commit => "commit",
            Self::Send => "send",
            Self::Delete => "delete",
        }
    }

    /// Notes that the step took so long.
    pub(crate) fn took(self, elapsed: Duration) {
        metrics::histogram!("cap_step_seconds", "step" => self.name()).record(elapsed);
    }

    /// Does the step, and notes how long it took.
    pub(crate) async fn timed<F: Future>(self, work: F) -> F::Output {
        let begun = Instant::now();
        let done = work.await;
        self.took(begun.elapsed());
        done
    }

    /// Does the step without waiting for anything, and notes how long it took.
    pub(crate) fn done<T>(self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.took(begun.elapsed());
        done
    }
}
