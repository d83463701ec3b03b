//! Listing and showing parked messages.

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::ParkedMessage;
use cap_domain::time::Timestamp;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use crate::error::{QueryError, failed};
use crate::values::{bigint, counter, timestamp};

/// A parked message, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// As it was parked.
    pub message: ParkedMessage,
    /// What became of it; none: it waits.
    pub resolution: Option<Resolution>,
}

/// What became of a parked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Whether it was skipped rather than redriven.
    pub skipped: bool,
    /// When.
    pub at: Timestamp,
    /// By whom, if it was a person's decision.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

macro_rules! parked_columns {
    () => {
        "parked_seq, request_id, source_id, raw, sent_at, parked_at, error, resolution, \
         resolved_at, resolved_by, resolution_reason, taken_by"
    };
}

#[derive(FromRow)]
struct ParkedRecord {
    parked_seq: i64,
    request_id: String,
    source_id: String,
    raw: String,
    sent_at: OffsetDateTime,
    parked_at: OffsetDateTime,
    error: String,
    resolution: Option<String>,
    resolved_at: Option<OffsetDateTime>,
    resolved_by: Option<String>,
    resolution_reason: Option<String>,
    taken_by: Option<String>,
}

impl ParkedRecord {
    fn read(self) -> Result<Parked, String> {
        let resolution = match (self.resolution, self.resolved_at) {
            (Some(resolution), Some(at)) => Some(Resolution {
                skipped: resolution == "skipped",
                at: timestamp(at),
                by: self.resolved_by,
                reason: self.resolution_reason,
            }),
            _ => None,
        };
        let message = ParkedMessage {
            parked_seq: counter("parked_seq", self.parked_seq)?,
            request_id: RequestId::new(&self.request_id).map_err(|error| error.to_string())?,
            source_id: self.source_id.into(),
            body: self.raw,
            sent_at: timestamp(self.sent_at),
            parked_at: timestamp(self.parked_at),
            error: self.error,
            taken_by: self.taken_by,
        };
        Ok(Parked { message, resolution })
    }
}

/// Up to `limit` parked messages of `account` after the number `after`, in order.
///
/// # Errors
/// See [`QueryError`].
pub async fn list_parked(
    pool: &PgPool,
    account: &AccountKey,
    after: u64,
    limit: u32,
) -> Result<Vec<Parked>, QueryError> {
    let parked = concat!(
        "select ",
        parked_columns!(),
        " from parked_message where account_id = $1 and parked_seq > $2
        order by parked_seq limit $3"
    );
    let parked: Vec<ParkedRecord> = sqlx::query_as(parked)
        .bind(account.as_str())
        .bind(bigint(after))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .map_err(failed("listing parked messages"))?;
    let read = |record: ParkedRecord| {
        record.read().map_err(|reason| QueryError::unreadable(account, reason))
    };
    parked.into_iter().map(read).collect()
}

/// The parked message of that number, if there is one.
///
/// # Errors
/// See [`QueryError`].
pub async fn show_parked(
    pool: &PgPool,
    account: &AccountKey,
    parked_seq: u64,
) -> Result<Option<Parked>, QueryError> {
    let parked = concat!(
        "select ",
        parked_columns!(),
        " from parked_message where account_id = $1 and parked_seq = $2"
    );
    let parked: Option<ParkedRecord> = sqlx::query_as(parked)
        .bind(account.as_str())
        .bind(bigint(parked_seq))
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a parked message"))?;
    parked
        .map(ParkedRecord::read)
        .transpose()
        .map_err(|reason| QueryError::unreadable(account, reason))
}
