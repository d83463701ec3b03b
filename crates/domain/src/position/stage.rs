//! The position stage: changes positions and fills in the figures that only they determine
//! ([`super::apply`] says how).

use serde::{Deserialize, Serialize};

use super::apply::apply;
use super::{CrossExposure, PositionChange, PositionState};
use crate::event::Event;
use crate::ids::AccountKey;
use crate::lane::{
    Arrival, Body, Echo, Item, Lane, Message, Output, RawMessage, Row, Rules, Stage, StageName,
    Unit, forward, message_of, read_pack,
};
use crate::plan::PlannedLeg;
use crate::refusal::{Poison, Refusal, Stop};
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
        /// What became of the position; none where an event was about two of them, or about none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<PositionChange>,
        /// If it is a cross position whose liquidation price account can tell: what it needs for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cross: Option<Box<CrossExposure>>,
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
        match apply(state, &message.input, event, legs)
            .map_err(|stop| stop.of_class(event.kind().class()))
        {
            Ok(ruled) => Ok(ruled),
            Err(Stop::Refused(refusal)) => Ok((PositionRuling::Refused(refusal), state.clone())),
            Err(Stop::Poisoned(poison)) => Err(poison),
        }
    }

    fn say(
        _account: &AccountKey,
        row: &Row,
        message: &Message<Item>,
        ruling: PositionRuling,
    ) -> Result<Vec<Output>, Poison> {
        let item = &message.input;
        let body = match (&item.body, ruling) {
            (
                Body::Planned { event, rulebook, rates, .. },
                PositionRuling::Changed { legs, position, cross },
            ) => {
                let event = Box::new(without_short_tiers(Event::clone(event)));
                let (rulebook, rates) = (*rulebook, rates.clone());
                Body::Planned { event, rulebook, legs, position, cross, rates }
            }
            (_, PositionRuling::Refused(refusal)) => Body::Refused(refusal),
            (body, _) => body.clone(),
        };
        let item = Item {
            upstream_seq: row.seq,
            header: item.header.clone(),
            fingerprint: item.fingerprint,
            sent_at: item.sent_at,
            kind: item.kind.clone(),
            repair: item.repair,
            arriving: item.arriving.clone(),
            clearing_seq: item.clearing_seq,
            body,
        };
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

/// The event without tiers, of which account has no use. A list of them stays: every release before
/// sent it on, and whoever sends a row once more has to say the same.
fn without_short_tiers(event: Event) -> Event {
    match event {
        Event::ContractFilled(mut fill) => {
            let tiers = &mut fill.contract.maintenance;
            *tiers = tiers.take().filter(|tiers| !tiers.are_short());
            Event::ContractFilled(fill)
        }
        event => event,
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
