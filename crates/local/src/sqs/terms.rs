//! What goes into a queue's operations and what comes out: limits, asks, answers, counts.
//!
//! Source: Amazon SQS Developer Guide, "FIFO queue quotas"; Amazon SQS API Reference,
//! "ReceiveMessage", "SendMessage".

use std::sync::Arc;

use super::{
    id::{MessageId, ReceiptHandle, SequenceNumber},
    message::Payload,
};

/// The most messages of one receive, and entries of one batch.
pub const BATCH_MAX: usize = 10;

/// SQS's quotas on a FIFO queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages in flight; at the limit a receive finds nothing.
    pub in_flight_max: usize,
    /// SQS looks for free groups among that many of the oldest messages. `None`: among all.
    pub searched_max: Option<usize>,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { in_flight_max: 120_000, searched_max: Some(120_000) }
    }
}

/// What a sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The message's id; of a duplicate, the first one's.
    pub id: MessageId,
    /// The message's sequence number; of a duplicate, the first one's.
    pub sequence: SequenceNumber,
    /// Whether the message was dropped as a duplicate.
    pub duplicate: bool,
}

/// One message in a consumer's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message's id.
    pub id: MessageId,
    /// The message's sequence number.
    pub sequence: SequenceNumber,
    /// What deletes it.
    pub handle: ReceiptHandle,
    /// Its content.
    pub payload: Arc<Payload>,
    /// When it was sent, or came from another queue.
    pub sent_at: u64,
    /// When it was first received.
    pub first_received_at: u64,
    /// How often it has been received, this time included.
    pub receive_count: u32,
}

/// What a receive asks for.
#[derive(Debug, Clone, Copy)]
pub struct Receive<'a> {
    /// At most this many messages, 1 to 10.
    pub messages_max: usize,
    /// Instead of the queue's own timeout.
    pub visibility_timeout_secs: Option<u32>,
    /// Names this attempt, so that it can be repeated.
    pub attempt_id: Option<&'a str>,
}

impl Default for Receive<'_> {
    fn default() -> Self {
        Self { messages_max: BATCH_MAX, visibility_timeout_secs: None, attempt_id: None }
    }
}

/// The three approximate counts, which are exact here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Neither delayed nor in flight; those behind a lock are counted too.
    pub visible: usize,
    /// With consumers.
    pub in_flight: usize,
    /// Held back by the queue's delay.
    pub delayed: usize,
}

/// A message on its way from one queue to another.
#[derive(Debug, Clone)]
pub struct Moving {
    pub(crate) id: MessageId,
    /// The content, as the next queue will hold it.
    pub payload: Arc<Payload>,
    pub(crate) first_received_at: Option<u64>,
    pub(crate) receive_count: u32,
}
