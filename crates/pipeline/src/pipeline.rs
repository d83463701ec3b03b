//! One stage at work: receivers fill a channel, committers take batches from it.

use std::sync::Arc;
use std::time::Duration;

use cap_domain::lane::Stage;
use cap_domain::routing::{Channel, QueueName, Routes};
use cap_domain::time::Timestamp;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::into_lanes;
use crate::deliver::Courier;
use crate::failpoint;
use crate::gate::Gate;
use crate::hand::{InHand, heartbeat, release};
use crate::lane_store::LaneStore;
use crate::limits::Limits;
use crate::prepare::Prepare;
use crate::queues::Queues;
use crate::settle::Settler;

/// Tells the time of a decision.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Tells the rules in force: asked once a batch, so that a change needs no restart (T5).
pub type StageSource<S> = Arc<dyn Fn() -> Arc<S> + Send + Sync>;

/// A stage and everything it works with.
pub struct Pipeline<S: Stage> {
    /// The rules in force.
    pub stage: StageSource<S>,
    /// Where messages come from and go to.
    pub queues: Arc<dyn Queues>,
    /// Which queues there are.
    pub routes: Arc<Routes>,
    /// The stage's lanes.
    pub store: Arc<dyn LaneStore<S>>,
    /// What completes new arrivals.
    pub prepare: Arc<dyn Prepare<S>>,
    /// The time of decisions.
    pub clock: Clock,
    /// Closed while the database is away.
    pub gate: Arc<Gate>,
    /// The bounds.
    pub limits: Limits,
}

impl<S: Stage> Pipeline<S> {
    /// Works until `stop`, then finishes what is in hand and returns (C20): receivers end with
    /// their current call, batches that wait for an unreachable database are given back.
    pub async fn run(self, stop: CancellationToken) {
        let pipeline = Arc::new(self);
        let queues: Vec<Arc<QueueName>> =
            pipeline.routes.of(Channel::Stage(S::NAME)).map(Arc::new).collect();
        // One place a receiver, so that those of quiet queues never hold back those of busy ones.
        let places = (queues.len() * pipeline.limits.receivers_per_queue).max(1);
        let (sender, receiver) = mpsc::channel(places);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut receivers = JoinSet::new();
        for queue in queues {
            for _ in 0..pipeline.limits.receivers_per_queue.max(1) {
                let (pipeline, queue) = (Arc::clone(&pipeline), Arc::clone(&queue));
                let (sender, stop) = (sender.clone(), stop.clone());
                receivers.spawn(async move { pipeline.receive(&queue, &sender, &stop).await });
            }
        }
        drop(sender);
        let mut committers = JoinSet::new();
        for _ in 0..pipeline.limits.committers.max(1) {
            let (pipeline, receiver, stop) =
                (Arc::clone(&pipeline), Arc::clone(&receiver), stop.clone());
            committers.spawn(async move { pipeline.commit(&receiver, &stop).await });
        }
        // Committers end when the last receiver has dropped its end of the channel.
        receivers.join_all().await;
        committers.join_all().await;
    }

    async fn receive(
        &self,
        queue: &Arc<QueueName>,
        sender: &mpsc::Sender<Vec<Arc<InHand>>>,
        stop: &CancellationToken,
    ) {
        let Limits { receive_wait_secs, visibility_secs, .. } = self.limits;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.gate.opened() => {}
                () = stop.cancelled() => return,
            }
            // Room first, then messages: what is received can always be handed on at once.
            let Ok(permit) = sender.reserve().await else {
                return;
            };
            let asked_at = Instant::now();
            match self.queues.receive(queue, receive_wait_secs, visibility_secs).await {
                Ok(messages) if messages.is_empty() => backoff = Backoff::default(),
                Ok(messages) => {
                    failpoint::hit("after_receive");
                    backoff = Backoff::default();
                    metrics::counter!("cap_received_total").increment(messages.len() as u64);
                    // A long poll may have waited: the messages were hidden when it answered, so
                    // all but the answer's own way is certain to be left.
                    let waited =
                        asked_at.elapsed().min(Duration::from_secs(u64::from(receive_wait_secs)));
                    let hidden_from = asked_at + waited.saturating_sub(ANSWER_TIME_MAX);
                    let messages: Vec<_> = messages
                        .into_iter()
                        .map(|message| {
                            Arc::new(InHand::new(
                                Arc::clone(queue),
                                message,
                                hidden_from,
                                visibility_secs,
                            ))
                        })
                        .collect();
                    if stop.is_cancelled() {
                        release(&*self.queues, &messages).await;
                    } else {
                        permit.send(messages);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "not received");
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
    }

    async fn commit(
        &self,
        receiver: &Mutex<mpsc::Receiver<Vec<Arc<InHand>>>>,
        stop: &CancellationToken,
    ) {
        while let Some(messages) = self.gather(receiver).await {
            tokio::select! {
                biased;
                () = self.work(&messages, stop) => {}
                () = heartbeat(&*self.queues, &messages, self.limits.visibility_secs) => {}
            }
        }
    }

    /// Waits for messages, then a little longer for more; none when no receiver is left.
    async fn gather(
        &self,
        receiver: &Mutex<mpsc::Receiver<Vec<Arc<InHand>>>>,
    ) -> Option<Vec<Arc<InHand>>> {
        let mut receiver = receiver.lock().await;
        let mut messages = receiver.recv().await?;
        let until = Instant::now() + self.limits.batch_wait;
        while messages.len() < self.limits.batch_messages_max {
            match tokio::time::timeout_at(until, receiver.recv()).await {
                Ok(Some(more)) => messages.extend(more),
                Ok(None) | Err(_) => break,
            }
        }
        Some(messages)
    }

    /// The unit of work (DESIGN §2).
    async fn work(&self, messages: &[Arc<InHand>], stop: &CancellationToken) {
        let begun = Instant::now();
        let mut lanes = into_lanes::<S>(messages);
        lanes.retain(|lane| lane.is_ours());
        let settler = Settler {
            stage: (self.stage)(),
            store: &*self.store,
            prepare: &*self.prepare,
            clock: &self.clock,
            gate: &self.gate,
            stop,
        };
        let settled = settler.settle(lanes).await;
        Courier { queues: &*self.queues, routes: &self.routes, stop }.deliver(&settled).await;
        metrics::histogram!("cap_batch_seconds").record(begun.elapsed());
        if stop.is_cancelled() {
            // What was not finished is given back at once, not after its visibility.
            release(&*self.queues, messages).await;
        }
    }
}

/// How long the answer of a receive may be on its way: counted against the message's visibility.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
