//! One stage at work: the pipeline of the services with its real store, fed in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cap_domain::routing::{Channel, QueueName, Routes, Scope};
use cap_pipeline::prepare::Prepare;
use cap_pipeline::{Gate, Limits, Pipeline, RouteBook, system_time};
use cap_store::{PostgresLanes, StateTables};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::arena::Arena;
use crate::feed::Feed;
use crate::ledger::QueueMessage;

/// The longest that a round may take.
const ROUND_MAX: Duration = Duration::from_secs(300);

/// A stage that waits for messages.
pub(crate) struct FedStage {
    feed: Arc<Feed>,
    scope: Scope,
    pool: PgPool,
    counting: PgPool,
    stop: CancellationToken,
    running: JoinHandle<()>,
    journaled: i64,
}

impl FedStage {
    /// Starts the stage over `pool`, with the queues of one product of the traders' company.
    pub(crate) fn start<S: StateTables>(
        stage: Arc<S>,
        prepare: Arc<dyn Prepare<S>>,
        pool: PgPool,
        product: &str,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let scope: Scope = format!("{}_{product}", crate::traffic::COMPANY).parse()?;
        let names = Channel::ALL.map(|channel| QueueName::new(channel, scope.clone()));
        let routes = Arc::new(Routes::new(names));
        let feed = Arc::new(Feed::new(Arc::clone(&routes)));
        let pipeline = Pipeline {
            stage: Arc::new(move || Arc::clone(&stage)),
            queues: Arc::clone(&feed) as Arc<dyn cap_pipeline::queues::Queues>,
            routes: Arc::new(RouteBook::new(routes)),
            store: Arc::new(PostgresLanes::<S>::new(pool.clone())),
            prepare,
            clock: Arc::new(system_time),
            gate: Arc::new(Gate::default()),
            limits,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(pipeline.run(stop.clone()));
        let counting = Arena::unhurried(&pool);
        Ok(Self { feed, scope, pool, counting, stop, running, journaled: 0 })
    }

    /// Feeds `messages` and waits until all are journaled, sent on and deleted. How long it took.
    ///
    /// # Errors
    /// If a message was lost or doubled, or it takes too long.
    pub(crate) async fn take(&mut self, messages: Vec<QueueMessage>) -> anyhow::Result<Duration> {
        let units: usize = messages.iter().map(|message| message.units).sum();
        let scope = self.scope.clone();
        let begun = Instant::now();
        self.feed.put(messages, system_time(), |message| {
            scope.message_group_id(&message.account).unwrap_or_default().into()
        });
        tokio::time::timeout(ROUND_MAX, self.feed.drained())
            .await
            .with_context(|| format!("not finished after {ROUND_MAX:?}: {}", self.feed.left()))??;
        let took = begun.elapsed();
        let journaled = self.journaled_now().await?;
        let parked: i64 =
            sqlx::query_scalar("select count(*) from parked_message").fetch_one(&self.pool).await?;
        ensure!(parked == 0, "{parked} messages were parked");
        let new = journaled - self.journaled;
        ensure!(new == units as i64, "{new} messages were journaled, not {units}");
        ensure!(self.feed.take_sent() > 0, "nothing was sent on");
        self.journaled = journaled;
        Ok(took)
    }

    /// Counts only what is journaled from now on: the rest was there before.
    ///
    /// # Errors
    /// If PostgreSQL does not tell.
    pub(crate) async fn count_from_here(&mut self) -> anyhow::Result<()> {
        self.journaled = self.journaled_now().await?;
        Ok(())
    }

    async fn journaled_now(&self) -> anyhow::Result<i64> {
        let journaled = sqlx::query_scalar("select sum(seq)::bigint from lane");
        Ok(journaled.fetch_one(&self.counting).await?)
    }

    /// Ends the stage, and gives its database back.
    ///
    /// # Errors
    /// If it broke.
    pub(crate) async fn stop(self) -> anyhow::Result<PgPool> {
        self.stop.cancel();
        self.running.await?;
        self.counting.close().await;
        Ok(self.pool)
    }
}
