//! Connections: what every one of them promises, whoever asks.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

use crate::error::{QueryError, failed};

/// How long a caller waits for a free connection before the database counts as unreachable.
pub const ACQUIRE_TIMEOUT_SECS: u64 = 5;

/// How long a connection may stay unused.
pub const IDLE_TIMEOUT_SECS: u64 = 5 * 60;

/// How long a connection may live, so that a rotated password or a moved endpoint is taken up (T20).
pub const LIFETIME_SECS_MAX: u64 = 30 * 60;

/// How long one statement may take.
pub const STATEMENT_TIMEOUT_MILLIS: u64 = 10_000;

/// How long one may wait for a rival's uncommitted row.
pub const LOCK_TIMEOUT_MILLIS: u64 = 2_000;

/// How long a transaction may stand still before its locks are taken from it.
pub const IDLE_IN_TRANSACTION_TIMEOUT_MILLIS: u64 = 10_000;

/// Why no pool can be made.
#[derive(Debug, thiserror::Error)]
#[error("reading the database url")]
pub struct ConnectError(#[from] sqlx::Error);

/// A pool of up to `max_connections` to the database at `url`, made without asking it: a service
/// starts also while its database is down, and [`ping`] tells.
///
/// The pool expects to be made within a Tokio runtime.
///
/// # Errors
/// If `url` is not the address of a PostgreSQL database.
pub fn connect(
    url: &str,
    application_name: &str,
    max_connections: u32,
) -> Result<PgPool, ConnectError> {
    let options = options(url, application_name)?;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECS))
        .idle_timeout(Duration::from_secs(IDLE_TIMEOUT_SECS))
        .max_lifetime(Duration::from_secs(LIFETIME_SECS_MAX))
        // A round trip a batch for what the batch finds out anyway.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

fn options(url: &str, application_name: &str) -> Result<PgConnectOptions, ConnectError> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name(application_name).options(settings()))
}

/// The planner is told what C13 says: everything is found by key. Else a plan that was made while
/// a table was empty reads it from end to end, for as long as it takes the statistics to catch up
/// with the first million rows. What reads everything on purpose says so (`snapshot`).
fn settings() -> Vec<(&'static str, String)> {
    let off = || "off".to_owned();
    vec![
        ("statement_timeout", STATEMENT_TIMEOUT_MILLIS.to_string()),
        ("lock_timeout", LOCK_TIMEOUT_MILLIS.to_string()),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT_MILLIS.to_string()),
        ("enable_seqscan", off()),
        ("enable_hashjoin", off()),
        ("enable_mergejoin", off()),
        ("jit", off()),
    ]
}

/// Begins a transaction. It goes on beginning if its caller gives up, and is rolled back then: a
/// `begin` that is dropped between its question and its answer would leave a connection in the pool
/// that is within a transaction and does not know it (seen in sqlx 0.9.0).
pub(crate) async fn begin(
    pool: &PgPool,
    statement: Option<&'static str>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let beginning = tokio::spawn(async move {
        match statement {
            None => pool.begin().await,
            Some(statement) => pool.begin_with(statement).await,
        }
    });
    beginning.await.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed))
}

/// Whether the database answers.
///
/// # Errors
/// [`QueryError::Database`] if it does not.
pub async fn ping(pool: &PgPool) -> Result<(), QueryError> {
    sqlx::query("select 1")
        .execute(pool)
        .await
        .map(|_| ())
        .map_err(failed("asking whether the database answers"))
}
