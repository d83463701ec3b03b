//! A FIFO queue with one message group, and its dead-letter queue.

use cap_domain::lane::{Redriven, Redriver};

use crate::toy::Saying;

/// Messages with this id or a higher one are copies and letters. They are numbered anew after every
/// act: fewer states differ.
pub(crate) const FIRST_COPY: u16 = 100;

/// A message in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) message_id: u16,
    pub(crate) saying: Saying,
    /// If it was parked: as what it comes back.
    pub(crate) parked: Option<Back>,
    /// In a consumer's hands: whether another received it since, so that its receipt is stale.
    pub(crate) stale: bool,
}

/// A parked message that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Back {
    /// The number it says it was parked under.
    pub(crate) number: u8,
    pub(crate) by: By,
}

/// As what a parked message comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum By {
    /// A copy of a redrive.
    Copy { redrive: u64 },
    /// The letter that AWS moved.
    Letter,
}

/// A parked number's turn, and the redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(crate) redrive: u64,
}

impl Entry {
    pub(crate) fn redriven(&self, run_max: usize) -> Option<Redriven> {
        self.parked.map(|Back { number, by }| Redriven {
            parked_seq: u64::from(number),
            by: match by {
                By::Letter => Redriver::Letter,
                By::Copy { redrive } => Redriver::Copy { redrive_seq: redrive },
            },
            message_id: format!("m{}", self.message_id),
            run_max,
        })
    }
}

/// The messages of one group, in order. It is locked while one of them is in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Queue {
    pub(crate) entries: Vec<Entry>,
    /// Message ids that were handed out and neither deleted nor given back.
    pub(crate) in_flight: Vec<u16>,
    /// Deduplication ids of chained copies.
    pub(crate) seen: Vec<(u16, Ticket)>,
    last_source: u16,
    pub(crate) last_copy: u16,
}

impl Queue {
    pub(crate) fn publish(&mut self, saying: Saying) {
        self.last_source += 1;
        let message_id = self.last_source;
        self.entries.push(Entry { message_id, saying, parked: None, stale: false });
    }

    pub(crate) fn put_back(&mut self, saying: Saying, number: u8, by: By) {
        self.last_copy = FIRST_COPY.max(self.last_copy + 1);
        let (message_id, parked) = (self.last_copy, Some(Back { number, by }));
        self.entries.push(Entry { message_id, saying, parked, stale: false });
    }

    /// Takes the copy that the message `from` leads to.
    pub(crate) fn chain(&mut self, from: u16, ticket: Ticket, saying: Saying) {
        if let Err(place) = self.seen.binary_search(&(from, ticket)) {
            self.seen.insert(place, (from, ticket));
            let by = By::Copy { redrive: ticket.redrive };
            self.put_back(saying, u8::try_from(ticket.number).unwrap(), by);
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// The first `count` messages that are not in flight, which locks the group.
    pub(crate) fn receive(&mut self, count: usize) -> Vec<Entry> {
        let visible =
            self.entries.iter().filter(|entry| !self.in_flight.contains(&entry.message_id));
        let received: Vec<Entry> = visible.take(count).copied().collect();
        self.in_flight.extend(received.iter().map(|entry| entry.message_id));
        received
    }

    /// The visibility timeout: whoever holds messages does not know.
    pub(crate) fn expire(&mut self) {
        self.in_flight.clear();
    }

    /// Deletes a message.
    pub(crate) fn delete(&mut self, message_id: u16) {
        self.entries.retain(|entry| entry.message_id != message_id);
        self.in_flight.retain(|in_flight| *in_flight != message_id);
    }
}

/// A letter in the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Letter {
    pub(crate) number: u8,
    pub(crate) saying: Saying,
}

/// The dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct DeadLetters {
    pub(crate) letters: Vec<Letter>,
    /// Deduplication ids of letters: the message each came in, and its number.
    pub(crate) seen: Vec<(u16, u8)>,
}

impl DeadLetters {
    /// Takes the letter of the message `from`.
    pub(crate) fn put(&mut self, from: &Entry, number: u8) {
        let id = (from.message_id, number);
        if let Err(place) = self.seen.binary_search(&id) {
            self.seen.insert(place, id);
            self.letters.push(Letter { number, saying: from.saying });
            // Any of them can be moved: their order says nothing.
            self.letters.sort_unstable();
        }
    }
}
