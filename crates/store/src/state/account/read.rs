//! Reading accounts and balances.

use std::collections::{BTreeMap, HashMap};

use cap_domain::account::{AccountState, AccountStatus, Balance, Credit};
use cap_domain::ids::{AccountKey, ExternalId};
use cap_domain::money::{Currency, Money};
use cap_domain::subject::SubjectName;
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use sqlx::{FromRow, PgConnection};

use crate::error::{QueryError, failed};
use crate::values::{currency, money};

/// The states of `accounts` that have any.
pub(super) async fn states(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<HashMap<AccountKey, AccountState>, QueryError> {
    let mut states: HashMap<AccountKey, AccountState> = HashMap::new();
    for record in account_records(connection, accounts).await? {
        let unreadable = |reason: String| QueryError::unreadable(&record.account_id, reason);
        let account = record.account_id.parse().map_err(|error| unreadable(format!("{error}")))?;
        states.insert(account, record.read().map_err(unreadable)?);
    }
    for record in balance_records(connection, accounts).await? {
        let unreadable = |reason: String| QueryError::unreadable(&record.account_id, reason);
        let account = record.account_id.parse().map_err(|error| unreadable(format!("{error}")))?;
        let balance = record.read().map_err(unreadable)?;
        let state: &mut AccountState = states.entry(account).or_default();
        state.balances.insert(balance.available.currency().code, balance);
    }
    Ok(states)
}

#[derive(FromRow)]
struct AccountRecord {
    account_id: String,
    status: String,
    customer: Option<String>,
    credit_currency: Option<String>,
    credit_decimals: Option<i16>,
    credit_limit: Option<Decimal>,
    credit_enabled: Option<bool>,
    liquidating: bool,
    withdrawals: String,
    transfers_under_way: Option<String>,
    funding_unpaid: Option<String>,
}

#[derive(FromRow)]
struct BalanceRecord {
    account_id: String,
    currency: String,
    decimals: i16,
    available: Decimal,
    frozen: Decimal,
    margin: Decimal,
    withdrawing: Decimal,
    borrowed: Decimal,
    declared: Option<String>,
}

impl AccountRecord {
    fn read(&self) -> Result<AccountState, String> {
        let status = match self.status.as_str() {
            "open" => AccountStatus::Open,
            "closed" => AccountStatus::Closed,
            other => return Err(format!("status is {other:?}, neither open nor closed")),
        };
        let customer = self.customer.as_deref().map(ExternalId::new).transpose();
        Ok(AccountState {
            status,
            customer: customer.map_err(|error| error.to_string())?,
            credit: self.credit()?,
            liquidating: self.liquidating,
            withdrawals: serde_json::from_str(&self.withdrawals)
                .map_err(|error| format!("withdrawals: {error}"))?,
            under_way: serde_json::from_str(self.transfers_under_way.as_deref().unwrap_or("{}"))
                .map_err(|error| format!("transfers_under_way: {error}"))?,
            unpaid: serde_json::from_str(self.funding_unpaid.as_deref().unwrap_or("{}"))
                .map_err(|error| format!("funding_unpaid: {error}"))?,
            balances: Default::default(),
        })
    }

    fn credit(&self) -> Result<Option<Credit>, String> {
        match (&self.credit_currency, self.credit_decimals, self.credit_limit, self.credit_enabled)
        {
            (Some(code), Some(decimals), Some(limit), Some(enabled)) => {
                let limit = money("credit_limit", currency(code, decimals)?, limit)?;
                Ok(Some(Credit { limit, enabled }))
            }
            _ => Ok(None),
        }
    }
}

impl BalanceRecord {
    fn read(&self) -> Result<Balance, String> {
        let currency = currency(&self.currency, self.decimals)?;
        Ok(Balance {
            available: money("available", currency, self.available)?,
            frozen: money("frozen", currency, self.frozen)?,
            margin: money("margin", currency, self.margin)?,
            withdrawing: money("withdrawing", currency, self.withdrawing)?,
            borrowed: money("borrowed", currency, self.borrowed)?,
            declared: self.declared(currency)?,
        })
    }

    /// The numbers of the JSON object digit by digit: as floating point they would not be exact.
    fn declared(&self, currency: Currency) -> Result<BTreeMap<SubjectName, Money>, String> {
        let Some(json) = &self.declared else { return Ok(BTreeMap::new()) };
        let fields: BTreeMap<SubjectName, &RawValue> =
            serde_json::from_str(json).map_err(|error| format!("declared: {error}"))?;
        let read = |(name, number): (SubjectName, &RawValue)| {
            let number = Decimal::from_str_exact(number.get())
                .map_err(|error| format!("{name} is {number}: {error}"))?;
            Ok((name, money(name.as_str(), currency, number)?))
        };
        fields.into_iter().map(read).collect()
    }
}

async fn account_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<AccountRecord>, QueryError> {
    let records =
        "select account_id, status, customer, credit_currency, credit_decimals, credit_limit,
            credit_enabled, liquidating, withdrawals, transfers_under_way,
            funding_unpaid
        from account where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading accounts"))
}

async fn balance_records(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<Vec<BalanceRecord>, QueryError> {
    let records =
        "select account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed,
            declared::text as declared
        from balance where account_id = any($1)";
    let records = sqlx::query_as(records).bind(accounts).fetch_all(connection).await;
    records.map_err(failed("reading balances"))
}
