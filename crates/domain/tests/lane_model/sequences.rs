//! Long random stories of one lane, each compared with the reference after every act. Every act
//! is possible in every state, so that `proptest` alone plays them.

use std::collections::HashSet;

use cap_domain::lane::LaneStatus;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::database::{Database, Resolution};
use crate::mistakes::Store;
use crate::queue::{Back, By, Entry, Ticket};
use crate::reference::Reference;
use crate::toy::{Flaw, Saying};

/// A message on its way to the lane.
#[derive(Debug, Clone)]
enum Delivery {
    /// The next of the source queue.
    Fresh { poison: bool, repair: bool },
    /// One that came before, whatever it was.
    Again(Index),
    /// A parked one, in or out of its turn.
    Parked(Index, How),
}

/// As what a parked message comes back.
#[derive(Debug, Clone, Copy)]
enum How {
    /// A copy of the redrive the lane is in, or was in last.
    Copy,
    /// A copy of the redrive before that.
    OldCopy,
    Letter,
}

/// What happens to a lane.
#[derive(Debug, Clone)]
enum Op {
    Deliver(Vec<Delivery>),
    /// A message that says it was parked, and never was.
    Forge,
    Repair,
    Begin(Option<u64>),
    /// All that waits is sent back in order, as far as this.
    Redrive(Index, How),
    /// What was moved or taken goes on by itself, as far as this.
    Chain(u8),
    Skip,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::Copy),
        1 => Just(How::OldCopy),
        2 => Just(How::Letter),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let delivery = prop_oneof![
        6 => (prop::bool::weighted(0.15), prop::bool::weighted(0.1))
            .prop_map(|(poison, repair)| Delivery::Fresh { poison, repair }),
        2 => any::<Index>().prop_map(Delivery::Again),
        3 => (any::<Index>(), how()).prop_map(|(which, how)| Delivery::Parked(which, how)),
    ];
    prop_oneof![
        8 => prop::collection::vec(delivery, 1..5).prop_map(Op::Deliver),
        1 => Just(Op::Forge),
        1 => Just(Op::Repair),
        3 => prop::option::of(0_u64..12).prop_map(Op::Begin),
        3 => (any::<Index>(), how()).prop_map(|(until, how)| Op::Redrive(until, how)),
        2 => (1_u8..9).prop_map(Op::Chain),
        1 => Just(Op::Skip),
    ]
}

/// A lane, its reference, and everything that was ever delivered to it.
#[derive(Debug, Default)]
struct Story {
    upstream: bool,
    database: Database,
    reference: Reference,
    delivered: Vec<Entry>,
    /// The copy that was to be sent last.
    next: Option<Back>,
    published: u8,
}

impl Story {
    fn play(&mut self, op: &Op) {
        match op {
            Op::Deliver(deliveries) => {
                let waiting = self.reference.parked.len();
                let batch = deliveries.iter().filter_map(|one| self.entry(one, waiting)).collect();
                self.deliver(batch);
            }
            // Another stage's packs are not forged.
            Op::Forge if self.upstream => {}
            Op::Forge => {
                let number = u8::try_from(self.reference.parked.len() + 1).unwrap();
                let garbage = self.saying(u8::MAX, Flaw::Garbage, false);
                let by = By::Copy { redrive: self.reference.redrive };
                let forged = self.message(garbage, Some(Back { number, by }));
                self.deliver(vec![forged]);
            }
            Op::Repair => self.reference.repaired = true,
            Op::Begin(through) => {
                let seen = self.database.lane;
                self.database.begin_redrive(&seen, *through);
                self.reference.begin(*through);
            }
            Op::Redrive(until, how) => {
                let first = self.reference.redriven + 1;
                let last = self.reference.parked.len();
                let count = if first > last { 0 } else { until.index(last + 2 - first) };
                let batch = (first..first + count).map(|number| self.copy(number, *how));
                let batch = batch.collect();
                self.deliver(batch);
            }
            Op::Chain(count) => {
                for _ in 0..*count {
                    if let Some(next) = self.next {
                        let copy = self.message(Saying::ticket(self.upstream), Some(next));
                        self.deliver(vec![copy]);
                    }
                }
            }
            Op::Skip => {
                self.database.skip();
                self.reference.skip();
            }
        }
        self.compare();
    }

    fn saying(&self, id: u8, flaw: Flaw, repair: bool) -> Saying {
        Saying { id, flaw, repair, upstream: self.upstream }
    }

    fn message(&mut self, saying: Saying, parked: Option<Back>) -> Entry {
        let message_id = u16::try_from(self.delivered.len()).unwrap();
        let entry = Entry { message_id, saying, parked, stale: false };
        self.delivered.push(entry);
        entry
    }

    fn copy(&mut self, number: usize, how: How) -> Entry {
        let redrive = self.reference.redrive;
        let by = match how {
            How::Copy => By::Copy { redrive },
            How::OldCopy => By::Copy { redrive: redrive.saturating_sub(1) },
            How::Letter => By::Letter,
        };
        let saying = match by {
            By::Copy { .. } => Saying::ticket(self.upstream),
            By::Letter => self.reference.parked[number - 1].1,
        };
        self.message(saying, Some(Back { number: u8::try_from(number).unwrap(), by }))
    }

    fn entry(&mut self, delivery: &Delivery, waiting: usize) -> Option<Entry> {
        match delivery {
            Delivery::Fresh { poison, repair } => {
                self.published += 1;
                let flaw = if *poison { Flaw::Undecidable } else { Flaw::None };
                let saying = self.saying(self.published, flaw, *repair);
                Some(self.message(saying, None))
            }
            Delivery::Again(_) if self.delivered.is_empty() => None,
            Delivery::Again(which) => Some(*which.get(&self.delivered)),
            Delivery::Parked(..) if waiting == 0 => None,
            Delivery::Parked(which, how) => Some(self.copy(which.index(waiting) + 1, *how)),
        }
    }

    fn deliver(&mut self, mut batch: Vec<Entry>) {
        // No queue delivers a message twice at once.
        let mut ids = HashSet::new();
        batch.retain(|entry| ids.insert(entry.message_id));
        let plan = self.database.plan(
            &batch,
            self.reference.repaired,
            self.reference.run_max,
            Store::Careful,
        );
        assert!(self.database.commit(&plan, Store::Careful), "nobody else is there");
        let follows: Vec<_> = batch.iter().map(|entry| self.reference.take(entry)).collect();
        assert_eq!(plan.steps, follows, "{batch:?}");
        if let Some(Ticket { number, redrive }) = follows.iter().rev().find_map(|one| one.next) {
            let by = By::Copy { redrive };
            self.next = Some(Back { number: u8::try_from(number).unwrap(), by });
        }
    }

    fn compare(&self) {
        let (Self { database, reference, .. }, lane) = (self, &self.database.lane);
        let applied: Vec<u8> = database.journal.iter().map(|row| row.id).collect();
        assert_eq!(applied, reference.applied);
        assert_eq!((lane.status(), lane.through), (reference.status, reference.through));
        assert_eq!(lane.seq, reference.applied.len() as u64);
        assert_eq!(lane.parked_seq, reference.parked.len() as u64);
        assert_eq!(lane.redriven_seq, reference.redriven as u64);
        assert_eq!(lane.redrive_seq, reference.redrive);
        assert_eq!(lane.upstream_seq, if self.upstream { self.published.into() } else { 0 });
        let parked = database.parked.iter().map(|parked| (parked.saying, parked.resolution));
        assert!(parked.eq(reference.parked.iter().map(|parked| (parked.1, parked.2))));
    }

    /// The stage is repaired, and everything that waits goes back until the lane is open.
    fn end(&mut self) {
        self.play(&Op::Repair);
        while self.reference.status != LaneStatus::Active {
            self.play(&Op::Begin(None));
            let batch = (self.reference.redriven + 1..=self.reference.parked.len())
                .map(|number| self.copy(number, How::Copy))
                .collect();
            self.deliver(batch);
            // What can never be read is given up.
            if self.reference.status != LaneStatus::Active {
                self.play(&Op::Skip);
            }
        }
        self.compare();
    }

    /// Whether each message was applied once or given up, in order; a repair may go ahead.
    fn assert_complete(&self) {
        let skipped = |id: &u8| {
            let mut parked = self.reference.parked.iter();
            parked.any(|(_, saying, became)| saying.id == *id && *became == Resolution::Skipped)
        };
        let is_repair = |id: &u8| {
            self.delivered.iter().any(|entry| entry.saying.id == *id && entry.saying.repair)
        };
        let mut applied: Vec<u8> = self.database.journal.iter().map(|row| row.id).collect();
        let in_turn: Vec<u8> = applied.iter().copied().filter(|id| !is_repair(id)).collect();
        assert!(in_turn.is_sorted(), "out of order: {applied:?}");
        applied.sort_unstable();
        let all: Vec<u8> = (1..=self.published).filter(|id| !skipped(id)).collect();
        assert_eq!(applied, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_story_goes_as_the_reference_says(
        upstream: bool,
        run_max in 1_usize..4,
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let reference = Reference { run_max, ..Reference::default() };
        let mut story = Story { upstream, reference, ..Story::default() };
        ops.iter().for_each(|op| story.play(op));
        story.end();
        story.assert_complete();
    }
}
