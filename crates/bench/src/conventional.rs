//! A conventional ledger, as a user would otherwise write or pick one: one database transaction a
//! message, the account's rows locked with `for update`, an entry a leg, idempotency by a unique key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use sqlx::PgPool;

/// Its connections: enough that commits share their flushes to disk.
pub(crate) const CONNECTIONS: usize = 16;

/// Its tables.
const SCHEMA: &str = "
    create table account (
        id bigint generated always as identity primary key,
        name text not null,
        currency text not null,
        available numeric not null check (available >= 0),
        frozen numeric not null check (frozen >= 0),
        unique (name, currency)
    );
    create table transfer (
        id bigint generated always as identity primary key,
        request_id text not null unique,
        kind text not null,
        created_at timestamptz not null default now()
    );
    create table entry (
        id bigint generated always as identity primary key,
        transfer_id bigint not null references transfer (id),
        account_id bigint references account (id),
        subject text not null,
        currency text not null,
        amount numeric not null
    );
    create index entry_of_account on entry (account_id, id);
    create index entry_of_transfer on entry (transfer_id);
";

/// One movement of a message.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The currency.
    pub(crate) currency: &'static str,
    /// What it does to available.
    pub(crate) available: Decimal,
    /// What it does to frozen.
    pub(crate) frozen: Decimal,
    /// Where it comes from or goes to.
    pub(crate) subject: &'static str,
}

/// A message as this ledger knows it.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    /// The account.
    pub(crate) account: String,
    /// The idempotency key.
    pub(crate) request_id: String,
    /// The event's type.
    pub(crate) kind: &'static str,
    /// What moves.
    pub(crate) entries: Vec<Entry>,
}

/// Makes the tables, and the accounts with plenty of money in both currencies.
///
/// # Errors
/// What PostgreSQL said.
pub(crate) async fn open(pool: &PgPool, accounts: &[String]) -> sqlx::Result<()> {
    sqlx::raw_sql(SCHEMA).execute(pool).await?;
    for currency in ["BTC", "USDT"] {
        sqlx::query(
            "insert into account (name, currency, available, frozen)
             select name, $2, 100000000, 100000000 from unnest($1::text[]) as name",
        )
        .bind(accounts)
        .bind(currency)
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Posts `transfers`, [`CONNECTIONS`] at a time. How long it took.
///
/// # Errors
/// What PostgreSQL said.
pub(crate) async fn post_all(pool: &PgPool, transfers: Vec<Transfer>) -> anyhow::Result<Duration> {
    let (transfers, next) = (Arc::new(transfers), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let mut posters = tokio::task::JoinSet::<sqlx::Result<()>>::new();
    for _ in 0..CONNECTIONS {
        let (transfers, next, pool) = (Arc::clone(&transfers), Arc::clone(&next), pool.clone());
        posters.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(transfer) = transfers.get(index) else { return Ok(()) };
                post(&pool, transfer).await?;
            }
        });
    }
    while let Some(posted) = posters.join_next().await {
        posted??;
    }
    Ok(begun.elapsed())
}

async fn post(pool: &PgPool, transfer: &Transfer) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let locked: Vec<(i64, String, Decimal, Decimal)> = sqlx::query_as(
        "select id, currency, available, frozen from account where name = $1 order by currency for update",
    )
    .bind(&transfer.account)
    .fetch_all(&mut *transaction)
    .await?;
    let id: i64 =
        sqlx::query_scalar("insert into transfer (request_id, kind) values ($1, $2) returning id")
            .bind(&transfer.request_id)
            .bind(transfer.kind)
            .fetch_one(&mut *transaction)
            .await?;
    for (account, currency, available, frozen) in locked {
        let of: Vec<&Entry> =
            transfer.entries.iter().filter(|entry| entry.currency == currency).collect();
        if of.is_empty() {
            continue;
        }
        for entry in &of {
            sqlx::query(
                "insert into entry (transfer_id, account_id, subject, currency, amount) values ($1, $2, $3, $4, $5)",
            )
            .bind(id)
            .bind(account)
            .bind(entry.subject)
            .bind(entry.currency)
            .bind(entry.available)
            .execute(&mut *transaction)
            .await?;
        }
        let available = of.iter().fold(available, |sum, entry| sum + entry.available);
        let frozen = of.iter().fold(frozen, |sum, entry| sum + entry.frozen);
        sqlx::query("update account set available = $2, frozen = $3 where id = $1")
            .bind(account)
            .bind(available)
            .bind(frozen)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// `order.reserved`, or its release: one movement, an entry on either side.
pub(crate) fn reserve(account: String, request_id: String) -> Transfer {
    let amount = Decimal::new(1255, 1);
    Transfer {
        account,
        request_id,
        kind: "order.reserved",
        entries: vec![
            Entry {
                currency: "USDT",
                available: -amount,
                frozen: Decimal::ZERO,
                subject: "available",
            },
            Entry { currency: "USDT", available: Decimal::ZERO, frozen: amount, subject: "frozen" },
        ],
    }
}

/// A spot fill: one currency paid, the other received, and the fee.
pub(crate) fn spot_fill(account: String, request_id: String, buys: bool) -> Transfer {
    let sign = if buys { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
    let entry = |currency, available, subject| Entry {
        currency,
        available,
        frozen: Decimal::ZERO,
        subject,
    };
    Transfer {
        account,
        request_id,
        kind: "trade.filled",
        entries: vec![
            entry("USDT", -sign * Decimal::new(1205, 1), "house:trading"),
            entry("BTC", sign * Decimal::new(2, 3), "house:trading"),
            entry("USDT", -Decimal::new(6, 2), "house:fees"),
        ],
    }
}
