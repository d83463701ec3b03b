//! The stages at work in this process: several consumers of each, each with a clock of its own,
//! each crashing and coming back, or told to stop and replaced, as an orchestrator would.

use std::sync::Arc;
use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::position::Positions;
use cap_pipeline::{Limits, Pipeline, system_time};
use cap_stage::{Connections, Wired, pipeline};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arena::Arena;
use crate::trouble::{Life, Trouble};
use crate::troubled_queues::TroubledQueues;
use crate::troubled_store::TroubledStore;

/// Consumers of each stage, side by side as in a rolling update.
const CONSUMERS: usize = 2;

/// How far a consumer's clock may be from the true time.
const SKEW_SECS_MAX: u64 = 300;

/// How long a received message stays hidden.
const VISIBILITY_SECS: u32 = 3;

/// How long the orchestrator needs to start a process again, at the most.
const RESTART_MILLIS_MAX: u64 = 120;

/// How often in a row a start may fail before that is no trouble any more but a defect.
const STARTS_MAX: u32 = 50;

/// The shortest time between two orders to stop.
const REPLACED_AFTER_MILLIS_MIN: u64 = 300;

/// The longest.
const REPLACED_AFTER_MILLIS_MAX: u64 = 4_000;

/// Consumers at work until they are told to stop.
pub struct Crew {
    stop: CancellationToken,
    consumers: JoinSet<anyhow::Result<()>>,
}

impl Crew {
    /// Starts all consumers of all stages.
    pub fn start(arena: &Arc<Arena>, trouble: &Arc<Trouble>) -> Self {
        let stop = CancellationToken::new();
        let mut consumers = JoinSet::new();
        for _ in 0..CONSUMERS {
            consumers.spawn(consume::<Clearing>(arena.clone(), trouble.clone(), stop.clone()));
            consumers.spawn(consume::<Positions>(arena.clone(), trouble.clone(), stop.clone()));
            consumers.spawn(consume::<Accounts>(arena.clone(), trouble.clone(), stop.clone()));
        }
        Self { stop, consumers }
    }

    /// Drains and ends them all.
    ///
    /// # Errors
    /// If one could not be started again, or panicked.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.consumers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// One place of a service: whoever fills it crashes, or is replaced, and the next takes over.
async fn consume<S: Wired>(
    arena: Arc<Arena>,
    trouble: Arc<Trouble>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut failed_starts = 0;
    while !stop.is_cancelled() {
        let life = Life { over: CancellationToken::new(), trouble: trouble.clone() };
        let told = stop.child_token();
        // A start that fails is tried again, as an orchestrator would.
        let pipeline = match wire::<S>(&arena, &life).await {
            Ok(pipeline) => pipeline,
            Err(error) if failed_starts < STARTS_MAX => {
                tracing::debug!(%error, "{} did not start", S::NAME);
                failed_starts += 1;
                tokio::time::sleep(Duration::from_millis(RESTART_MILLIS_MAX)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        failed_starts = 0;
        let mut running = tokio::spawn(pipeline.run(told.clone()));
        let between = REPLACED_AFTER_MILLIS_MAX - REPLACED_AFTER_MILLIS_MIN;
        let replaced = Duration::from_millis(REPLACED_AFTER_MILLIS_MIN + trouble.below(between));
        let calm_at_start = trouble.is_calm();
        tokio::select! {
            ended = &mut running => {
                ended?;
                continue;
            }
            () = life.over.cancelled() => {}
            () = tokio::time::sleep(replaced), if !calm_at_start => {
                trouble.count("SIGTERM");
                told.cancel();
                tokio::select! {
                    ended = &mut running => {
                        ended?;
                        continue;
                    }
                    () = life.over.cancelled() => {}
                }
            }
        }
        // As kill -9: whatever it was doing is not done.
        running.abort();
        tokio::time::sleep(Duration::from_millis(trouble.below(RESTART_MILLIS_MAX))).await;
        if trouble.strikes("visibility over at once", 500) {
            arena.stack.broker.advance(Duration::from_secs(u64::from(VISIBILITY_SECS) + 1));
        }
    }
    Ok(())
}

async fn wire<S: Wired>(arena: &Arena, life: &Life) -> anyhow::Result<Pipeline<S>> {
    let connections = Connections {
        aws: arena.aws.clone(),
        database: arena.service_database(S::NAME).clone(),
        prefix: arena.installation.prefix.clone(),
    };
    let limits = Limits {
        receivers_per_queue: 1,
        committers: 2,
        visibility_secs: VISIBILITY_SECS,
        receive_wait_secs: 1,
        janitor_every: Duration::from_millis(700),
        ..Limits::default()
    };
    let mut pipeline = pipeline::<S>(&connections, limits).await?;
    let visibility = Duration::from_secs(u64::from(VISIBILITY_SECS));
    pipeline.queues =
        Arc::new(TroubledQueues { inner: pipeline.queues, life: life.clone(), visibility });
    pipeline.store =
        Arc::new(TroubledStore { inner: pipeline.store, life: life.clone(), visibility });
    let skew = life.trouble.below(2 * SKEW_SECS_MAX);
    let skew = i64::try_from(skew).unwrap_or_default() - SKEW_SECS_MAX as i64;
    pipeline.clock = Arc::new(move || system_time().plus_seconds(skew));
    Ok(pipeline)
}
