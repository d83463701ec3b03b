//! The account stage with ten million accounts and twenty million journal rows behind those that trade.
//!
//! Ten thousand accounts trade in every database, spread evenly over all keys: between any two of them lie as
//! many others. What grows are the tables and indexes that they share, so ratios tell what growing costs. The
//! others are copies of them under longer names, made in SQL: their hashes are nobody's, and no bench reads
//! them.
//!
//! Behind it the raw SQL of the same rows, over the same tables and accounts: what growing costs PostgreSQL alone.

use std::sync::Arc;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_pipeline::prepare::Complete;
use cap_pipeline::{Limits, system_time};
use sqlx::PgPool;

use super::{ACCOUNTS, PER_SECOND, raw_lines, through_clearing};
use crate::arena::Arena;
use crate::ledger::Ledger;
use crate::raw::write_all;
use crate::report::{Bound, Figure, Section};
use crate::stage::FedStage;
use crate::traffic::{Mix, Spread, Traders};
use crate::{Plan, Told};

/// What is left of the rate of the small database.
const LEFT_MIN: f64 = 0.85;

/// Messages of a round. Each round begins with a checkpoint, behind which the first change of every page logs
/// the whole page: the round is long enough for that to be a small part of it. At this rate the server itself
/// makes a checkpoint every two million messages or so.
const MESSAGES: usize = 300_000;

/// Others for each account that trades: 1 million accounts in all, and 10 million.
const OTHERS: [(&str, &str, usize); 3] =
    [("small", "10 thousand", 0), ("large", "1 million", 99), ("huge", "10 million", 999)];

/// Copies that one statement makes of each account, so that no transaction is too long.
const COPIES: usize = 37;

pub(crate) async fn scale(arena: &Arena, plan: &Plan, told: &Told<'_>) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "scale",
        "the account stage with many accounts behind those that trade, reserve and release",
    );
    let mut sides = Vec::new();
    for (database, accounts, others) in OTHERS {
        let others = plan.scaled(others + 1) - 1;
        sides.push(Side::open(arena, database, accounts, others, told).await?);
    }
    let messages = plan.scaled(MESSAGES);
    for round in 0..=plan.rounds {
        for side in &mut sides {
            told(&format!("{} accounts, {}", side.accounts, plan.name_of(round)));
            side.round(arena, messages, round > 0).await?;
        }
    }
    let mut stopped = Vec::new();
    for side in sides {
        stopped.push(side.stop().await?);
    }
    for round in 0..=plan.rounds {
        for side in &mut stopped {
            told(&format!("raw SQL, {} accounts, {}", side.accounts, plan.name_of(round)));
            side.round(arena, messages, round > 0).await?;
        }
    }
    let (mut figures, mut logs) = (Vec::new(), Vec::new());
    for side in stopped {
        section.note(format!(
            "{} accounts: {} lanes, {} journal rows, {:.1} GB",
            side.accounts, side.size.0, side.size.1, side.size.2
        ));
        let [figure, raw, logged] = side.close(arena).await?;
        figures.push((figure, raw));
        logs.push(logged);
    }
    let (small, small_raw) = figures.remove(0);
    section.tell(small.clone());
    section.tell(small_raw.clone());
    for (figure, raw) in figures {
        let left = figure.over(&small, format!("{} over 10 thousand", figure.name));
        let left_raw = raw.over(&small_raw, format!("{} over 10 thousand", raw.name));
        section.tell(figure);
        section.check(left, Bound::AtLeast(LEFT_MIN));
        section.tell(raw);
        section.tell(left_raw);
    }
    logs.into_iter().for_each(|figure| section.tell(figure));
    Ok(section)
}

struct Side {
    database: String,
    accounts: &'static str,
    traders: Traders,
    clearing: Ledger<Clearing>,
    /// What the stage decides, decided beside it: the raw SQL goes on from there.
    beforehand: Ledger<Accounts>,
    fed: FedStage,
    /// Lanes, journal rows, and gigabytes.
    size: (i64, i64, f64),
    rates: Vec<f64>,
    /// Bytes of write-ahead log that a message took, one figure a round.
    logged: Vec<f64>,
}

impl Side {
    async fn open(
        arena: &Arena,
        database: &str,
        accounts: &'static str,
        others: usize,
        told: &Told<'_>,
    ) -> anyhow::Result<Self> {
        told(&format!("{accounts} accounts: opening those that trade"));
        let database = format!("scale_{database}");
        let pool = arena.database::<Accounts>(&database).await?;
        let traders = Traders::new(Mix::ReserveRelease, Spread::Uniform, 0, ACCOUNTS, "s");
        let mut clearing = Ledger::new(Arc::new(arena.clearing()?));
        let opening = through_clearing(&mut clearing, traders.opening(system_time()))?;
        let stage = Arc::new(Accounts::default());
        let product = Mix::ReserveRelease.product();
        let mut beforehand = Ledger::new(Arc::clone(&stage));
        beforehand.decide(&opening, system_time())?;
        let start = || {
            FedStage::start(
                Arc::clone(&stage),
                Arc::new(Complete),
                pool.clone(),
                product,
                Limits::default(),
            )
        };
        let mut opened = start()?;
        opened.take(opening).await?;
        opened.stop().await?;
        let making = Arena::unhurried(&pool);
        sqlx::raw_sql(COPIED).execute(&making).await?;
        let mut first = 1;
        while first <= others {
            let last = others.min(first + COPIES - 1);
            told(&format!("{accounts} accounts: making others, {first} of {others} for each"));
            copy(&making, first, last).await?;
            first = last + 1;
        }
        sqlx::raw_sql("vacuum analyze").execute(&making).await?;
        let size = sqlx::query_as(
            "select (select count(*) from lane), (select count(*) from journal),
                pg_database_size(current_database())::float8 / 1e9",
        );
        let size = size.fetch_one(&making).await?;
        making.close().await;
        let mut fed = start()?;
        fed.count_from_here().await?;
        Ok(Self {
            database,
            accounts,
            traders,
            clearing,
            beforehand,
            fed,
            size,
            rates: Vec::new(),
            logged: Vec::new(),
        })
    }

    async fn round(&mut self, arena: &Arena, messages: usize, counts: bool) -> anyhow::Result<()> {
        let events = self.traders.events(messages, system_time());
        let queued = through_clearing(&mut self.clearing, events)?;
        self.beforehand.decide(&queued, system_time())?;
        arena.settle().await?;
        let logged_before = arena.logged_bytes().await?;
        let took = self.fed.take(queued).await?;
        if counts {
            self.rates.push(messages as f64 / took.as_secs_f64());
            let logged = arena.logged_bytes().await? - logged_before;
            self.logged.push(logged / messages as f64);
        }
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<Stopped> {
        let Self { database, accounts, traders, clearing, beforehand, fed, size, .. } = self;
        let pool = fed.stop().await?;
        let name = format!("{accounts} accounts");
        let logged = format!("{name}: write-ahead log");
        let figures = [
            Figure::new(name, PER_SECOND, self.rates),
            Figure::new(logged, "bytes/message", self.logged),
        ];
        Ok(Stopped {
            database,
            accounts,
            traders,
            clearing,
            beforehand,
            pool,
            size,
            figures,
            rates: Vec::new(),
        })
    }
}

/// A database whose stage was stopped: the raw SQL has it for itself.
struct Stopped {
    database: String,
    accounts: &'static str,
    traders: Traders,
    clearing: Ledger<Clearing>,
    beforehand: Ledger<Accounts>,
    pool: PgPool,
    /// Lanes, journal rows, and gigabytes, before the rounds.
    size: (i64, i64, f64),
    /// The stage's rates and its log.
    figures: [Figure; 2],
    rates: Vec<f64>,
}

impl Stopped {
    async fn round(&mut self, arena: &Arena, messages: usize, counts: bool) -> anyhow::Result<()> {
        let events = self.traders.events(messages, system_time());
        let queued = through_clearing(&mut self.clearing, events)?;
        let lines = raw_lines(&mut self.beforehand, &queued, Limits::default().committers)?;
        arena.settle().await?;
        let took = write_all(&self.pool, lines).await?;
        if counts {
            self.rates.push(messages as f64 / took.as_secs_f64());
        }
        Ok(())
    }

    /// The stage's rates, those of the raw SQL, and the stage's log.
    async fn close(self, arena: &Arena) -> anyhow::Result<[Figure; 3]> {
        arena.drop_database(self.pool, &self.database).await?;
        let [figure, logged] = self.figures;
        let raw =
            Figure::new(format!("raw SQL, {} accounts", self.accounts), PER_SECOND, self.rates);
        Ok([figure, raw, logged])
    }
}

/// What is copied: the accounts that trade, before there are others.
const COPIED: &str = "
    create table copied_journal as select * from journal where seq <= 2;
    create table copied_lane as select * from lane;
    create table copied_account as select * from account;
    create table copied_balance as select * from balance;";

/// Copies the accounts that trade, with what they have, so many times each. The copies of an account come
/// between it and the next one that trades.
async fn copy(pool: &PgPool, first: usize, last: usize) -> sqlx::Result<()> {
    let copies = format!(
        "insert into journal (
            account_id, seq, request_id, fingerprint, source_id, upstream_seq, kind,
            sent_at, decided_at, rules_version, configuration, input, result, hash
         )
         select account_id || '-' || copy, seq, request_id, fingerprint, source_id, upstream_seq, kind,
            sent_at, decided_at, rules_version, configuration, input, result, hash
         from copied_journal, generate_series({first}, {last}) as copy;

         insert into lane (
            account_id, seq, head, upstream_seq, status, parked_seq, redriven_seq, redrive_seq
         )
         select account_id || '-' || copy, 2, head, upstream_seq, status, parked_seq, redriven_seq, redrive_seq
         from copied_lane, generate_series({first}, {last}) as copy;

         insert into account (account_id, status, liquidating, withdrawals)
         select account_id || '-' || copy, status, liquidating, withdrawals
         from copied_account, generate_series({first}, {last}) as copy;

         insert into balance (
            account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed
         )
         select account_id || '-' || copy, currency, decimals, available, frozen, margin, withdrawing, borrowed
         from copied_balance, generate_series({first}, {last}) as copy;"
    );
    // Numbers of this bench alone.
    sqlx::raw_sql(sqlx::AssertSqlSafe(copies)).execute(pool).await.map(|_| ())
}
