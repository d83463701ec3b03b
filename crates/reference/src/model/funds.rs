//! An account's money by currency, and the net rule: whatever is added to or taken from available,
//! afterwards `available = max(n, 0)` and `borrowed = max(−n, 0)`.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Stop;
use super::currency::{Currency, written};
use super::event::Amount;
use super::expected::Balance;
use super::posting::{Contra, Posting};

/// What an account has of one currency, in its units.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Available less borrowed: the two are never both above zero.
    pub(crate) net: i128,
    pub(crate) frozen: i128,
    pub(crate) margin: i128,
    pub(crate) withdrawing: i128,
}

impl Held {
    pub(crate) fn available(&self) -> i128 {
        self.net.max(0)
    }

    pub(crate) fn borrowed(&self) -> i128 {
        (-self.net).max(0)
    }

    const fn is_nothing(&self) -> bool {
        self.net == 0 && self.frozen == 0 && self.margin == 0 && self.withdrawing == 0
    }
}

/// An account's money.
#[derive(Debug, Clone, Default)]
pub(crate) struct Funds {
    held: BTreeMap<Currency, Held>,
    /// What contra subjects have of this account: with its own shares it comes to zero.
    contra: BTreeMap<(Contra, Currency), i128>,
}

impl Funds {
    /// What there is of `currency`.
    pub(crate) fn of(&self, currency: Currency) -> Held {
        self.held.get(&currency).copied().unwrap_or_default()
    }

    /// Whether nothing is there and nothing owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.values().all(Held::is_nothing)
    }

    /// The currencies in which something is owed.
    pub(crate) fn owed(&self) -> impl Iterator<Item = Currency> {
        self.held.iter().filter(|(_, held)| held.borrowed() > 0).map(|(currency, _)| *currency)
    }

    pub(crate) fn has_margin(&self) -> bool {
        self.held.values().any(|held| held.margin > 0)
    }

    /// Adds and takes what an event moves; what is short is left to be closed. After a stop the
    /// funds are of no use: the caller works on a copy.
    pub(super) fn apply(&mut self, posting: &Posting) -> Result<(), Stop> {
        for (currency, moved) in &posting.moved {
            let held = self.held.entry(*currency).or_default();
            held.net += moved.net;
            held.frozen += moved.frozen;
            held.margin += moved.margin;
            held.withdrawing += moved.withdrawing;
            if held.frozen < 0 || held.margin < 0 || held.withdrawing < 0 {
                return Err(Stop::CONTRADICTION);
            }
        }
        for (subject, units) in &posting.contra {
            *self.contra.entry(*subject).or_default() += units;
        }
        Ok(())
    }

    /// Gives one amount to the exchange and gets another for it.
    pub(super) fn exchange(&mut self, given: Amount, got: Amount) {
        for (Amount { currency, units }, sign) in [(given, -1), (got, 1)] {
            self.held.entry(currency).or_default().net += sign * units;
            *self.contra.entry((Contra::Exchange, currency)).or_default() -= sign * units;
        }
    }

    /// Gives back what a withdrawal holds.
    pub(super) fn give_back(&mut self, amount: Amount) {
        let held = self.held.entry(amount.currency).or_default();
        held.withdrawing -= amount.units;
        held.net += amount.units;
    }

    /// Every currency that was ever touched, as outcomes show it.
    pub(super) fn shown(&self) -> impl Iterator<Item = Balance> {
        self.held.iter().map(|(currency, held)| shown(*currency, held))
    }

    /// The currencies of `touched`, as outcomes show them.
    pub(super) fn shown_of(&self, touched: &BTreeSet<Currency>) -> Vec<Balance> {
        touched.iter().map(|currency| shown(*currency, &self.of(*currency))).collect()
    }

    /// What contra subjects have, by subject and currency.
    pub(super) fn contra_shown(&self) -> BTreeMap<(String, String), String> {
        let of = |((subject, currency), units): (&(Contra, Currency), &i128)| {
            let place = (subject.name().to_owned(), currency.code.to_owned());
            (place, written(*units, currency.decimals))
        };
        self.contra.iter().map(of).collect()
    }
}

fn shown(currency: Currency, held: &Held) -> Balance {
    let amount = |units| written(units, currency.decimals);
    Balance {
        currency: currency.code.to_owned(),
        available: amount(held.available()),
        frozen: amount(held.frozen),
        margin: amount(held.margin),
        withdrawing: amount(held.withdrawing),
        borrowed: amount(held.borrowed()),
    }
}
