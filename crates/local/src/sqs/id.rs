//! Message ids, sequence numbers and receipt handles.
//!
//! Guarantees that ids come from an injected seed (the same seed names the same messages), that
//! sequence numbers have 20 digits and grow, and that a receipt handle names one delivery of
//! one message of one queue.
//! Source: Amazon SQS Developer Guide, "Queue and message identifiers for FIFO queues".

use std::fmt;

use super::error::SqsError;

/// The lowest number of 20 digits, so that sequence numbers compare as text as well.
const SEQUENCE_BASE: u64 = 10_000_000_000_000_000_000;
/// SQS's numbers are "large and non-consecutive": the gap keeps anyone from counting on +1.
const SEQUENCE_STEP: u64 = 256;

/// A message's identity, shown as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(u128);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Builder::from_random_bytes(self.0.to_be_bytes()).as_uuid().hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The place of a message in its queue's order of arrival; a 20-digit number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub(crate) u64);

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", SEQUENCE_BASE.saturating_add(self.0.saturating_mul(SEQUENCE_STEP)))
    }
}

/// Names messages: a seeded stream, one a queue.
#[derive(Debug, Clone)]
pub struct IdSource(u64);

impl IdSource {
    /// A stream of ids that depends on nothing but `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn message_id(&mut self) -> MessageId {
        MessageId(u128::from(self.next()) << 64 | u128::from(self.next()))
    }

    /// Splitmix64: every number once in 2^64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What a consumer shows to delete or hold a message: queue, slot, message and delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReceiptHandle {
    /// The queue's own number; a handle of another queue is refused.
    pub(crate) queue: u32,
    /// Where the message lies.
    pub(crate) slot: u32,
    /// Which message it was; a slot is used again.
    pub(crate) serial: u64,
    /// Which delivery of that message.
    pub(crate) delivery: u32,
}

impl ReceiptHandle {
    const TEXT_LEN: usize = 40;

    /// Reads a handle back from the wire.
    ///
    /// # Errors
    /// [`SqsError::ReceiptHandleIsInvalid`] when no queue can have issued it.
    pub fn parse(text: &str) -> Result<Self, SqsError> {
        let part = |from: usize, to: usize| {
            text.get(from..to)
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .and_then(|part| u64::from_str_radix(part, 16).ok())
        };
        let narrow = |part: Option<u64>| part.and_then(|part| u32::try_from(part).ok());
        (text.len() == Self::TEXT_LEN)
            .then(|| {
                Some(Self {
                    queue: narrow(part(0, 8))?,
                    slot: narrow(part(8, 16))?,
                    serial: part(16, 32)?,
                    delivery: narrow(part(32, 40))?,
                })
            })
            .flatten()
            .ok_or(SqsError::ReceiptHandleIsInvalid)
    }
}

impl fmt::Display for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:08x}{:016x}{:08x}", self.queue, self.slot, self.serial, self.delivery)
    }
}
