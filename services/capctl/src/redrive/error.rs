//! Why a redrive did not begin, or did not come to an end.

use std::time::Duration;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{RedriveRefused, StageName};
use cap_store::QueryError;
use cap_store::operate::OperateError;

/// Why a redrive did not begin, or did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// There is nothing of the account.
    #[error("{account} has no lane at {stage}: nothing ever came for it")]
    NoLane {
        /// The account.
        account: AccountKey,
        /// The stage.
        stage: StageName,
    },
    /// There is nothing to be redriven, or not that.
    #[error(transparent)]
    Refused(#[from] RedriveRefused),
    /// What was shown is not what waits.
    #[error("{more} more were parked meanwhile: numbers {first} to {last} wait now")]
    MoreParked {
        /// How many more.
        more: u64,
        /// The first number that waits.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The lane kept moving.
    #[error("the lane of {0} moved each time the redrive was to begin: try again")]
    Moving(AccountKey),
    /// Nowhere to send copies to.
    #[error("no queue of {stage} takes messages of {account}: create it first")]
    NoQueue {
        /// The account.
        account: AccountKey,
        /// The stage.
        stage: StageName,
    },
    /// A copy cannot be sent.
    #[error("sending number {parked_seq} to {stage}: {reason}; the redrive can be begun again")]
    NotSent {
        /// Which.
        parked_seq: u64,
        /// Where to.
        stage: StageName,
        /// What came back.
        reason: String,
    },
    /// Nobody takes the copies.
    #[error(
        "{stage} has not taken number {next} within {} s: it may not be running; the lane stays redriving, and the redrive can be begun again",
        patience.as_secs()
    )]
    NothingTaken {
        /// The stage.
        stage: StageName,
        /// The number whose turn it is.
        next: u64,
        /// How long was waited.
        patience: Duration,
    },
    /// The database does not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database did not take the beginning.
    #[error("beginning the redrive")]
    Operate(#[from] OperateError),
}
