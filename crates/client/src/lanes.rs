//! Which message may be sent next (DESIGN §2): the order of every lane, whatever fails.
//!
//! Guarantees that a message is sent only when all before it in its lane are, so that no batch
//! holds two of a lane and no two calls at the same time do either; lanes share batches freely.
//! It sends nothing itself and knows no queue but by number.

use std::collections::VecDeque;

use cap_pipeline::queues::BATCH_ENTRIES_MAX;

/// Lanes with what is still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    /// By queue: the lanes whose first message is neither on its way nor resting.
    ready: Vec<VecDeque<usize>>,
    /// The queue whose turn it is.
    turn: usize,
}

#[derive(Debug)]
struct Lane {
    queue: usize,
    unsent: VecDeque<usize>,
    tries: u32,
}

/// First messages of different lanes, for one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) queue: usize,
    pub(crate) entries: Vec<Entry>,
}

/// A message in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) lane: usize,
    pub(crate) message: usize,
}

/// What to do about a message that was not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Let the lane rest, then say that it is ready again.
    Rest {
        /// How often the message was tried.
        tries: u32,
    },
    /// It was tried often enough: it is given up, and so are these behind it.
    GiveUp {
        /// The rest of the lane.
        behind: Vec<usize>,
    },
}

impl Lanes {
    /// A new lane whose messages all go to `queue`.
    pub(crate) fn open(&mut self, queue: usize) -> usize {
        if self.ready.len() <= queue {
            self.ready.resize_with(queue + 1, VecDeque::new);
        }
        self.lanes.push(Lane { queue, unsent: VecDeque::new(), tries: 0 });
        self.lanes.len() - 1
    }

    /// Puts a message behind those of the lane, of which none may be on its way yet.
    pub(crate) fn push(&mut self, lane: usize, message: usize) {
        let Lane { queue, unsent, .. } = &mut self.lanes[lane];
        if unsent.is_empty() {
            self.ready[*queue].push_back(lane);
        }
        unsent.push_back(message);
    }

    /// What may be sent now; the queues take turns.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        let queues = self.ready.len();
        let queue = (0..queues)
            .map(|step| (self.turn + step) % queues)
            .find(|queue| !self.ready[*queue].is_empty())?;
        self.turn = queue + 1;
        let count = self.ready[queue].len().min(BATCH_ENTRIES_MAX);
        let lanes = self.ready[queue].drain(..count);
        let first = lanes
            .filter_map(|lane| Some(Entry { lane, message: *self.lanes[lane].unsent.front()? }));
        Some(Batch { queue, entries: first.collect() })
    }

    /// The first message of the lane is sent.
    pub(crate) fn sent(&mut self, lane: usize) {
        let sent = &mut self.lanes[lane];
        sent.unsent.pop_front();
        sent.tries = 0;
        self.rested(lane);
    }

    /// The first message of the lane failed and may be tried up to `tries_max` times.
    pub(crate) fn failed(&mut self, lane: usize, tries_max: u32) -> Next {
        let failed = &mut self.lanes[lane];
        failed.tries += 1;
        if failed.tries < tries_max {
            return Next::Rest { tries: failed.tries };
        }
        failed.unsent.pop_front();
        Next::GiveUp { behind: failed.unsent.drain(..).collect() }
    }

    /// The lane may be sent from again.
    pub(crate) fn rested(&mut self, lane: usize) {
        let rested = &self.lanes[lane];
        if !rested.unsent.is_empty() {
            self.ready[rested.queue].push_back(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn lanes(of: &[(usize, Vec<usize>)]) -> Lanes {
        let mut lanes = Lanes::default();
        for (queue, messages) in of {
            let lane = lanes.open(*queue);
            messages.iter().for_each(|message| lanes.push(lane, *message));
        }
        lanes
    }

    fn messages(batch: Option<Batch>) -> Vec<usize> {
        batch.map_or_else(Vec::new, |batch| {
            batch.entries.iter().map(|entry| entry.message).collect()
        })
    }

    #[test]
    fn lanes_share_a_batch_and_the_second_message_waits_for_the_first() {
        let mut lanes = lanes(&[(0, vec![0, 1]), (0, vec![2, 3])]);
        assert_eq!(messages(lanes.next_batch()), [0, 2]);
        assert_eq!(lanes.next_batch(), None);
        lanes.sent(1);
        assert_eq!(messages(lanes.next_batch()), [3], "the other lane does not wait for it");
        lanes.sent(0);
        assert_eq!(messages(lanes.next_batch()), [1]);
    }

    #[test]
    fn a_batch_is_of_one_queue_and_holds_ten() {
        let mut lanes = lanes(&(0..24).map(|n| (n % 2, vec![n])).collect::<Vec<_>>());
        let sizes: Vec<_> = std::iter::from_fn(|| lanes.next_batch())
            .map(|batch| (batch.queue, batch.entries.len()))
            .collect();
        assert_eq!(sizes, [(0, 10), (1, 10), (0, 2), (1, 2)]);
    }

    #[test]
    fn a_lane_that_is_given_up_takes_what_is_behind_with_it() {
        let mut lanes = lanes(&[(0, vec![0, 1, 2])]);
        lanes.next_batch();
        assert_eq!(lanes.failed(0, 2), Next::Rest { tries: 1 });
        assert_eq!(lanes.next_batch(), None, "it rests");
        lanes.rested(0);
        assert_eq!(messages(lanes.next_batch()), [0]);
        assert_eq!(lanes.failed(0, 2), Next::GiveUp { behind: vec![1, 2] });
        lanes.rested(0);
        assert_eq!(lanes.next_batch(), None);
    }

    proptest! {
        /// Calls are answered in any order, entries fail at random, and lanes rest.
        #[test]
        fn every_lane_is_sent_completely_in_order_and_never_twice_at_the_same_time(
            sizes in prop::collection::vec((0..3usize, 0..9usize), 1..30),
            dice in prop::collection::vec(any::<u32>(), 1..400),
        ) {
            let mut total = 0;
            let of: Vec<(usize, Vec<usize>)> = sizes.iter().map(|(queue, size)| {
                total += size;
                (*queue, (total - size..total).collect())
            }).collect();
            let mut lanes = lanes(&of);
            let mut dice = dice.iter().cycle().map(|n| *n as usize);
            let mut roll = move |sides: usize| dice.next().unwrap_or(0) % sides;
            let mut calls: Vec<Batch> = Vec::new();
            let mut resting: Vec<usize> = Vec::new();
            let mut sent: HashMap<usize, Vec<usize>> = HashMap::new();
            let mut failures_left = 500;
            loop {
                while calls.len() < 4 && let Some(batch) = lanes.next_batch() {
                    calls.push(batch);
                }
                let on_their_way: Vec<usize> =
                    calls.iter().flat_map(|call| &call.entries).map(|entry| entry.lane).collect();
                let different: HashSet<&usize> = on_their_way.iter().collect();
                prop_assert_eq!(different.len(), on_their_way.len(), "no lane twice at a time");
                if calls.is_empty() && resting.is_empty() {
                    break;
                }
                if calls.is_empty() || (!resting.is_empty() && roll(3) == 0) {
                    lanes.rested(resting.swap_remove(roll(resting.len())));
                    continue;
                }
                let answered = calls.swap_remove(roll(calls.len()));
                prop_assert!(answered.entries.len() <= BATCH_ENTRIES_MAX);
                for entry in answered.entries {
                    prop_assert_eq!(of[entry.lane].0, answered.queue);
                    if failures_left > 0 && roll(4) == 1 {
                        failures_left -= 1;
                        let next = lanes.failed(entry.lane, u32::MAX);
                        prop_assert_ne!(next, Next::GiveUp { behind: Vec::new() });
                        resting.push(entry.lane);
                    } else {
                        sent.entry(entry.lane).or_default().push(entry.message);
                        lanes.sent(entry.lane);
                    }
                }
            }
            for (lane, (_, messages)) in of.iter().enumerate() {
                prop_assert_eq!(&sent.remove(&lane).unwrap_or_default(), messages);
            }
        }
    }
}
