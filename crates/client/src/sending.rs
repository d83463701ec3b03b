//! One publication on its way: calls in flight, their answers, and what is tried again.

use std::collections::HashMap;
use std::time::Duration;

use cap_domain::envelope::Header;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::routing::{QueueName, Route};
use cap_pipeline::queues::{EntryFailure, EntryResult, Outgoing, Queues, Unreachable};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};

use crate::lanes::{Batch, Entry, Lanes, Next};
use crate::publisher::{Progress, PublishError, Published};

/// Calls that are under way at the same time.
const CALLS_IN_FLIGHT_MAX: usize = 16;
/// How often a message is tried, each time with the SDK's own tries.
pub(crate) const TRIES_MAX: u32 = 8;
/// How long a lane rests after its first failure, at most; twice as long after each further one.
/// With eight tries of thirty seconds it stays below the five minutes for which SQS recognises
/// what did arrive (C4).
const REST_MILLIS: u64 = 25;

/// Envelopes by number, each with its result once there is one.
pub(crate) struct Sending {
    lanes: Lanes,
    lane_of: HashMap<AccountKey, usize>,
    queues: Vec<QueueName>,
    number_of: HashMap<QueueName, usize>,
    messages: Vec<Option<Message>>,
    results: Vec<Option<Result<Published, PublishError>>>,
    progress: Progress,
}

struct Message {
    request_id: RequestId,
    message_group_id: String,
    body: String,
}

enum Event {
    Answered(Batch, Result<Vec<EntryResult>, Unreachable>),
    Rested(usize),
}

impl Sending {
    /// Nothing yet, of `total` envelopes.
    pub(crate) fn of(total: usize) -> Self {
        Self {
            lanes: Lanes::default(),
            lane_of: HashMap::new(),
            queues: Vec::new(),
            number_of: HashMap::new(),
            messages: Vec::with_capacity(total),
            results: Vec::with_capacity(total),
            progress: Progress { total, ..Progress::default() },
        }
    }

    /// The next envelope is not sent.
    pub(crate) fn refuse(&mut self, error: PublishError) {
        self.messages.push(None);
        self.results.push(Some(Err(error)));
        self.progress.failed += 1;
    }

    /// The next envelope is to be sent.
    pub(crate) fn add(&mut self, header: &Header, route: &Route, body: String) {
        let lane = *self.lane_of.entry(header.account_key()).or_insert_with(|| {
            let queue = self.number_of.entry(route.queue.clone()).or_insert_with_key(|queue| {
                self.queues.push(queue.clone());
                self.queues.len() - 1
            });
            self.lanes.open(*queue)
        });
        self.lanes.push(lane, self.messages.len());
        self.messages.push(Some(Message {
            request_id: header.request_id.clone(),
            message_group_id: route.message_group_id.clone(),
            body,
        }));
        self.results.push(None);
    }

    /// Sends everything; one result an envelope, in order.
    pub(crate) async fn run(
        mut self,
        queues: &impl Queues,
        mut progress: impl FnMut(Progress),
    ) -> Vec<Result<Published, PublishError>> {
        let mut under_way: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut calls = 0;
        progress(self.progress);
        loop {
            while calls < CALLS_IN_FLIGHT_MAX
                && let Some(batch) = self.lanes.next_batch()
            {
                calls += 1;
                let queue = self.queues[batch.queue].clone();
                let outgoing = self.outgoing(&batch);
                let send = async move {
                    let answer = queues.send(&queue, &outgoing.iter().collect::<Vec<_>>()).await;
                    Event::Answered(batch, answer)
                };
                under_way.push(send.boxed());
            }
            match under_way.next().await {
                None => break,
                Some(Event::Rested(lane)) => self.lanes.rested(lane),
                Some(Event::Answered(batch, answer)) => {
                    calls -= 1;
                    for (lane, tries) in self.settle(batch, answer) {
                        under_way.push(rest(lane, tries).boxed());
                    }
                    progress(self.progress);
                }
            }
        }
        self.results.into_iter().flatten().collect()
    }

    fn outgoing(&self, batch: &Batch) -> Vec<Outgoing> {
        let messages =
            batch.entries.iter().filter_map(|entry| self.messages[entry.message].as_ref());
        let outgoing = messages.map(|message| Outgoing {
            message_group_id: message.message_group_id.clone(),
            deduplication_id: message.request_id.to_string(),
            body: message.body.clone(),
            attributes: Vec::new(),
        });
        outgoing.collect()
    }

    /// Takes note of a call's answer; tells which lanes are to rest, after how many tries.
    fn settle(
        &mut self,
        batch: Batch,
        answer: Result<Vec<EntryResult>, Unreachable>,
    ) -> Vec<(usize, u32)> {
        let mut resting = Vec::new();
        let mut fail =
            |sending: &mut Self, entry: Entry, tries_max: u32, error: PublishError| match sending
                .lanes
                .failed(entry.lane, tries_max)
            {
                Next::Rest { tries } => resting.push((entry.lane, tries)),
                Next::GiveUp { behind } => sending.give_up(entry.message, behind, error),
            };
        match answer {
            Ok(results) => {
                for (entry, result) in batch.entries.into_iter().zip(results) {
                    match result {
                        Ok(()) => self.sent(batch.queue, entry),
                        Err(failure) if failure.sender_fault => {
                            fail(self, entry, 1, PublishError::Refused(failure));
                        }
                        Err(failure) => fail(self, entry, TRIES_MAX, unconfirmed(failure)),
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, entries = batch.entries.len(), "a batch is sent again");
                for entry in batch.entries {
                    fail(self, entry, TRIES_MAX, PublishError::Unconfirmed(error.clone().into()));
                }
            }
        }
        resting
    }

    fn sent(&mut self, queue: usize, entry: Entry) {
        self.lanes.sent(entry.lane);
        // What is sent is not needed any more, and there may be many.
        if let Some(message) = self.messages[entry.message].take() {
            let queue = self.queues[queue].clone();
            let published = Published { request_id: message.request_id, queue };
            self.results[entry.message] = Some(Ok(published));
            self.progress.published += 1;
        }
    }

    fn give_up(&mut self, message: usize, behind: Vec<usize>, error: PublishError) {
        self.progress.failed += 1 + behind.len();
        self.results[message] = Some(Err(error));
        if let Some(first) = self.messages[message].take() {
            for message in behind {
                self.messages[message] = None;
                self.results[message] = Some(Err(PublishError::Behind(first.request_id.clone())));
            }
        }
    }
}

fn unconfirmed(failure: EntryFailure) -> PublishError {
    PublishError::Unconfirmed(Box::new(failure))
}

async fn rest(lane: usize, tries: u32) -> Event {
    let millis_max = REST_MILLIS << tries.min(TRIES_MAX);
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=millis_max))).await;
    Event::Rested(lane)
}
