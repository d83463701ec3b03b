//! Finding and listing lanes.

use cap_domain::ids::{AccountKey, AccountName};
use cap_domain::lane::{Lane, LaneStatus};
use sqlx::PgPool;

use crate::error::{QueryError, failed};
use crate::lanes::{LaneRecord, lane_columns};

/// The most lanes that one name may find.
pub const FOUND_LANES_MAX: u32 = 100;

/// Up to `limit` lanes after `after`, in the order of their keys; of one status, or of any.
///
/// # Errors
/// See [`QueryError`].
pub async fn list_lanes(
    pool: &PgPool,
    status: Option<LaneStatus>,
    after: Option<&AccountKey>,
    limit: u32,
) -> Result<Vec<(AccountKey, Lane)>, QueryError> {
    let after = after.map_or("", AccountKey::as_str);
    let lanes = match status {
        None => all(pool, after, limit).await,
        Some(LaneStatus::Active) => active(pool, after, limit).await,
        Some(status) => not_active(pool, status, after, limit).await,
    };
    read(lanes.map_err(failed("listing lanes"))?)
}

async fn all(pool: &PgPool, after: &str, limit: u32) -> Result<Vec<LaneRecord>, sqlx::Error> {
    let lanes = concat!(
        "select ",
        lane_columns!(),
        " from lane where account_id > $1 order by account_id limit $2"
    );
    sqlx::query_as(lanes).bind(after).bind(i64::from(limit)).fetch_all(pool).await
}

async fn active(pool: &PgPool, after: &str, limit: u32) -> Result<Vec<LaneRecord>, sqlx::Error> {
    let lanes = concat!(
        "select ",
        lane_columns!(),
        " from lane where account_id > $1 and status = 'active' order by account_id limit $2"
    );
    sqlx::query_as(lanes).bind(after).bind(i64::from(limit)).fetch_all(pool).await
}

/// It repeats what the partial index says, or the planner could not use it.
async fn not_active(
    pool: &PgPool,
    status: LaneStatus,
    after: &str,
    limit: u32,
) -> Result<Vec<LaneRecord>, sqlx::Error> {
    let lanes = concat!(
        "select ",
        lane_columns!(),
        " from lane where account_id > $1 and status <> 'active' and status = $2
        order by account_id limit $3"
    );
    sqlx::query_as(lanes)
        .bind(after)
        .bind(status.as_str())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
}

/// The lane of `account`, if there is one.
///
/// # Errors
/// See [`QueryError`].
pub async fn show_lane(pool: &PgPool, account: &AccountKey) -> Result<Option<Lane>, QueryError> {
    let lane = concat!("select ", lane_columns!(), " from lane where account_id = $1");
    let lane = sqlx::query_as(lane).bind(account.as_str()).fetch_all(pool).await;
    Ok(read(lane.map_err(failed("reading a lane"))?)?.pop().map(|(_, lane)| lane))
}

/// Up to [`FOUND_LANES_MAX`] lanes of accounts of that name, in whatever company, product and
/// customer group. It looks at every key: for people, not for programs.
///
/// # Errors
/// See [`QueryError`].
pub async fn find_lanes(
    pool: &PgPool,
    name: &AccountName,
) -> Result<Vec<(AccountKey, Lane)>, QueryError> {
    let lanes = concat!(
        "select ",
        lane_columns!(),
        r" from lane where account_id like '%\_' || $1 order by account_id limit $2"
    );
    let lanes = sqlx::query_as(lanes)
        .bind(name.as_str())
        .bind(i64::from(FOUND_LANES_MAX))
        .fetch_all(pool)
        .await;
    read(lanes.map_err(failed("looking for lanes by name"))?)
}

fn read(records: Vec<LaneRecord>) -> Result<Vec<(AccountKey, Lane)>, QueryError> {
    records.into_iter().map(LaneRecord::read).collect()
}
