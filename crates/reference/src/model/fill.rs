//! Positions: what a fill and funding do.
//!
//! `CONTRACT.md`, Arithmetic: a fill of f at p on a position of signed quantity q with cost C
//! closes what goes the other way and opens the rest. Opening adds `f·p` to C and
//! `⌈f·p·m / leverage⌉` to the margin; closing part releases `c = C·f/|q|` and `margin·f/|q|` and
//! realises `side·m·(f·p − c)`; the last one releases all there is. Of an inverse contract it is
//! `f/p` for `f·p`, and `side·m·(c − f/p)`. Nothing but money and cost is rounded: a margin or a
//! profit comes of the exact `f/p`, not of the twelve decimals that the cost keeps of it.

use super::book::{Place, Stop};
use super::contract::{Contract, QUANTITY_DECIMALS};
use super::currency::{Currency, shortest, written};
use super::event::{ContractFill, MarginMode, PositionSide, Rate};
use super::expected::{Position, PositionChange};
use super::fraction::Fraction;

/// Decimals to which cost is kept.
pub(super) const COST_DECIMALS: u32 = 12;

/// Decimals to which outcomes show an entry price.
const ENTRY_PRICE_DECIMALS: u32 = 8;

/// What an account holds of one contract; of a hedge account, on one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) contract: Contract,
    /// None in a one-way account.
    pub(crate) position_side: Option<PositionSide>,
    /// That of the fill that opened it; a flat one keeps the last (P3).
    pub(crate) margin_mode: MarginMode,
    /// Above zero long, below zero short, at [`QUANTITY_DECIMALS`].
    pub(crate) quantity: i128,
    /// What its open fills cost, at [`COST_DECIMALS`]; not negative.
    pub(super) cost: i128,
    /// Units of the settlement currency.
    pub(crate) margin: i128,
    /// That of its last fill, or of the last change.
    pub(super) leverage: Rate,
    /// The number of the last change of leverage that took hold of it; it stays when it is closed.
    pub(super) leveraged_by: u64,
    /// Profit since the first fill, in units of the settlement currency.
    realised: i128,
}

/// What a fill came to, in units of the settlement currency.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) margin_added: i128,
    pub(super) margin_released: i128,
    pub(super) realised: i128,
    /// The fee of the part that closes, and of the part that opens.
    pub(super) fees: [i128; 2],
}

impl Holding {
    /// One that was never filled.
    pub(super) const fn flat(contract: Contract, position_side: Option<PositionSide>) -> Self {
        Self {
            contract,
            position_side,
            margin_mode: MarginMode::Cross,
            quantity: 0,
            cost: 0,
            margin: 0,
            leverage: Rate::ONE,
            leveraged_by: 0,
            realised: 0,
        }
    }

    pub(crate) const fn settled_in(&self) -> Currency {
        self.contract.settled_in
    }

    /// Where it stands in its account.
    pub(super) const fn place(&self) -> Place {
        (self.contract.symbol, self.position_side)
    }

    /// Applies a fill.
    pub(super) fn fill(&mut self, fill: &ContractFill) -> Result<Filled, Stop> {
        if self.quantity != 0 && self.margin_mode != fill.margin_mode {
            return Err(Stop::CONTRADICTS_POSITION);
        }
        let opposite = match self.position_side {
            None => {
                if fill.buys {
                    self.quantity < 0
                } else {
                    self.quantity > 0
                }
            }
            Some(side) => fill.buys != (side == PositionSide::Long),
        };
        let closing = if opposite { fill.quantity.min(self.quantity.abs()) } else { 0 };
        if opposite && self.position_side.is_some() && closing < fill.quantity {
            return Err(Stop::CONTRADICTS_POSITION);
        }
        self.margin_mode = fill.margin_mode;
        if closing < fill.quantity {
            self.leverage = fill.leverage;
        }
        self.close_and_open(fill, closing).ok_or(Stop::CONTRADICTION)
    }

    /// None if a figure is too long for any amount.
    fn close_and_open(&mut self, fill: &ContractFill, closing: i128) -> Option<Filled> {
        let Contract { settled_in, rounding, .. } = self.contract;
        let opening = fill.quantity - closing;
        let value = |quantity| self.contract.cost(quantity, &fill.price.exact());
        let multiplier = self.contract.multiplier();

        let (mut realised, mut margin_released, mut margin_added) = (0, 0, 0);
        let (mut cost_closed, mut cost_opened) = (0, 0);
        if closing > 0 {
            cost_closed = self.share(self.cost, COST_DECIMALS, closing)?;
            margin_released = self.share(self.margin, settled_in.decimals, closing)?;
            let gain = value(closing).minus(&Fraction::new(cost_closed, COST_DECIMALS));
            let side = self.quantity.signum() * if self.contract.inverse { -1 } else { 1 };
            let gain = gain.times(&multiplier).times(&Fraction::new(side, 0));
            realised = gain.rounded(settled_in.decimals, rounding.profit)?;
        }
        if opening > 0 {
            let margin = value(opening).times(&multiplier).over(&fill.leverage.exact());
            margin_added = margin.rounded(settled_in.decimals, rounding.margin)?;
            cost_opened = value(opening).half_even(COST_DECIMALS)?;
        }
        let fees = split_fee(fill, closing, settled_in.decimals)?;
        self.cost += cost_opened - cost_closed;
        self.quantity += if fill.buys { fill.quantity } else { -fill.quantity };
        self.margin += margin_added - margin_released;
        self.realised += realised;
        Some(Filled { margin_added, margin_released, realised, fees })
    }

    /// What the holder receives of funding, in units of the settlement currency: `−q·mark·m·rate`,
    /// of an inverse contract `−(q/mark)·m·rate`.
    pub(super) fn funding(&self, rate: Rate, mark_price: Rate) -> Option<i128> {
        let value = self.contract.cost(-self.quantity, &mark_price.exact());
        let value = value.times(&self.contract.multiplier()).times(&rate.exact());
        value.rounded(self.contract.settled_in.decimals, self.contract.rounding.funding)
    }

    /// Its initial margin under a leverage, `⌈C·m / leverage⌉`, in units of the settlement currency:
    /// of an inverse contract too, whose cost is in that currency already (ADR 11). None if it is
    /// longer than any amount.
    pub(super) fn initial_margin(&self, leverage: Rate) -> Option<i128> {
        let Contract { settled_in, rounding, .. } = self.contract;
        let notional = Fraction::new(self.cost, COST_DECIMALS).times(&self.contract.multiplier());
        notional.over(&leverage.exact()).rounded(settled_in.decimals, rounding.margin)
    }

    /// How much of its margin can be taken out; below zero if it has less than its initial margin.
    pub(crate) fn margin_over(&self) -> Option<i128> {
        Some(self.margin - self.initial_margin(self.leverage)?)
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

    /// As an outcome shows it after an event that realised so many units, but for what depends on the
    /// rest of the account: its liquidation price.
    pub(super) fn changed(&self, realised: i128) -> PositionChange {
        let decimals = self.contract.settled_in.decimals;
        PositionChange {
            symbol: self.contract.symbol.to_owned(),
            position_side: self.position_side.map(|side| side.name().to_owned()),
            side: self.side(),
            quantity: shortest(self.quantity.abs(), QUANTITY_DECIMALS),
            entry_price: self.entry_price(),
            margin: written(self.margin, decimals),
            margin_mode: self.margin_mode.name().to_owned(),
            realised_profit: written(realised, decimals),
            liquidation_price: None,
        }
    }

    pub(super) fn shown(&self) -> Position {
        let decimals = self.contract.settled_in.decimals;
        Position {
            symbol: self.contract.symbol.to_owned(),
            position_side: self.position_side.map(|side| side.name().to_owned()),
            side: self.side(),
            quantity: shortest(self.quantity, QUANTITY_DECIMALS),
            cost: written(self.cost, COST_DECIMALS),
            entry_price: self.entry_price(),
            margin: written(self.margin, decimals),
            margin_mode: self.margin_mode.name().to_owned(),
            realised_profit: written(self.realised, decimals),
        }
    }

    /// `C / |q|`, of an inverse contract `|q| / C`.
    fn entry_price(&self) -> Option<String> {
        if self.quantity == 0 || self.cost == 0 {
            return None;
        }
        let quantity = Fraction::new(self.quantity.abs(), QUANTITY_DECIMALS);
        let cost = Fraction::new(self.cost, COST_DECIMALS);
        let price = if self.contract.inverse { quantity.over(&cost) } else { cost.over(&quantity) };
        Some(shortest(price.half_even(ENTRY_PRICE_DECIMALS)?, ENTRY_PRICE_DECIMALS))
    }
}

/// The fee by quantity, the remainder to the part that opens; whole where there is one part.
fn split_fee(fill: &ContractFill, closing: i128, decimals: u32) -> Option<[i128; 2]> {
    if closing == fill.quantity {
        return Some([fill.fee, 0]);
    }
    let part = Fraction::new(closing, 0).over(&Fraction::new(fill.quantity, 0));
    let closing_fee = Fraction::new(fill.fee, decimals).times(&part).half_even(decimals)?;
    Some([closing_fee, fill.fee - closing_fee])
}

#[cfg(test)]
mod tests {
    use super::super::contract::Contract;
    use super::super::event::{ContractFill, MarginMode, RATE_DECIMALS, Rate};
    use super::{Holding, QUANTITY_DECIMALS};

    fn fill(buys: bool, thousandths: i128, fee: i128) -> ContractFill {
        let rate = |units: i128| Rate { units: units * 10_i128.pow(RATE_DECIMALS) };
        ContractFill {
            contract: Contract::of("BTC-USDT").unwrap(),
            buys,
            position_side: None,
            margin_mode: MarginMode::Cross,
            quantity: thousandths * 10_i128.pow(QUANTITY_DECIMALS - 3),
            price: rate(20_000),
            leverage: rate(10),
            reserved: 0,
            fee,
        }
    }

    #[test]
    fn a_flip_splits_its_fee_by_quantity_and_the_remainder_goes_to_what_opens() {
        let contract = Contract::of("BTC-USDT").unwrap();
        for (fee, parts) in [(100, [67, 33]), (-100, [-67, -33]), (1, [1, 0]), (0, [0, 0])] {
            let mut held = Holding::flat(contract, None);
            assert_eq!(held.fill(&fill(true, 100, fee)).unwrap().fees, [0, fee]);
            assert_eq!(held.fill(&fill(false, 150, fee)).unwrap().fees, parts);
            assert_eq!(held.fill(&fill(true, 50, fee)).unwrap().fees, [fee, 0]);
        }
    }
}
