//! What each stage keeps per account besides its lane, in tables of its own.

mod account;
mod clearing;
mod position;

use std::collections::HashMap;

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::lane::Stage;
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use sqlx::PgConnection;

use crate::error::QueryError;

/// A stage whose state PostgreSQL keeps.
#[async_trait]
pub trait StateTables: Stage + Sized {
    /// The state of `accounts`, read by key; an account without rows is left out.
    async fn load_states(
        connection: &mut PgConnection,
        accounts: &[&str],
    ) -> Result<HashMap<AccountKey, Self::State>, QueryError>;

    /// Writes what is different after `changes`, one statement a table.
    async fn write_states(
        connection: &mut PgConnection,
        changes: &[&LaneChange<Self>],
    ) -> Result<(), CommitError>;

    /// How many rows `state` is in the tables that have several for an account.
    fn parts(state: &Self::State) -> usize;

    /// Up to `limit` accounts that have state, but no lane.
    async fn states_without_lane(
        connection: &mut PgConnection,
        limit: i64,
    ) -> Result<Vec<String>, QueryError>;

    /// Every way in which `stored` is not `replayed`, in words and figures.
    fn differences(stored: &Self::State, replayed: &Self::State) -> Vec<String>;
}

/// When a change was decided: the time of its last row.
fn decided_at<S: Stage>(change: &LaneChange<S>) -> Option<Timestamp> {
    change.rows.last().map(|row| row.decided_at)
}

/// State only grows: what is closed stays, at zero, until it is archived (C11).
fn vanished(account: &AccountKey, what: impl std::fmt::Display) -> CommitError {
    CommitError::Refused(format!(
        "{what} of {account} would vanish, and state rows are never deleted by a posting"
    ))
}

/// "`name` is `stored` in its table, and `replayed` by the journal", if they differ.
fn compare<T: PartialEq>(
    said: &mut Vec<String>,
    name: impl std::fmt::Display,
    stored: &T,
    replayed: &T,
    show: impl Fn(&T) -> String,
) {
    if stored != replayed {
        said.push(format!(
            "{name} is {} in its table, {} by the journal",
            show(stored),
            show(replayed)
        ));
    }
}
