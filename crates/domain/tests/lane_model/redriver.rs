//! `capctl redrive`, act by act: it looks at the lane, begins or joins, and then watches the lane
//! and sends the copy whose turn it is, once in each redrive that it finds the lane in.

use cap_domain::lane::LaneStatus;

use crate::actors::{Copies, Redrive};
use crate::case::{Case, Fault};
use crate::queue::By;
use crate::toy::Saying;
use crate::world::{Act, World};

impl World {
    /// Everything that redriver may do now.
    pub(crate) fn acts_of_redriver(&self, case: &Case, index: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut may = |condition: bool, act: Act| acts.extend(condition.then_some(act));
        match self.redrivers[index] {
            Redrive::Idle => {
                let waits = self.database.lane.status() != LaneStatus::Active;
                may(self.spent.redrives < case.redrives && waits, Act::Look(index));
            }
            Redrive::Looked(_) => {
                may(true, Act::Begin(index));
                may(true, Act::Leave(index));
            }
            Redrive::Sending(copies) => {
                may(self.watched(case, copies) != copies, Act::Watch(index));
                let again = self.spent.resends < case.resends && copies.next > copies.last;
                may(again, Act::SendAgain(index));
                may(copies.next <= copies.last, Act::SendCopy(index));
                // Killed, or told that there is nothing more to do.
                may(true, Act::Leave(index));
            }
        }
        acts
    }

    pub(crate) fn redrive(&mut self, case: &Case, act: Act) {
        match (act, &self.redrivers) {
            (Act::Look(index), _) => self.redrivers[index] = Redrive::Looked(self.database.lane),
            (Act::Begin(index), _) => self.begin(case, index),
            (Act::Leave(index), _) => self.redrivers[index] = Redrive::Idle,
            (act, redrivers) => {
                let (Act::Watch(index) | Act::SendAgain(index) | Act::SendCopy(index)) = act else {
                    return;
                };
                let Redrive::Sending(copies) = redrivers[index] else { return };
                self.redrivers[index] = Redrive::Sending(match act {
                    Act::SendCopy(_) => self.send_copy(case, copies),
                    Act::SendAgain(_) => {
                        self.spent.resends += 1;
                        self.watched(case, Copies { redrive: 0, ..copies })
                    }
                    _ => self.watched(case, copies),
                });
            }
        }
    }

    fn begin(&mut self, case: &Case, index: usize) {
        let Redrive::Looked(seen) = self.redrivers[index] else { return };
        let through = case.through.filter(|_| self.spent.redrives == 0);
        self.redrivers[index] = match self.database.begin_redrive(&seen, through) {
            true => {
                self.spent.redrives += 1;
                Redrive::Sending(Copies { redrive: 0, next: 1, last: 0 })
            }
            false => Redrive::Idle,
        };
    }

    /// What a redriver makes of the lane. One that is told that there is nothing more to do leaves.
    fn watched(&self, case: &Case, copies: Copies) -> Copies {
        let lane = &self.database.lane;
        let (first, last) = (lane.redriven_seq + 1, lane.parked_seq);
        if lane.status() != LaneStatus::Redriving || copies.redrive == lane.redrive_seq {
            return copies;
        }
        let (next, last) = match case.fault {
            Some(Fault::BackToFront) => (first, last),
            Some(Fault::GoesOnWhereItIs) => (copies.next.max(first), copies.next.max(first)),
            _ => (first, first),
        };
        Copies { redrive: lane.redrive_seq, next, last: last.min(lane.parked_seq) }
    }

    fn send_copy(&mut self, case: &Case, copies: Copies) -> Copies {
        let Copies { redrive, next, last } = copies;
        let number = match case.fault {
            Some(Fault::BackToFront) => {
                (self.database.lane.redriven_seq + 1 + last).saturating_sub(next).clamp(1, last)
            }
            _ => next,
        };
        let (saying, by) = (Saying::ticket(case.upstream), By::Copy { redrive });
        self.queue.put_back(saying, u8::try_from(number).unwrap(), by);
        Copies { next: next + 1, ..copies }
    }
}
