//! What a fill does to a position: it closes what goes the other way, then opens the rest.
//!
//! Arithmetic of `CONTRACT.md`, linear contracts, multiplier m, fill of f at p on a position of
//! signed quantity q with cost C: closing releases `c = C·f/|q|` (12 decimals, all of C on the
//! last one) and realises `side·m·(f·p − c)`; opening adds `f·p` to C. Inverse contracts: `f/p`
//! for `f·p`, and the difference the other way round.

use rust_decimal::Decimal;

use super::margin::{Value, initial_margin, released_margin};
use super::state::{COST_DECIMALS, Position};
use crate::event::ContractFill;
use crate::instrument::{Contract, ContractKind};
use crate::money::exact::{Exact, Rounding, TooLarge};
use crate::money::{INTEGER_DIGITS_MAX, Money, MoneyError};
use crate::refusal::Poison;

/// What a fill came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The position afterwards.
    pub position: Position,
    /// Initial margin of the opening part.
    pub margin_added: Money,
    /// Margin that the closing part set free.
    pub margin_released: Money,
    /// Profit of the closing part; below zero: a loss.
    pub realised: Money,
    /// The closing part's share of the fee, by quantity.
    pub closing_fee: Money,
    /// The opening part's share: the rest, with the remainder of the rounding.
    pub opening_fee: Money,
}

/// Applies `fill` to `position`. What it closes is reckoned by the figures the position was opened
/// under, and so is what it adds to an open position; what opens takes the fill's own (C6).
pub fn fill(position: &Position, fill: &ContractFill) -> Result<Filled, Poison> {
    let opposite = position.is_open() && position.sign() != fill.side.sign();
    let closing = if opposite { fill.quantity.min(position.quantity.abs()) } else { Decimal::ZERO };
    let opening = fill.quantity - closing;

    let mut position = position.clone();
    let Closed { margin_released, realised } = close(&mut position, fill, closing)?;
    let margin_added = open(&mut position, fill, opening)?;
    check_bounds(&position)?;
    let closing_fee = closing_fee(fill, closing)?;
    let opening_fee = fill.fee.minus(closing_fee)?;
    Ok(Filled { position, margin_added, margin_released, realised, closing_fee, opening_fee })
}

struct Closed {
    margin_released: Money,
    realised: Money,
}

fn close(position: &mut Position, fill: &ContractFill, closing: Decimal) -> Result<Closed, Poison> {
    let contract = position.contract(&fill.contract).into_owned();
    if closing.is_zero() {
        let nothing = Money::zero(contract.settled_in);
        return Ok(Closed { margin_released: nothing, realised: nothing });
    }
    let margin_released = released_margin(position, closing)?;
    let released_cost = released_cost(position, closing)?;
    let realised = profit(position, &contract, fill.price, closing, released_cost)?;
    position.cost -= released_cost;
    position.quantity += signed(fill, closing);
    position.margin = position.margin.minus(margin_released)?;
    position.realised_profit = position.realised_profit.plus(realised)?;
    if !position.is_open() {
        position.opened_under = None;
    }
    Ok(Closed { margin_released, realised })
}

fn open(position: &mut Position, fill: &ContractFill, opening: Decimal) -> Result<Money, Poison> {
    if opening.is_zero() {
        return Ok(Money::zero(position.contract(&fill.contract).settled_in));
    }
    if !position.is_open() {
        let currency = fill.contract.settled_in;
        if position.margin.currency() != currency {
            // The symbol is settled in another currency now: what it realised before was in the old.
            let leverage_seq = position.leverage_seq;
            *position = Position { leverage_seq, ..Position::flat(currency) };
        }
        position.margin_mode = fill.margin_mode;
    }
    let contract = position.contract(&fill.contract).into_owned();
    let value = Value::of(&contract, opening, fill.price)?;
    let margin_added = initial_margin(&contract, value, fill.leverage)?;
    position.cost = position.cost.checked_add(value.cost()?).ok_or(TooLarge)?;
    position.quantity += signed(fill, opening);
    position.leverage = fill.leverage;
    position.margin = position.margin.plus(margin_added)?;
    position.opened_under = Some(contract);
    Ok(margin_added)
}

fn signed(fill: &ContractFill, quantity: Decimal) -> Decimal {
    if fill.side.sign() < 0 { -quantity } else { quantity }
}

fn released_cost(position: &Position, closing: Decimal) -> Result<i128, TooLarge> {
    let held = position.quantity.abs();
    if closing == held {
        return Ok(position.cost);
    }
    let share = Exact::new(position.cost, COST_DECIMALS).times(closing)?;
    share.divided_by(held, COST_DECIMALS, Rounding::HalfEven)
}

/// `side·m·(f·p − c)`, inverse `side·m·(c − f/p)`, rounded once, at the end.
fn profit(
    position: &Position,
    contract: &Contract,
    price: Decimal,
    closing: Decimal,
    released_cost: i128,
) -> Result<Money, TooLarge> {
    let currency = contract.settled_in;
    let exit = Value::of(contract, closing, price)?;
    let entry = Exact::new(released_cost, COST_DECIMALS).times(exit.denominator)?;
    let gain = match contract.kind {
        ContractKind::Linear => exit.numerator.minus(entry)?,
        ContractKind::Inverse => entry.minus(exit.numerator)?,
    };
    let gain = gain.times(Exact::new(position.sign(), 0))?.times(contract.multiplier)?;
    let decimals = u32::from(currency.decimals);
    let units = gain.divided_by(exit.denominator, decimals, contract.rounding.profit)?;
    Money::from_units(currency, units).map_err(|_| TooLarge)
}

fn closing_fee(fill: &ContractFill, closing: Decimal) -> Result<Money, Poison> {
    if closing == fill.quantity {
        return Ok(fill.fee);
    }
    let currency = fill.fee.currency();
    let share = Exact::from(fill.fee).times(closing)?;
    let units =
        share.divided_by(fill.quantity, u32::from(currency.decimals), Rounding::HalfEven)?;
    Ok(Money::from_units(currency, units)?)
}

/// Quantity and cost stay within what a sum of decimals holds exactly.
fn check_bounds(position: &Position) -> Result<(), Poison> {
    let digits_max = Decimal::from(10_i64.pow(INTEGER_DIGITS_MAX as u32));
    let cost_max = 10_i128.pow(INTEGER_DIGITS_MAX as u32 + COST_DECIMALS);
    if position.quantity.abs() >= digits_max || position.cost >= cost_max {
        let currency = position.margin.currency().code;
        return Err(MoneyError::TooLarge(currency).into());
    }
    Ok(())
}
