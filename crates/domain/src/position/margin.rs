//! The margin of a fill: what opening adds and what closing sets free.

use rust_decimal::Decimal;

use super::{COST_DECIMALS, Position};
use crate::instrument::{Contract, ContractKind};
use crate::money::Money;
use crate::money::exact::{Exact, Rounding, TooLarge};

/// What a quantity of a contract is worth at a price, before the multiplier: `f·p`, inverse
/// `f/p`. Kept as a fraction, so that nothing is rounded before the end of a formula.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    pub(super) numerator: Exact,
    pub(super) denominator: Exact,
}

impl Value {
    /// Of `quantity` at `price`.
    pub fn of(contract: &Contract, quantity: Decimal, price: Decimal) -> Result<Self, TooLarge> {
        Ok(match contract.kind {
            ContractKind::Linear => Self {
                numerator: Exact::from(quantity).times(price)?,
                denominator: Exact::new(1, 0),
            },
            ContractKind::Inverse => Self { numerator: quantity.into(), denominator: price.into() },
        })
    }

    /// Of all that `position` holds, at the prices it was entered: its cost.
    pub fn entered(position: &Position) -> Self {
        Self { numerator: Exact::new(position.cost, COST_DECIMALS), denominator: Exact::new(1, 0) }
    }

    /// What it adds to a position's cost: the value at [`COST_DECIMALS`].
    pub fn cost(self) -> Result<i128, TooLarge> {
        self.numerator.divided_by(self.denominator, COST_DECIMALS, Rounding::HalfEven)
    }
}

/// `⌈value · m / leverage⌉`: the initial margin of `value` of `contract`. Rounded up, so that it is
/// never short of its rate (`CONTRACT.md`, Arithmetic), unless the symbol says otherwise.
pub fn initial_margin(
    contract: &Contract,
    value: Value,
    leverage: Decimal,
) -> Result<Money, TooLarge> {
    let currency = contract.settled_in;
    let notional = value.numerator.times(contract.multiplier)?;
    let units = notional.divided_by(
        value.denominator.times(leverage)?,
        u32::from(currency.decimals),
        contract.rounding.margin,
    )?;
    Money::from_units(currency, units).map_err(|_| TooLarge)
}

/// `⌈C · m / leverage⌉`: the initial margin of all that `position` holds under another leverage,
/// from its exact cost. Inverse contracts alike: their cost is in the settlement currency already.
/// `contract` are the figures that hold for the position ([`Position::contract`]).
pub fn remargin(
    position: &Position,
    contract: &Contract,
    leverage: Decimal,
) -> Result<Money, TooLarge> {
    initial_margin(contract, Value::entered(position), leverage)
}

/// `margin · f/|q|`: what closing `quantity` of `position` sets free; all of it on the last one.
pub fn released_margin(position: &Position, quantity: Decimal) -> Result<Money, TooLarge> {
    let held = position.quantity.abs();
    if quantity == held {
        return Ok(position.margin);
    }
    let currency = position.margin.currency();
    let share = Exact::from(position.margin).times(quantity)?;
    let units = share.divided_by(held, u32::from(currency.decimals), Rounding::HalfEven)?;
    Money::from_units(currency, units).map_err(|_| TooLarge)
}
