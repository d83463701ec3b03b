//! Messages in hand: received, hidden from others for a while, not deleted yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cap_domain::routing::QueueName;
use futures::StreamExt;
use tokio::time::Instant;

use crate::failpoint;
use crate::limits::{CALLS_MAX, VISIBILITY_MARGIN};
use crate::queues::{BATCH_ENTRIES_MAX, Queues, Received, attribute};

/// A message in hand.
#[derive(Debug)]
pub(crate) struct InHand {
    pub(crate) queue: Arc<QueueName>,
    pub(crate) message: Received,
    received_at: Instant,
    /// Until when it is ours, in milliseconds after `received_at`.
    hidden_millis: AtomicU64,
    /// Whether it was deleted or given back.
    gone: AtomicBool,
}

impl InHand {
    /// A message that a receive begun at `asked_at` brought: SQS hides it from when it answers,
    /// which is later, so counting from the question errs on the safe side.
    pub(crate) fn new(
        queue: Arc<QueueName>,
        message: Received,
        asked_at: Instant,
        visibility_secs: u32,
    ) -> Self {
        Self {
            queue,
            message,
            received_at: asked_at,
            hidden_millis: AtomicU64::new(u64::from(visibility_secs) * 1_000),
            gone: AtomicBool::new(false),
        }
    }

    /// Whether nobody else can have received it yet, with a margin (Q20).
    pub(crate) fn is_ours(&self) -> bool {
        let hidden = Duration::from_millis(self.hidden_millis.load(Ordering::Relaxed));
        !self.gone.load(Ordering::Relaxed)
            && self.received_at.elapsed() + VISIBILITY_MARGIN < hidden
    }

    /// Whether it was parked before, and is redriven.
    pub(crate) fn was_parked(&self) -> bool {
        self.message.attribute(attribute::PARKED_SEQ).is_some()
    }

    /// Notes that it was deleted or given back.
    pub(crate) fn let_go(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    fn extended(&self, asked_at: Instant, visibility_secs: u32) {
        let since_received = asked_at.duration_since(self.received_at);
        let until = since_received + Duration::from_secs(u64::from(visibility_secs));
        self.hidden_millis
            .store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Keeps `messages` hidden for as long as this future is polled (Q11): never returns.
pub(crate) async fn heartbeat(queues: &dyn Queues, messages: &[Arc<InHand>], visibility_secs: u32) {
    let beat = Duration::from_secs(u64::from(visibility_secs)) / 3;
    loop {
        tokio::time::sleep(beat).await;
        change_visibility(queues, messages, visibility_secs).await;
    }
}

/// Gives messages back at once: the next receive of anybody may take them.
pub(crate) async fn release(queues: &dyn Queues, messages: &[Arc<InHand>]) {
    failpoint::hit("in_drain");
    give_back(queues, messages, 0).await;
}

/// Gives messages back so that they come again after `after_secs`. The last first, one call after the
/// other: a group is locked while any of its messages is in flight (Q18), so nobody can receive a
/// message of it before the first is back too.
pub(crate) async fn give_back(queues: &dyn Queues, messages: &[Arc<InHand>], after_secs: u32) {
    let last_first: Vec<_> = messages.iter().rev().cloned().collect();
    for call in visibility_calls(queues, &last_first, after_secs) {
        call.await;
    }
    messages.iter().for_each(|message| message.let_go());
}

async fn change_visibility(queues: &dyn Queues, messages: &[Arc<InHand>], visibility_secs: u32) {
    let calls = visibility_calls(queues, messages, visibility_secs);
    futures::stream::iter(calls).buffer_unordered(CALLS_MAX).collect::<Vec<()>>().await;
}

/// Only messages still ours are touched: a stale receipt could otherwise extend what another
/// consumer works on.
fn visibility_calls<'a>(
    queues: &'a dyn Queues,
    messages: &[Arc<InHand>],
    visibility_secs: u32,
) -> Vec<impl Future<Output = ()> + use<'a>> {
    let mut calls = Vec::new();
    for (queue, messages) in by_queue(messages.iter().filter(|message| message.is_ours())) {
        for chunk in messages.chunks(BATCH_ENTRIES_MAX) {
            let (queue, chunk) = (Arc::clone(&queue), chunk.to_vec());
            calls.push(async move {
                let asked_at = Instant::now();
                let handles: Vec<&str> = chunk.iter().map(|message| message.message.receipt_handle.as_str()).collect();
                match queues.extend(&queue, &handles, visibility_secs).await {
                    Ok(results) => chunk.iter().zip(results).for_each(|(message, result)| match result {
                        Ok(()) => message.extended(asked_at, visibility_secs),
                        Err(error) => tracing::warn!(%error, message_id = message.message.message_id, "visibility not changed"),
                    }),
                    Err(error) => tracing::warn!(%error, "visibility not changed"),
                }
            });
        }
    }
    calls
}

/// Messages by the queue they came from, each queue's in their order.
pub(crate) fn by_queue<'a>(
    messages: impl Iterator<Item = &'a Arc<InHand>>,
) -> Vec<(Arc<QueueName>, Vec<Arc<InHand>>)> {
    let mut queues: Vec<(Arc<QueueName>, Vec<Arc<InHand>>)> = Vec::new();
    for message in messages {
        match queues.iter_mut().find(|(queue, _)| *queue == message.queue) {
            Some((_, messages)) => messages.push(Arc::clone(message)),
            None => queues.push((Arc::clone(&message.queue), vec![Arc::clone(message)])),
        }
    }
    queues
}
