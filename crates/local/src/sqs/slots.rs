//! Where the live messages of a queue lie, and what state each is in.
//!
//! Guarantees that a [`Key`] finds its message or nothing: a slot is used again, a serial never.

use std::sync::Arc;

use super::{group::GroupIndex, id::MessageId, message::Payload};

/// Names one message for as long as the queue lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Invisible because the queue delays new messages.
    Delayed,
    /// Visible, or about to be when those before it are done.
    Waiting,
    /// With a consumer.
    InFlight {
        delivery: u32,
        since: u64,
        until: u64,
        /// The consumer changed its visibility: the receive cannot be replayed.
        touched: bool,
    },
}

pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) serial: u64,
    pub(crate) group: GroupIndex,
    pub(crate) payload: Arc<Payload>,
    pub(crate) sent_at: u64,
    pub(crate) first_received_at: Option<u64>,
    /// Receives so far, those in other queues included.
    pub(crate) receive_count: u32,
    /// Receives before it came to this queue.
    pub(crate) receive_count_elsewhere: u32,
    pub(crate) phase: Phase,
    /// Whether it is among the first messages, where SQS looks for free groups.
    pub(crate) searched: bool,
}

#[derive(Default)]
pub(crate) struct Slots {
    slots: Vec<Option<Message>>,
    unused: Vec<u32>,
    live: usize,
}

impl Slots {
    pub(crate) fn put(&mut self, message: Message) -> Key {
        let serial = message.serial;
        self.live += 1;
        let slot = match self.unused.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(message);
                slot
            }
            None => {
                self.slots.push(Some(message));
                u32::try_from(self.slots.len() - 1).expect("memory ends before slots do")
            }
        };
        Key { slot, serial }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Message> {
        self.at(key.slot).filter(|message| message.serial == key.serial)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Message> {
        self.at_mut(key.slot).filter(|message| message.serial == key.serial)
    }

    pub(crate) fn at(&self, slot: u32) -> Option<&Message> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut Message> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn take(&mut self, key: Key) -> Option<Message> {
        self.get(key)?;
        self.live -= 1;
        self.unused.push(key.slot);
        self.slots[key.slot as usize].take()
    }

    /// Messages in the queue, whatever their state.
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}
