//! Receive attempts: what each `ReceiveRequestAttemptId` was given.
//!
//! Guarantees that an attempt is remembered for five minutes. Whether it can be replayed
//! depends on its messages, which the queue judges.
//! Source: Amazon SQS API Reference, "ReceiveMessage", `ReceiveRequestAttemptId`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::id::ReceiptHandle;

/// How long an attempt can be repeated.
pub(crate) const ATTEMPT_MILLIS: u64 = 300_000;

#[derive(Default)]
pub(crate) struct Attempts {
    received: HashMap<Arc<str>, (u64, Vec<ReceiptHandle>)>,
    by_age: VecDeque<(u64, Arc<str>)>,
}

impl Attempts {
    pub(crate) fn received(&mut self, attempt_id: &str, now: u64) -> Option<Vec<ReceiptHandle>> {
        self.forget_old(now);
        self.received.get(attempt_id).map(|(_, handles)| handles.clone())
    }

    pub(crate) fn remember(&mut self, attempt_id: &str, now: u64, handles: Vec<ReceiptHandle>) {
        self.forget_old(now);
        let id: Arc<str> = attempt_id.into();
        self.by_age.push_back((now, Arc::clone(&id)));
        self.received.insert(id, (now, handles));
    }

    fn forget_old(&mut self, now: u64) {
        while let Some((at, _)) = self.by_age.front() {
            if now < at + ATTEMPT_MILLIS {
                break;
            }
            if let Some((at, id)) = self.by_age.pop_front()
                // The id may have been used again since.
                && self.received.get(&id).is_some_and(|(latest, _)| *latest == at)
            {
                self.received.remove(&id);
            }
        }
    }
}
