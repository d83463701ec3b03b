//! Writing what became of positions.

use cap_domain::ids::AccountKey;
use cap_domain::money::Money;
use cap_domain::position::{COST_DECIMALS, Position, PositionKey, PositionState, Positions};
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::error::refused;
use crate::state::{decided_at, vanished};
use crate::values::{numeric, timestamptz, units_as_numeric};

/// A position to be written, and when it was decided on.
struct Written<'a> {
    account: &'a AccountKey,
    key: &'a PositionKey,
    position: &'a Position,
    decided_at: Option<Timestamp>,
}

/// Writes the accounts and positions that are different after `changes`.
pub(super) async fn states(
    connection: &mut PgConnection,
    changes: &[&LaneChange<Positions>],
) -> Result<(), CommitError> {
    let known = |state: &PositionState| (state.opened, state.mode);
    let accounts: Vec<_> = changes
        .iter()
        .copied()
        .filter(|change| known(&change.state_before) != known(&change.state_after))
        .collect();
    if !accounts.is_empty() {
        write_accounts(connection, &accounts).await?;
    }
    let mut written = Vec::new();
    for change in changes {
        let (before, after) = (&change.state_before.positions, &change.state_after.positions);
        if let Some(key) = before.keys().find(|key| !after.contains_key(key)) {
            return Err(vanished(&change.account, format_args!("the position in {key}")));
        }
        let changed = after.iter().filter(|(key, position)| before.get(key) != Some(position));
        written.extend(changed.map(|(key, position)| Written {
            account: &change.account,
            key,
            position,
            decided_at: decided_at(change),
        }));
    }
    if !written.is_empty() {
        write_positions(connection, &written).await?;
    }
    Ok(())
}

async fn write_accounts(
    connection: &mut PgConnection,
    changes: &[&LaneChange<Positions>],
) -> Result<(), CommitError> {
    let accounts = "insert into position_account (account_id, opened, position_mode)
        select * from unnest($1::text[], $2::boolean[], $3::text[])
        on conflict (account_id) do update
        set opened = excluded.opened, position_mode = excluded.position_mode";
    sqlx::query(accounts)
        .bind(changes.iter().map(|change| change.account.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.state_after.opened).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.state_after.mode.as_str()).collect::<Vec<_>>())
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
    let contracts: Vec<_> = written
        .iter()
        .map(|written| written.position.opened_under.as_ref().map(serde_json::to_string))
        .map(Option::transpose)
        .collect::<Result<_, _>>()
        .map_err(|error| CommitError::Refused(format!("writing a contract: {error}")))?;
    let leverage_seqs: Vec<i64> = written
        .iter()
        .map(|written| i64::try_from(written.position.leverage_seq))
        .collect::<Result<_, _>>()
        .map_err(|error| CommitError::Refused(format!("writing leverage_seq: {error}")))?;
    sqlx::query(include_str!("write_positions.sql"))
        .bind(written.iter().map(|written| written.account.as_str()).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.key.to_string()).collect::<Vec<_>>())
        .bind(codes.iter().map(|code| code.as_str()).collect::<Vec<_>>())
        .bind(currencies().map(|currency| i16::from(currency.decimals)).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.position.quantity).collect::<Vec<_>>())
        .bind(costs)
        .bind(amount(|position| position.margin)?)
        .bind(written.iter().map(|written| written.position.leverage).collect::<Vec<_>>())
        .bind(amount(|position| position.realised_profit)?)
        .bind(closed_at)
        .bind(
            written.iter().map(|written| written.position.margin_mode.as_str()).collect::<Vec<_>>(),
        )
        .bind(contracts)
        .bind(leverage_seqs)
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(refused("writing positions"))
}
