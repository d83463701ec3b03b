//! Counting open positions.

use cap_domain::ids::{Product, Symbol};
use sqlx::PgPool;

use crate::error::{QueryError, failed};
use crate::snapshot::{allow_scans, snapshot};

/// How many positions are open in a product, or in one of its symbols, over all companies (C6).
///
/// It reads the whole table: parameters change rarely, and never on the hot path.
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
