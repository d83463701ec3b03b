//! The three ways an event does not go through, each a type of its own: a [`Refusal`] is an
//! answer, a [`Poison`] stops the lane, and what is merely unreachable never gets here.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::event::EventClass;
use crate::money::MoneyError;
use crate::money::exact::TooLarge;

/// Why a request was rejected, as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    /// It may not borrow, and has not enough.
    InsufficientFunds,
    /// It may borrow, but not that much.
    CreditLimitExceeded,
    /// Less is frozen than was asked for.
    InsufficientFrozen,
    /// The account was never opened.
    AccountNotFound,
    /// The account is open already.
    AccountAlreadyOpen,
    /// The account was closed.
    AccountClosed,
    /// The account still has a balance, a withdrawal or a position.
    AccountNotEmpty,
    /// There is no position to act on.
    NoOpenPosition,
    /// A field is missing, unknown or out of range.
    InvalidRequest,
    /// The request says it was made later than it was sent.
    InitiatedInTheFuture,
    /// The request id belongs to another content or account.
    RequestIdConflict,
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A final, journaled no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Refusal {
    /// The request breaks a rule.
    Rejected {
        /// Which.
        code: RejectionCode,
        /// A sentence with the figures.
        detail: String,
    },
    /// The request reached the queue more than five minutes after it was made (C4).
    Expired {
        /// A sentence with the figures.
        detail: String,
    },
}

impl Refusal {
    /// A rejection.
    pub fn rejected(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self::Rejected { code, detail: detail.into() }
    }
}

/// Something that cannot be applied and cannot be refused either: the lane stops here (C5, A9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// A message nobody can read.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    /// A message in the wrong lane.
    #[error("the message is for account {header}, but came in the group of {lane}")]
    WrongLane {
        /// Whom the header names.
        header: String,
        /// Whose message group it came in.
        lane: String,
    },
    /// A fact that is not valid.
    #[error("{kind} is not valid: {reason}")]
    InvalidFact {
        /// The event's type.
        kind: SmolStr,
        /// The field and the reason.
        reason: String,
    },
    /// A fact that contradicts what the account has.
    #[error("{kind} cannot be applied: {reason}")]
    Contradiction {
        /// The event's type.
        kind: SmolStr,
        /// What it contradicts, with the figures.
        reason: String,
    },
    /// The upstream stage skipped something.
    #[error(
        "upstream sequence {found} came where {expected} was due: something before it is missing"
    )]
    Gap {
        /// What was due.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A message that says it was parked, and was not.
    #[error("the message says it is parked number {parked_seq}, but the lane has parked {parked}")]
    NeverParked {
        /// What it says.
        parked_seq: u64,
        /// How many the lane has parked.
        parked: u64,
    },
    /// A message that was received too often without ever being finished.
    #[error("received {received} times without being finished, {receives_max} is the most")]
    TooManyReceives {
        /// How often it was received.
        received: u32,
        /// The most.
        receives_max: u32,
    },
    /// A calculation that does not fit, or that this version cannot make.
    #[error("{0}")]
    OutOfRange(String),
    /// A database constraint that the rules did not foresee.
    #[error("the database refused it: {0}")]
    RefusedByDatabase(String),
}

impl From<TooLarge> for Poison {
    fn from(error: TooLarge) -> Self {
        Self::OutOfRange(format!("a figure is out of range: {error}"))
    }
}

impl From<MoneyError> for Poison {
    fn from(error: MoneyError) -> Self {
        Self::OutOfRange(format!("a figure is out of range: {error}"))
    }
}

/// A no, or a stop: what deciding an event can end in besides its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Journaled and answered.
    Refused(Refusal),
    /// Parked.
    Poisoned(Poison),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<P: Into<Poison>> From<P> for Stop {
    fn from(poison: P) -> Self {
        Self::Poisoned(poison.into())
    }
}

impl Stop {
    /// What stops an event of this class: a request that leads to a figure out of range, to
    /// something this version cannot do, or that lacks what the account needs it to say (a rate),
    /// is answered; only a fact suspends the lane.
    #[must_use]
    pub fn of_class(self, class: EventClass) -> Self {
        match (self, class) {
            (
                Self::Poisoned(Poison::OutOfRange(reason) | Poison::InvalidFact { reason, .. }),
                EventClass::Request,
            ) => Self::Refused(Refusal::rejected(RejectionCode::InvalidRequest, reason)),
            (stop, _) => stop,
        }
    }
}
