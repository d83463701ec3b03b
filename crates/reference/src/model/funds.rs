//! An account's money by currency, and the net rule: whatever is added to or taken from available,
//! afterwards `available = max(n, 0)` and `borrowed = max(−n, 0)`.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Stop;
use super::currency::{Currency, written};
use super::declared::{Declared, credited, divided, drawn};
use super::event::Amount;
use super::expected::Balance;
use super::posting::{Contra, Move, Place, Posting, Share};
use super::product::Product;

/// What an account has of one currency, in its units.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Available less borrowed: the two are never both above zero.
    pub(crate) net: i128,
    pub(crate) frozen: i128,
    pub(crate) margin: i128,
    pub(crate) withdrawing: i128,
    /// None of what never came.
    bonus: Option<i128>,
    cash: Option<i128>,
}

impl Held {
    pub(crate) fn available(&self) -> i128 {
        self.net.max(0)
    }

    pub(crate) fn borrowed(&self) -> i128 {
        (-self.net).max(0)
    }

    /// What can be withdrawn, transferred or held.
    pub(crate) fn spendable(&self) -> i128 {
        self.cash.unwrap_or_default() + self.available()
    }

    /// What can pay a fee or a loss.
    pub(crate) fn payable(&self) -> i128 {
        self.bonus.unwrap_or_default() + self.spendable()
    }

    pub(crate) const fn declared(&self, subject: Declared) -> Option<i128> {
        match subject {
            Declared::Bonus => self.bonus,
            Declared::Cash => self.cash,
        }
    }

    fn change(&mut self, subject: Declared, units: i128) {
        let share = match subject {
            Declared::Bonus => &mut self.bonus,
            Declared::Cash => &mut self.cash,
        };
        *share = Some(share.unwrap_or_default() + units);
    }

    /// What a declared subject has more than before.
    pub(super) fn gained(&self, subject: Declared, before: &Self) -> i128 {
        let units = |held: &Self| held.declared(subject).unwrap_or_default();
        (units(self) - units(before)).max(0)
    }

    fn is_nothing(&self) -> bool {
        self.net == 0
            && self.frozen == 0
            && self.margin == 0
            && self.withdrawing == 0
            && self.payable() == 0
    }
}

/// An account's money.
#[derive(Debug, Clone)]
pub(crate) struct Funds {
    product: Product,
    held: BTreeMap<Currency, Held>,
    /// What contra subjects have of this account: with its own shares it comes to zero.
    contra: BTreeMap<(Contra, Currency), i128>,
}

impl Funds {
    pub(super) const fn new(product: Product) -> Self {
        Self { product, held: BTreeMap::new(), contra: BTreeMap::new() }
    }

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

    /// Adds and takes what an event moves, then lets what came into declared subjects, and stayed,
    /// repay what is owed in its currency, in the order in which it came; what is short is left to be
    /// closed. After a stop the funds are of no use: the caller works on a copy.
    pub(super) fn apply(&mut self, posting: &Posting) -> Result<(), Stop> {
        let before = self.held.clone();
        let mut came: Vec<(Currency, Declared)> = Vec::new();
        for Move { amount, from, to } in &posting.moves {
            self.take(*amount, *from, *to);
            came.extend(self.put(*amount, *from, *to));
        }
        for currency in posting.touched() {
            let held = self.of(currency);
            if held.frozen < 0 || held.margin < 0 || held.withdrawing < 0 {
                return Err(Stop::CONTRADICTION);
            }
        }
        for (currency, subject) in came {
            let before = before.get(&currency).copied().unwrap_or_default();
            let held = self.held.entry(currency).or_default();
            let units = held.gained(subject, &before).min(held.borrowed());
            held.change(subject, -units);
            held.net += units;
        }
        Ok(())
    }

    fn take(&mut self, Amount { currency, units }: Amount, from: Place, to: Place) {
        let product = self.product;
        match from {
            Place::Contra(contra) => {
                *self.contra.entry((contra, currency)).or_default() -= units;
            }
            Place::Share(Share::Net) => {
                let held = self.held.entry(currency).or_default();
                let mut left = units;
                for subject in drawn(product, to) {
                    let given = held.declared(*subject).unwrap_or_default().min(left);
                    if given > 0 {
                        held.change(*subject, -given);
                        left -= given;
                    }
                }
                held.net -= left;
            }
            Place::Share(share) => *self.of_share(currency, share) -= units,
        }
    }

    /// The declared subjects that it goes to.
    fn put(&mut self, amount: Amount, from: Place, to: Place) -> Vec<(Currency, Declared)> {
        let Amount { currency, units } = amount;
        match to {
            Place::Contra(contra) => {
                for (contra, units) in divided(self.product, contra, amount) {
                    *self.contra.entry((contra, currency)).or_default() += units;
                }
            }
            Place::Share(Share::Net) => {
                if let Some(parts) = credited(self.product, from, amount) {
                    let held = self.held.entry(currency).or_default();
                    for (subject, units) in &parts {
                        held.change(*subject, *units);
                    }
                    return parts.into_iter().map(|(subject, _)| (currency, subject)).collect();
                }
                self.held.entry(currency).or_default().net += units;
            }
            Place::Share(share) => *self.of_share(currency, share) += units,
        }
        Vec::new()
    }

    fn of_share(&mut self, currency: Currency, share: Share) -> &mut i128 {
        let held = self.held.entry(currency).or_default();
        match share {
            Share::Net => &mut held.net,
            Share::Frozen => &mut held.frozen,
            Share::Margin => &mut held.margin,
            Share::Withdrawing => &mut held.withdrawing,
        }
    }

    /// Gives one amount to the exchange and gets another for it.
    pub(super) fn exchange(&mut self, given: Amount, got: Amount) {
        for (Amount { currency, units }, sign) in [(given, -1), (got, 1)] {
            self.held.entry(currency).or_default().net += sign * units;
            *self.contra.entry((Contra::Exchange, currency)).or_default() -= sign * units;
        }
    }

    /// Puts to available what declared subjects have more than before, up to so many units.
    pub(super) fn free(&mut self, before: &Self, Amount { currency, units }: Amount) {
        let before = before.of(currency);
        let held = self.held.entry(currency).or_default();
        let mut left = units;
        for subject in Declared::ALL {
            let freed = held.gained(subject, &before).min(left);
            if freed > 0 {
                held.change(subject, -freed);
                held.net += freed;
                left -= freed;
            }
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
    let declared = Declared::ALL.into_iter();
    let declared = declared.filter_map(|subject| Some((subject.name(), held.declared(subject)?)));
    Balance {
        currency: currency.code.to_owned(),
        available: amount(held.available()),
        frozen: amount(held.frozen),
        margin: amount(held.margin),
        withdrawing: amount(held.withdrawing),
        borrowed: amount(held.borrowed()),
        declared: declared.map(|(name, units)| (name, amount(units))).collect(),
    }
}
