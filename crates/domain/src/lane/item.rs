//! What travels between the stages: items, each with its upstream number, and echoes, which
//! change nothing and only carry an answer to the end of the lane.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::StageName;
use crate::envelope::{Fingerprint, Header};
use crate::event::Event;
use crate::ids::{AccountKey, RequestId};
use crate::money::Rates;
use crate::plan::PlannedLeg;
use crate::position::{CrossExposure, PositionChange};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::transfer::Arriving;

/// The most units of one lane in one message between stages.
pub const PACK_UNITS_MAX: usize = 50;

/// The most bytes of one message between stages; SQS takes four times as much.
pub const PACK_BYTES_MAX: usize = 256 * 1024;

/// A message between two stages: several units of one lane, in order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The lane.
    pub account: AccountKey,
    /// Its units, each a [`Unit`].
    pub units: Vec<Box<RawValue>>,
}

/// One unit of a [`Pack`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// To be decided and journaled.
    Item(Box<Item>),
    /// To be passed on, or answered at the end.
    Echo(Echo),
}

/// A message on its way: the common business message CAP derives from an event (T61).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The number the sending stage journaled it under; the receiver takes no number twice and
    /// none out of turn.
    pub upstream_seq: u64,
    /// The header it came with, with a trace.
    pub header: Header,
    /// The content's fingerprint.
    pub fingerprint: Fingerprint,
    /// When the envelope was first put into a queue.
    pub sent_at: Timestamp,
    /// The event's type.
    pub kind: SmolStr,
    /// Whether an operator sent it as a repair: then it is applied though the lane be suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
    /// Of a transfer that arrives: what goes back if it cannot land.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arriving: Option<Arriving>,
    /// Clearing's own number of it, whatever the sending stage's is, where what follows from it is
    /// tracked (ADR 11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearing_seq: Option<u64>,
    /// What is to be done.
    pub body: Body,
}

/// What an item asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Carry out a plan.
    Planned {
        /// The event.
        event: Box<Event>,
        /// The rulebook version that made the plan.
        rulebook: u32,
        /// What moves.
        legs: Vec<PlannedLeg>,
        /// What became of the position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<PositionChange>,
        /// If that is a cross position whose liquidation price account can tell: what it needs for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cross: Option<Box<CrossExposure>>,
        /// The rates the event carries.
        #[serde(default, skip_serializing_if = "Rates::is_empty")]
        rates: Rates,
    },
    /// Nothing: an earlier stage said no. It is journaled, and answered at the end of the lane,
    /// so that outcomes keep the lane's order.
    Refused(Refusal),
}

/// An answer on its way to the end of the lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// What it answers.
    pub request_id: RequestId,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<crate::envelope::TraceParent>,
    /// What a redelivery of the same message is recognised by.
    pub source_id: SmolStr,
    /// When the answer was found: the same for every redelivery of the message.
    pub at: Timestamp,
    /// The answer.
    pub kind: EchoKind,
}

/// What an echo answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoKind {
    /// The request was made before: the first outcome again.
    Repeated,
    /// The request id was used before, with another content.
    Conflict {
        /// A sentence with the figures.
        detail: String,
    },
    /// The message is parked.
    Parked {
        /// Where.
        stage: StageName,
        /// The error's own words.
        detail: String,
    },
}
