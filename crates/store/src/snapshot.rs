//! One unmoving view of a database, for what reads all of it.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::error::{QueryError, failed};
use crate::pool;

/// How long one statement of a report may take: it may read a whole journal.
pub(crate) const REPORT_STATEMENT_TIMEOUT_MILLIS: u32 = 15 * 60 * 1_000;

/// A read-only transaction whose view is fixed here and now.
pub(crate) async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, QueryError> {
    let failed = failed("taking a snapshot of the database");
    let begin = "begin isolation level repeatable read read only";
    let mut transaction = pool::begin(pool, Some(begin)).await.map_err(&failed)?;
    take_time(&mut transaction).await.map_err(&failed)?;
    Ok(transaction)
}

/// Lifts the bounds on time that keep the hot path short. It is also the transaction's first
/// query, which is what fixes its view.
async fn take_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let settings = "select set_config('statement_timeout', $1, true),
        set_config('idle_in_transaction_session_timeout', '0', true)";
    let timeout = REPORT_STATEMENT_TIMEOUT_MILLIS.to_string();
    sqlx::query(settings).bind(timeout).execute(connection).await.map(|_| ())
}

/// Lets the rest of the transaction read tables from end to end, which a sum over a table should
/// and a page of it should not.
pub(crate) async fn allow_scans(connection: &mut PgConnection) -> Result<(), QueryError> {
    let settings = "select set_config('enable_seqscan', 'on', true),
        set_config('enable_hashjoin', 'on', true)";
    let set = sqlx::query(settings).execute(connection).await;
    set.map(|_| ()).map_err(failed("allowing a report to read everything"))
}
