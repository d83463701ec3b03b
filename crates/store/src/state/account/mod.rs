//! The tables `account` and `balance`.

mod difference;
mod read;
mod write;

use std::collections::HashMap;

use async_trait::async_trait;
use cap_domain::account::{AccountState, Accounts};
use cap_domain::ids::AccountKey;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use sqlx::PgConnection;

use crate::error::{QueryError, failed};

use super::StateTables;

#[async_trait]
impl StateTables for Accounts {
    async fn load_states(
        connection: &mut PgConnection,
        accounts: &[&str],
    ) -> Result<HashMap<AccountKey, AccountState>, QueryError> {
        read::states(connection, accounts).await
    }

    async fn write_states(
        connection: &mut PgConnection,
        changes: &[&LaneChange<Self>],
    ) -> Result<(), CommitError> {
        write::states(connection, changes).await
    }

    fn parts(state: &AccountState) -> usize {
        state.balances.len()
    }

    async fn states_without_lane(
        connection: &mut PgConnection,
        limit: i64,
    ) -> Result<Vec<String>, QueryError> {
        let accounts = "select account_id from (
                select account_id from account union select account_id from balance
            ) as state
            where not exists (select from lane where lane.account_id = state.account_id)
            order by account_id limit $1";
        let accounts = sqlx::query_scalar(accounts).bind(limit).fetch_all(connection).await;
        accounts.map_err(failed("looking for accounts without a lane"))
    }

    fn differences(stored: &AccountState, replayed: &AccountState) -> Vec<String> {
        difference::of(stored, replayed)
    }
}
