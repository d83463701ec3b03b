//! Margin put to open positions and taken from them: by hand, by another leverage, by funding.
//!
//! What raises margin is only looked at here; account pays, and `margin.posted` brings it. What lowers
//! it is done at once (ADR 11).

use rust_decimal::Decimal;

use super::apply::{contradiction, find_key, keys_of};
use super::{
    CrossExposure, HedgeSide, MarginMode, Position, PositionChange, PositionKey, PositionRuling,
    PositionState, remargin,
};
use crate::event::EventKind;
use crate::instrument::Contract;
use crate::money::{Money, MoneyError};
use crate::plan::{AmountName, PlannedLeg, resolve};
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};

/// `margin.changed`: `amount` is to be added to an isolated position, or taken out if below zero.
pub(super) fn change_margin(
    state: &mut PositionState,
    contract: &Contract,
    side: Option<HedgeSide>,
    amount: Money,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Stop> {
    let key = find_key(state.mode, &contract.symbol, side).map_err(invalid_request)?;
    let open = state.positions.get(&key).filter(|position| position.is_open());
    let Some(position) = open else {
        return Err(Refusal::rejected(
            RejectionCode::NoOpenPosition,
            format!("of {key} nothing is held, so it has no margin to change by {amount}"),
        )
        .into());
    };
    check_isolated(&key, position)?;
    if amount.currency() != position.margin.currency() {
        let (given, held) = (amount.currency(), position.margin.currency());
        return Err(invalid_request(format!(
            "symbol: {given} is its settlement currency now, and the open position is margined in {held}"
        )));
    }
    let after = Position { margin: position.margin.plus(amount)?, ..position.clone() };
    if amount.is_negative() {
        let figures = position.contract(contract);
        let initial = remargin(position, &figures, position.leverage)?;
        if after.margin < initial {
            let detail = format!(
                "needs {}, {key} has {} margin, of which {} is its initial margin",
                amount.negated(),
                position.margin.amount(),
                initial.amount()
            );
            return Err(Refusal::rejected(RejectionCode::InsufficientFunds, detail).into());
        }
    }
    let change = shown(&key, contract, &after)?;
    if amount.is_negative() {
        state.positions.insert(key, after);
    }
    Ok(PositionRuling::Changed { legs: legs.to_vec(), position: Some(change), cross: None })
}

fn check_isolated(key: &PositionKey, position: &Position) -> Result<(), Stop> {
    if position.margin_mode == MarginMode::Isolated {
        return Ok(());
    }
    let held = position.quantity.abs().normalize();
    Err(invalid_request(format!(
        "symbol: the open position of {held} {key} is cross, only an isolated one has margin of its own"
    )))
}

/// A leverage that is to be, and clearing's number of its `leverage.changed`, if that is tracked.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeverageChange {
    pub(super) leverage: Decimal,
    pub(super) seq: Option<u64>,
}

impl LeverageChange {
    /// `position` with `margin`, once the change has taken hold of it.
    fn takes_hold(self, position: Position, margin: Money) -> Position {
        let leverage_seq = self.seq.unwrap_or(position.leverage_seq);
        Position { margin, leverage: self.leverage, leverage_seq, ..position }
    }

    /// Whether a later change has taken hold of what the account holds, or held, of `contract`.
    fn is_overtaken(self, state: &PositionState, contract: &Contract) -> bool {
        let keys = keys_of(state.mode, &contract.symbol);
        let mut taken = keys.iter().filter_map(|key| state.positions.get(key));
        self.seq.is_some_and(|seq| taken.any(|position| position.leverage_seq > seq))
    }
}

/// `leverage.changed`: every open position of the contract is to have its initial margin under the
/// leverage.
pub(super) fn change_leverage(
    state: &mut PositionState,
    contract: &Contract,
    change: LeverageChange,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Stop> {
    let leverage = change.leverage;
    let open = open_positions(state, contract);
    let (mut held, mut needed): (Option<Money>, Option<Money>) = (None, None);
    let mut after = Vec::with_capacity(open.len());
    for (key, position) in open {
        let margin = remargin(&position, &position.contract(contract), leverage)?;
        held = Some(sum(held, position.margin)?);
        needed = Some(sum(needed, margin)?);
        after.push((key, change.takes_hold(position, margin)));
    }
    let (Some(held), Some(needed)) = (held, needed) else {
        let detail = format!(
            "of {} nothing is held, so there is no margin to compute with leverage {leverage}",
            contract.symbol
        );
        return Err(Refusal::rejected(RejectionCode::NoOpenPosition, detail).into());
    };
    let more = needed.minus(held)?;
    let (position, cross) = shown_alone(state, contract, &after, legs)?;
    let legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::MarginFromAvailable => Some(more.or_zero()),
        AmountName::MarginReleased => Some(more.negated().or_zero()),
        _ => None,
    })?;
    if !more.is_positive() {
        state.positions.extend(after);
    }
    Ok(PositionRuling::Changed { legs, position, cross })
}

/// `margin.posted`: account has put `amount` aside, by hand or for a leverage. What finds no place goes
/// back: all of it, if a later leverage has taken hold meanwhile.
pub(super) fn take_margin(
    state: &mut PositionState,
    contract: &Contract,
    side: Option<HedgeSide>,
    change: Option<LeverageChange>,
    amount: Money,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Poison> {
    let (after, left) = match change {
        // Its positions stay as they are, and are shown so.
        Some(change) if change.is_overtaken(state, contract) => {
            (open_positions(state, contract), amount)
        }
        Some(change) => share_out(state, contract, change, amount)?,
        None => add(state, contract, side, amount)?,
    };
    let (position, cross) = shown_alone(state, contract, &after, legs)?;
    let legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::MarginReleased => Some(left),
        _ => None,
    })?;
    state.positions.extend(after);
    Ok(PositionRuling::Changed { legs, position, cross })
}

type Shared = (Vec<(PositionKey, Position)>, Money);

fn add(
    state: &PositionState,
    contract: &Contract,
    side: Option<HedgeSide>,
    amount: Money,
) -> Result<Shared, Poison> {
    let key = find_key(state.mode, &contract.symbol, side)
        .map_err(|reason| contradiction(EventKind::MarginPosted, reason))?;
    let takes = |position: &&Position| {
        position.is_open()
            && position.margin_mode == MarginMode::Isolated
            && position.margin.currency() == amount.currency()
    };
    match state.positions.get(&key).filter(takes) {
        None => Ok((Vec::new(), amount)),
        Some(position) => {
            let margin = position.margin.plus(amount)?;
            let after = Position { margin, ..position.clone() };
            Ok((vec![(key, after)], Money::zero(amount.currency())))
        }
    }
}

/// What the open positions set free under the leverage, and `amount`, go to those that need more, in
/// order, up to what each needs.
fn share_out(
    state: &PositionState,
    contract: &Contract,
    change: LeverageChange,
    amount: Money,
) -> Result<Shared, Poison> {
    let mut left = amount;
    let mut after = Vec::new();
    for (key, position) in open_positions(state, contract) {
        if position.margin.currency() != amount.currency() {
            continue;
        }
        let needed = remargin(&position, &position.contract(contract), change.leverage)?;
        let free = position.margin.minus(needed)?.or_zero();
        left = left.plus(free)?;
        let margin = position.margin.minus(free)?;
        after.push((needed, key, change.takes_hold(position, margin)));
    }
    let mut shared = Vec::with_capacity(after.len());
    for (needed, key, position) in after {
        let given = needed.minus(position.margin)?.or_zero().min(left)?;
        left = left.minus(given)?;
        shared.push((key, Position { margin: position.margin.plus(given)?, ..position }));
    }
    Ok((shared, left))
}

/// `funding.unpaid`: drawn from the isolated position on the side that owed it, if it is still open.
pub(super) fn pay_funding(
    state: &mut PositionState,
    contract: &Contract,
    owed_by: HedgeSide,
    amount: Money,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Poison> {
    let owes = |(_, position): &(PositionKey, Position)| {
        position.sign() == owed_by.sign()
            && position.margin_mode == MarginMode::Isolated
            && position.margin.currency() == amount.currency()
    };
    let payer = open_positions(state, contract).into_iter().find(owes);
    let from_margin = match &payer {
        Some((_, position)) => position.margin.min(amount)?,
        None => Money::zero(amount.currency()),
    };
    let beyond = amount.minus(from_margin)?;
    let mut after = Vec::new();
    if let Some((key, position)) = payer {
        let margin = position.margin.minus(from_margin)?;
        after.push((key, Position { margin, ..position }));
    }
    let (position, cross) = shown_alone(state, contract, &after, legs)?;
    let legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::FundingFromMargin => Some(from_margin),
        AmountName::FundingBeyondMargin => Some(beyond),
        _ => None,
    })?;
    state.positions.extend(after);
    Ok(PositionRuling::Changed { legs, position, cross })
}

/// What is open of `contract`, the long one of a hedge account first.
fn open_positions(state: &PositionState, contract: &Contract) -> Vec<(PositionKey, Position)> {
    let keys = keys_of(state.mode, &contract.symbol).into_iter();
    let held = keys.filter_map(|key| Some((key.clone(), state.positions.get(&key)?.clone())));
    held.filter(|(_, position)| position.is_open()).collect()
}

fn sum(sum: Option<Money>, money: Money) -> Result<Money, MoneyError> {
    sum.map_or(Ok(money), |sum| sum.plus(money))
}

/// An outcome shows one position: two, or none, it does not.
fn shown_alone(
    state: &PositionState,
    contract: &Contract,
    positions: &[(PositionKey, Position)],
    legs: &[PlannedLeg],
) -> Result<(Option<PositionChange>, Option<Box<CrossExposure>>), Poison> {
    let [(key, position)] = positions else { return Ok((None, None)) };
    let change = shown(key, contract, position)?;
    Ok((Some(change), CrossExposure::of(state, key, contract, position, legs)))
}

fn shown(
    key: &PositionKey,
    contract: &Contract,
    position: &Position,
) -> Result<PositionChange, Poison> {
    let nothing = Money::zero(position.margin.currency());
    Ok(PositionChange::new(key, contract, position, nothing)?)
}

fn invalid_request(reason: String) -> Stop {
    Refusal::rejected(RejectionCode::InvalidRequest, reason).into()
}
