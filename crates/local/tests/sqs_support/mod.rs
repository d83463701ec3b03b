//! A queue on a bench: time moves when the test says so.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::sync::Arc;

use cap_local::sqs::{
    Counts, QueueLimits, SqsError,
    attributes::{AttributeMap, QueueSettings},
    id::{IdSource, ReceiptHandle},
    message::Draft,
    queue::{Accepted, Delivery, FifoQueue, Receive},
};

pub(crate) const START: u64 = 1_750_000_000_000;

pub(crate) struct Bench {
    pub(crate) queue: FifoQueue,
    pub(crate) now: u64,
    sent: u64,
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> AttributeMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn draft(group: &str, body: &str, dedup_id: Option<&str>) -> Draft {
    Draft {
        body: body.to_owned(),
        group_id: Some(group.to_owned()),
        dedup_id: dedup_id.map(str::to_owned),
        ..Draft::default()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(pairs: &[(&str, &str)]) -> Self {
        Self::limited(pairs, QueueLimits::default())
    }

    pub(crate) fn limited(pairs: &[(&str, &str)], limits: QueueLimits) -> Self {
        let settings = QueueSettings::created_with(&attributes(pairs)).expect("good attributes");
        let arn = "arn:aws:sqs:us-east-1:000000000000:bench.fifo".into();
        let queue = FifoQueue::new(0, arn, Arc::new(settings), limits, IdSource::from_seed(7));
        Self { queue, now: START, sent: 0 }
    }

    pub(crate) fn set(&mut self, pairs: &[(&str, &str)]) {
        let changed =
            self.queue.settings().changed_by(&attributes(pairs)).expect("good attributes");
        self.queue.change_settings(Arc::new(changed), self.now);
    }

    /// Sends a message that is no duplicate of any.
    pub(crate) fn send(&mut self, group: &str, body: &str) -> Accepted {
        self.sent += 1;
        let dedup_id = format!("bench-{}", self.sent);
        self.send_as(group, body, Some(&dedup_id))
    }

    pub(crate) fn send_all(&mut self, group: &str, bodies: &[&str]) {
        for body in bodies {
            self.send(group, body);
        }
    }

    pub(crate) fn send_as(&mut self, group: &str, body: &str, dedup_id: Option<&str>) -> Accepted {
        let payload = draft(group, body, dedup_id).check(self.queue.settings());
        self.queue.send(payload.expect("a good message"), self.now)
    }

    pub(crate) fn receive(&mut self, messages_max: usize) -> Vec<Delivery> {
        self.ask(Receive { messages_max, ..Receive::default() }).expect("a receive")
    }

    pub(crate) fn ask(&mut self, ask: Receive<'_>) -> Result<Vec<Delivery>, SqsError> {
        self.queue.receive(ask, self.now)
    }

    /// Receives up to ten and looks at the bodies.
    pub(crate) fn bodies(&mut self) -> Vec<String> {
        bodies(&self.receive(10))
    }

    pub(crate) fn delete(&mut self, delivery: &Delivery) {
        self.queue.delete(delivery.handle, self.now).expect("deleted");
    }

    pub(crate) fn try_delete(&mut self, handle: ReceiptHandle) -> Result<(), SqsError> {
        self.queue.delete(handle, self.now)
    }

    pub(crate) fn hold(&mut self, delivery: &Delivery, secs: u32) -> Result<(), SqsError> {
        self.queue.change_visibility(delivery.handle, secs, self.now)
    }

    pub(crate) fn wait_secs(&mut self, secs: u64) {
        self.now += secs * 1_000;
    }

    pub(crate) fn counts(&mut self) -> Counts {
        self.queue.tick(self.now);
        self.queue.counts()
    }
}

pub(crate) fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.payload.body.to_string()).collect()
}
