//! The pipeline's bounds, each with a name.

use std::time::Duration;

/// How a pipeline batches and waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Concurrent receives a queue.
    pub receivers_per_queue: usize,
    /// Batches being worked on at once: one, unless they are full or have waited.
    pub committers: usize,
    /// The most messages of one batch.
    pub batch_messages_max: usize,
    /// How long a batch that is not full waits, at most, for the one that is being worked on.
    pub batch_wait: Duration,
    /// How long a received message stays hidden; renewed while it is worked on (Q11).
    pub visibility_secs: u32,
    /// How long a receive waits for a first message; also how long a drain may wait for it.
    pub receive_wait_secs: u32,
    /// How often letters of resolved messages are looked for in the dead-letter queues, if nothing
    /// is redriven, which is looked after at once.
    pub janitor_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            receivers_per_queue: 4,
            committers: 4,
            batch_messages_max: 500,
            batch_wait: Duration::from_millis(100),
            visibility_secs: 60,
            receive_wait_secs: 3,
            janitor_every: Duration::from_secs(600),
        }
    }
}

/// Sends, deletions and extensions under way at once in one batch.
pub(crate) const CALLS_MAX: usize = 16;

/// How often a deletion is tried; after that the message is left to come again, and recognised.
pub(crate) const DELETE_TRIES_MAX: u32 = 5;

/// How often a lane is read again after a rival advanced it, before its messages are left to
/// come again.
pub(crate) const FENCED_TRIES_MAX: u32 = 5;

/// How much of its visibility a message must have left for its batch to be committed (Q20).
pub(crate) const VISIBILITY_MARGIN: Duration = Duration::from_millis(500);

/// The longest error text a dead letter carries, in characters.
pub(crate) const ERROR_CHARS_MAX: usize = 500;

/// How long one read or one commit may take before the database counts as away.
pub(crate) const STORE_CALL_MAX: Duration = Duration::from_secs(15);

/// Waves of sends in a row, with growing waits, in which nothing was accepted: after that the
/// messages are left to come again, so that one queue that is away does not hold back the others.
pub(crate) const FRUITLESS_WAVES_MAX: u32 = 8;

/// How long sending may go on after the signal to stop.
pub(crate) const SEND_DRAIN_MAX: Duration = Duration::from_secs(4);

/// A message received more often than this is worked on alone: if it is what kills the process,
/// it takes no other lane with it. While a configuration spreads, one that awaits its rule does not get
/// there; if it waits longer, it is alone and keeps nobody waiting.
pub(crate) const SUSPECT_RECEIVES: u32 = 3;

/// How soon a message comes again whose rule is on the way. All the receives that it may wait for (the
/// domain's `RULE_AWAITED_RECEIVES_MAX`) make twenty seconds; a push spreads in two.
pub(crate) const RULE_AWAITED_SECS: u32 = 1;

/// How long after a redriven message the janitor begins: others are about to follow it.
pub(crate) const JANITOR_PAUSE: Duration = Duration::from_secs(1);

/// The most receives of one sweep of a dead-letter queue.
pub(crate) const SWEEP_RECEIVES_MAX: u32 = 1_000;
