//! Reading accounts' positions.

use std::collections::HashMap;

use cap_domain::ids::{AccountKey, InvalidId};
use cap_domain::instrument::Contract;
use cap_domain::position::{COST_DECIMALS, Position, PositionKey, PositionState, UnknownTerm};
use rust_decimal::Decimal;
use sqlx::{FromRow, PgConnection};

use crate::error::{QueryError, failed};
use crate::values::{currency, money, units};

/// The states of `accounts` that have any.
pub(super) async fn states(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<HashMap<AccountKey, PositionState>, QueryError> {
    let mut states: HashMap<AccountKey, PositionState> = HashMap::new();
    for (account, opened, mode) in account_records(connection, accounts).await? {
        let key = account.parse().map_err(|error| QueryError::unreadable(&account, error))?;
        let mode = mode.parse().map_err(|error: UnknownTerm| {
            QueryError::unreadable(&account, format!("position_mode: {error}"))
        })?;
        states.insert(key, PositionState { opened, mode, positions: Default::default() });
    }
    for record in position_records(connection, accounts).await? {
        let unreadable = |reason: String| QueryError::unreadable(&record.account_id, reason);
        let account = record.account_id.parse().map_err(|error| unreadable(format!("{error}")))?;
        let (key, position) = record.read().map_err(unreadable)?;
        let state: &mut PositionState = states.entry(account).or_default();
        state.positions.insert(key, position);
    }
    Ok(states)
}

#[derive(FromRow)]
struct PositionRecord {
    account_id: String,
    symbol: String,
    currency: String,
    decimals: i16,
    quantity: Decimal,
    cost: Decimal,
    margin: Decimal,
    leverage: Decimal,
    realised_profit: Decimal,
    margin_mode: String,
    contract: Option<String>,
    leverage_seq: i64,
}

impl PositionRecord {
    fn read(&self) -> Result<(PositionKey, Position), String> {
        let key = self.symbol.parse().map_err(|error: InvalidId| error.to_string())?;
        let currency = currency(&self.currency, self.decimals)?;
        let position = Position {
            quantity: self.quantity,
            cost: units("cost", self.cost, COST_DECIMALS)?,
            margin: money("margin", currency, self.margin)?,
            leverage: self.leverage,
            leverage_seq: u64::try_from(self.leverage_seq)
                .map_err(|error| format!("leverage_seq: {error}"))?,
            realised_profit: money("realised_profit", currency, self.realised_profit)?,
            margin_mode: self
                .margin_mode
                .parse()
                .map_err(|error: UnknownTerm| format!("margin_mode: {error}"))?,
            opened_under: self.opened_under()?,
        };
        Ok((key, position))
    }

    /// A task of an earlier release leaves the figures where they are when it closes a position.
    fn opened_under(&self) -> Result<Option<Contract>, String> {
        let contract = self.contract.as_deref().filter(|_| !self.quantity.is_zero());
        let contract = contract.map(serde_json::from_str).transpose();
        contract.map_err(|error| format!("contract: {error}"))
    }
}

async fn account_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<(String, bool, String)>, QueryError> {
    let records = "select account_id, opened, position_mode from position_account
        where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading accounts that have positions"))
}

async fn position_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<PositionRecord>, QueryError> {
    let records = "select account_id, symbol, currency, decimals, quantity, cost, margin, leverage,
            realised_profit, margin_mode, contract, leverage_seq
        from position where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading positions"))
}
