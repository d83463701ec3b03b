//! One stage at work: receivers fill a channel, committers take batches from it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_domain::lane::Stage;
use cap_domain::routing::{Channel, QueueName};
use cap_domain::time::Timestamp;
use rand::seq::SliceRandom;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::{LaneWork, into_lanes};
use crate::deliver::Courier;
use crate::failpoint;
use crate::gate::Gate;
use crate::gather::{Batch, Busy, gather};
use crate::hand::{InHand, give_back, heartbeat, release};
use crate::janitor::Janitor;
use crate::lane_store::LaneStore;
use crate::limits::{Limits, RULE_AWAITED_SECS, SUSPECT_RECEIVES};
use crate::prepare::Prepare;
use crate::queues::Queues;
use crate::route_book::RouteBook;
use crate::settle::Settler;
use crate::steps::BatchStep;

/// Tells the time of a decision.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The machine's clock, to the millisecond that outcomes show.
pub fn system_time() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Tells the rules in force: asked once a batch, so that a change needs no restart (T5).
pub type StageSource<S> = Arc<dyn Fn() -> Arc<S> + Send + Sync>;

/// A stage and everything it works with.
pub struct Pipeline<S: Stage> {
    /// The rules in force.
    pub stage: StageSource<S>,
    /// Where messages come from and go to.
    pub queues: Arc<dyn Queues>,
    /// Which queues there are.
    pub routes: Arc<RouteBook>,
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
            pipeline.routes.at_start().of(Channel::Stage(S::NAME)).map(Arc::new).collect();
        // One place a receiver, so that those of quiet queues never hold back those of busy ones.
        let places = (queues.len() * pipeline.limits.receivers_per_queue).max(1);
        let (sender, receiver) = mpsc::channel(places);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut tasks = JoinSet::new();
        for queue in queues {
            for _ in 0..pipeline.limits.receivers_per_queue.max(1) {
                let (pipeline, queue) = (Arc::clone(&pipeline), Arc::clone(&queue));
                let (sender, stop) = (sender.clone(), stop.clone());
                tasks.spawn(async move { pipeline.receive(&queue, &sender, &stop).await });
            }
        }
        drop(sender);
        let resolved = Arc::new(Notify::new());
        let busy = Arc::new(Busy::default());
        for _ in 0..pipeline.limits.committers.max(1) {
            let (pipeline, receiver) = (Arc::clone(&pipeline), Arc::clone(&receiver));
            let (resolved, busy, stop) = (Arc::clone(&resolved), Arc::clone(&busy), stop.clone());
            tasks.spawn(async move { pipeline.commit(&receiver, &busy, &resolved, &stop).await });
        }
        {
            let (pipeline, resolved, stop) =
                (Arc::clone(&pipeline), Arc::clone(&resolved), stop.clone());
            tasks.spawn(async move { pipeline.tidy(&resolved, &stop).await });
        }
        // Committers end when the last receiver has dropped its end of the channel.
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                // Half a pipeline would look healthy: better none, which is started again (T23).
                std::panic::resume_unwind(error.into_panic());
            }
        }
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
            let permit = tokio::select! {
                permit = sender.reserve() => permit,
                () = stop.cancelled() => return,
            };
            let Ok(permit) = permit else { return };
            let asked_at = Instant::now();
            let overdue = async {
                stop.cancelled().await;
                tokio::time::sleep(
                    Duration::from_secs(u64::from(receive_wait_secs)) + ANSWER_TIME_MAX,
                )
                .await;
            };
            let received = tokio::select! {
                received = self.queues.receive(queue, receive_wait_secs, visibility_secs) => received,
                () = overdue => return,
            };
            match received {
                Ok(messages) if messages.is_empty() => backoff = Backoff::default(),
                Ok(messages) => {
                    failpoint::hit("after_receive");
                    backoff = Backoff::default();
                    metrics::counter!("cap_received_total").increment(messages.len() as u64);
                    let hidden_from = hidden_from(asked_at, receive_wait_secs);
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
        busy: &Busy,
        resolved: &Notify,
        stop: &CancellationToken,
    ) {
        while let Some(Batch { number, messages }) = gather(receiver, busy, &self.limits).await {
            if messages.iter().any(|in_hand| in_hand.was_parked()) {
                resolved.notify_one();
            }
            tokio::select! {
                biased;
                () = self.work(&messages, stop) => {}
                () = heartbeat(&*self.queues, &messages, self.limits.visibility_secs) => {}
            }
            busy.end(number);
        }
    }

    async fn tidy(&self, resolved: &Notify, stop: &CancellationToken) {
        let janitor = Janitor {
            queues: &*self.queues,
            routes: &self.routes.at_start(),
            store: &*self.store,
            resolved,
            visibility_secs: self.limits.visibility_secs,
            every: self.limits.janitor_every,
        };
        janitor.run(stop).await;
    }

    /// The unit of work (DESIGN §2).
    async fn work(&self, messages: &[Arc<InHand>], stop: &CancellationToken) {
        if stop.is_cancelled() && !self.gate.is_open() {
            return release(&*self.queues, messages).await;
        }
        let begun = Instant::now();
        let lanes = BatchStep::TakeApart.done(|| into_lanes::<S>(messages));
        let lanes = lanes.into_iter().filter(LaneWork::is_ours);
        let (mut suspects, lanes): (Vec<_>, Vec<_>) =
            lanes.partition(|lane| lane.receives() > SUSPECT_RECEIVES);
        self.settle_and_deliver(lanes, stop).await;
        // In another order each time, so that all but the guilty one get through before it.
        suspects.shuffle(&mut rand::rng());
        for suspect in suspects {
            self.settle_and_deliver(vec![suspect], stop).await;
        }
        metrics::histogram!("cap_batch_seconds").record(begun.elapsed());
        if stop.is_cancelled() {
            // What was not finished is given back at once, not after its visibility.
            release(&*self.queues, messages).await;
        }
    }

    async fn settle_and_deliver(&self, lanes: Vec<LaneWork<S>>, stop: &CancellationToken) {
        if lanes.is_empty() {
            return;
        }
        let settler = Settler {
            stage: (self.stage)(),
            store: &*self.store,
            prepare: &*self.prepare,
            clock: &self.clock,
            gate: &self.gate,
            stop,
        };
        let mut settled = settler.settle(lanes).await;
        Courier { queues: &*self.queues, routes: &self.routes, stop }.deliver(&mut settled).await;
        let left: Vec<_> = settled.into_iter().flat_map(|lane| lane.left).collect();
        give_back(&*self.queues, &left, RULE_AWAITED_SECS).await;
    }
}

/// From when messages that were just received are certain to be hidden. A long poll may have
/// waited for them; all but the answer's own way counts as waiting. An answer that took longer
/// than that may have been on its way from the beginning.
fn hidden_from(asked_at: Instant, receive_wait_secs: u32) -> Instant {
    let waited = asked_at.elapsed();
    if waited > Duration::from_secs(u64::from(receive_wait_secs)) + ANSWER_TIME_MAX {
        return asked_at;
    }
    asked_at + waited.saturating_sub(ANSWER_TIME_MAX)
}

/// How long the answer of a receive may be on its way: counted against the message's visibility.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
