//! Proving positions with money: an account's margin is the sum over its positions.

use std::collections::{BTreeMap, BTreeSet};

use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};

use super::report::VerifyReport;

/// How many accounts are compared by one statement.
const ACCOUNTS_COMPARED_MAX: usize = 500;

/// Accounts whose margins are still to be compared.
#[derive(Debug, Default)]
pub(super) struct Margins(Vec<AccountKey>);

type ByCurrency = BTreeMap<(String, String), Decimal>;

impl Margins {
    /// Notes `account`, and compares once enough are noted.
    pub(super) async fn compare_later(
        &mut self,
        account: AccountKey,
        position: &mut PgConnection,
        balance: &mut PgConnection,
        report: &mut VerifyReport,
    ) -> Result<(), QueryError> {
        self.0.push(account);
        if self.0.len() < ACCOUNTS_COMPARED_MAX {
            return Ok(());
        }
        std::mem::take(self).compare(position, balance, report).await
    }

    /// Compares the accounts noted so far.
    pub(super) async fn compare(
        self,
        position: &mut PgConnection,
        balance: &mut PgConnection,
        report: &mut VerifyReport,
    ) -> Result<(), QueryError> {
        let accounts: Vec<&str> = self.0.iter().map(AccountKey::as_str).collect();
        let needed = position_margins(position, &accounts).await?;
        let held = held_margins(balance, &accounts).await?;
        let keys: BTreeSet<_> = needed.keys().chain(held.keys()).collect();
        for key in keys {
            let of =
                |margins: &ByCurrency| margins.get(key).copied().unwrap_or_default().normalize();
            let (needed, held) = (of(&needed), of(&held));
            if needed != held {
                let (account, code) = key;
                let what =
                    format!("margin is {held} {code}, the sum over its positions {needed} {code}");
                report.add(StageName::Account, account, None, what);
            }
        }
        Ok(())
    }
}

async fn position_margins(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<ByCurrency, QueryError> {
    let margins = "select account_id, currency, sum(margin) from position
        where account_id = any($1) group by account_id, currency";
    let margins = sqlx::query_as(margins).bind(accounts).fetch_all(connection).await;
    Ok(by_currency(margins.map_err(failed("adding up the margins of positions"))?))
}

async fn held_margins(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<ByCurrency, QueryError> {
    let margins = "select account_id, currency, margin from balance where account_id = any($1)";
    let margins = sqlx::query_as(margins).bind(accounts).fetch_all(connection).await;
    Ok(by_currency(margins.map_err(failed("reading margins"))?))
}

fn by_currency(margins: Vec<(String, String, Decimal)>) -> ByCurrency {
    margins.into_iter().map(|(account, currency, margin)| ((account, currency), margin)).collect()
}
