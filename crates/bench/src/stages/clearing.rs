//! The clearing stage with its journal, with and without claims on request ids in DynamoDB.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use cap_aws::DynamoClaims;
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_domain::routing::{Channel, QueueName, Routes, Scope};
use cap_pipeline::claims::{Claim, Claimed, Claims as _};
use cap_pipeline::prepare::Complete;
use cap_pipeline::{Limits, system_time};
use cap_stack::Stack;
use cap_stage::{Connections, Wired};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::runtime::{Builder, Runtime};

use super::{ACCOUNTS, PER_SECOND};
use crate::arena::Arena;
use crate::ledger::QueueMessage;
use crate::machine::cpu_secs_of_threads;
use crate::report::{Bound, Figure, Section};
use crate::stage::FedStage;
use crate::traffic::{COMPANY, Mix, Spread, Traders};
use crate::{Plan, Told};

/// What is left of the rate with claims.
const WITH_CLAIMS_MIN: f64 = 0.75;

/// Messages of a round.
const MESSAGES: usize = 80_000;

/// The installation whose table of claims is used.
const PREFIX: &str = "bench-claims";

pub(crate) async fn clearing(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section =
        Section::new("clearing", "the clearing stage alone, spot fills on 10,000 accounts");
    told("spot fill through clearing: DynamoDB");
    let aws = Aws::start(arena).await?;
    let stack = &aws.stack;
    stack.install(PREFIX, &arena.configuration).await?;
    let mut with = Side::open(arena, stack, "with_claims", true).await?;
    let mut without = Side::open(arena, stack, "without_claims", false).await?;
    let alone = DynamoClaims::new(stack.connect().await.dynamodb, PREFIX);
    let (mut alone_rates, mut in_dynamodb) = (Vec::new(), Vec::new());
    let messages = plan.scaled(MESSAGES);
    for round in 0..=plan.rounds {
        told(&format!("spot fill through clearing, {}", plan.name_of(round)));
        without.round(arena, messages, round > 0).await?;
        let before = Aws::cpu_secs();
        with.round(arena, messages, round > 0).await?;
        let micros = (Aws::cpu_secs() - before) * 1e6 / messages as f64;
        let rate = claim_alone(&alone, round, messages).await?;
        if round > 0 {
            alone_rates.push(rate);
            in_dynamodb.push(micros);
        }
    }
    let with = with.close(arena, "spot fill with claims").await?;
    let without = without.close(arena, "spot fill without claims").await?;
    let left = with.over(&without, "with claims over without");
    section.tell(with);
    section.tell(without);
    section.check(left, Bound::AtLeast(WITH_CLAIMS_MIN));
    section.tell(Figure::new("of a message with claims, in DynamoDB", "µs of a core", in_dynamodb));
    section.tell(Figure::new("claims by themselves, no clearing", "claims/s", alone_rates));
    Ok(section)
}

/// What stands in for AWS, on threads of its own, so that its processor time can be told apart.
struct Aws {
    stack: Stack,
    threads: Option<Runtime>,
}

impl Aws {
    /// What its threads are called.
    const THREADS: &str = "dynamodb";

    async fn start(arena: &Arena) -> anyhow::Result<Self> {
        let threads =
            Builder::new_multi_thread().thread_name(Self::THREADS).enable_all().build()?;
        let stack = threads.spawn(Stack::start_with(arena.postgres_url())).await??;
        Ok(Self { stack, threads: Some(threads) })
    }

    /// The processor time it has used so far.
    fn cpu_secs() -> f64 {
        cpu_secs_of_threads(Self::THREADS)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        // To be dropped here, where other tasks run, it must not wait for its own.
        self.threads.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Claims ids as clearing does, and does nothing else: how many a second the DynamoDB of this machine takes.
async fn claim_alone(claims: &DynamoClaims, round: usize, count: usize) -> anyhow::Result<f64> {
    let account: AccountKey = format!("{COMPANY}_spot_retail_alone").parse()?;
    let claim = |number: usize| -> anyhow::Result<Claim> {
        let request_id = format!("alone-{round}-{number}").parse()?;
        Ok(Claim { request_id, account: account.clone() })
    };
    let all = (0..count).map(claim).collect::<anyhow::Result<Vec<_>>>()?;
    let limits = Limits::default();
    let now = system_time();
    let begun = Instant::now();
    let batches = all.chunks(limits.batch_messages_max).map(|batch| claims.claim(batch, now));
    let answers = stream::iter(batches.collect::<Vec<_>>()).buffer_unordered(limits.committers);
    let answers: Vec<Vec<Claimed>> = answers.try_collect().await?;
    let granted = answers.iter().flatten().filter(|answer| **answer == Claimed::Granted).count();
    ensure!(granted == count, "{granted} of {count} claims were granted");
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

struct Side {
    traders: Traders,
    fed: FedStage,
    database: &'static str,
    rates: Vec<f64>,
}

impl Side {
    async fn open(
        arena: &Arena,
        stack: &Stack,
        database: &'static str,
        claims: bool,
    ) -> anyhow::Result<Self> {
        let pool = arena.database::<Clearing>(database).await?;
        let stage = Arc::new(arena.clearing()?);
        let prepare = if claims {
            let scope: Scope = format!("{COMPANY}_spot").parse()?;
            let names = Channel::ALL.map(|channel| QueueName::new(channel, scope.clone()));
            let connections = Connections {
                aws: stack.connect().await,
                database: pool.clone(),
                prefix: PREFIX.to_owned(),
            };
            Clearing::wire(&connections, &Arc::new(Routes::new(names))).await?.1
        } else {
            Arc::new(Complete)
        };
        let mut fed = FedStage::start(stage, prepare, pool, "spot", Limits::default())?;
        let traders = Traders::new(Mix::SpotFill, Spread::Uniform, 0, ACCOUNTS, database);
        fed.take(queued(traders.opening(system_time()))).await?;
        Ok(Self { traders, fed, database, rates: Vec::new() })
    }

    async fn round(&mut self, arena: &Arena, messages: usize, counts: bool) -> anyhow::Result<()> {
        let events = queued(self.traders.events(messages, system_time()));
        arena.settle().await?;
        let took = self.fed.take(events).await?;
        if counts {
            self.rates.push(messages as f64 / took.as_secs_f64());
        }
        Ok(())
    }

    async fn close(self, arena: &Arena, name: &str) -> anyhow::Result<Figure> {
        arena.drop_database(self.fed.stop().await?, self.database).await?;
        Ok(Figure::new(name, PER_SECOND, self.rates))
    }
}

fn queued(envelopes: Vec<crate::traffic::Envelope>) -> Vec<QueueMessage> {
    envelopes.iter().map(QueueMessage::of_envelope).collect()
}
