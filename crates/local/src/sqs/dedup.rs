//! The memory of deduplication ids: five minutes each, counted from the first send.
//!
//! Guarantees that a second send with the same id and scope within five minutes finds the
//! first one's message id and sequence number, also after that message was received and
//! deleted. Remembers a 128-bit digest of an id, not its text, to carry millions of them.
//! Source: Amazon SQS Developer Guide, "Exactly-once processing in Amazon SQS" and "Using the
//! message deduplication ID".

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::id::{MessageId, SequenceNumber};

/// The deduplication interval.
pub(crate) const DEDUP_MILLIS: u64 = 300_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DedupKey(u64, u64);

impl DedupKey {
    /// `group` is given when ids are unique in their message group only.
    pub(crate) fn new(group: Option<&str>, dedup_id: &str) -> Self {
        let half = |number: u8| {
            let mut hasher = DefaultHasher::new();
            (number, group, dedup_id).hash(&mut hasher);
            hasher.finish()
        };
        Self(half(0), half(1))
    }
}

#[derive(Default)]
pub(crate) struct DedupWindow {
    first_sends: HashMap<DedupKey, (MessageId, SequenceNumber)>,
    by_age: VecDeque<(u64, DedupKey)>,
}

impl DedupWindow {
    /// The first send under this key, if it is younger than five minutes.
    pub(crate) fn first_send(
        &mut self,
        key: DedupKey,
        now: u64,
    ) -> Option<(MessageId, SequenceNumber)> {
        self.forget_old(now);
        self.first_sends.get(&key).copied()
    }

    pub(crate) fn remember(&mut self, key: DedupKey, now: u64, first: (MessageId, SequenceNumber)) {
        self.first_sends.insert(key, first);
        self.by_age.push_back((now, key));
    }

    fn forget_old(&mut self, now: u64) {
        while let Some((sent_at, key)) = self.by_age.front() {
            if now < sent_at + DEDUP_MILLIS {
                break;
            }
            self.first_sends.remove(key);
            self.by_age.pop_front();
        }
    }
}
