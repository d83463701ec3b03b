//! The world around a lane: its state, what may happen next, and what happens then.

use std::fmt;

use crate::actors::{Consumer, Parcel, Redrive};
use crate::case::{Case, Fault};
use crate::database::Database;
use crate::queue::{Back, By, DeadLetters, Entry, Queue};
use crate::toy::Saying;

impl Case {
    pub(crate) fn beginning(&self) -> World {
        let mut world = World {
            queue: Queue::default(),
            database: Database::default(),
            dead_letters: DeadLetters::default(),
            sent: Vec::new(),
            consumers: vec![Consumer::Idle; self.consumers],
            redrivers: vec![Redrive::Idle; self.redrivers],
            published: 0,
            repaired: false,
            spent: Spent::default(),
        };
        (0..self.published).for_each(|_| world.act(self, Act::Publish));
        world
    }
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) queue: Queue,
    pub(crate) database: Database,
    pub(crate) dead_letters: DeadLetters,
    /// Lane numbers and requests of the outputs, each when it was first sent.
    pub(crate) sent: Vec<(u64, u8)>,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) redrivers: Vec<Redrive>,
    pub(crate) published: u8,
    pub(crate) repaired: bool,
    pub(crate) spent: Spent,
}

/// How much of what may happen a few times has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Spent {
    pub(crate) redrives: u8,
    pub(crate) resends: u8,
    moves: u8,
    skips: u8,
    forgets: u8,
    republishes: u8,
}

/// What may happen. Numbers are those of consumers and redrivers, the idle first, and of messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Publish,
    Repair,
    Receive(usize, usize),
    Decide(usize),
    Commit(usize),
    Send(usize),
    Delete(usize, usize),
    Crash(usize),
    Expire,
    Look(usize),
    Begin(usize),
    Watch(usize),
    SendAgain(usize),
    SendCopy(usize),
    Leave(usize),
    Move(usize),
    Skip,
    Forget,
    Republish(u8),
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lane = &self.database.lane;
        let (status, redriven, parked) = (lane.status(), lane.redriven_seq, lane.parked_seq);
        let applied: Vec<u8> = self.database.journal.iter().map(|row| row.id).collect();
        write!(
            f,
            "{status} {redriven}/{parked} r{}, applied {applied:?}, sent {:?}, queue",
            lane.redrive_seq, self.sent
        )?;
        for Entry { message_id, saying, parked, .. } in &self.queue.entries {
            match parked {
                None => write!(f, " m{message_id}={}", saying.id)?,
                Some(Back { number, by: By::Letter }) => {
                    write!(f, " m{message_id}=letter #{number}")?;
                }
                Some(Back { number, by: By::Copy { redrive } }) => {
                    write!(f, " m{message_id}=copy #{number} r{redrive}")?;
                }
            }
        }
        Ok(())
    }
}

impl World {
    /// Everything that may happen now.
    pub(crate) fn acts(&self, case: &Case) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.database.lane.redrive_seq > case.begun_max {
            return acts;
        }
        let mut may = |condition: bool, act: Act| acts.extend(condition.then_some(act));
        may(self.published < case.messages, Act::Publish);
        may(!self.repaired, Act::Repair);
        may(self.queue.is_locked(), Act::Expire);
        let letters = &self.dead_letters.letters;
        for which in
            (0..letters.len()).filter(|which| letters[..*which].last() != letters.get(*which))
        {
            may(self.spent.moves < case.moves, Act::Move(which));
        }
        let waits = self.database.lane.redriven_seq < self.database.lane.parked_seq;
        may(self.spent.skips < case.skips && waits, Act::Skip);
        let remembers = !self.queue.seen.is_empty() || !self.dead_letters.seen.is_empty();
        may(self.spent.forgets < case.forgets && remembers, Act::Forget);
        for id in 1..=self.published {
            may(self.spent.republishes < case.republishes, Act::Republish(id));
        }
        for index in 0..self.redrivers.len() {
            acts.extend(self.acts_of_redriver(case, index));
        }
        for (index, consumer) in self.consumers.iter().enumerate() {
            if *consumer != Consumer::Idle {
                acts.push(Act::Crash(index));
            }
            match consumer {
                Consumer::Idle => {
                    let most = self.receivable(case).min(case.batch);
                    acts.extend((1..=most).map(|count| Act::Receive(index, count)));
                }
                Consumer::Holding(_) => acts.push(Act::Decide(index)),
                Consumer::Decided(..) => acts.push(Act::Commit(index)),
                Consumer::Sending(..) => acts.push(Act::Send(index)),
                Consumer::Deleting(held) => {
                    acts.extend((0..held.len()).map(|which| Act::Delete(index, which)));
                }
            }
        }
        acts
    }

    fn receivable(&self, case: &Case) -> usize {
        let in_flight = self.queue.in_flight.len();
        match (in_flight, case.fault) {
            (0, _) | (_, Some(Fault::UnlockedGroup)) => self.queue.entries.len() - in_flight,
            _ => 0,
        }
    }

    /// What `act` leads to.
    pub(crate) fn after(&self, case: &Case, act: Act) -> Self {
        let mut world = self.clone();
        world.act(case, act);
        world.consumers.sort_unstable();
        world.redrivers.sort_unstable();
        world.without_what_makes_no_difference(case);
        world
    }

    pub(crate) fn act(&mut self, case: &Case, act: Act) {
        match act {
            Act::Publish => {
                self.published += 1;
                self.queue.publish(case.saying(self.published));
            }
            Act::Repair => self.repaired = true,
            Act::Expire => self.queue.expire(),
            Act::Move(which) => {
                self.spent.moves += 1;
                let letter = self.dead_letters.letters.remove(which);
                self.queue.put_back(letter.saying, letter.number, By::Letter);
            }
            Act::Skip => {
                self.spent.skips += 1;
                self.database.skip();
            }
            Act::Forget => {
                self.spent.forgets += 1;
                self.queue.seen.clear();
                self.dead_letters.seen.clear();
            }
            Act::Republish(id) => {
                self.spent.republishes += 1;
                self.queue.publish(case.saying(id));
            }
            Act::Look(_)
            | Act::Begin(_)
            | Act::Watch(_)
            | Act::SendAgain(_)
            | Act::SendCopy(_)
            | Act::Leave(_) => self.redrive(case, act),
            Act::Receive(consumer, count) => {
                let received = self.queue.receive(count);
                self.consumers.iter_mut().for_each(|other| other.overtaken(&received));
                self.consumers[consumer] = Consumer::Holding(received);
            }
            Act::Crash(consumer) => self.consumers[consumer] = Consumer::Idle,
            Act::Decide(c) | Act::Commit(c) | Act::Send(c) | Act::Delete(c, _) => {
                let before = std::mem::take(&mut self.consumers[c]);
                self.consumers[c] = self.consume(case, before, act);
            }
        }
    }

    fn consume(&mut self, case: &Case, consumer: Consumer, act: Act) -> Consumer {
        match consumer {
            Consumer::Idle => Consumer::Idle,
            // Q20: it looks at the clock after it has read, and leaves what is no longer its own.
            Consumer::Holding(held) if !self.is_ours(&held, case) => Consumer::Idle,
            Consumer::Holding(held) => {
                let plan = self.database.plan(&held, self.repaired, case.run_max, case.store());
                if case.fault == Some(Fault::DeleteBeforeCommit) {
                    held.iter().for_each(|entry| self.queue.delete(entry.message_id));
                }
                if case.fault == Some(Fault::SendBeforeCommit) {
                    plan.parcels(&held).into_iter().for_each(|parcel| self.send(case, parcel));
                }
                Consumer::Decided(held, Box::new(plan))
            }
            // Fenced: read again and decide again.
            Consumer::Decided(held, plan) if !self.database.commit(&plan, case.store()) => {
                Consumer::Holding(held)
            }
            Consumer::Decided(held, plan) => {
                if case.fault == Some(Fault::DeleteBeforeSend) {
                    held.iter().for_each(|entry| self.queue.delete(entry.message_id));
                }
                let mut parcels = plan.parcels(&held);
                if case.fault == Some(Fault::NextBeforeOutputs) {
                    parcels.sort_by_key(|parcel| !matches!(parcel, Parcel::Next(..)));
                }
                match parcels {
                    parcels if parcels.is_empty() => Consumer::Deleting(held),
                    parcels => Consumer::Sending(held, parcels),
                }
            }
            Consumer::Sending(held, mut parcels) => {
                self.send(case, parcels.remove(0));
                match parcels.is_empty() {
                    true => Consumer::Deleting(held),
                    false => Consumer::Sending(held, parcels),
                }
            }
            Consumer::Deleting(mut held) => {
                let Act::Delete(_, which) = act else { return Consumer::Idle };
                // SQS deletes by the latest receipt only.
                let Entry { message_id, stale, .. } = held.remove(which);
                if !stale || case.fault == Some(Fault::StaleReceiptsDelete) {
                    self.queue.delete(message_id);
                }
                if held.is_empty() { Consumer::Idle } else { Consumer::Deleting(held) }
            }
        }
    }

    pub(crate) fn is_ours(&self, held: &[Entry], case: &Case) -> bool {
        let in_flight = |entry: &Entry| self.queue.in_flight.contains(&entry.message_id);
        let ours = held.iter().all(|entry| !entry.stale && in_flight(entry));
        ours || case.fault == Some(Fault::NobodyLooksAtTheClock)
    }

    fn send(&mut self, case: &Case, parcel: Parcel) {
        match parcel {
            Parcel::Output(seq, id) if self.sent.contains(&(seq, id)) => {}
            Parcel::Output(seq, id) => self.sent.push((seq, id)),
            Parcel::Letter(from, _)
                if from.parked.is_some() && case.fault == Some(Fault::LettersVanish) => {}
            Parcel::Letter(from, number) => self.dead_letters.put(&from, number),
            Parcel::Next(from, ticket) => {
                self.queue.chain(from, ticket, Saying::ticket(case.upstream));
            }
        }
    }

    /// Whether every process is idle and nothing is in flight.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.consumers.iter().all(|consumer| *consumer == Consumer::Idle)
            && self.redrivers.iter().all(|redriver| *redriver == Redrive::Idle)
            && self.queue.entries.is_empty()
    }

    /// The world after every process died and what was in flight came back.
    pub(crate) fn restarted(&self) -> Self {
        let mut world = self.clone();
        world.consumers.fill(Consumer::Idle);
        world.redrivers.fill(Redrive::Idle);
        world.queue.expire();
        world.spent = Spent::default();
        world.number_anew();
        world
    }

    /// The consumer finishes what it holds.
    pub(crate) fn consume_all(&mut self, case: &Case, consumer: usize) {
        while self.consumers[consumer] != Consumer::Idle {
            let before = std::mem::take(&mut self.consumers[consumer]);
            self.consumers[consumer] = self.consume(case, before, Act::Delete(consumer, 0));
        }
    }
}
