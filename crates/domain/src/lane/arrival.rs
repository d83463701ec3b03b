//! What arrives in a lane, and what the database remembers of it.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::pack::packed_alone;
use super::{Echo, Recalled, Redriven, Row};
use crate::envelope::{Fingerprint, TraceParent};
use crate::ids::{AccountKey, RequestId};
use crate::refusal::Poison;
use crate::time::Timestamp;

/// A message, or part of one, that arrived in a lane.
#[derive(Debug, Clone)]
pub struct Arrival<I> {
    /// What a redelivery is recognised by: SQS's message id at clearing, the upstream number or
    /// the echo's source between stages. Never an idempotency key.
    pub source_id: SmolStr,
    /// What it was recognised by if an earlier release could not read it: its place in its message.
    pub unread_id: Option<SmolStr>,
    /// The request it is of; for what cannot be read, the best that could be made out.
    pub request_id: RequestId,
    /// Its text: a whole message, or a unit of a pack.
    pub raw: String,
    /// Whether `raw` is a unit, which travels alone if it has to be parked.
    pub packed: bool,
    /// Set if it calls for parked messages.
    pub redriven: Option<Redriven>,
    /// What it calls for: what is parked from its number on.
    pub run: Vec<Recalled<I>>,
    /// Whether it is applied although the lane is suspended: an operator's repair.
    pub repair: bool,
    /// When it first entered a queue of CAP.
    pub sent_at: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// The trace it belongs to, if it says so.
    pub traceparent: Option<TraceParent>,
    /// Set when the database refused what came of it: then it is poison, whatever the rules say.
    pub refused: Option<Poison>,
    /// What it says.
    pub content: Content<I>,
}

impl<I> Arrival<I> {
    /// The message that parks it: what its queue would take again as it is.
    pub fn body(&self, account: &AccountKey) -> String {
        if self.packed { packed_alone(account, &self.raw) } else { self.raw.clone() }
    }
}

/// What an arrival says.
#[derive(Debug, Clone)]
pub enum Content<I> {
    /// To be decided.
    Message(Message<I>),
    /// To be answered or passed on.
    Echo(Echo),
    /// Nothing that can be read.
    Unreadable(Poison),
}

/// A message to be decided.
#[derive(Debug, Clone)]
pub struct Message<I> {
    /// The content's fingerprint.
    pub fingerprint: Fingerprint,
    /// The upstream stage's number, where there is an upstream stage.
    pub upstream_seq: Option<u64>,
    /// The event's type.
    pub kind: SmolStr,
    /// When the envelope was first put into a queue.
    pub sent_at: Timestamp,
    /// What to decide on.
    pub input: I,
}

/// What the database remembers of the arrivals.
#[derive(Debug, Default)]
pub struct Memory {
    /// Journal rows of the arrivals' request ids.
    pub rows: HashMap<RequestId, Row>,
    /// Parked messages by the arrivals' source ids.
    pub parked: HashMap<SmolStr, DeadLetter>,
    /// Parked messages by the numbers that redriven arrivals say they have.
    pub recalled: HashMap<u64, ParkedMessage>,
}

/// A message that is to be written to `parked_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Its place in the order of redrive.
    pub parked_seq: u64,
    /// The request it is of.
    pub request_id: RequestId,
    /// What a redelivery is recognised by.
    pub source_id: SmolStr,
    /// As it came; of a pack, the unit packed alone.
    pub body: String,
    /// When it first entered a queue of CAP.
    pub sent_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// The error's own words.
    pub error: String,
    /// SQS's id of the copy that took it, once one did.
    pub taken_by: Option<String>,
}

impl ParkedMessage {
    /// The upstream stage's number of it, if it had one that could be read.
    pub fn upstream_seq(&self) -> Option<u64> {
        self.source_id.strip_prefix('u')?.parse().ok()
    }
}

/// What the DLQ is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place in the order of redrive.
    pub parked_seq: u64,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// The error's own words.
    pub error: String,
}
