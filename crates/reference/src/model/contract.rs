//! The contracts that are traded, and what a quantity of one is worth.

use super::currency::Currency;
use super::fraction::{Fraction, Rounding};

/// Decimals to which quantities are read.
pub(crate) const QUANTITY_DECIMALS: u32 = 12;

/// A contract without expiry, or for difference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contract {
    pub(crate) symbol: &'static str,
    /// Whether quantities are in the quote and money in the base.
    pub(crate) inverse: bool,
    pub(crate) multiplier: i128,
    pub(crate) settled_in: Currency,
    pub(super) rounding: Roundings,
}

/// How a contract's figures become money (P10).
#[derive(Debug, Clone, Copy)]
pub(super) struct Roundings {
    pub(super) margin: Rounding,
    pub(super) profit: Rounding,
    pub(super) funding: Rounding,
}

impl Roundings {
    const USUAL: Self =
        Self { margin: Rounding::Up, profit: Rounding::HalfEven, funding: Rounding::HalfEven };
}

impl Contract {
    const BTC_USDT: Self = Self {
        symbol: "BTC-USDT",
        inverse: false,
        multiplier: 1,
        settled_in: Currency::USDT,
        rounding: Roundings::USUAL,
    };

    /// `CONTRACT.md`, "What `cargo xtask up` sets up".
    pub(crate) const PERPETUAL: [Self; 3] = [
        Self::BTC_USDT,
        Self { symbol: "ETH-USDT", ..Self::BTC_USDT },
        Self { symbol: "BTC-USD", inverse: true, settled_in: Currency::BTC, ..Self::BTC_USDT },
    ];

    const EUR_USD: Self = Self {
        symbol: "EUR-USD",
        multiplier: 100_000,
        settled_in: Currency::USD,
        ..Self::BTC_USDT
    };

    /// Those in lots, by `config/instruments.json`.
    pub(crate) const CFD: [Self; 2] =
        [Self::EUR_USD, Self { symbol: "XAU-USD", multiplier: 100, ..Self::EUR_USD }];

    pub(crate) fn of(symbol: &str) -> Option<Self> {
        let mut all = Self::PERPETUAL.into_iter().chain(Self::CFD);
        all.find(|contract| contract.symbol == symbol)
    }

    /// What so many units of quantity cost at a price, before the multiplier: `f·p`, of an inverse
    /// contract `f/p`. Exact: money and cost are rounded from it.
    pub(super) fn cost(&self, quantity: i128, price: &Fraction) -> Fraction {
        let quantity = Fraction::new(quantity, QUANTITY_DECIMALS);
        if self.inverse { quantity.over(price) } else { quantity.times(price) }
    }

    pub(super) fn multiplier(&self) -> Fraction {
        Fraction::new(self.multiplier, 0)
    }
}
