//! Telling how two states of an account differ.

use std::collections::{BTreeMap, BTreeSet};

use cap_domain::account::{AccountState, Balance, Credit, UnderWay, UnpaidFunding, Withdrawal};
use cap_domain::ids::{ExternalId, RequestId};
use cap_domain::money::Money;

use crate::state::compare;

/// Every way in which `stored` is not `replayed`.
pub(super) fn of(stored: &AccountState, replayed: &AccountState) -> Vec<String> {
    let mut said = Vec::new();
    compare(&mut said, "status", &stored.status, &replayed.status, |status| {
        format!("{status:?}").to_lowercase()
    });
    compare(&mut said, "customer", &stored.customer, &replayed.customer, |customer| {
        customer.as_ref().map_or("nobody".to_owned(), ExternalId::to_string)
    });
    compare(&mut said, "credit", &stored.credit, &replayed.credit, show_credit);
    compare(&mut said, "liquidating", &stored.liquidating, &replayed.liquidating, bool::to_string);
    let withdrawals = as_stored(stored, replayed);
    compare(&mut said, "withdrawals", &stored.withdrawals, &withdrawals, show_withdrawals);
    let kept = (&stored.under_way, &replayed.under_way);
    compare(&mut said, "transfers_under_way", kept.0, kept.1, show_under_way);
    let kept = (&stored.unpaid, &replayed.unpaid);
    compare(&mut said, "funding_unpaid", kept.0, kept.1, show_unpaid);
    let codes: BTreeSet<_> = stored.balances.keys().chain(replayed.balances.keys()).collect();
    for code in codes {
        match (stored.balances.get(code), replayed.balances.get(code)) {
            (Some(stored), Some(replayed)) => compare_balances(&mut said, stored, replayed),
            (Some(stored), None) => {
                said.push(format!(
                    "there is a {code} balance of {}, and none by the journal",
                    show_shares(stored)
                ));
            }
            (None, Some(replayed)) => {
                said.push(format!(
                    "there is no {code} balance, and one of {} by the journal",
                    show_shares(replayed)
                ));
            }
            (None, None) => {}
        }
    }
    said
}

/// The replayed withdrawals, without the requests of those that an earlier release stored: it did
/// not keep them, the journal has them all the same.
fn as_stored(stored: &AccountState, replayed: &AccountState) -> BTreeMap<ExternalId, Withdrawal> {
    let mut withdrawals = replayed.withdrawals.clone();
    for (id, withdrawal) in &mut withdrawals {
        if stored.withdrawals.get(id).is_some_and(|stored| stored.request.is_none()) {
            withdrawal.request = None;
        }
    }
    withdrawals
}

fn show_withdrawals(withdrawals: &BTreeMap<ExternalId, Withdrawal>) -> String {
    let each = withdrawals.iter().map(|(id, withdrawal)| {
        let by = withdrawal.request.as_ref().map(|request| format!(" by {}", request.request_id));
        format!("{id} of {}{}", withdrawal.amount, by.unwrap_or_default())
    });
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn show_under_way(under_way: &BTreeMap<RequestId, UnderWay>) -> String {
    let each = under_way.iter().map(|(arrival, kept)| {
        format!("{} of {} to {} as {arrival}", kept.transfer_id, kept.amount, kept.to)
    });
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn show_unpaid(unpaid: &BTreeMap<RequestId, UnpaidFunding>) -> String {
    let each =
        unpaid.iter().map(|(id, kept)| format!("{} for {} as {id}", kept.amount, kept.symbol));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn show_credit(credit: &Option<Credit>) -> String {
    match credit {
        None => "none".to_owned(),
        Some(credit) => {
            format!("{}{}", credit.limit, if credit.enabled { "" } else { " (switched off)" })
        }
    }
}

fn show_shares(balance: &Balance) -> String {
    let each = balance.shares().map(|(name, money)| format!("{} {name}", money.amount()));
    each.collect::<Vec<_>>().join(", ")
}

fn compare_balances(said: &mut Vec<String>, stored: &Balance, replayed: &Balance) {
    let stored: Vec<_> = stored.shares().collect();
    let replayed: Vec<_> = replayed.shares().collect();
    let of = |shares: &[(&str, Money)], name: &str| {
        shares.iter().find(|(share, _)| *share == name).map(|(_, money)| *money)
    };
    let only_stored = stored.iter().filter(|(name, _)| of(&replayed, name).is_none());
    for (name, _) in replayed.iter().chain(only_stored) {
        compare(said, name, &of(&stored, name), &of(&replayed, name), |money| {
            money.map_or("nothing".to_owned(), |money| money.to_string())
        });
    }
}
