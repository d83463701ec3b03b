//! A position as outcomes show it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{HedgeSide, MarginMode, Position, PositionKey, isolated_liquidation_price};
use crate::ids::Symbol;
use crate::instrument::Contract;
use crate::money::Money;
use crate::money::exact::TooLarge;

/// Which way a position goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionSide {
    /// Gains when the price rises.
    Long,
    /// Gains when it falls.
    Short,
    /// Nothing is held.
    Flat,
}

/// A position after an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionChange {
    /// The contract.
    pub symbol: Symbol,
    /// Which way it goes.
    pub side: PositionSide,
    /// How much is held, without sign.
    pub quantity: Decimal,
    /// The average entry price; none when nothing is held.
    pub entry_price: Option<Decimal>,
    /// Margin held for it, in the settlement currency.
    pub margin: String,
    /// Whether it shares the account's money.
    pub margin_mode: MarginMode,
    /// What this event realised, in the settlement currency.
    pub realised_profit: String,
    /// At which price what stands behind it would no longer keep it, if its contract has maintenance
    /// tiers. Of a cross position account tells it, and only where no other shares its money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liquidation_price: Option<Decimal>,
    /// Which of a hedge account's two positions of the symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_side: Option<HedgeSide>,
}

impl PositionChange {
    /// `position` under `key` after an event that realised `realised`. `contract` is what the event
    /// says; the figures that the position was opened under go before it.
    ///
    /// # Errors
    /// If the entry price does not fit.
    pub fn new(
        key: &PositionKey,
        contract: &Contract,
        position: &Position,
        realised: Money,
    ) -> Result<Self, TooLarge> {
        let contract = position.contract(contract);
        Ok(Self {
            symbol: key.symbol.clone(),
            side: match position.sign() {
                1 => PositionSide::Long,
                -1 => PositionSide::Short,
                _ => PositionSide::Flat,
            },
            quantity: position.quantity.abs().normalize(),
            entry_price: position.entry_price(contract.kind)?,
            margin: position.margin.amount(),
            margin_mode: position.margin_mode,
            realised_profit: realised.amount(),
            liquidation_price: match position.margin_mode {
                MarginMode::Cross => None,
                MarginMode::Isolated => isolated_liquidation_price(position, &contract),
            },
            position_side: key.side,
        })
    }
}
