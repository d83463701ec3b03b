//! Telling how two states of an account differ.

use std::collections::BTreeSet;

use cap_domain::account::{AccountState, Balance, Credit};
use cap_domain::ids::ExternalId;
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
    compare(&mut said, "withdrawals", &stored.withdrawals, &replayed.withdrawals, |withdrawals| {
        let each =
            withdrawals.iter().map(|(id, withdrawal)| format!("{id} of {}", withdrawal.amount));
        format!("[{}]", each.collect::<Vec<_>>().join(", "))
    });
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

fn show_credit(credit: &Option<Credit>) -> String {
    match credit {
        None => "none".to_owned(),
        Some(credit) => {
            format!("{}{}", credit.limit, if credit.enabled { "" } else { " (switched off)" })
        }
    }
}

fn shares(balance: &Balance) -> [(&'static str, Money); 5] {
    [
        ("available", balance.available),
        ("frozen", balance.frozen),
        ("margin", balance.margin),
        ("withdrawing", balance.withdrawing),
        ("borrowed", balance.borrowed),
    ]
}

fn show_shares(balance: &Balance) -> String {
    let each = shares(balance).map(|(name, money)| format!("{} {name}", money.amount()));
    each.join(", ")
}

fn compare_balances(said: &mut Vec<String>, stored: &Balance, replayed: &Balance) {
    for ((name, stored), (_, replayed)) in shares(stored).into_iter().zip(shares(replayed)) {
        compare(said, name, &stored, &replayed, Money::to_string);
    }
}
