//! What an event moves between an account's shares and the world.

use std::collections::BTreeMap;

use super::currency::Currency;
use super::event::Amount;
use super::funds::Held;

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

/// Where money comes from that an account gets, and where it goes that it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contra {
    Bank,
    Trading,
    Fees,
    Interest,
    Profit,
    Funding,
    Adjustments,
    Exchange,
}

impl Contra {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bank => "external:bank",
            Self::Trading => "house:trading",
            Self::Fees => "house:fees",
            Self::Interest => "house:interest",
            Self::Profit => "house:pnl",
            Self::Funding => "house:funding",
            Self::Adjustments => "house:adjustments",
            Self::Exchange => "house:exchange",
        }
    }
}

/// What an event moves: by currency, the sum of all it adds to and takes from each share, and what
/// that is to the world.
#[derive(Debug, Default)]
pub(super) struct Posting {
    pub(super) moved: BTreeMap<Currency, Held>,
    pub(super) contra: BTreeMap<(Contra, Currency), i128>,
}

impl Posting {
    /// Adds so many units that come from a contra subject, or takes them.
    pub(super) fn add(&mut self, currency: Currency, share: Share, units: i128, from: Contra) {
        self.change(currency, share, units);
        if units != 0 {
            *self.contra.entry((from, currency)).or_default() -= units;
        }
    }

    /// Moves an amount from one share to another.
    pub(super) fn transfer(&mut self, amount: Amount, from: Share, to: Share) {
        self.change(amount.currency, from, -amount.units);
        self.change(amount.currency, to, amount.units);
    }

    /// A currency is touched by what moves, even if it moves back again.
    fn change(&mut self, currency: Currency, share: Share, units: i128) {
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
}
