//! What the pipeline asks of a stage's database; implemented over PostgreSQL by `cap-store`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Advance, Arrival, Lane, Memory, ParkedMessage, Row, Stage, Step, Taken};
use cap_domain::time::Timestamp;

use crate::queues::Unreachable;

/// What is to be read of one lane.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The lane.
    pub account: AccountKey,
    /// Request ids that may have been journaled, and are to be looked for.
    pub request_ids: Vec<RequestId>,
    /// They are held to be new: looked for only if the lane is not active, whose messages are parked
    /// unless they were journaled before.
    pub taken_for_new: bool,
    /// Source ids that may have been parked.
    pub source_ids: Vec<String>,
    /// Numbers from which on parked messages are called for, and how many from each.
    pub parked_seqs: Vec<(u64, usize)>,
}

impl Wanted {
    /// What has to be read of the lane of `account` to decide `arrivals`.
    pub fn of<I>(account: &AccountKey, arrivals: &[Arrival<I>]) -> Self {
        let redriven = arrivals.iter().filter_map(|arrival| arrival.redriven.as_ref());
        Self {
            account: account.clone(),
            request_ids: arrivals.iter().map(|arrival| arrival.request_id.clone()).collect(),
            taken_for_new: false,
            source_ids: arrivals
                .iter()
                .flat_map(|arrival| [Some(&arrival.source_id), arrival.unread_id.as_ref()])
                .flatten()
                .map(ToString::to_string)
                .collect(),
            parked_seqs: redriven
                .map(|redriven| (redriven.parked_seq, redriven.recalls()))
                .collect(),
        }
    }
}

/// How much of the journal is read before messages are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing for an active lane's messages that were never received before: almost all of them are new,
    /// and the journal refuses a request that it has (`journal_request_once`).
    Trusting,
    /// The row of every request, if there is one.
    Whole,
}

/// A lane as it was read.
#[derive(Debug)]
pub struct Loaded<S: Stage> {
    /// Its counters; none if the lane has never had a message.
    pub lane: Option<Lane>,
    /// The stage's state of the account.
    pub state: Arc<S::State>,
    /// What is remembered of the wanted ids.
    pub memory: Memory,
}

/// What is to be written of one lane.
#[derive(Debug)]
pub struct LaneChange<S: Stage> {
    /// The lane.
    pub account: AccountKey,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Its counters when it was read: the fence. None: it must not exist yet.
    pub before: Option<Lane>,
    /// Its counters now.
    pub after: Lane,
    /// The state when it was read.
    pub state_before: Arc<S::State>,
    /// The state now.
    pub state_after: Arc<S::State>,
    /// Rows to append.
    pub rows: Vec<Row>,
    /// Messages to park.
    pub parked: Vec<ParkedMessage>,
    /// Parked messages that were redriven.
    pub redriven: Vec<Taken>,
    /// Numbers of parked messages that failed again, and the error's own words.
    pub failed_again: Vec<(u64, String)>,
}

impl<S: Stage> LaneChange<S> {
    /// What `advance`, decided at `decided_at`, writes to a lane that was read as `before`, and the
    /// steps that follow.
    pub fn of(
        account: AccountKey,
        before: Option<Lane>,
        state_before: Arc<S::State>,
        advance: Advance<S>,
        decided_at: Timestamp,
    ) -> (Self, Vec<Step>) {
        let Advance {
            lane: after,
            state: state_after,
            rows,
            parked,
            redriven,
            failed_again,
            steps,
        } = advance;
        let change = Self {
            account,
            decided_at,
            before,
            after,
            state_before,
            state_after,
            rows,
            parked,
            redriven,
            failed_again,
        };
        (change, steps)
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The database is unreachable.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A stored row cannot be read as what it must be: it was altered by hand, or by a newer release.
    #[error("a stored row of {account} is not readable: {reason}")]
    Unreadable {
        /// Whose row it is.
        account: AccountKey,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Another consumer advanced one of the lanes meanwhile (C7). Nothing was written.
    #[error("another consumer advanced a lane of the batch meanwhile")]
    Fenced,
    /// A request of the batch is in the journal already (C4). Nothing was written.
    #[error("a request of the batch is journaled already: {0}")]
    Repeated(String),
    /// The database refused the data; somewhere in the batch is a guilty lane. Nothing was written.
    #[error("the database refused it: {0}")]
    Refused(String),
    /// The database is unreachable, overloaded, or chose this transaction as a victim. Whether it
    /// was committed is unknown: the lanes have to be read again.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// A stage's lanes in its database.
#[async_trait]
pub trait LaneStore<S: Stage>: Send + Sync + 'static {
    /// The lanes of `accounts` that this process wrote last, as it wrote them, if nobody else seems to have
    /// written any since. They are not read: whether they are still so, the fence of the commit tells.
    fn kept(&self, accounts: &[&AccountKey]) -> Vec<(AccountKey, Loaded<S>)>;

    /// Reads lanes by key, in one round: of the journal only the wanted requests, and of those that are
    /// taken for new only what belongs to lanes that are not active.
    async fn load(&self, wanted: &[Wanted]) -> Result<HashMap<AccountKey, Loaded<S>>, LoadError>;

    /// Which of these parked messages were redriven or skipped; one answer each, in order.
    async fn are_resolved(&self, parked: &[(AccountKey, u64)]) -> Result<Vec<bool>, LoadError>;

    /// Writes all changes in one transaction, or none.
    async fn commit(&self, changes: &[LaneChange<S>]) -> Result<(), CommitError>;
}
