//! Borrowing and repaying, on a card whose currency may be another than what is short (C1–C6).

use std::collections::{BTreeMap, BTreeSet};

use super::book::Stop;
use super::currency::Currency;
use super::declared::Declared;
use super::event::Amount;
use super::exchange::Rates;
use super::funds::Funds;

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
    pub(crate) limit: Amount,
    pub(super) enabled: bool,
}

impl Credit {
    /// Whether anything can be borrowed on it at all (C1).
    pub(crate) const fn is_open(&self) -> bool {
        self.enabled && self.limit.units > 0
    }
}

/// What an event says about borrowing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) shortfall: Shortfall,
    pub(super) line: Option<Credit>,
    pub(super) rates: &'a Rates,
}

/// What a posting alone did to what is free, by currency, before anything is borrowed, repaid or
/// taken from withdrawals.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// What is newly short.
    pub(super) short: BTreeMap<Currency, i128>,
    /// What came in.
    pub(super) gained: BTreeMap<Currency, i128>,
}

impl Effect {
    pub(super) fn of(before: &Funds, after: &Funds) -> Self {
        let mut effect = Self::default();
        for currency in Currency::ALL {
            let (was, is) = (before.of(currency).net, after.of(currency).net);
            if is < 0 && is < was {
                effect.short.insert(currency, (-is).min(was - is));
            }
            let (was, is) = (before.of(currency), after.of(currency));
            let declared = Declared::ALL.map(|subject| is.gained(subject, &was));
            let gained = (is.net - was.net).max(0) + declared.into_iter().sum::<i128>();
            if gained > 0 {
                effect.gained.insert(currency, gained);
            }
        }
        effect
    }
}

impl Terms<'_> {
    /// Whether what is short may be owed at all.
    pub(super) fn allow(&self, short: &BTreeMap<Currency, i128>) -> Result<(), Stop> {
        let may = match self.shortfall {
            Shortfall::Reject => false,
            Shortfall::Borrow => self.card().is_some(),
            Shortfall::Force => true,
        };
        if may || short.is_empty() { Ok(()) } else { Err(Stop::Rejected("insufficient_funds")) }
    }

    /// Closes what is short, then repays with what came in, each in the order of the currencies'
    /// codes; then asks whether that much may be owed. Tells the currencies touched by exchanges.
    pub(super) fn close(
        &self,
        before: &Funds,
        funds: &mut Funds,
        effect: &Effect,
    ) -> Result<BTreeSet<Currency>, Stop> {
        let mut touched = BTreeSet::new();
        if let Some(card) = self.card() {
            for (currency, short) in elsewhere(&effect.short, card.limit.currency) {
                self.borrow(funds, card.limit.currency, Amount { currency, units: short })?;
                touched.extend([currency, card.limit.currency]);
            }
        }
        if let Some(line) = self.line {
            for (currency, gained) in elsewhere(&effect.gained, line.limit.currency) {
                let gained = Amount { currency, units: gained };
                if self.repay(before, funds, line.limit.currency, gained) {
                    touched.extend([currency, line.limit.currency]);
                }
            }
        }
        self.check_limit(before, funds)?;
        Ok(touched)
    }

    fn card(&self) -> Option<Credit> {
        self.line.filter(Credit::is_open)
    }

    /// The least amount of the card's currency whose exchange covers what is short.
    fn borrow(&self, funds: &mut Funds, card: Currency, short: Amount) -> Result<(), Stop> {
        let exchange = self.rates.between(card, short.currency).ok_or(Stop::WITHOUT_RATE)?;
        let units = exchange.least_for(short.units).ok_or(Stop::CONTRADICTION)?;
        let got = exchange.buys(units).ok_or(Stop::CONTRADICTION)?;
        let got = Amount { currency: short.currency, units: got };
        funds.exchange(Amount { currency: card, units }, got);
        Ok(())
    }

    /// Pays back out of what came in and is still free, declared subjects by way of available; whether
    /// anything was.
    fn repay(&self, before: &Funds, funds: &mut Funds, card: Currency, gained: Amount) -> bool {
        let owed = funds.of(card).borrowed();
        let (was, is) = (before.of(gained.currency), funds.of(gained.currency));
        let declared: i128 =
            Declared::ALL.into_iter().map(|subject| is.gained(subject, &was)).sum();
        let free = gained.units.min(is.available() + declared);
        let Some(exchange) = self.rates.between(gained.currency, card) else { return false };
        if owed == 0 || free == 0 {
            return false;
        }
        let covers = exchange.buys(free).is_some_and(|bought| bought >= owed);
        let units = if covers { exchange.least_for(owed).unwrap_or(free) } else { free };
        match exchange.buys(units) {
            None | Some(0) => false,
            Some(bought) => {
                let given = Amount { currency: gained.currency, units };
                funds.free(before, given);
                funds.exchange(given, Amount { currency: card, units: bought });
                true
            }
        }
    }

    /// All that is owed, in the card's currency, is within its limit, if more is owed on it.
    fn check_limit(&self, before: &Funds, funds: &Funds) -> Result<(), Stop> {
        let Some(card) = self.card().filter(|_| self.shortfall == Shortfall::Borrow) else {
            return Ok(());
        };
        let on_card = card.limit.currency;
        let (was, is) = (before.of(on_card).net, funds.of(on_card).net);
        if is >= was || is >= 0 {
            return Ok(());
        }
        let mut owed = funds.of(on_card).borrowed();
        for currency in funds.owed().filter(|currency| *currency != on_card) {
            let exchange = self.rates.between(currency, on_card).ok_or(Stop::WITHOUT_RATE)?;
            let borrowed = funds.of(currency).borrowed();
            owed += exchange.buys(borrowed).ok_or(Stop::CONTRADICTION)?;
        }
        if owed > card.limit.units {
            return Err(Stop::Rejected("credit_limit_exceeded"));
        }
        Ok(())
    }
}

/// Amounts of all currencies but one, by code.
fn elsewhere(
    amounts: &BTreeMap<Currency, i128>,
    but: Currency,
) -> impl Iterator<Item = (Currency, i128)> {
    let amounts = amounts.iter().map(|(currency, units)| (*currency, *units));
    amounts.filter(move |(currency, _)| *currency != but)
}
