//! The stages by themselves, each beside the raw SQL of its rows.

mod account;
mod clearing;
mod position;
mod scale;

pub(crate) use account::account;
pub(crate) use clearing::clearing;
pub(crate) use position::position;
pub(crate) use scale::scale;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use cap_domain::clearing::Clearing;
use cap_pipeline::prepare::Complete;
use cap_pipeline::{Limits, system_time};
use sqlx::PgPool;

use crate::arena::Arena;
use crate::ledger::{Ledger, QueueMessage, forwarded};
use crate::raw::{RawBatch, RawState, write_all};
use crate::report::Figure;
use crate::stage::FedStage;
use crate::traffic::{Mix, Spread, Traders};
use crate::{Plan, Told};

/// Accounts that trade.
const ACCOUNTS: usize = 10_000;

/// The unit of all rates here.
const PER_SECOND: &str = "messages/s";

/// A stage behind clearing, the raw SQL of its rows, and messages for both.
struct Pair<S: RawState + cap_store::StateTables> {
    traders: Traders,
    clearing: Ledger<Clearing>,
    /// What the stage will decide, decided beforehand for the raw baseline.
    beforehand: Ledger<S>,
    fed: FedStage,
    raw: PgPool,
    names: [String; 2],
    committers: usize,
}

/// The rates of one round.
struct Rates {
    cap: f64,
    raw: f64,
}

impl<S: RawState + cap_store::StateTables> Pair<S> {
    /// Opens the accounts, in both databases.
    async fn open(arena: &Arena, stage: Arc<S>, mix: Mix, spread: Spread) -> anyhow::Result<Self> {
        let names = ["cap", "raw"]
            .map(|which| format!("{which}_{}_{mix:?}_{spread:?}", S::NAME).to_lowercase());
        let traders = Traders::new(mix, spread, 0, ACCOUNTS, "b");
        let mut clearing = Ledger::new(Arc::new(arena.clearing()?));
        let mut beforehand = Ledger::new(Arc::clone(&stage));
        let limits = Limits::default();
        let cap = arena.database::<S>(&names[0]).await?;
        let raw = arena.database::<S>(&names[1]).await?;
        let product = mix.product();
        let mut fed =
            FedStage::start(Arc::clone(&stage), Arc::new(Complete), cap, product, limits)?;
        let opening = through_clearing(&mut clearing, traders.opening(system_time()))?;
        beforehand.decide(&opening, system_time())?;
        fed.take(opening.clone()).await?;
        let mut fed_raw = FedStage::start(stage, Arc::new(Complete), raw.clone(), product, limits)?;
        fed_raw.take(opening).await?;
        fed_raw.stop().await?;
        Ok(Self { traders, clearing, beforehand, fed, raw, names, committers: limits.committers })
    }

    async fn round(&mut self, arena: &Arena, messages: usize) -> anyhow::Result<Rates> {
        let events = self.traders.events(messages, system_time());
        let queued = through_clearing(&mut self.clearing, events)?;
        let lines = raw_lines(&mut self.beforehand, &queued, self.committers)?;
        let rows: usize = lines.iter().flatten().map(RawBatch::rows).sum();
        anyhow::ensure!(rows == messages, "{rows} rows of {messages} messages");
        arena.settle().await?;
        let raw = write_all(&self.raw, lines).await?;
        arena.settle().await?;
        let cap = self.fed.take(queued).await?;
        let rate = |took: std::time::Duration| messages as f64 / took.as_secs_f64();
        Ok(Rates { cap: rate(cap), raw: rate(raw) })
    }

    async fn close(self, arena: &Arena) -> anyhow::Result<()> {
        let [cap, raw] = &self.names;
        arena.drop_database(self.fed.stop().await?, cap).await?;
        arena.drop_database(self.raw, raw).await
    }
}

/// What clearing makes of envelopes, in memory.
fn through_clearing(
    clearing: &mut Ledger<Clearing>,
    envelopes: Vec<crate::traffic::Envelope>,
) -> anyhow::Result<Vec<QueueMessage>> {
    let messages: Vec<QueueMessage> = envelopes.iter().map(QueueMessage::of_envelope).collect();
    Ok(forwarded(clearing.decide(&messages, system_time())?))
}

/// What the raw baseline writes, as many lines as the stage has committers. Each has accounts of its
/// own, so that none waits for a row that another holds, as SQS keeps CAP's batches apart (Q18).
fn raw_lines<S: RawState>(
    beforehand: &mut Ledger<S>,
    queued: &[QueueMessage],
    committers: usize,
) -> anyhow::Result<Vec<Vec<RawBatch<S>>>> {
    let mut lines: Vec<Vec<QueueMessage>> = vec![Vec::new(); committers];
    for message in queued {
        let mut hasher = DefaultHasher::new();
        message.account.hash(&mut hasher);
        lines[hasher.finish() as usize % committers].push(message.clone());
    }
    let batches = |line: Vec<QueueMessage>| -> anyhow::Result<Vec<RawBatch<S>>> {
        let decided = beforehand.decide(&line, system_time())?;
        Ok(decided.into_iter().map(|batch| RawBatch::of(batch.changes)).collect())
    };
    lines.into_iter().map(batches).collect()
}

/// The rounds of a pair, the warm-up left out.
async fn rounds<S: RawState + cap_store::StateTables>(
    pair: &mut Pair<S>,
    arena: &Arena,
    plan: &Plan,
    messages: usize,
    what: &str,
    told: &Told<'_>,
    mut beside: impl AsyncFnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<(Figure, Figure)> {
    let (mut cap, mut raw) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        told(&format!("{what}, {}", plan.name_of(round)));
        let rates = pair.round(arena, messages).await?;
        beside(round).await?;
        if round > 0 {
            cap.push(rates.cap);
            raw.push(rates.raw);
        }
    }
    Ok((
        Figure::new(what, PER_SECOND, cap),
        Figure::new(format!("raw SQL of {what}"), PER_SECOND, raw),
    ))
}
