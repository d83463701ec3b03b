//! What a consumer and a redriver have in mind between two steps: what a crash forgets.

use crate::counters::Counters;
use crate::database::{Plan, Taken};
use crate::queue::{Entry, Ticket};

/// A consumer of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Consumer {
    #[default]
    Idle,
    /// It holds messages it has not looked at.
    Holding(Vec<Entry>),
    /// It has read the lane and decided.
    Decided(Vec<Entry>, Box<Plan>),
    /// It has committed, and these are still to be sent.
    Sending(Vec<Entry>, Vec<Parcel>),
    /// Everything is sent: these are still to be deleted.
    Deleting(Vec<Entry>),
}

impl Consumer {
    /// Another consumer receives `received`.
    pub(crate) fn overtaken(&mut self, received: &[Entry]) {
        for entry in self.held_mut() {
            entry.stale |= received.iter().any(|other| other.message_id == entry.message_id);
        }
    }

    fn held_mut(&mut self) -> &mut [Entry] {
        match self {
            Self::Idle => &mut [],
            Self::Holding(held)
            | Self::Decided(held, _)
            | Self::Sending(held, _)
            | Self::Deleting(held) => held,
        }
    }

    /// The ids of the messages it has to do with still.
    pub(crate) fn message_ids_mut(&mut self) -> impl Iterator<Item = &mut u16> {
        let (held, parcels, taken): (&mut [Entry], &mut [Parcel], &mut [Taken]) = match self {
            Self::Sending(held, parcels) => (held, parcels, &mut []),
            Self::Decided(held, plan) => (held, &mut [], &mut plan.redriven),
            other => (other.held_mut(), &mut [], &mut []),
        };
        let held = held.iter_mut().map(|entry| &mut entry.message_id);
        let taken = taken.iter_mut().map(|(_, message_id)| message_id);
        held.chain(parcels.iter_mut().filter_map(Parcel::message_id_mut)).chain(taken)
    }
}

/// What is sent after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Parcel {
    /// The lane number and the request.
    Output(u64, u8),
    /// The message it came in, and its number.
    Letter(Entry, u8),
    /// The message that leads to it, and the next copy.
    Next(u16, Ticket),
}

impl Parcel {
    fn message_id_mut(&mut self) -> Option<&mut u16> {
        match self {
            Self::Output(..) => None,
            Self::Letter(from, _) => Some(&mut from.message_id),
            Self::Next(from, _) => Some(from),
        }
    }
}

impl Plan {
    /// All outputs in order, then all letters, then the next copies: as they are consigned.
    pub(crate) fn parcels(&self, held: &[Entry]) -> Vec<Parcel> {
        let outputs = self.steps.iter().flat_map(|step| step.outputs.iter().copied());
        let letters = held.iter().zip(&self.steps).filter_map(|(entry, step)| {
            let from = Entry { stale: false, ..*entry };
            step.letter.map(|number| Parcel::Letter(from, u8::try_from(number).unwrap()))
        });
        let next = held.iter().zip(&self.steps).filter_map(|(entry, step)| {
            step.next.map(|ticket| Parcel::Next(entry.message_id, ticket))
        });
        outputs.map(|(seq, id)| Parcel::Output(seq, id)).chain(letters).chain(next).collect()
    }
}

/// A run of `capctl redrive`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Redrive {
    /// It has not begun, was killed, or has ended.
    #[default]
    Idle,
    /// It has seen the lane, and means to begin.
    Looked(Counters),
    /// It has begun or joined, and sends copies.
    Sending(Copies),
}

/// How far a redriver is with its copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Copies {
    /// The redrive of the lane it knows itself to be in; none until it has looked.
    pub(crate) redrive: u64,
    /// The number it sends next.
    pub(crate) next: u64,
    /// The last number it sends.
    pub(crate) last: u64,
}
