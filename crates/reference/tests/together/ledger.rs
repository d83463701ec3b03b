//! The legs of an account's journal, added up: what they come to is what the account has.

use std::collections::BTreeMap;

use cap_domain::account::{AccountRuling, Leg};
use cap_domain::lane::Row;

/// By currency and subject, what legs have brought it less what they took.
pub(crate) type Sums = BTreeMap<(String, String), i128>;

/// An account's journal, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: usize,
    pub(crate) sums: Sums,
}

impl Ledger {
    /// Reads the rows that are new: every leg moves something from one subject to another.
    pub(crate) fn read(&mut self, journal: &[Row], place: &str) {
        for row in &journal[self.rows..] {
            let AccountRuling::Posted { legs, .. } = serde_json::from_str(&row.result).unwrap()
            else {
                continue;
            };
            for Leg { from, to, money } in legs {
                let (currency, units) = (money.currency().to_string(), units(&money.amount()));
                assert!(units > 0 && from != to, "{place}: {from} → {to} {}", money.amount());
                *self.sums.entry((currency.clone(), from.to_string())).or_default() -= units;
                *self.sums.entry((currency, to.to_string())).or_default() += units;
            }
        }
        self.rows = journal.len();
    }

    /// What it comes to of a subject, by currency.
    pub(crate) fn of(&self, subject: &str) -> BTreeMap<&str, i128> {
        let of_it = self.sums.iter().filter(|((_, name), _)| name == subject);
        of_it.map(|((currency, _), units)| (currency.as_str(), *units)).collect()
    }
}

/// The units of an amount as it is printed, with all its decimals.
pub(crate) fn units(amount: &str) -> i128 {
    amount.replace('.', "").parse().unwrap()
}
