//! What an event moves between an account's shares and the world.

use std::collections::BTreeSet;

use super::currency::Currency;
use super::event::Amount;

/// A part of what an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    Transit,
    Trading,
    Fees,
    Partner,
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
            Self::Transit => "transit",
            Self::Trading => "house:trading",
            Self::Fees => "house:fees",
            Self::Partner => "house:partner",
            Self::Interest => "house:interest",
            Self::Profit => "house:pnl",
            Self::Funding => "house:funding",
            Self::Adjustments => "house:adjustments",
            Self::Exchange => "house:exchange",
        }
    }
}

/// One end of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Share(Share),
    Contra(Contra),
}

/// An amount above zero that goes from one place to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) amount: Amount,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// What an event moves, in the order in which it does.
#[derive(Debug, Default)]
pub(super) struct Posting {
    pub(super) moves: Vec<Move>,
}

impl Posting {
    /// Adds so many units that come from a contra subject, or takes them.
    pub(super) fn add(&mut self, currency: Currency, share: Share, units: i128, from: Contra) {
        self.put(Amount { currency, units }, Place::Contra(from), Place::Share(share));
    }

    /// Moves an amount from one share to another.
    pub(super) fn transfer(&mut self, amount: Amount, from: Share, to: Share) {
        self.put(amount, Place::Share(from), Place::Share(to));
    }

    /// The currencies of what moves, even if it moves back again.
    pub(super) fn touched(&self) -> BTreeSet<Currency> {
        self.moves.iter().map(|one| one.amount.currency).collect()
    }

    /// What is below zero goes the other way.
    fn put(&mut self, Amount { currency, units }: Amount, from: Place, to: Place) {
        let amount = Amount { currency, units: units.abs() };
        match units.signum() {
            0 => {}
            1 => self.moves.push(Move { amount, from, to }),
            _ => self.moves.push(Move { amount, from: to, to: from }),
        }
    }
}
