//! The tables `position_account` and `position`.

mod difference;
mod read;
mod write;

use std::collections::HashMap;

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::position::{PositionState, Positions};
use cap_pipeline::lane_store::{CommitError, LaneChange};
use sqlx::PgConnection;

use crate::error::{QueryError, failed};

use super::StateTables;

#[async_trait]
impl StateTables for Positions {
    async fn load_states(
        connection: &mut PgConnection,
        accounts: &[&str],
    ) -> Result<HashMap<AccountKey, PositionState>, QueryError> {
        read::states(connection, accounts).await
    }

    async fn write_states(
        connection: &mut PgConnection,
        changes: &[&LaneChange<Self>],
    ) -> Result<(), CommitError> {
        write::states(connection, changes).await
    }

    fn parts(state: &PositionState) -> usize {
        state.positions.len()
    }

    async fn states_without_lane(
        connection: &mut PgConnection,
        limit: i64,
    ) -> Result<Vec<String>, QueryError> {
        let accounts = "select account_id from (
                select account_id from position_account union select account_id from position
            ) as state
            where not exists (select from lane where lane.account_id = state.account_id)
            order by account_id limit $1";
        let accounts = sqlx::query_scalar(accounts).bind(limit).fetch_all(connection).await;
        accounts.map_err(failed("looking for positions without a lane"))
    }

    fn differences(stored: &PositionState, replayed: &PositionState) -> Vec<String> {
        difference::of(stored, replayed)
    }
}
