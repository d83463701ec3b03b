//! A queue in this process: what a stage is fed from when only the stage is measured.
//!
//! It keeps what a FIFO queue keeps: a lane's messages come in order, and none of a lane comes while one
//! before it is in flight (Q18). It costs next to nothing, and what is sent through it is only counted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use cap_domain::routing::{QueueName, Routes};
use cap_domain::time::Timestamp;
use cap_pipeline::Limits;
use cap_pipeline::queues::{
    BATCH_ENTRIES_MAX, EntryResult, Outgoing, Queues, Received, Unreachable,
};
use tokio::sync::Notify;

use crate::ledger::QueueMessage;

/// How long a receive that finds nothing waits for more.
const EMPTY_WAIT: Duration = Duration::from_millis(1);

/// The queue.
pub(crate) struct Feed {
    routes: Arc<Routes>,
    lines: Mutex<Lines>,
    drained: Notify,
}

#[derive(Default)]
struct Lines {
    /// What may be received, in order.
    ready: VecDeque<Waiting>,
    /// Lanes of which something is in flight, with what waits behind it.
    locked: HashMap<Arc<str>, Locked>,
    sent: usize,
    /// How many were given back: what is measured here has no reason to.
    given_back: usize,
}

struct Waiting {
    group: Arc<str>,
    message: QueueMessage,
    sent_at: Timestamp,
}

#[derive(Default)]
struct Locked {
    in_flight: usize,
    behind: VecDeque<Waiting>,
}

impl Feed {
    /// An empty queue, in an installation with these `routes`.
    pub(crate) fn new(routes: Arc<Routes>) -> Self {
        Self { routes, lines: Mutex::default(), drained: Notify::new() }
    }

    /// Puts messages in. `group` tells the message group of an account.
    pub(crate) fn put(
        &self,
        messages: Vec<QueueMessage>,
        sent_at: Timestamp,
        group: impl Fn(&QueueMessage) -> Arc<str>,
    ) {
        let mut lines = self.lines();
        lines.ready.extend(messages.into_iter().map(|message| Waiting {
            group: group(&message),
            message,
            sent_at,
        }));
    }

    /// Waits until everything was received and deleted.
    ///
    /// # Errors
    /// If messages were given back.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        loop {
            let changed = self.drained.notified();
            {
                let lines = self.lines();
                let given_back = lines.given_back;
                ensure!(given_back == 0, "{given_back} messages were given back");
                if lines.is_empty() {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// What is left, in words.
    pub(crate) fn left(&self) -> String {
        let lines = self.lines();
        let in_flight: usize = lines.locked.values().map(|locked| locked.in_flight).sum();
        let behind: usize = lines.locked.values().map(|locked| locked.behind.len()).sum();
        let (ready, lanes) = (lines.ready.len(), lines.locked.len());
        format!("{ready} are ready, {in_flight} of {lanes} lanes in flight, {behind} behind those")
    }

    /// How many messages were sent since it was last asked.
    pub(crate) fn take_sent(&self) -> usize {
        std::mem::take(&mut self.lines().sent)
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.locked.is_empty()
    }

    /// Up to ten messages: several of one lane, if they follow each other, but none behind one that
    /// is in flight already.
    fn receive(&mut self) -> Vec<Received> {
        let mut received: Vec<Received> = Vec::with_capacity(BATCH_ENTRIES_MAX);
        let mut ours: Vec<Arc<str>> = Vec::with_capacity(BATCH_ENTRIES_MAX);
        while received.len() < BATCH_ENTRIES_MAX {
            let Some(waiting) = self.ready.pop_front() else { break };
            if !ours.contains(&waiting.group)
                && let Some(locked) = self.locked.get_mut(&waiting.group)
            {
                locked.behind.push_back(waiting);
                continue;
            }
            self.locked.entry(Arc::clone(&waiting.group)).or_default().in_flight += 1;
            ours.push(Arc::clone(&waiting.group));
            received.push(Received {
                message_id: waiting.message.message_id,
                receipt_handle: waiting.group.to_string(),
                message_group_id: waiting.group.to_string(),
                deduplication_id: waiting.message.deduplication_id,
                sent_at: waiting.sent_at,
                receives: 1,
                body: waiting.message.body,
                attributes: Vec::new(),
            });
        }
        received
    }

    fn delete(&mut self, group: &str) {
        let Some(locked) = self.locked.get_mut(group) else { return };
        locked.in_flight -= 1;
        if locked.in_flight == 0
            && let Some(locked) = self.locked.remove(group)
        {
            for waiting in locked.behind.into_iter().rev() {
                self.ready.push_front(waiting);
            }
        }
    }
}

#[async_trait]
impl Queues for Feed {
    async fn receive(
        &self,
        queue: &QueueName,
        _: u32,
        _: u32,
    ) -> Result<Vec<Received>, Unreachable> {
        // The janitor looks for letters: there are none here.
        let received = if queue.dead_letters { Vec::new() } else { self.lines().receive() };
        if received.is_empty() {
            tokio::time::sleep(EMPTY_WAIT).await;
        }
        Ok(received)
    }

    async fn send(
        &self,
        _: &QueueName,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        self.lines().sent += messages.len();
        Ok(vec![Ok(()); messages.len()])
    }

    async fn delete(
        &self,
        _: &QueueName,
        receipt_handles: &[&str],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let mut lines = self.lines();
        receipt_handles.iter().for_each(|group| lines.delete(group));
        if lines.is_empty() {
            self.drained.notify_waiters();
        }
        Ok(vec![Ok(()); receipt_handles.len()])
    }

    async fn extend(
        &self,
        _: &QueueName,
        receipt_handles: &[&str],
        visibility_secs: u32,
    ) -> Result<Vec<EntryResult>, Unreachable> {
        if visibility_secs < Limits::default().visibility_secs {
            self.lines().given_back += receipt_handles.len();
            self.drained.notify_waiters();
        }
        Ok(vec![Ok(()); receipt_handles.len()])
    }

    async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
        Ok(Arc::clone(&self.routes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(groups: &[&str]) -> Feed {
        let feed = Feed::new(Arc::new(Routes::new([])));
        let messages = groups.iter().enumerate().map(|(number, group)| QueueMessage {
            account: format!("acme_spot_retail_{group}").parse().expect("a key"),
            message_id: number.to_string(),
            deduplication_id: number.to_string(),
            body: String::new(),
            units: 1,
        });
        feed.put(messages.collect(), Timestamp::from_millis(0), |message| {
            message.account.as_str().into()
        });
        feed
    }

    fn ids(received: &[Received]) -> Vec<&str> {
        received.iter().map(|message| message.message_id.as_str()).collect()
    }

    #[test]
    fn a_lane_in_flight_gives_nothing_and_then_goes_on_in_order() {
        let groups = ["A", "A", "B", "A", "A", "A", "A", "A", "A", "A", "A", "A"];
        let feed = feed(&groups);
        let first = feed.lines().receive();
        assert_eq!(ids(&first), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert!(feed.lines().receive().is_empty());
        first.iter().for_each(|message| feed.lines().delete(&message.receipt_handle));
        assert_eq!(ids(&feed.lines().receive()), ["10", "11"]);
    }
}
