//! What a lane must do, said so simply that it can be seen to be right: one message at a time,
//! no source ids, no memory, no batches.

use cap_domain::lane::LaneStatus;

use crate::database::{Follows, Resolution};
use crate::queue::{Back, By, Entry, Ticket};
use crate::toy::{Flaw, Saying};

/// The lane as it must be.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) applied: Vec<u8>,
    /// Message ids, what they say and what became of them, by number.
    pub(crate) parked: Vec<(u16, Saying, Resolution)>,
    pub(crate) status: LaneStatus,
    pub(crate) redriven: usize,
    pub(crate) redrive: u64,
    pub(crate) through: Option<u64>,
    pub(crate) repaired: bool,
    pub(crate) run_max: usize,
}

impl Reference {
    pub(crate) fn take(&mut self, entry: &Entry) -> Follows {
        match entry.parked {
            Some(Back { number, by }) if usize::from(number) <= self.parked.len() => match by {
                By::Letter => self.return_letter(usize::from(number)),
                By::Copy { redrive } => {
                    self.take_copy(usize::from(number), redrive, entry.message_id)
                }
            },
            Some(_) => letter(self.stop(entry)),
            None => self.take_live(entry),
        }
    }

    fn take_live(&mut self, entry: &Entry) -> Follows {
        if let Some(place) = self.parked.iter().position(|(id, ..)| *id == entry.message_id) {
            return letter(place as u64 + 1);
        }
        if self.applied.contains(&entry.saying.id) {
            return self.output(entry.saying.id);
        }
        let open = self.status == LaneStatus::Active || entry.saying.repair;
        if open && self.can(entry.saying) {
            return self.apply(entry.saying);
        }
        letter(self.stop(entry))
    }

    fn return_letter(&mut self, number: usize) -> Follows {
        if number <= self.redriven {
            return Follows::default();
        }
        if number > self.redriven + 1 {
            return letter(number as u64);
        }
        if self.status == LaneStatus::Suspended {
            self.begin(None);
        }
        Follows { next: self.next_of(self.redrive), ..letter(number as u64) }
    }

    fn take_copy(&mut self, number: usize, redrive: u64, message_id: u16) -> Follows {
        let is_mine =
            |parked: &&(u16, Saying, Resolution)| parked.2 == Resolution::Redriven(message_id);
        if number <= self.redriven {
            let mine: Vec<u8> =
                self.parked[number - 1..].iter().take_while(is_mine).map(|one| one.1.id).collect();
            let next = self.next_of(redrive).filter(|_| !mine.is_empty());
            let outputs = mine.iter().flat_map(|id| self.output(*id).outputs).collect();
            return Follows { outputs, next, letter: None };
        }
        if self.next_of(redrive).map(|next| next.number) != Some(number as u64) {
            return Follows::default();
        }
        let mut outputs = Vec::new();
        for _ in 0..self.run_max {
            if self.status != LaneStatus::Redriving {
                break;
            }
            let saying = self.parked[self.redriven].1;
            if !self.can(saying) {
                (self.status, self.through) = (LaneStatus::Suspended, None);
                break;
            }
            outputs.extend(self.apply(saying).outputs);
            self.resolve(Resolution::Redriven(message_id));
        }
        Follows { outputs, next: self.next_of(redrive), letter: None }
    }

    /// Whose turn it is, if that redrive goes on.
    fn next_of(&self, redrive: u64) -> Option<Ticket> {
        let goes_on = self.status == LaneStatus::Redriving && self.redrive == redrive;
        goes_on.then_some(Ticket { number: self.redriven as u64 + 1, redrive })
    }

    /// Gives up the next message that waits, if one does; a redrive that is under way ends.
    pub(crate) fn skip(&mut self) {
        if self.redriven < self.parked.len() {
            self.resolve(Resolution::Skipped);
            if self.status != LaneStatus::Active {
                (self.status, self.through) = (LaneStatus::Suspended, None);
            }
        }
    }

    pub(crate) fn begin(&mut self, through: Option<u64>) {
        let waiting = self.redriven as u64 + 1..=self.parked.len() as u64;
        if !waiting.is_empty() && through.is_none_or(|through| waiting.contains(&through)) {
            if self.status == LaneStatus::Suspended || self.through != through {
                self.redrive += 1;
            }
            (self.status, self.through) = (LaneStatus::Redriving, through);
        }
    }

    fn resolve(&mut self, resolution: Resolution) {
        self.parked[self.redriven].2 = resolution;
        self.redriven += 1;
        let reached = self.through.is_some_and(|through| through <= self.redriven as u64);
        if self.redriven == self.parked.len() {
            (self.status, self.through) = (LaneStatus::Active, None);
        } else if reached {
            (self.status, self.through) = (LaneStatus::Suspended, None);
        }
    }

    fn can(&self, saying: Saying) -> bool {
        match saying.flaw {
            Flaw::None => true,
            Flaw::Undecidable | Flaw::Unreadable => self.repaired,
            Flaw::Garbage => false,
        }
    }

    fn apply(&mut self, saying: Saying) -> Follows {
        self.applied.push(saying.id);
        self.output(saying.id)
    }

    fn stop(&mut self, entry: &Entry) -> u64 {
        if self.status == LaneStatus::Active {
            self.status = LaneStatus::Suspended;
        }
        self.parked.push((entry.message_id, entry.saying, Resolution::Waits));
        self.parked.len() as u64
    }

    fn output(&self, id: u8) -> Follows {
        let place = self.applied.iter().position(|applied| *applied == id);
        let outputs = place.map(|place| (place as u64 + 1, id)).into_iter().collect();
        Follows { outputs, ..Follows::default() }
    }
}

fn letter(number: u64) -> Follows {
    Follows { letter: Some(number), ..Follows::default() }
}
