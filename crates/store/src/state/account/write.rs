//! Writing what became of accounts and balances.

use cap_domain::account::{AccountState, AccountStatus, Accounts, Balance};
use cap_domain::ids::{AccountKey, ExternalId};
use cap_domain::money::Money;
use cap_domain::subject::SubjectName;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::error::refused;
use crate::state::{decided_at, vanished};
use crate::values::{numeric, timestamptz};

/// Writes the accounts and balances that are different after `changes`.
pub(super) async fn states(
    connection: &mut PgConnection,
    changes: &[&LaneChange<Accounts>],
) -> Result<(), CommitError> {
    let accounts: Vec<_> =
        changes.iter().copied().filter(|change| account_changed(change)).collect();
    if !accounts.is_empty() {
        write_accounts(connection, &accounts).await?;
    }
    let mut balances = Vec::new();
    for change in changes {
        let (before, after) = (&change.state_before.balances, &change.state_after.balances);
        if let Some(code) = before.keys().find(|code| !after.contains_key(code)) {
            return Err(vanished(&change.account, format_args!("the {code} balance")));
        }
        let changed = after.iter().filter(|(code, balance)| before.get(code) != Some(balance));
        balances.extend(changed.map(|(_, balance)| (&change.account, balance)));
    }
    if !balances.is_empty() {
        write_balances(connection, &balances).await?;
    }
    Ok(())
}

fn account_changed(change: &LaneChange<Accounts>) -> bool {
    let (before, after) = (&change.state_before, &change.state_after);
    (before.status, &before.customer, before.credit, before.liquidating)
        != (after.status, &after.customer, after.credit, after.liquidating)
        || (&before.withdrawals, &before.under_way) != (&after.withdrawals, &after.under_way)
        || before.unpaid != after.unpaid
}

async fn write_accounts(
    connection: &mut PgConnection,
    changes: &[&LaneChange<Accounts>],
) -> Result<(), CommitError> {
    let count = changes.len();
    let (mut withdrawals, mut closed_at) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut limits, mut under_way) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut unpaid = Vec::with_capacity(count);
    for change in changes {
        let state = &change.state_after;
        let json = serde_json::to_string(&state.withdrawals);
        withdrawals.push(
            json.map_err(|error| CommitError::Refused(format!("writing withdrawals: {error}")))?,
        );
        let json = serde_json::to_string(&state.under_way);
        under_way.push(json.map_err(|error| {
            CommitError::Refused(format!("writing transfers under way: {error}"))
        })?);
        let kept = Some(&state.unpaid).filter(|unpaid| !unpaid.is_empty());
        let json = kept.map(serde_json::to_string).transpose();
        unpaid.push(
            json.map_err(|error| CommitError::Refused(format!("writing unpaid funding: {error}")))?,
        );
        limits.push(state.credit.map(|credit| numeric(credit.limit)).transpose()?);
        let closed = if state.status == AccountStatus::Closed { decided_at(change) } else { None };
        closed_at.push(closed.map(timestamptz).transpose()?);
    }
    let states = || changes.iter().map(|change| &*change.state_after);
    let limit = |state: &AccountState| state.credit.map(|credit| credit.limit.currency());
    let codes: Vec<Option<String>> =
        states().map(|state| limit(state).map(|limit| limit.code.to_string())).collect();
    sqlx::query(include_str!("write_accounts.sql"))
        .bind(changes.iter().map(|change| change.account.as_str()).collect::<Vec<_>>())
        .bind(states().map(|state| status_name(state.status)).collect::<Vec<_>>())
        .bind(
            states()
                .map(|state| state.customer.as_ref().map(ExternalId::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(codes)
        .bind(
            states()
                .map(|state| limit(state).map(|limit| i16::from(limit.decimals)))
                .collect::<Vec<_>>(),
        )
        .bind(limits)
        .bind(states().map(|state| state.credit.map(|credit| credit.enabled)).collect::<Vec<_>>())
        .bind(states().map(|state| state.liquidating).collect::<Vec<_>>())
        .bind(withdrawals)
        .bind(closed_at)
        .bind(under_way)
        .bind(unpaid)
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(refused("writing accounts"))
}

const fn status_name(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Unopened => "unopened",
        AccountStatus::Open => "open",
        AccountStatus::Closed => "closed",
    }
}

async fn write_balances(
    connection: &mut PgConnection,
    balances: &[(&AccountKey, &Balance)],
) -> Result<(), CommitError> {
    let currencies = || balances.iter().map(|(_, balance)| balance.available.currency());
    let codes: Vec<_> = currencies().map(|currency| currency.code).collect();
    let share = |share: fn(&Balance) -> Money| -> Result<Vec<Decimal>, CommitError> {
        balances.iter().map(|(_, balance)| numeric(share(balance))).collect()
    };
    sqlx::query(include_str!("write_balances.sql"))
        .bind(balances.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>())
        .bind(codes.iter().map(|code| code.as_str()).collect::<Vec<_>>())
        .bind(currencies().map(|currency| i16::from(currency.decimals)).collect::<Vec<_>>())
        .bind(share(|balance| balance.available)?)
        .bind(share(|balance| balance.frozen)?)
        .bind(share(|balance| balance.margin)?)
        .bind(share(|balance| balance.withdrawing)?)
        .bind(share(|balance| balance.borrowed)?)
        .bind(
            balances
                .iter()
                .map(|(_, balance)| declared_json(balance))
                .collect::<Result<Vec<_>, _>>()?,
        )
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(refused("writing balances"))
}

/// What is in declared subjects as a JSON object of exact numbers; none where there are none. The names
/// are plain words.
fn declared_json(balance: &Balance) -> Result<Option<String>, CommitError> {
    if balance.declared.is_empty() {
        return Ok(None);
    }
    let field = |(name, money): (&SubjectName, &Money)| -> Result<String, CommitError> {
        Ok(format!("\"{name}\":{}", numeric(*money)?))
    };
    let fields = balance.declared.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(format!("{{{}}}", fields.join(","))))
}
