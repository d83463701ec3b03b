//! Positions of linear contracts with multiplier 1, settled in USDT: what a fill and funding do.
//!
//! `CONTRACT.md`, Arithmetic: a fill of f at p on a position of signed quantity q with cost C
//! closes what goes the other way and opens the rest. Opening adds `f·p` to C and
//! `⌈f·p / leverage⌉` to the margin; closing releases `c = C·f/|q|` and `margin·f/|q|` and realises
//! `side·(f·p − c)`; the last one releases all there is.

use super::currency::{Currency, shortest, written};
use super::event::{ContractFill, Rate};
use super::expected::{Position, PositionChange};
use super::fraction::Fraction;

/// Decimals to which quantities are read.
pub(crate) const QUANTITY_DECIMALS: u32 = 12;

/// Decimals to which cost is kept.
const COST_DECIMALS: u32 = 12;

/// Decimals to which outcomes show an entry price.
const ENTRY_PRICE_DECIMALS: u32 = 8;

const MONEY_DECIMALS: u32 = Currency::USDT.decimals;

/// What an account holds of one contract.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Holding {
    /// Above zero long, below zero short, at [`QUANTITY_DECIMALS`].
    pub(crate) quantity: i128,
    /// What its open fills cost, at [`COST_DECIMALS`]; not negative.
    cost: i128,
    /// Units of USDT.
    margin: i128,
    /// Profit since the first fill, in units of USDT.
    realised: i128,
}

/// What a fill came to, in units of USDT.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) margin_added: i128,
    pub(super) margin_released: i128,
    pub(super) realised: i128,
}

impl Holding {
    /// Applies a fill; none if a figure is too long for any amount.
    pub(super) fn fill(&mut self, fill: &ContractFill) -> Option<Filled> {
        let held = self.quantity.abs();
        let opposite = if fill.buys { self.quantity < 0 } else { self.quantity > 0 };
        let closing = if opposite { fill.quantity.min(held) } else { 0 };
        let opening = fill.quantity - closing;
        let value =
            |quantity| Fraction::new(quantity, QUANTITY_DECIMALS).times(&fill.price.exact());

        let (mut realised, mut margin_released, mut margin_added) = (0, 0, 0);
        if closing > 0 {
            let cost = self.share(self.cost, COST_DECIMALS, closing)?;
            margin_released = self.share(self.margin, MONEY_DECIMALS, closing)?;
            let gain = value(closing).minus(&Fraction::new(cost, COST_DECIMALS));
            let gain = gain.times(&Fraction::new(self.quantity.signum(), 0));
            realised = gain.half_even(MONEY_DECIMALS)?;
            self.cost -= cost;
        }
        if opening > 0 {
            margin_added = value(opening).over(&fill.leverage.exact()).up(MONEY_DECIMALS)?;
            self.cost += value(opening).half_even(COST_DECIMALS)?;
        }
        self.quantity += if fill.buys { fill.quantity } else { -fill.quantity };
        self.margin += margin_added - margin_released;
        self.realised += realised;
        Some(Filled { margin_added, margin_released, realised })
    }

    /// What the holder receives of funding, in units of USDT: `−q·mark·rate`.
    pub(super) fn funding(&self, rate: Rate, mark_price: Rate) -> Option<i128> {
        let value = Fraction::new(-self.quantity, QUANTITY_DECIMALS).times(&mark_price.exact());
        value.times(&rate.exact()).half_even(MONEY_DECIMALS)
    }

    /// `whole · closing/|q|`; all of it on the last one.
    fn share(&self, whole: i128, decimals: u32, closing: i128) -> Option<i128> {
        let held = self.quantity.abs();
        if closing == held {
            return Some(whole);
        }
        let part = Fraction::new(closing, 0).over(&Fraction::new(held, 0));
        Fraction::new(whole, decimals).times(&part).half_even(decimals)
    }

    fn side(&self) -> String {
        match self.quantity.signum() {
            1 => "long",
            -1 => "short",
            _ => "flat",
        }
        .to_owned()
    }

    /// As an outcome shows it after an event that realised so many units.
    pub(super) fn changed(&self, symbol: &str, realised: i128) -> PositionChange {
        PositionChange {
            symbol: symbol.to_owned(),
            side: self.side(),
            quantity: shortest(self.quantity.abs(), QUANTITY_DECIMALS),
            entry_price: self.entry_price(),
            margin: written(self.margin, MONEY_DECIMALS),
            margin_mode: "cross".to_owned(),
            realised_profit: written(realised, MONEY_DECIMALS),
        }
    }

    pub(super) fn shown(&self) -> Position {
        Position {
            side: self.side(),
            quantity: shortest(self.quantity, QUANTITY_DECIMALS),
            cost: written(self.cost, COST_DECIMALS),
            entry_price: self.entry_price(),
            margin: written(self.margin, MONEY_DECIMALS),
            realised_profit: written(self.realised, MONEY_DECIMALS),
        }
    }

    /// `C / |q|`.
    fn entry_price(&self) -> Option<String> {
        if self.quantity == 0 || self.cost == 0 {
            return None;
        }
        let quantity = Fraction::new(self.quantity.abs(), QUANTITY_DECIMALS);
        let price = Fraction::new(self.cost, COST_DECIMALS).over(&quantity);
        Some(shortest(price.half_even(ENTRY_PRICE_DECIMALS)?, ENTRY_PRICE_DECIMALS))
    }
}
