//! The contracts that are traded, and what a quantity of one is worth.

use super::currency::Currency;
use super::fraction::{Fraction, Rounding};
use super::liquidation::Tier;

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
    /// What maintenance a position needs, tier by tier.
    pub(super) tiers: &'static [Tier],
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
        tiers: &[
            Tier::up_to("50000", "0.004"),
            Tier::up_to("250000", "0.005"),
            Tier::up_to("1000000", "0.01"),
            Tier::up_to("5000000", "0.025"),
            Tier::up_to("20000000", "0.05"),
            Tier::up_to("50000000", "0.1"),
            Tier::up_to("100000000", "0.125"),
            Tier::up_to("200000000", "0.15"),
            Tier::up_to("300000000", "0.25"),
            Tier::beyond("0.5"),
        ],
    };

    const ETH_USDT: Self = Self {
        symbol: "ETH-USDT",
        tiers: &[
            Tier::up_to("10000", "0.005"),
            Tier::up_to("100000", "0.0065"),
            Tier::up_to("500000", "0.01"),
            Tier::up_to("1000000", "0.02"),
            Tier::up_to("2000000", "0.05"),
            Tier::up_to("5000000", "0.1"),
            Tier::up_to("10000000", "0.125"),
            Tier::up_to("20000000", "0.15"),
            Tier::beyond("0.25"),
        ],
        ..Self::BTC_USDT
    };

    const BTC_USD: Self = Self {
        symbol: "BTC-USD",
        inverse: true,
        settled_in: Currency::BTC,
        tiers: &[
            Tier::up_to("5", "0.004"),
            Tier::up_to("10", "0.005"),
            Tier::up_to("20", "0.01"),
            Tier::up_to("50", "0.025"),
            Tier::up_to("100", "0.05"),
            Tier::up_to("200", "0.1"),
            Tier::up_to("400", "0.125"),
            Tier::up_to("1000", "0.15"),
            Tier::beyond("0.25"),
        ],
        ..Self::BTC_USDT
    };

    /// `CONTRACT.md`, "What `cargo xtask up` sets up".
    pub(crate) const PERPETUAL: [Self; 3] = [Self::BTC_USDT, Self::ETH_USDT, Self::BTC_USD];

    const EUR_USD: Self = Self {
        symbol: "EUR-USD",
        multiplier: 100_000,
        settled_in: Currency::USD,
        tiers: &[
            Tier::up_to("1000000", "0.0167"),
            Tier::up_to("5000000", "0.025"),
            Tier::beyond("0.05"),
        ],
        ..Self::BTC_USDT
    };

    const XAU_USD: Self = Self {
        symbol: "XAU-USD",
        multiplier: 100,
        tiers: &[
            Tier::up_to("500000", "0.025"),
            Tier::up_to("2000000", "0.05"),
            Tier::beyond("0.1"),
        ],
        ..Self::EUR_USD
    };

    /// Those in lots, by `config/instruments.json`.
    pub(crate) const CFD: [Self; 2] = [Self::EUR_USD, Self::XAU_USD];

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
