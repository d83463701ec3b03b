//! What a job moves, added up by currency.

use std::collections::BTreeMap;

use cap_domain::money::{CurrencyCode, Money, MoneyError};
use serde::Serialize;

use super::{Adjustment, JobError};

/// What a job moves.
#[derive(Debug, Clone, Default)]
pub struct Totals(BTreeMap<CurrencyCode, (u64, Money, Money)>);

/// What a job moves of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Which.
    pub currency: CurrencyCode,
    /// How many adjustments.
    pub adjustments: u64,
    /// What accounts are given, with the currency's decimals.
    pub given: String,
    /// What is taken from them.
    pub taken: String,
    /// What is given less what is taken: what the house pays.
    pub net: String,
}

impl Totals {
    /// Counts one more.
    pub(super) fn add(&mut self, adjustment: &Adjustment) -> Result<(), JobError> {
        let amount = adjustment.amount;
        let code = amount.currency().code;
        let zero = Money::zero(amount.currency());
        let (count, given, taken) = self.0.entry(code).or_insert((0, zero, zero));
        *count += 1;
        let sum = |sum: Money, more: Money| sum.plus(more.or_zero());
        let sums =
            sum(*given, amount).and_then(|given| Ok((given, sum(*taken, amount.negated())?)));
        (*given, *taken) = sums.map_err(|_: MoneyError| JobError::TotalTooLarge(code))?;
        Ok(())
    }

    /// By currency.
    pub fn listed(&self) -> Vec<Total> {
        let total = |(code, (count, given, taken)): (&CurrencyCode, &(u64, Money, Money))| Total {
            currency: *code,
            adjustments: *count,
            given: given.amount(),
            taken: taken.amount(),
            // Both are in range and not below zero, so their difference is.
            net: given.minus(*taken).map_or_else(|error| error.to_string(), |net| net.amount()),
        };
        self.0.iter().map(total).collect()
    }
}
