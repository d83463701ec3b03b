//! The tables `position_account` and `position`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use cap_domain::ids::{AccountKey, Symbol};
use cap_domain::money::Money;
use cap_domain::position::{COST_DECIMALS, Position, PositionState, Positions};
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use rust_decimal::Decimal;
use sqlx::{FromRow, PgConnection};

use crate::error::{QueryError, failed, refused};
use crate::values::{currency, money, numeric, timestamptz, units, units_as_numeric};

use super::{StateTables, compare, decided_at, vanished};

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
}

impl PositionRecord {
    fn read(&self) -> Result<(Symbol, Position), String> {
        let symbol = Symbol::new(&self.symbol).map_err(|error| error.to_string())?;
        let currency = currency(&self.currency, self.decimals)?;
        let position = Position {
            quantity: self.quantity,
            cost: units("cost", self.cost, COST_DECIMALS)?,
            margin: money("margin", currency, self.margin)?,
            leverage: self.leverage,
            realised_profit: money("realised_profit", currency, self.realised_profit)?,
        };
        Ok((symbol, position))
    }
}

/// A position to be written, and when it was decided on.
struct Written<'a> {
    account: &'a AccountKey,
    symbol: &'a Symbol,
    position: &'a Position,
    decided_at: Option<Timestamp>,
}

#[async_trait]
impl StateTables for Positions {
    async fn load_states(
        connection: &mut PgConnection,
        accounts: &[&str],
    ) -> Result<HashMap<AccountKey, PositionState>, QueryError> {
        let mut states: HashMap<AccountKey, PositionState> = HashMap::new();
        for (account, opened) in account_records(connection, accounts).await? {
            let key = account.parse().map_err(|error| QueryError::unreadable(&account, error))?;
            states.insert(key, PositionState { opened, positions: Default::default() });
        }
        for record in position_records(connection, accounts).await? {
            let unreadable = |reason: String| QueryError::unreadable(&record.account_id, reason);
            let account =
                record.account_id.parse().map_err(|error| unreadable(format!("{error}")))?;
            let (symbol, position) = record.read().map_err(unreadable)?;
            let state: &mut PositionState = states.entry(account).or_default();
            state.positions.insert(symbol, position);
        }
        Ok(states)
    }

    async fn write_states(
        connection: &mut PgConnection,
        changes: &[&LaneChange<Self>],
    ) -> Result<(), CommitError> {
        let opened =
            |change: &&&LaneChange<Self>| change.state_before.opened != change.state_after.opened;
        let accounts: Vec<_> = changes.iter().filter(opened).copied().collect();
        if !accounts.is_empty() {
            write_accounts(connection, &accounts).await?;
        }
        let mut written = Vec::new();
        for change in changes {
            let (before, after) = (&change.state_before.positions, &change.state_after.positions);
            if let Some(symbol) = before.keys().find(|symbol| !after.contains_key(symbol)) {
                return Err(vanished(&change.account, format_args!("the position in {symbol}")));
            }
            let changed =
                after.iter().filter(|(symbol, position)| before.get(symbol) != Some(position));
            written.extend(changed.map(|(symbol, position)| Written {
                account: &change.account,
                symbol,
                position,
                decided_at: decided_at(change),
            }));
        }
        if !written.is_empty() {
            write_positions(connection, &written).await?;
        }
        Ok(())
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
        let mut said = Vec::new();
        compare(&mut said, "opened", &stored.opened, &replayed.opened, bool::to_string);
        let symbols: BTreeSet<_> =
            stored.positions.keys().chain(replayed.positions.keys()).collect();
        for symbol in symbols {
            match (stored.positions.get(symbol), replayed.positions.get(symbol)) {
                (Some(stored), Some(replayed)) => {
                    compare_positions(&mut said, symbol, stored, replayed)
                }
                (Some(stored), None) => {
                    said.push(format!(
                        "there is a position of {} {symbol}, and none by the journal",
                        stored.quantity
                    ));
                }
                (None, Some(replayed)) => {
                    let quantity = replayed.quantity;
                    said.push(format!(
                        "there is no position in {symbol}, and one of {quantity} by the journal"
                    ));
                }
                (None, None) => {}
            }
        }
        said
    }
}

async fn account_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<(String, bool)>, QueryError> {
    let records = "select account_id, opened from position_account where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading accounts that have positions"))
}

async fn position_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<PositionRecord>, QueryError> {
    let records = "select account_id, symbol, currency, decimals, quantity, cost, margin, leverage, realised_profit
        from position where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading positions"))
}

async fn write_accounts(
    connection: &mut PgConnection,
    changes: &[&LaneChange<Positions>],
) -> Result<(), CommitError> {
    let accounts = "insert into position_account (account_id, opened)
        select * from unnest($1::text[], $2::boolean[])
        on conflict (account_id) do update set opened = excluded.opened";
    sqlx::query(accounts)
        .bind(changes.iter().map(|change| change.account.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.state_after.opened).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(refused("writing accounts that have positions"))
}

async fn write_positions(
    connection: &mut PgConnection,
    written: &[Written<'_>],
) -> Result<(), CommitError> {
    let currencies = || written.iter().map(|written| written.position.margin.currency());
    let codes: Vec<_> = currencies().map(|currency| currency.code).collect();
    let amount = |amount: fn(&Position) -> Money| -> Result<Vec<Decimal>, CommitError> {
        written.iter().map(|written| numeric(amount(written.position))).collect()
    };
    let costs: Vec<Decimal> = written
        .iter()
        .map(|written| units_as_numeric(written.position.cost, COST_DECIMALS))
        .collect::<Result<_, _>>()?;
    let closed_at: Vec<_> = written
        .iter()
        .map(|written| if written.position.is_open() { None } else { written.decided_at })
        .map(|closed_at| closed_at.map(timestamptz).transpose())
        .collect::<Result<_, _>>()?;
    sqlx::query(include_str!("write_positions.sql"))
        .bind(written.iter().map(|written| written.account.as_str()).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.symbol.as_str()).collect::<Vec<_>>())
        .bind(codes.iter().map(|code| code.as_str()).collect::<Vec<_>>())
        .bind(currencies().map(|currency| i16::from(currency.decimals)).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.position.quantity).collect::<Vec<_>>())
        .bind(costs)
        .bind(amount(|position| position.margin)?)
        .bind(written.iter().map(|written| written.position.leverage).collect::<Vec<_>>())
        .bind(amount(|position| position.realised_profit)?)
        .bind(closed_at)
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(refused("writing positions"))
}

fn compare_positions(
    said: &mut Vec<String>,
    symbol: &Symbol,
    stored: &Position,
    replayed: &Position,
) {
    let decimal = |decimal: &Decimal| decimal.normalize().to_string();
    let cost = |cost: &i128| {
        Decimal::try_from_i128_with_scale(*cost, COST_DECIMALS)
            .map_or(cost.to_string(), |cost| decimal(&cost))
    };
    compare(said, format_args!("{symbol} quantity"), &stored.quantity, &replayed.quantity, decimal);
    compare(said, format_args!("{symbol} cost"), &stored.cost, &replayed.cost, cost);
    compare(
        said,
        format_args!("{symbol} margin"),
        &stored.margin,
        &replayed.margin,
        Money::to_string,
    );
    compare(said, format_args!("{symbol} leverage"), &stored.leverage, &replayed.leverage, decimal);
    let (stored, replayed) = (&stored.realised_profit, &replayed.realised_profit);
    compare(said, format_args!("{symbol} realised profit"), stored, replayed, Money::to_string);
}
