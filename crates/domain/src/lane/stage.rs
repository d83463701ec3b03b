//! What one service adds to the machinery of lanes.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Arrival, Echo, Lane, Message, Row};
use crate::ids::{AccountKey, RequestId};
use crate::refusal::Poison;
use crate::time::Timestamp;

/// A service of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Chooses the subjects.
    Clearing,
    /// Keeps the positions.
    Position,
    /// Keeps the money.
    Account,
}

impl StageName {
    /// Every stage, in the order messages go through them.
    pub const ALL: [Self; 3] = [Self::Clearing, Self::Position, Self::Account];

    /// Whether its messages come from another stage, numbered, rather than from trade services.
    pub const fn has_upstream(self) -> bool {
        !matches!(self, Self::Clearing)
    }

    /// The name in queues, databases and outcomes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clearing => "clearing",
            Self::Position => "position",
            Self::Account => "account",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a stage: clearing, position or account")]
pub struct UnknownStage(String);

impl FromStr for StageName {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| UnknownStage(text.to_owned()))
    }
}

/// Which rules decided: journaled, so that a later release can still prove earlier rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The version of the code of `decide`.
    pub version: u16,
    /// The revision of the configuration; 0 where a stage needs none.
    pub configuration: u64,
}

/// What a stage says after a message. The same row always gives the same outputs: that is what
/// makes the source message an outbox (DESIGN §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To the next stage's queue, packed with its neighbours.
    Forward {
        /// The next stage.
        to: StageName,
        /// A [`super::Unit`] as JSON.
        unit: String,
    },
    /// To the outcome queue, as a message of its own.
    Outcome {
        /// Under which id SQS is to recognise it again.
        deduplication_id: String,
        /// The outcome as JSON.
        body: String,
    },
    /// To clearing, into the lane of any account: an event that follows from this message.
    Event {
        /// Whose lane.
        account: AccountKey,
        /// Under which id SQS is to recognise it again.
        deduplication_id: String,
        /// The envelope as JSON.
        body: String,
    },
}

/// A pure reducer over lanes.
pub trait Stage: Send + Sync + 'static {
    /// Which stage it is.
    const NAME: StageName;
    /// What it keeps per account.
    type State: Clone + Default + PartialEq + fmt::Debug + Send + Sync;
    /// What it decides on.
    type Input: Clone + fmt::Debug + Send + Sync;
    /// What it decided: the journal's `result`.
    type Ruling: Serialize + DeserializeOwned + Clone + PartialEq + fmt::Debug + Send + Sync;

    /// The rules that decide now.
    fn rules(&self) -> Rules;

    /// Reads one queue message into the arrivals it carries, in order. What cannot be read is an
    /// arrival too: it will suspend the lane.
    fn read(lane: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Self::Input>>;

    /// The journal's `input` of a message: all that replaying the decision needs.
    fn journal_input(raw: &str, input: &Self::Input) -> String;

    /// The message that a row's `input` was written from.
    fn replay(row: &Row) -> Result<Message<Self::Input>, Poison>;

    /// Whether `message` is CAP's own consequence of something that other rules than these decided: they
    /// have no word for it, and those are on their way here.
    fn lacks_rule(&self, _message: &Message<Self::Input>) -> bool {
        false
    }

    /// Decides one message. No I/O, no clock, no dice: `now` is the time of the decision.
    fn decide(
        &self,
        account: &AccountKey,
        state: &Self::State,
        message: &Message<Self::Input>,
        now: Timestamp,
    ) -> Result<(Self::Ruling, Self::State), Poison>;

    /// What the stage says after the message of `row`, in order: `message` and `ruling` are what the
    /// row was written from, or what was read back from it, which comes to the same.
    fn say(
        account: &AccountKey,
        row: &Row,
        message: &Message<Self::Input>,
        ruling: Self::Ruling,
    ) -> Result<Vec<Output>, Poison>;

    /// What the stage says after the message of `row`, by the row alone.
    fn outputs(account: &AccountKey, row: &Row) -> Result<Vec<Output>, Poison> {
        Self::say(account, row, &Self::replay(row)?, row.ruling()?)
    }

    /// Passes an echo on, or answers it. `first` is the row of its request, if there is one.
    fn answer(
        &self,
        account: &AccountKey,
        lane: &Lane,
        echo: &Echo,
        first: Option<&Row>,
    ) -> Result<Output, Poison>;
}

/// A message as it lies in a queue.
#[derive(Debug, Clone, Copy)]
pub struct RawMessage<'a> {
    /// SQS's id of it: the same on every redelivery, another on a redrive.
    pub message_id: &'a str,
    /// The SQS deduplication id, which is the request id of an envelope.
    pub deduplication_id: Option<&'a RequestId>,
    /// When it was first put into the queue.
    pub sent_at: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// Whether an operator sent it as a repair.
    pub repair: bool,
    /// Its body.
    pub body: &'a str,
}
