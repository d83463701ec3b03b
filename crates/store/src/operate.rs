//! What an operator changes of a lane: beginning a redrive, skipping a parked message.
//!
//! Behind the same fence as a batch (C7), and with its entry in the audit log in one transaction.

use cap_domain::ids::AccountKey;
use cap_domain::lane::Lane;
use cap_pipeline::lane_store::CommitError;
use sqlx::{PgConnection, PgPool};

use crate::audit::{self, Entry};
use crate::error::{QueryError, failed};
use crate::lanes::{advance_lanes, fence};
use crate::pool;
use crate::values::{bigint, timestamptz_of};

/// Why an act of an operator did not take place.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The lane has moved since it was looked at; nothing was written.
    #[error("the lane of {0} has moved meanwhile")]
    Moved(AccountKey),
    /// The database said no.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database refused the lane.
    #[error("writing the lane of {account}: {reason}")]
    Refused {
        /// Whose lane.
        account: AccountKey,
        /// Its words.
        reason: String,
    },
}

/// Moves the lane of `account` from `before` to `after`, if it is still as `before`.
///
/// # Errors
/// See [`OperateError`].
pub async fn move_lane(
    pool: &PgPool,
    account: &AccountKey,
    before: &Lane,
    after: &Lane,
    entry: &Entry,
) -> Result<(), OperateError> {
    let mut transaction =
        pool::begin(pool, None).await.map_err(failed("beginning a transaction"))?;
    advance(&mut transaction, account, before, after).await?;
    audit::append_on(&mut transaction, entry).await?;
    transaction.commit().await.map_err(failed("committing an operator's act"))?;
    Ok(())
}

/// Resolves the parked message that is next in the lane of `account` as skipped, for the reason of
/// `entry`, and moves the lane from `before` to `after`.
///
/// # Errors
/// See [`OperateError`].
pub async fn skip(
    pool: &PgPool,
    account: &AccountKey,
    before: &Lane,
    after: &Lane,
    entry: &Entry,
) -> Result<(), OperateError> {
    let mut transaction =
        pool::begin(pool, None).await.map_err(failed("beginning a transaction"))?;
    advance(&mut transaction, account, before, after).await?;
    let skip = "update parked_message
        set resolution = 'skipped', resolved_at = $3, resolved_by = $4, resolution_reason = $5
        where account_id = $1 and parked_seq = $2 and resolution is null";
    let skipped = sqlx::query(skip)
        .bind(account.as_str())
        .bind(bigint(after.redriven_seq))
        .bind(timestamptz_of(entry.at)?)
        .bind(&entry.operator)
        .bind(entry.reason.as_deref())
        .execute(&mut *transaction)
        .await
        .map_err(failed("skipping a parked message"))?;
    if skipped.rows_affected() != 1 {
        return Err(OperateError::Moved(account.clone()));
    }
    audit::append_on(&mut transaction, entry).await?;
    transaction.commit().await.map_err(failed("committing an operator's act"))?;
    Ok(())
}

async fn advance(
    connection: &mut PgConnection,
    account: &AccountKey,
    before: &Lane,
    after: &Lane,
) -> Result<(), OperateError> {
    let moved = advance_lanes(connection, &[(account, before, after)]).await;
    moved.and_then(|moved| fence(moved.rows_affected(), 1)).map_err(|error| match error {
        CommitError::Fenced => OperateError::Moved(account.clone()),
        CommitError::Repeated(reason) | CommitError::Refused(reason) => {
            OperateError::Refused { account: account.clone(), reason }
        }
        CommitError::Unreachable(error) => {
            OperateError::Refused { account: account.clone(), reason: error.to_string() }
        }
    })
}
