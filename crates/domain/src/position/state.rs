//! What an account holds of each contract.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::ids::Symbol;
use crate::instrument::{Contract, ContractKind};
use crate::money::exact::{Exact, Rounding, TooLarge};
use crate::money::{Currency, Money};

/// Decimals to which cost is kept; it is never rounded to money (`CONTRACT.md`, Arithmetic).
pub const COST_DECIMALS: u32 = 12;

/// Decimals to which a derived entry price is shown.
const ENTRY_PRICE_DECIMALS: u32 = 8;

/// An account as the position stage knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PositionState {
    /// Whether an `account.opened` went by.
    pub opened: bool,
    /// What it holds, and held, by contract.
    pub positions: BTreeMap<Symbol, Position>,
}

/// What an account holds of one contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Above zero: long; below zero: short; zero: closed.
    pub quantity: Decimal,
    /// Σ of the open fills' value before the multiplier, at [`COST_DECIMALS`]; not negative.
    pub cost: i128,
    /// Initial margin held for it.
    pub margin: Money,
    /// The leverage of the last fill.
    pub leverage: Decimal,
    /// Profit and loss realised since the account's first fill.
    pub realised_profit: Money,
}

impl Position {
    /// Nothing held yet of a contract that is settled in `currency`.
    pub const fn flat(currency: Currency) -> Self {
        Self {
            quantity: Decimal::ZERO,
            cost: 0,
            margin: Money::zero(currency),
            leverage: Decimal::ONE,
            realised_profit: Money::zero(currency),
        }
    }

    /// Whether something is held.
    pub const fn is_open(&self) -> bool {
        !self.quantity.is_zero()
    }

    /// 1 for long, −1 for short, 0 for closed.
    pub const fn sign(&self) -> i128 {
        match (self.quantity.is_zero(), self.quantity.is_sign_negative()) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// The average entry price, derived from the exact cost: `C / |q|`, inverse `|q| / C`.
    pub fn entry_price(&self, kind: ContractKind) -> Result<Option<Decimal>, TooLarge> {
        if !self.is_open() || self.cost == 0 {
            return Ok(None);
        }
        let (cost, quantity) =
            (Exact::new(self.cost, COST_DECIMALS), Exact::from(self.quantity.abs()));
        let units = match kind {
            ContractKind::Linear => {
                cost.divided_by(quantity, ENTRY_PRICE_DECIMALS, Rounding::HalfEven)?
            }
            ContractKind::Inverse => {
                quantity.divided_by(cost, ENTRY_PRICE_DECIMALS, Rounding::HalfEven)?
            }
        };
        let price =
            Decimal::try_from_i128_with_scale(units, ENTRY_PRICE_DECIMALS).map_err(|_| TooLarge)?;
        Ok(Some(price.normalize()))
    }
}

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

/// A position after an event, as outcomes show it.
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
    /// Initial margin held for it, in the settlement currency.
    pub margin: String,
    /// Always `cross`: isolated margin is not supported yet.
    pub margin_mode: MarginMode,
    /// What this event realised, in the settlement currency.
    pub realised_profit: String,
}

/// Whether positions share the account's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarginMode {
    /// They do.
    Cross,
}

impl PositionChange {
    /// `position` in `contract` after an event that realised `realised`.
    pub fn new(
        contract: &Contract,
        position: &Position,
        realised: Money,
    ) -> Result<Self, TooLarge> {
        Ok(Self {
            symbol: contract.symbol.clone(),
            side: match position.sign() {
                1 => PositionSide::Long,
                -1 => PositionSide::Short,
                _ => PositionSide::Flat,
            },
            quantity: position.quantity.abs().normalize(),
            entry_price: position.entry_price(contract.kind)?,
            margin: position.margin.amount(),
            margin_mode: MarginMode::Cross,
            realised_profit: realised.amount(),
        })
    }
}
