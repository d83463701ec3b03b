//! What a change of parameters asks of positions, and of the messages that may open some (C6).
//!
//! All of it is for a change that is made by hand, and never on the hot path: it may read tables
//! from end to end.

use std::collections::HashMap;

use cap_domain::ids::{AccountKey, Product, Symbol};
use cap_domain::time::Timestamp;
use sqlx::PgPool;

use crate::error::{QueryError, failed};
use crate::snapshot::{allow_scans, snapshot};
use crate::values::{bigint, counter, timestamptz_of};

/// The most accounts of one page.
pub const ACCOUNTS_PAGE_MAX: u32 = 1_000;

/// How many of a lane's latest rows are looked at for what it decided lately.
const LATEST_ROWS_MAX: i64 = 10_000;

/// How many positions are open in a product, or in one of its symbols, over all companies.
///
/// # Errors
/// See [`QueryError`].
pub async fn open_positions(
    pool: &PgPool,
    product: &Product,
    symbol: Option<&Symbol>,
) -> Result<u64, QueryError> {
    let mut snapshot = snapshot(pool).await?;
    allow_scans(&mut snapshot).await?;
    let count = "select count(*) from position
        where quantity <> 0 and split_part(account_id, '_', 2) = $1
            and ($2::text is null or split_part(symbol, ':', 1) = $2)";
    let count: i64 = sqlx::query_scalar(count)
        .bind(product.as_str())
        .bind(symbol.map(Symbol::as_str))
        .fetch_one(&mut *snapshot)
        .await
        .map_err(failed("counting open positions"))?;
    Ok(count.unsigned_abs())
}

/// Up to [`ACCOUNTS_PAGE_MAX`] accounts after `after` that have such a position, in the order of
/// their keys.
///
/// # Errors
/// See [`QueryError`].
pub async fn accounts_with_open_positions(
    pool: &PgPool,
    product: &Product,
    symbol: Option<&Symbol>,
    after: Option<&AccountKey>,
) -> Result<Vec<AccountKey>, QueryError> {
    let mut snapshot = snapshot(pool).await?;
    let accounts = "select distinct account_id from position
        where account_id > $1 and quantity <> 0 and split_part(account_id, '_', 2) = $2
            and ($3::text is null or split_part(symbol, ':', 1) = $3)
        order by account_id limit $4";
    let accounts: Vec<String> = sqlx::query_scalar(accounts)
        .bind(after.map_or("", AccountKey::as_str))
        .bind(product.as_str())
        .bind(symbol.map(Symbol::as_str))
        .bind(i64::from(ACCOUNTS_PAGE_MAX))
        .fetch_all(&mut *snapshot)
        .await
        .map_err(failed("listing accounts with open positions"))?;
    accounts.iter().map(|account| key(account)).collect()
}

/// Where up to [`ACCOUNTS_PAGE_MAX`] lanes of a product stand after `after`: their last number, in
/// the order of their keys.
///
/// # Errors
/// See [`QueryError`].
pub async fn lane_numbers(
    pool: &PgPool,
    product: &Product,
    after: Option<&AccountKey>,
) -> Result<Vec<(AccountKey, u64)>, QueryError> {
    let mut snapshot = snapshot(pool).await?;
    let lanes = "select account_id, seq from lane
        where account_id > $1 and split_part(account_id, '_', 2) = $2
        order by account_id limit $3";
    let lanes: Vec<(String, i64)> = sqlx::query_as(lanes)
        .bind(after.map_or("", AccountKey::as_str))
        .bind(product.as_str())
        .bind(i64::from(ACCOUNTS_PAGE_MAX))
        .fetch_all(&mut *snapshot)
        .await
        .map_err(failed("reading where lanes stand"))?;
    lanes.into_iter().map(numbered).collect()
}

/// The last number of the stage before that each lane has taken; a lane that is not there has taken
/// none.
///
/// # Errors
/// See [`QueryError`].
pub async fn numbers_taken(
    pool: &PgPool,
    accounts: &[&str],
) -> Result<HashMap<AccountKey, u64>, QueryError> {
    let lanes = "select account_id, upstream_seq from lane where account_id = any($1)";
    let lanes: Vec<(String, i64)> = sqlx::query_as(lanes)
        .bind(accounts)
        .fetch_all(pool)
        .await
        .map_err(failed("reading what lanes have taken"))?;
    lanes.into_iter().map(numbered).collect()
}

/// Whether clearing decided a fill of `account` since `since` under a revision of the configuration
/// before `revision`. The latest ten thousand rows of the account are looked at.
///
/// # Errors
/// See [`QueryError`].
pub async fn filled_under_earlier(
    pool: &PgPool,
    account: &AccountKey,
    revision: u64,
    since: Timestamp,
) -> Result<bool, QueryError> {
    let filled = "select exists (
            select from (
                select kind, configuration, decided_at from journal
                where account_id = $1 order by seq desc limit $2
            ) as latest
            where kind = 'trade.filled' and configuration < $3 and decided_at >= $4
        )";
    sqlx::query_scalar(filled)
        .bind(account.as_str())
        .bind(LATEST_ROWS_MAX)
        .bind(bigint(revision))
        .bind(timestamptz_of(since)?)
        .fetch_one(pool)
        .await
        .map_err(failed("looking for fills decided by earlier rules"))
}

fn key(account: &str) -> Result<AccountKey, QueryError> {
    account.parse().map_err(|error| QueryError::unreadable(account, error))
}

fn numbered((account, number): (String, i64)) -> Result<(AccountKey, u64), QueryError> {
    let number = counter("number", number);
    let number = number.map_err(|reason| QueryError::unreadable(&account, reason))?;
    Ok((key(&account)?, number))
}
