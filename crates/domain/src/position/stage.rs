//! The position stage: changes positions and fills in the figures that only they determine.

use serde::{Deserialize, Serialize};

use super::{Filled, Position, PositionChange, PositionState, fill, funding};
use crate::event::{ContractFill, Event, EventClass};
use crate::ids::AccountKey;
use crate::lane::{
    Arrival, Body, Echo, Item, Lane, Message, Output, RawMessage, Row, Rules, Stage, StageName,
    Unit, forward, message_of, read_pack,
};
use crate::money::Money;
use crate::plan::{AmountName, PlannedLeg, resolve};
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};
use crate::time::Timestamp;

/// The version of this stage's `decide`.
const RULES_VERSION: u16 = 1;

/// The position stage. It needs no configuration: a contract's figures come with the event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Positions;

/// What the position stage decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionRuling {
    /// Nothing to do here: the item goes on as it came.
    Passed,
    /// The position changed, and these are the plan's legs now.
    Changed {
        /// What moves.
        legs: Vec<PlannedLeg>,
        /// What became of the position.
        position: PositionChange,
    },
    /// A request that the positions do not allow.
    Refused(Refusal),
}

impl Stage for Positions {
    const NAME: StageName = StageName::Position;
    type State = PositionState;
    type Input = Item;
    type Ruling = PositionRuling;

    fn rules(&self) -> Rules {
        Rules { version: RULES_VERSION, configuration: 0 }
    }

    fn read(lane: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Item>> {
        read_pack(lane, message)
    }

    fn journal_input(raw: &str, _input: &Item) -> String {
        raw.to_owned()
    }

    fn replay(row: &Row) -> Result<Message<Item>, Poison> {
        replay_item(row)
    }

    fn decide(
        &self,
        _account: &AccountKey,
        state: &PositionState,
        message: &Message<Item>,
        _now: Timestamp,
    ) -> Result<(PositionRuling, PositionState), Poison> {
        let Body::Planned { event, legs, .. } = &message.input.body else {
            return Ok((PositionRuling::Passed, state.clone()));
        };
        match rule(state, event, legs).map_err(|stop| stop.of_class(event.kind().class())) {
            Ok(ruled) => Ok(ruled),
            Err(Stop::Refused(refusal)) => Ok((PositionRuling::Refused(refusal), state.clone())),
            Err(Stop::Poisoned(poison)) => Err(poison),
        }
    }

    fn outputs(_account: &AccountKey, row: &Row) -> Result<Vec<Output>, Poison> {
        let unreadable = |error: serde_json::Error| Poison::Unreadable(error.to_string());
        let ruling: PositionRuling = serde_json::from_str(&row.result).map_err(unreadable)?;
        let item = replay_item(row)?.input;
        let body = match (item.body, ruling) {
            (
                Body::Planned { event, rulebook, rates, .. },
                PositionRuling::Changed { legs, position },
            ) => Body::Planned { event, rulebook, legs, position: Some(position), rates },
            (_, PositionRuling::Refused(refusal)) => Body::Refused(refusal),
            (body, _) => body,
        };
        let item = Item { upstream_seq: row.seq, body, ..item };
        Ok(vec![forward(StageName::Account, &Unit::Item(Box::new(item)))?])
    }

    fn answer(
        &self,
        _account: &AccountKey,
        _lane: &Lane,
        echo: &Echo,
        _first: Option<&Row>,
    ) -> Result<Output, Poison> {
        forward(StageName::Account, &Unit::Echo(echo.clone()))
    }
}

/// The message that a row of a stage between stages was written from.
pub(crate) fn replay_item(row: &Row) -> Result<Message<Item>, Poison> {
    match serde_json::from_str(&row.input) {
        Ok(Unit::Item(item)) => Ok(message_of(*item)),
        Ok(Unit::Echo(_)) => Err(Poison::Unreadable("an echo was journaled".to_owned())),
        Err(error) => Err(Poison::Unreadable(error.to_string())),
    }
}

fn rule(
    state: &PositionState,
    event: &Event,
    legs: &[PlannedLeg],
) -> Result<(PositionRuling, PositionState), Stop> {
    check_opened(state, event)?;
    let mut state = state.clone();
    let ruling = match event {
        Event::AccountOpened { .. } => {
            state.opened = true;
            PositionRuling::Passed
        }
        Event::AccountClosed => {
            check_no_position(&state)?;
            PositionRuling::Passed
        }
        Event::ContractFilled(filled) => apply_fill(&mut state, filled, legs)?,
        Event::FundingCharged { contract, rate, mark_price } => {
            let position = position(&state, &contract.symbol, contract.settled_in)?;
            let received =
                funding(&position, contract, *rate, *mark_price).map_err(Poison::from)?;
            let legs = resolve(legs.to_vec(), |name| match name {
                AmountName::FundingPaid => Some(received.negated().or_zero()),
                AmountName::FundingReceived => Some(received.or_zero()),
                _ => None,
            });
            let nothing = Money::zero(contract.settled_in);
            let position =
                PositionChange::new(contract, &position, nothing).map_err(Poison::from)?;
            PositionRuling::Changed { legs, position }
        }
        _ => PositionRuling::Passed,
    };
    Ok((ruling, state))
}

fn check_opened(state: &PositionState, event: &Event) -> Result<(), Stop> {
    let kind = event.kind();
    match (state.opened, event, kind.class()) {
        (true, ..) | (false, Event::AccountOpened { .. }, _) => Ok(()),
        (false, _, EventClass::Request) => {
            Err(Refusal::rejected(RejectionCode::AccountNotFound, "the account was never opened")
                .into())
        }
        (false, _, EventClass::Fact) => Err(Stop::Poisoned(Poison::Contradiction {
            kind: kind.to_string(),
            reason: "the account was never opened".to_owned(),
        })),
    }
}

fn check_no_position(state: &PositionState) -> Result<(), Refusal> {
    let open: Vec<String> = state
        .positions
        .iter()
        .filter(|(_, position)| position.is_open())
        .map(|(symbol, position)| format!("{symbol} {}", position.quantity.normalize()))
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

/// The position in `symbol`, flat if there never was one.
fn position(
    state: &PositionState,
    symbol: &crate::ids::Symbol,
    currency: crate::money::Currency,
) -> Result<Position, Poison> {
    let position = state.positions.get(symbol).cloned().unwrap_or_else(|| Position::flat(currency));
    if position.margin.currency() == currency {
        Ok(position)
    } else {
        let reason = format!(
            "{symbol} is settled in {currency}, the position in {}",
            position.margin.currency()
        );
        Err(Poison::Contradiction { kind: "trade.filled".to_owned(), reason })
    }
}

fn apply_fill(
    state: &mut PositionState,
    event: &ContractFill,
    legs: &[PlannedLeg],
) -> Result<PositionRuling, Poison> {
    let contract = &event.contract;
    let filled = fill(&position(state, &contract.symbol, contract.settled_in)?, event)?;
    let from_reserve = event.reserved.min(filled.margin_added)?;
    let from_available = filled.margin_added.minus(from_reserve)?;
    let reserve_returned = event.reserved.minus(from_reserve)?;
    let Filled { margin_released, realised, closing_fee, opening_fee, .. } = filled;
    let legs = resolve(legs.to_vec(), |name| match name {
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
    });
    let change = PositionChange::new(contract, &filled.position, realised)?;
    state.positions.insert(contract.symbol.clone(), filled.position);
    Ok(PositionRuling::Changed { legs, position: change })
}
