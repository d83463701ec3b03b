//! The queue against a model that is too simple to be wrong: one list, searched from the start.

mod sqs_support;

use std::collections::HashSet;

use cap_local::sqs::{Counts, QueueLimits, queue::Receive};
use proptest::prelude::*;
use sqs_support::Bench;

#[derive(Debug, Clone)]
enum Step {
    Send {
        group: u8,
        dedup_id: u8,
    },
    Receive {
        messages_max: usize,
        timeout_secs: Option<u32>,
    },
    /// Acts on one of the deliveries so far, old ones included.
    Delete {
        delivery: usize,
    },
    Hold {
        delivery: usize,
        secs: u32,
    },
    Wait {
        secs: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, 0..40_u8).prop_map(|(group, dedup_id)| Step::Send { group, dedup_id }),
        4 => (1..=10_usize, proptest::option::of(1..60_u32))
            .prop_map(|(messages_max, timeout_secs)| Step::Receive { messages_max, timeout_secs }),
        4 => any::<usize>().prop_map(|delivery| Step::Delete { delivery }),
        2 => (any::<usize>(), 0..60_u32).prop_map(|(delivery, secs)| Step::Hold { delivery, secs }),
        2 => prop_oneof![0..20_u64, 100..400_u64].prop_map(|secs| Step::Wait { secs }),
    ]
}

/// One message of the model.
#[derive(Debug, Clone)]
struct Plain {
    number: usize,
    group: u8,
    receives: u32,
    /// Until when it is in flight, and by which delivery.
    held: Option<(u64, usize)>,
}

struct Model {
    limits: QueueLimits,
    messages: Vec<Plain>,
    first_sends: Vec<(u8, u64)>,
    sent: usize,
}

impl Model {
    fn settle(&mut self, now: u64) {
        for message in &mut self.messages {
            message.held = message.held.filter(|(until, _)| *until > now);
        }
    }

    /// Whether it is a new message.
    fn send(&mut self, group: u8, dedup_id: u8, now: u64) -> bool {
        if self.first_sends.iter().any(|(id, at)| *id == dedup_id && now < at + 300_000) {
            return false;
        }
        self.first_sends.push((dedup_id, now));
        self.messages.push(Plain { number: self.sent, group, receives: 0, held: None });
        self.sent += 1;
        true
    }

    fn is_locked(&self, group: u8) -> bool {
        self.messages.iter().any(|message| message.group == group && message.held.is_some())
    }

    /// Messages that can be received: of groups that are not locked, in order, and among the
    /// oldest messages, where SQS looks.
    fn line(&self, group: u8) -> Vec<&Plain> {
        if self.is_locked(group) {
            return Vec::new();
        }
        let searched = self.limits.searched_max.unwrap_or(usize::MAX);
        self.messages.iter().take(searched).filter(|message| message.group == group).collect()
    }

    fn counts(&self) -> Counts {
        let in_flight = self.messages.iter().filter(|message| message.held.is_some()).count();
        Counts { visible: self.messages.len() - in_flight, in_flight, delayed: 0 }
    }

    fn delivered_by(&mut self, delivery: usize) -> Option<&mut Plain> {
        self.messages.iter_mut().find(|message| message.held.is_some_and(|(_, by)| by == delivery))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_the_model_does(
        steps in proptest::collection::vec(step(), 1..120),
        searched_max in proptest::option::of(1..12_usize),
        in_flight_max in 1..30_usize,
    ) {
        let limits = QueueLimits { in_flight_max, searched_max };
        let mut bench = Bench::limited(&[], limits);
        let mut model = Model { limits, messages: vec![], first_sends: vec![], sent: 0 };
        // Each delivery's handle, and the number of its message.
        let mut deliveries = Vec::new();
        for step in steps {
            let now = bench.now;
            model.settle(now);
            match step {
                Step::Send { group, dedup_id } => {
                    let is_new = model.send(group, dedup_id, now);
                    let body = (model.sent - 1).to_string();
                    let sent = bench.send_as(&group.to_string(), &body, Some(&dedup_id.to_string()));
                    prop_assert_eq!(sent.duplicate, !is_new);
                }
                Step::Receive { messages_max, timeout_secs } => {
                    let ask = Receive { messages_max, visibility_timeout_secs: timeout_secs, attempt_id: None };
                    let received = bench.ask(ask).expect("a receive");
                    let available: usize = (0..4).map(|group| model.line(group).len()).sum();
                    let room = in_flight_max - model.counts().in_flight;
                    prop_assert_eq!(received.len(), available.min(messages_max).min(room), "takes what there is");
                    // Which groups come first is the queue's choice; a run of each, in order, is not.
                    let mut seen = HashSet::new();
                    let mut expected = Vec::new();
                    for delivery in &received {
                        let group: u8 = delivery.payload.group_id.parse().expect("a group");
                        if seen.insert(group) {
                            let taken = received.iter().filter(|other| other.payload.group_id == delivery.payload.group_id).count();
                            expected.extend(model.line(group)[..taken].iter().map(|message| (message.number, message.receives + 1)));
                        }
                    }
                    let got: Vec<(usize, u32)> = received.iter()
                        .map(|delivery| (delivery.payload.body.parse().expect("a number"), delivery.receive_count))
                        .collect();
                    prop_assert_eq!(&got, &expected);
                    let until = now + u64::from(timeout_secs.unwrap_or(30)) * 1_000;
                    for (delivery, (number, _)) in received.iter().zip(got) {
                        let message = model.messages.iter_mut().find(|message| message.number == number).expect("known");
                        message.receives += 1;
                        message.held = Some((until, deliveries.len()));
                        deliveries.push((delivery.handle, number));
                    }
                }
                Step::Delete { delivery } if !deliveries.is_empty() => {
                    let which = delivery % deliveries.len();
                    let (handle, number) = deliveries[which];
                    let held = model.delivered_by(which).is_some();
                    let gone = !model.messages.iter().any(|message| message.number == number);
                    prop_assert_eq!(bench.try_delete(handle).is_ok(), held || gone);
                    if held {
                        model.messages.retain(|message| message.number != number);
                    }
                }
                Step::Hold { delivery, secs } if !deliveries.is_empty() => {
                    let which = delivery % deliveries.len();
                    let held = model.delivered_by(which);
                    let result = bench.queue.change_visibility(deliveries[which].0, secs, now);
                    prop_assert_eq!(result.is_ok(), held.is_some());
                    if let Some(message) = held {
                        message.held = (secs > 0).then_some((now + u64::from(secs) * 1_000, which));
                    }
                }
                Step::Wait { secs } => bench.wait_secs(secs),
                Step::Delete { .. } | Step::Hold { .. } => {}
            }
            model.settle(bench.now);
            prop_assert_eq!(bench.counts(), model.counts());
            let receivable = (0..4).any(|group| !model.line(group).is_empty());
            if receivable && model.counts().in_flight < in_flight_max {
                prop_assert!(bench.queue.has_free_group(), "nobody would be woken");
            }
        }
    }
}
