//! One message, and what is the matter with it.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Account;

/// Every type of event that upstream may send.
pub const KINDS: [&str; 19] = [
    "account.closed",
    "account.opened",
    "adjustment.posted",
    "credit.changed",
    "deposit.received",
    "fee.charged",
    "funding.charged",
    "interest.charged",
    "leverage.changed",
    "liquidation.ended",
    "liquidation.started",
    "margin.changed",
    "order.released",
    "order.reserved",
    "trade.filled",
    "transfer.requested",
    "withdrawal.cancelled",
    "withdrawal.requested",
    "withdrawal.settled",
];

/// A stage, in the order messages go through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From the event to a plan.
    Clearing,
    /// Positions; only of products that have them.
    Position,
    /// Balances.
    Account,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 3] = [Self::Clearing, Self::Position, Self::Account];

    /// The name in queues, databases and outcomes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clearing => "clearing",
            Self::Position => "position",
            Self::Account => "account",
        }
    }
}

/// What is the matter with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nature {
    /// Nothing: it is posted, or refused.
    Sound,
    /// The same request as message number `of` of the script, which is sound: its outcome again.
    Repetition {
        /// An index into [`super::Script::messages`].
        of: usize,
    },
    /// Another content under the request id of message number `of`, which is sound.
    Conflict {
        /// An index into [`super::Script::messages`].
        of: usize,
    },
    /// Poison: no JSON. Clearing finds it.
    NotJson,
    /// Poison: a fact with a field that is not valid, or an event of no known type. Clearing finds it.
    InvalidFact,
    /// Poison: a fact for an account that was never opened. The position stage finds it, or the
    /// account stage where there are no positions.
    FactForUnopened,
    /// Poison: a fact for an account that was closed. The account stage finds it: no other knows of
    /// closings.
    FactForClosed,
    /// Poison: uses up more than is frozen. The account stage finds it.
    TooMuchReserved,
    /// Poison: settles a withdrawal that is not payable yet. The account stage finds it.
    SettledTooEarly,
    /// Poison: a fill that contradicts the account's position mode, or its position: more is
    /// reduced than is held, or the margin mode is another. The position stage finds it.
    ContradictsPosition,
    /// Poison: a fact that would have to borrow on the card, without the rate it needs. The account
    /// stage finds it.
    WithoutRate,
    /// Sound, but the database of `stage` is made to refuse it until it is repaired.
    RefusedOnce {
        /// Whose database; the position stage's only on its path.
        stage: Stage,
    },
}

impl Nature {
    /// Whether it suspends its lane for good: support skips it, and it changes nothing.
    pub const fn is_skipped(self) -> bool {
        matches!(
            self,
            Self::NotJson
                | Self::InvalidFact
                | Self::FactForUnopened
                | Self::FactForClosed
                | Self::TooMuchReserved
                | Self::SettledTooEarly
                | Self::ContradictsPosition
                | Self::WithoutRate
        )
    }

    /// The stage whose lane it suspends, on the path of `account`.
    pub fn found_at(self, account: &Account) -> Option<Stage> {
        match self {
            Self::Sound | Self::Repetition { .. } | Self::Conflict { .. } => None,
            Self::NotJson | Self::InvalidFact => Some(Stage::Clearing),
            Self::FactForUnopened if account.has_positions() => Some(Stage::Position),
            Self::ContradictsPosition => Some(Stage::Position),
            Self::FactForUnopened
            | Self::FactForClosed
            | Self::TooMuchReserved
            | Self::SettledTooEarly
            | Self::WithoutRate => Some(Stage::Account),
            Self::RefusedOnce { stage } => Some(stage),
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A header, all but the time, and an event.
    Envelope {
        /// The header without `initiated_at`.
        header: Value,
        /// The event.
        event: Value,
    },
    /// A text that is no JSON.
    Text(String),
}

/// One thing after another that happens to the accounts of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The message of this number is published and taken.
    Publish(usize),
    /// What CAP sent itself comes and is taken: the event of this number, in the order in which they
    /// were sent.
    Deliver(usize),
    /// Nothing comes for so many seconds.
    Wait(u32),
}

/// A message of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose it is: an index into [`super::Script::accounts`].
    pub account: usize,
    /// The request it makes. Of what is no JSON: what CAP makes out, the deduplication id.
    pub request_id: String,
    /// What SQS is to recognise it by: of a repetition or a conflict another than the request id.
    pub deduplication_id: String,
    /// What is the matter with it.
    pub nature: Nature,
    /// When the request was made, from its publishing: −360 expired, +180 in the future.
    pub initiated_at_offset_secs: i64,
    /// What it says.
    pub content: Content,
}

impl Message {
    /// The body to publish, `now` in milliseconds since 1970. Repetitions are made anew: the time
    /// is no part of what a request says.
    pub fn body_at(&self, now_unix_millis: i64) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Envelope { header, event } => {
                let offset = Duration::seconds(self.initiated_at_offset_secs);
                let at = OffsetDateTime::UNIX_EPOCH
                    .checked_add(Duration::milliseconds(now_unix_millis).saturating_add(offset));
                let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339);
                let mut header = header.clone();
                header["initiated_at"] = json!(at.unwrap_or_default());
                json!({ "header": header, "event": event }).to_string()
            }
        }
    }

    /// The type of its event; none if it is no JSON.
    pub fn kind(&self) -> Option<&str> {
        match &self.content {
            Content::Envelope { event, .. } => event["type"].as_str(),
            Content::Text(_) => None,
        }
    }
}
