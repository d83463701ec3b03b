//! The audit log (T25): who did what, when, why, and what came of it. Appended, never changed; the
//! database refuses the rest.
//!
//! What changes a lane is written in the transaction that changes it; what an operator does outside
//! of any stage's database is in clearing's.

use cap_domain::ids::AccountKey;
use cap_domain::time::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::error::{QueryError, failed};
use crate::values::{timestamp, timestamptz_of};

/// The most entries of one answer.
pub const ENTRIES_MAX: u32 = 10_000;

/// One act of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// What was asked for, as it was written.
    pub command: String,
    /// Of which account, if of one.
    pub account: Option<AccountKey>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// What came of it.
    pub result: String,
}

#[derive(FromRow)]
struct EntryRecord {
    at: OffsetDateTime,
    operator: String,
    command: String,
    account_id: Option<String>,
    reason: Option<String>,
    result: String,
}

impl EntryRecord {
    fn read(self) -> Result<Entry, QueryError> {
        let account = self.account_id.map(|account| {
            account.parse().map_err(|error| QueryError::unreadable(&account, error))
        });
        Ok(Entry {
            at: timestamp(self.at),
            operator: self.operator,
            command: self.command,
            account: account.transpose()?,
            reason: self.reason,
            result: self.result,
        })
    }
}

/// Appends `entry`.
///
/// # Errors
/// See [`QueryError`].
pub async fn append(pool: &PgPool, entry: &Entry) -> Result<(), QueryError> {
    let mut connection = pool.acquire().await.map_err(failed("connecting to the database"))?;
    append_on(&mut connection, entry).await
}

/// Appends `entry` in the transaction of `connection`.
pub(crate) async fn append_on(
    connection: &mut PgConnection,
    entry: &Entry,
) -> Result<(), QueryError> {
    let append = "insert into audit (at, operator, command, account_id, reason, result)
        values ($1, $2, $3, $4, $5, $6)";
    sqlx::query(append)
        .bind(timestamptz_of(entry.at)?)
        .bind(&entry.operator)
        .bind(&entry.command)
        .bind(entry.account.as_ref().map(AccountKey::as_str))
        .bind(entry.reason.as_deref())
        .bind(&entry.result)
        .execute(connection)
        .await
        .map_err(failed("writing to the audit log"))?;
    Ok(())
}

/// The latest `limit` entries, of `account` or of all, the latest first.
///
/// # Errors
/// See [`QueryError`].
pub async fn latest(
    pool: &PgPool,
    account: Option<&AccountKey>,
    limit: u32,
) -> Result<Vec<Entry>, QueryError> {
    let entries = "select at, operator, command, account_id, reason, result from audit
        where $1::text is null or account_id = $1 order by id desc limit $2";
    let entries: Vec<EntryRecord> = sqlx::query_as(entries)
        .bind(account.map(AccountKey::as_str))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .map_err(failed("reading the audit log"))?;
    entries.into_iter().map(EntryRecord::read).collect()
}
