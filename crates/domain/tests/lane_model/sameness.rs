//! Makes one state of those that differ in nothing that can have a consequence.

use crate::actors::{Consumer, Parcel};
use crate::case::{Case, Fault};
use crate::database::Resolution;
use crate::mistakes::Store;
use crate::queue::FIRST_COPY;
use crate::world::World;

impl World {
    /// The world without what can have no consequence any more, and with its copies numbered anew.
    pub(crate) fn without_what_makes_no_difference(&mut self, case: &Case) {
        for index in 0..self.consumers.len() {
            let before = std::mem::take(&mut self.consumers[index]);
            self.consumers[index] = self.what_is_left_of(case, before);
        }
        self.consumers.sort_unstable();
        self.number_anew();
    }

    fn what_is_left_of(&self, case: &Case, consumer: Consumer) -> Consumer {
        match consumer {
            // It will be fenced: the counters in the fence never return to what they were.
            Consumer::Decided(held, plan)
                if case.store() == Store::Careful && !self.database.takes(&plan) =>
            {
                self.what_is_left_of(case, Consumer::Holding(held))
            }
            Consumer::Holding(held) if !self.is_ours(&held, case) => Consumer::Idle,
            Consumer::Sending(held, mut parcels) => {
                parcels.retain(|parcel| !self.is_sent(case, parcel));
                match parcels.is_empty() {
                    true => self.what_is_left_of(case, Consumer::Deleting(held)),
                    false => Consumer::Sending(held, parcels),
                }
            }
            Consumer::Deleting(mut held) if case.fault != Some(Fault::StaleReceiptsDelete) => {
                let lies = |id: u16| self.queue.entries.iter().any(|other| other.message_id == id);
                held.retain(|entry| !entry.stale && lies(entry.message_id));
                if held.is_empty() { Consumer::Idle } else { Consumer::Deleting(held) }
            }
            other => other,
        }
    }

    /// Whether sending `parcel` again does nothing, now and later.
    fn is_sent(&self, case: &Case, parcel: &Parcel) -> bool {
        match parcel {
            Parcel::Output(seq, id) => self.sent.contains(&(*seq, *id)),
            _ if case.forgets > 0 => false,
            Parcel::Letter(from, number) => {
                self.dead_letters.seen.contains(&(from.message_id, *number))
            }
            Parcel::Next(from, ticket) => self.queue.seen.contains(&(*from, *ticket)),
        }
    }

    /// Gives copies and letters the lowest message ids, and forgets what was sent for those that
    /// nobody can receive any more: none of that makes a difference to what happens next.
    pub(crate) fn number_anew(&mut self) {
        let mut known: Vec<u16> = Vec::new();
        let mut renumber = |message_id: &mut u16| {
            if *message_id >= FIRST_COPY {
                let place = known.iter().position(|id| id == message_id).unwrap_or_else(|| {
                    known.push(*message_id);
                    known.len() - 1
                });
                *message_id = FIRST_COPY + u16::try_from(place).unwrap();
            }
        };
        self.queue.entries.iter_mut().for_each(|entry| renumber(&mut entry.message_id));
        for consumer in &mut self.consumers {
            consumer.message_ids_mut().for_each(&mut renumber);
        }
        self.queue.in_flight.iter_mut().for_each(&mut renumber);
        self.queue.in_flight.sort_unstable();
        // A copy that nobody can receive any more never comes again.
        for parked in &mut self.database.parked {
            if let Resolution::Redriven(message_id) = &mut parked.resolution {
                let place = known.iter().position(|id| id == message_id);
                *message_id = place.map_or(0, |place| FIRST_COPY + u16::try_from(place).unwrap());
            }
        }
        self.queue.last_copy = FIRST_COPY - 1 + u16::try_from(known.len()).unwrap();
        let now = |id: u16| match id {
            FIRST_COPY.. => {
                let place = known.iter().position(|known| *known == id)?;
                Some(FIRST_COPY + u16::try_from(place).unwrap())
            }
            source => Some(source),
        };
        let seen = self.queue.seen.iter().filter_map(|(id, ticket)| Some((now(*id)?, *ticket)));
        self.queue.seen = seen.collect();
        self.queue.seen.sort_unstable();
        let seen = &self.dead_letters.seen;
        let seen = seen.iter().filter_map(|(id, number)| Some((now(*id)?, *number)));
        self.dead_letters.seen = seen.collect();
        self.dead_letters.seen.sort_unstable();
    }
}
