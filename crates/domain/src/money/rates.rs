//! The exchange rates that an event carries, and what they make of an amount (`CONTRACT.md`,
//! `rates`).
//!
//! An entry `A/B: r` says that one A buys r B. It serves both ways, and nothing is chained: between
//! two currencies there is an entry of the two, or no rate at all.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::exact::parse_decimal;
use super::{Currency, CurrencyCode, Exact, Money, Rounding, TooLarge};
use crate::json::unique_keys;

/// The most rates an event may carry.
pub const RATES_MAX: usize = 16;

/// How much of a pair's text an error repeats.
const PAIR_CHARS_SHOWN: usize = 40;

/// The rates of an event: by A and B, how many B one A buys, above zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rates(BTreeMap<(CurrencyCode, CurrencyCode), Decimal>);

/// Rates that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRates {
    /// More than an event may carry.
    #[error("{0} rates, {RATES_MAX} is the most")]
    TooMany(usize),
    /// One of them.
    #[error("{pair}: {reason}")]
    Entry {
        /// Which, as it was written.
        pair: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Rates {
    /// Reads `{"USD/USDT": "0.9991"}`; `is_known` tells the currencies there are.
    pub fn read(
        entries: &BTreeMap<String, String>,
        is_known: impl Fn(CurrencyCode) -> bool,
    ) -> Result<Self, InvalidRates> {
        if entries.len() > RATES_MAX {
            return Err(InvalidRates::TooMany(entries.len()));
        }
        let read = |(pair, rate): (&String, &String)| {
            read_entry(pair, rate, &is_known).map_err(|reason| InvalidRates::Entry {
                pair: pair.chars().take(PAIR_CHARS_SHOWN).collect(),
                reason,
            })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The exchange of one currency into another, if a rate serves: the entry `from/to`, else
    /// `to/from`.
    pub fn between(&self, from: Currency, to: Currency) -> Option<Exchange> {
        let entry = |a: Currency, b: Currency| self.0.get(&(a.code, b.code)).copied();
        let rate = entry(from, to).map(Rate::Buys).or_else(|| entry(to, from).map(Rate::Costs))?;
        Some(Exchange { from, to, rate })
    }
}

fn read_entry(
    pair: &str,
    rate: &str,
    is_known: impl Fn(CurrencyCode) -> bool,
) -> Result<((CurrencyCode, CurrencyCode), Decimal), String> {
    let (from, to) =
        pair.split_once('/').ok_or_else(|| "is not two currencies, such as USD/USDT".to_owned())?;
    let code = |text: &str| match text.parse::<CurrencyCode>() {
        Err(error) => Err(error.to_string()),
        Ok(code) if !is_known(code) => Err(format!("there is no currency {code}")),
        Ok(code) => Ok(code),
    };
    let (from, to) = (code(from)?, code(to)?);
    if from == to {
        return Err("is of one currency".to_owned());
    }
    match parse_decimal(rate) {
        Err(error) => Err(error.to_string()),
        Ok(decimal) if decimal <= Decimal::ZERO => Err(format!("{rate} is not above zero")),
        Ok(decimal) => Ok(((from, to), decimal)),
    }
}

impl fmt::Display for Rates {
    /// `USD/HKD 7.8, USD/USDT 0.9991`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ((from, to), rate)) in self.0.iter().enumerate() {
            write!(f, "{}{from}/{to} {rate}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter();
        serializer.collect_map(
            entries.map(|((from, to), rate)| (format!("{from}/{to}"), rate.to_string())),
        )
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = unique_keys(deserializer)?;
        // They were checked at the door: an older configuration may have known other currencies.
        Self::read(&entries, |_| true).map_err(serde::de::Error::custom)
    }
}

/// An exchange of one currency into another at a known rate.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    from: Currency,
    to: Currency,
    rate: Rate,
}

#[derive(Debug, Clone, Copy)]
enum Rate {
    /// One of what is given buys so much of what is received.
    Buys(Decimal),
    /// One of what is received costs so much of what is given.
    Costs(Decimal),
}

impl Exchange {
    /// What `amount` is exchanged into, rounded half-even.
    pub fn of(&self, amount: Money) -> Result<Money, TooLarge> {
        let amount = Exact::from(amount);
        let decimals = u32::from(self.to.decimals);
        let units = match self.rate {
            Rate::Buys(rate) => amount.times(rate)?.rounded(decimals, Rounding::HalfEven)?,
            Rate::Costs(rate) => amount.divided_by(rate, decimals, Rounding::HalfEven)?,
        };
        Money::from_units(self.to, units).map_err(|_| TooLarge)
    }

    /// The smallest amount that is exchanged into `needed` or more. `needed` is above zero.
    pub fn smallest_for(&self, needed: Money) -> Result<Money, TooLarge> {
        // Half-even gives `needed` for all that is above half a unit below it, and for that half
        // itself if `needed` is even. So: the smallest amount not below the half, or the next.
        let two = Exact::new(2, 0);
        let twice_the_half =
            Exact::new(2 * needed.units() - 1, u32::from(needed.currency().decimals));
        let decimals = u32::from(self.from.decimals);
        let units = match self.rate {
            Rate::Buys(rate) => {
                twice_the_half.divided_by(Exact::from(rate).times(two)?, decimals, Rounding::Up)
            }
            Rate::Costs(rate) => {
                twice_the_half.times(rate)?.divided_by(two, decimals, Rounding::Up)
            }
        }?;
        let amount = |units| Money::from_units(self.from, units).map_err(|_| TooLarge);
        let smallest = amount(units)?;
        if self.of(smallest)?.units() >= needed.units() { Ok(smallest) } else { amount(units + 1) }
    }
}
