//! What each event does to an account's positions, and the legs with the figures they determine.

use rust_decimal::Decimal;

use super::remargining::LeverageChange;
use super::{
    CrossExposure, Filled, HedgeSide, MarginMode, Position, PositionChange, PositionKey,
    PositionMode, PositionRuling, PositionState, fill, funding, remargining,
};
use crate::event::{ContractFill, Event, EventClass, EventKind};
use crate::ids::Symbol;
use crate::instrument::Contract;
use crate::lane::Item;
use crate::money::{Currency, Money};
use crate::plan::{AmountName, PlannedAmount, PlannedLeg, resolve};
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};

/// What `event` of `item` with the plan `legs` comes to, and the positions after it.
pub(super) fn apply(
    state: &PositionState,
    item: &Item,
    event: &Event,
    legs: &[PlannedLeg],
) -> Result<(PositionRuling, PositionState), Stop> {
    check_opened(state, event)?;
    let mut state = state.clone();
    let ruling = match event {
        Event::AccountOpened { position_mode, .. } => {
            // Account refuses to open it again: then the mode it has stays.
            if !state.opened {
                state.opened = true;
                state.mode = *position_mode;
            }
            PositionRuling::Passed
        }
        Event::AccountClosed => {
            check_no_position(&state)?;
            PositionRuling::Passed
        }
        Event::ContractFilled(filled) => apply_fill(&mut state, filled, legs)?,
        Event::FundingCharged { contract, rate, mark_price } => {
            apply_funding(&state, contract, *rate, *mark_price, legs)?
        }
        Event::MarginChanged { contract, position_side, amount } => {
            remargining::change_margin(&mut state, contract, *position_side, *amount, legs)?
        }
        Event::LeverageChanged { contract, leverage } => {
            let change = LeverageChange { leverage: *leverage, seq: item.clearing_seq };
            remargining::change_leverage(&mut state, contract, change, legs)?
        }
        Event::MarginPosted { contract, position_side, leverage, leverage_seq, amount } => {
            check_came_before(item, *leverage_seq)?;
            let change = leverage.map(|leverage| LeverageChange { leverage, seq: *leverage_seq });
            remargining::take_margin(&mut state, contract, *position_side, change, *amount, legs)?
        }
        Event::FundingUnpaid { contract, owed_by, amount } => {
            remargining::pay_funding(&mut state, contract, *owed_by, *amount, legs)?
        }
        _ => PositionRuling::Passed,
    };
    Ok((ruling, state))
}

fn check_opened(state: &PositionState, event: &Event) -> Result<(), Stop> {
    let kind = event.kind();
    match (state.opened, event, event.class()) {
        (true, ..) | (false, Event::AccountOpened { .. }, _) => Ok(()),
        (false, _, EventClass::Request) => {
            Err(Refusal::rejected(RejectionCode::AccountNotFound, "the account was never opened")
                .into())
        }
        (false, _, EventClass::Fact) => {
            Err(contradiction(kind, "the account was never opened".to_owned()).into())
        }
    }
}

/// A cause has its number before what follows from it; one from the future would let no later change
/// take hold.
fn check_came_before(item: &Item, cause_seq: Option<u64>) -> Result<(), Poison> {
    match cause_seq.filter(|seq| *seq >= item.upstream_seq) {
        None => Ok(()),
        Some(seq) => {
            let reason = format!("leverage_seq is {seq}, and its own number {}", item.upstream_seq);
            Err(contradiction(EventKind::MarginPosted, reason))
        }
    }
}

pub(super) fn contradiction(kind: EventKind, reason: String) -> Poison {
    Poison::Contradiction { kind: kind.name().into(), reason }
}

fn check_no_position(state: &PositionState) -> Result<(), Refusal> {
    let open: Vec<String> = state
        .positions
        .iter()
        .filter(|(_, position)| position.is_open())
        .map(|(key, position)| format!("{key} {}", position.quantity.normalize()))
        .collect();
    match open.len() {
        0 => Ok(()),
        count => {
            let detail = format!(
                "{count} open position{}: {}",
                if count == 1 { "" } else { "s" },
                open.join(", ")
            );
            Err(Refusal::rejected(RejectionCode::AccountNotEmpty, detail))
        }
    }
}

/// The position under `key`, flat if there never was one.
fn position(state: &PositionState, key: &PositionKey, currency: Currency) -> Position {
    state.positions.get(key).cloned().unwrap_or_else(|| Position::flat(currency))
}

/// Which position an event is about: a hedge account's events say the side, others do not. Else the
/// reason, in words.
pub(super) fn find_key(
    mode: PositionMode,
    symbol: &Symbol,
    side: Option<HedgeSide>,
) -> Result<PositionKey, String> {
    match (mode, side) {
        (PositionMode::OneWay, None) => Ok(PositionKey::net(symbol.clone())),
        (PositionMode::Hedge, Some(side)) => Ok(PositionKey::hedge(symbol.clone(), side)),
        (PositionMode::OneWay, Some(side)) => {
            Err(format!("position_side is {side}, and the account holds one position of {symbol}"))
        }
        (PositionMode::Hedge, None) => Err(format!(
            "position_side is missing, and the account holds two positions of {symbol}"
        )),
    }
}

/// Whether `event` fits the position that it is about.
fn check_fits(key: &PositionKey, position: &Position, event: &ContractFill) -> Result<(), Poison> {
    let held = position.quantity.abs().normalize();
    let (is, wanted) = (position.margin_mode, event.margin_mode);
    if position.is_open() && is != wanted {
        let (is, wanted) = (is.as_str(), wanted.as_str());
        let reason = format!("the fill is {wanted}, and the open position of {held} {key} is {is}");
        return Err(contradiction(EventKind::TradeFilled, reason));
    }
    let reduces = key.side.is_some_and(|side| side.sign() != event.side.sign());
    if reduces && event.quantity > position.quantity.abs() {
        let quantity = event.quantity.normalize();
        let reason = format!("it reduces {key} by {quantity}, and {held} is held");
        return Err(contradiction(EventKind::TradeFilled, reason));
    }
    Ok(())
}

fn apply_fill(
    state: &mut PositionState,
    event: &ContractFill,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Poison> {
    let contract = &event.contract;
    let key = find_key(state.mode, &contract.symbol, event.position_side)
        .map_err(|reason| contradiction(EventKind::TradeFilled, reason))?;
    let position = position(state, &key, contract.settled_in);
    check_fits(&key, &position, event)?;
    let filled = fill(&position, event)?;
    let from_reserve = from_reserve(event.reserved, filled.margin_added)?;
    let from_available = filled.margin_added.minus(from_reserve)?;
    let Filled { margin_released, realised, closing_fee, opening_fee, .. } = filled;
    let reserve_returned = returned(event.reserved, from_reserve)?;
    let cross = CrossExposure::of(state, &key, contract, &filled.position, legs);
    let legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::MarginFromReserve => Some(from_reserve),
        AmountName::MarginFromAvailable => Some(from_available),
        AmountName::PositionReserveReturned => Some(reserve_returned),
        AmountName::MarginReleased => Some(margin_released),
        AmountName::RealisedProfit => Some(realised.or_zero()),
        AmountName::RealisedLoss => Some(realised.negated().or_zero()),
        AmountName::ClosingFee => Some(closing_fee.or_zero()),
        AmountName::ClosingRebate => Some(closing_fee.negated().or_zero()),
        AmountName::OpeningFee => Some(opening_fee.or_zero()),
        AmountName::OpeningRebate => Some(opening_fee.negated().or_zero()),
        _ => None,
    })?;
    let change = PositionChange::new(&key, contract, &filled.position, realised)?;
    state.positions.insert(key, filled.position);
    Ok(PositionRuling::Changed { legs, position: Some(change), cross })
}

/// What of the reserve becomes margin: as much as is needed. A position opened before its symbol
/// was settled in another currency is margined in the old one, for which this reserve is no use.
fn from_reserve(reserved: Money, margin_added: Money) -> Result<Money, Poison> {
    if reserved.currency() == margin_added.currency() {
        Ok(reserved.min(margin_added)?)
    } else {
        Ok(Money::zero(margin_added.currency()))
    }
}

fn returned(reserved: Money, from_reserve: Money) -> Result<Money, Poison> {
    if from_reserve.is_zero() { Ok(reserved) } else { Ok(reserved.minus(from_reserve)?) }
}

/// Funding of all that is held of a symbol: each position by its own figures and rounded by itself.
fn apply_funding(
    state: &PositionState,
    contract: &Contract,
    rate: Decimal,
    mark_price: Decimal,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Poison> {
    let held: Vec<(PositionKey, Position)> = keys_of(state.mode, &contract.symbol)
        .into_iter()
        .map(|key| (key.clone(), position(state, &key, contract.settled_in)))
        .filter(|(key, position)| key.side.is_none() || position.is_open())
        .collect();
    let mut received: Option<Money> = None;
    for (_, position) in &held {
        let one = funding(position, &position.contract(contract), rate, mark_price)?;
        received = Some(match received {
            None => one,
            Some(other) => other.plus(one)?,
        });
    }
    let received = received.unwrap_or(Money::zero(contract.settled_in));
    let paid = received.negated().or_zero();
    let nothing = Money::zero(paid.currency());
    let (of_isolated, of_cross) =
        if is_asked_of_margin(&held, rate, legs) { (paid, nothing) } else { (nothing, paid) };
    // An outcome shows one position: two, or none, it does not.
    let (position, cross) = match held.as_slice() {
        [(key, position)] => {
            let nothing = Money::zero(position.contract(contract).settled_in);
            let change = PositionChange::new(key, contract, position, nothing)?;
            (Some(change), CrossExposure::of(state, key, contract, position, legs))
        }
        _ => (None, None),
    };
    let legs = resolve(legs.iter().cloned(), |name| match name {
        AmountName::FundingPaid => Some(of_cross),
        AmountName::IsolatedFundingPaid => Some(of_isolated),
        AmountName::FundingReceived => Some(received.or_zero()),
        _ => None,
    })?;
    Ok(PositionRuling::Changed { legs, position, cross })
}

/// Whether it is an isolated position that pays: then its margin does what available cannot, where the
/// rulebook knows such funding.
fn is_asked_of_margin(
    held: &[(PositionKey, Position)],
    rate: Decimal,
    legs: &[PlannedLeg],
) -> bool {
    let known =
        |leg: &PlannedLeg| leg.amount == PlannedAmount::Named(AmountName::IsolatedFundingPaid);
    let pays = |position: &Position| {
        let longs_pay = rate.is_sign_positive();
        position.sign() == if longs_pay { 1 } else { -1 }
    };
    let isolated = |position: &Position| position.margin_mode == MarginMode::Isolated;
    legs.iter().any(known) && held.iter().any(|(_, held)| pays(held) && isolated(held))
}

/// Every position that an account may hold of `symbol`.
pub(super) fn keys_of(mode: PositionMode, symbol: &Symbol) -> Vec<PositionKey> {
    match mode {
        PositionMode::OneWay => vec![PositionKey::net(symbol.clone())],
        PositionMode::Hedge => {
            HedgeSide::ALL.map(|side| PositionKey::hedge(symbol.clone(), side)).to_vec()
        }
    }
}
