//! Proving positions with money: an account's margin is the sum over its positions, and what it has
//! put aside for them that has not come there yet (ADR 11).

use std::collections::{BTreeMap, BTreeSet};

use cap_domain::account::margin_under_way;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Row, StageName};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};

use super::report::VerifyReport;

/// How many accounts are compared by one statement.
const ACCOUNTS_COMPARED_MAX: usize = 500;

/// Accounts whose margins are still to be compared, with what is under way to their positions.
#[derive(Debug, Default)]
pub(super) struct Margins(Vec<(AccountKey, MarginUnderWay)>);

type ByCurrency = BTreeMap<(String, String), Decimal>;

/// What an account's journal put aside for positions and has not brought to them, by currency.
#[derive(Debug, Default)]
pub(super) struct MarginUnderWay(BTreeMap<String, Decimal>);

impl MarginUnderWay {
    /// Adds what a row of the account stage changes of it. A row that cannot be read is reported
    /// where it is decided again.
    pub(super) fn count(&mut self, row: &Row) {
        if let Ok(Some(change)) = margin_under_way(row) {
            let currency = change.currency();
            let units = Decimal::try_from_i128_with_scale(change.units(), currency.decimals.into());
            *self.0.entry(currency.code.to_string()).or_default() += units.unwrap_or_default();
        }
    }
}

impl Margins {
    /// Notes `account`, and compares once enough are noted.
    pub(super) async fn compare_later(
        &mut self,
        account: AccountKey,
        under_way: MarginUnderWay,
        position: &mut PgConnection,
        balance: &mut PgConnection,
        report: &mut VerifyReport,
    ) -> Result<(), QueryError> {
        self.0.push((account, under_way));
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
        let accounts: Vec<&str> = self.0.iter().map(|(account, _)| account.as_str()).collect();
        let needed = position_margins(position, &accounts).await?;
        let held = held_margins(balance, &accounts).await?;
        let under_way = self.under_way();
        let keys: BTreeSet<_> = needed.keys().chain(held.keys()).chain(under_way.keys()).collect();
        for key in keys {
            let of =
                |margins: &ByCurrency| margins.get(key).copied().unwrap_or_default().normalize();
            let (needed, held, under_way) = (of(&needed), of(&held), of(&under_way));
            if needed + under_way != held {
                let (account, code) = key;
                let mut what =
                    format!("margin is {held} {code}, the sum over its positions {needed} {code}");
                if !under_way.is_zero() {
                    what = format!("{what}, and {under_way} {code} is under way to them");
                }
                report.add(StageName::Account, account, None, what);
            }
        }
        Ok(())
    }

    fn under_way(&self) -> ByCurrency {
        let each = self.0.iter().flat_map(|(account, MarginUnderWay(by_code))| {
            by_code.iter().map(|(code, amount)| ((account.to_string(), code.clone()), *amount))
        });
        each.collect()
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
