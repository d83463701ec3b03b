//! An account's money by currency, and the net rule: whatever is added to or taken from available,
//! afterwards `available = max(n, 0)` and `borrowed = max(−n, 0)`.

use std::collections::BTreeMap;

use super::book::Stop;
use super::currency::{Currency, written};
use super::event::Amount;
use super::expected::Balance;

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

/// A part of what an account has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    /// What is free, less what is owed.
    Net,
    /// Held for orders.
    Frozen,
    /// Held for positions.
    Margin,
    /// Held for withdrawals.
    Withdrawing,
}

/// What an event moves: by currency, the sum of all it adds to and takes from each share.
#[derive(Debug, Default)]
pub(super) struct Posting {
    moved: BTreeMap<Currency, Held>,
}

impl Posting {
    /// Adds so many units, or takes them; a currency is touched by what moves, even if it moves
    /// back again.
    pub(super) fn add(&mut self, currency: Currency, share: Share, units: i128) {
        if units != 0 {
            let moved = self.moved.entry(currency).or_default();
            match share {
                Share::Net => moved.net += units,
                Share::Frozen => moved.frozen += units,
                Share::Margin => moved.margin += units,
                Share::Withdrawing => moved.withdrawing += units,
            }
        }
    }

    /// The currencies that something moves in.
    pub(super) fn currencies(&self) -> Vec<Currency> {
        self.moved.keys().copied().collect()
    }

    /// Moves an amount from one share to another.
    pub(super) fn transfer(&mut self, amount: Amount, from: Share, to: Share) {
        self.add(amount.currency, from, -amount.units);
        self.add(amount.currency, to, amount.units);
    }
}

/// What is done if an event takes more than is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortfall {
    /// It is rejected: it may not borrow.
    Reject,
    /// It borrows within the credit line.
    Borrow,
    /// It happened: what is short is owed.
    Force,
}

/// A credit line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credit {
    pub(super) limit: Amount,
    pub(super) enabled: bool,
}

/// An account's money.
#[derive(Debug, Clone, Default)]
pub(crate) struct Funds {
    held: BTreeMap<Currency, Held>,
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

    pub(super) fn has_margin(&self) -> bool {
        self.held.values().any(|held| held.margin > 0)
    }

    /// How much of `currency` a posting takes beyond what is there, in units; old debt is none.
    pub(super) fn short_of(&self, currency: Currency, posting: &Posting) -> i128 {
        let moved = posting.moved.get(&currency).copied().unwrap_or_default().net;
        (-(self.of(currency).net + moved)).min(-moved).max(0)
    }

    /// Posts what an event moves and tells the currencies touched. After a stop the funds are of
    /// no use: the caller works on a copy.
    pub(super) fn post(
        &mut self,
        posting: &Posting,
        shortfall: Shortfall,
        line: Option<Credit>,
    ) -> Result<Vec<Currency>, Stop> {
        for (currency, moved) in &posting.moved {
            let held = self.held.entry(*currency).or_default();
            let owed = held.borrowed();
            held.net += moved.net;
            held.frozen += moved.frozen;
            held.margin += moved.margin;
            held.withdrawing += moved.withdrawing;
            if held.frozen < 0 || held.margin < 0 || held.withdrawing < 0 {
                return Err(Stop::CONTRADICTION);
            }
            if held.borrowed() > owed {
                may_owe(*currency, held.borrowed(), shortfall, line)?;
            }
        }
        Ok(posting.moved.keys().copied().collect())
    }

    /// Every currency that was ever touched, as outcomes show it.
    pub(super) fn shown(&self) -> impl Iterator<Item = Balance> {
        self.held.iter().map(|(currency, held)| shown(*currency, held))
    }

    /// The currencies of `touched`, as outcomes show them.
    pub(super) fn shown_of(&self, touched: &[Currency]) -> Vec<Balance> {
        touched.iter().map(|currency| shown(*currency, &self.of(*currency))).collect()
    }
}

/// Whether the account may owe so much of `currency`. A line that is switched off or has no limit
/// is none; borrowing on a line in another currency needs a rate, which no event carries.
fn may_owe(
    currency: Currency,
    owed: i128,
    shortfall: Shortfall,
    line: Option<Credit>,
) -> Result<(), Stop> {
    let line = line.filter(Credit::is_open);
    let elsewhere = line.is_some_and(|line| line.limit.currency != currency);
    match (shortfall, line) {
        (Shortfall::Reject, _) | (Shortfall::Borrow, None) => {
            Err(Stop::Rejected("insufficient_funds"))
        }
        (Shortfall::Borrow | Shortfall::Force, Some(_)) if elsewhere => Err(Stop::WITHOUT_RATE),
        (Shortfall::Borrow, Some(line)) if owed > line.limit.units => {
            Err(Stop::Rejected("credit_limit_exceeded"))
        }
        (Shortfall::Borrow | Shortfall::Force, _) => Ok(()),
    }
}

impl Credit {
    /// Whether anything can be borrowed on it at all.
    pub(crate) const fn is_open(&self) -> bool {
        self.enabled && self.limit.units > 0
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
