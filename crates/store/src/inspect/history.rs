//! What a lane had before one of its messages: its journal, decided again up to there.

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Row, Stage};
use sqlx::PgPool;

use crate::error::{QueryError, failed};
use crate::journal::JournalPages;

/// The most rows that are decided again for one answer.
pub const HISTORY_ROWS_MAX: u64 = 200_000;

/// The state of `account` in stage `S` before its row `seq`; `decided_by` is the stage under the
/// rules that decided a row. None if more than [`HISTORY_ROWS_MAX`] rows lie before it, or one of them
/// cannot be decided again: `verify` says which.
///
/// # Errors
/// See [`QueryError`].
pub async fn state_before<S: Stage>(
    pool: &PgPool,
    account: &AccountKey,
    seq: u64,
    decided_by: impl Fn(&Row) -> Option<S>,
) -> Result<Option<S::State>, QueryError> {
    if seq > HISTORY_ROWS_MAX {
        return Ok(None);
    }
    let mut connection = pool.acquire().await.map_err(failed("connecting to read a history"))?;
    let mut pages = JournalPages::new(Some(account));
    let mut state = S::State::default();
    while let Some(row) = pages.next_of(&mut connection, account).await? {
        if row.seq >= seq {
            break;
        }
        let decided = decided_by(&row).zip(S::replay(&row).ok()).and_then(|(stage, message)| {
            stage.decide(account, &state, &message, row.decided_at).ok()
        });
        match decided {
            Some((_, after)) => state = after,
            None => return Ok(None),
        }
    }
    Ok(Some(state))
}
