//! What can be traded: pairs of currencies, and contracts that make positions.

mod maintenance;
mod notation;
mod rounding;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use maintenance::{
    InvalidTiers, Maintenance, MaintenanceTier, MaintenanceTiers, TIERS_MAX, maintenance_amount,
};
pub use rounding::Roundings;

use crate::ids::Symbol;
use crate::money::{Currency, CurrencyCode};

/// How a contract's profit relates to its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContractKind {
    /// Quantity in base, money in quote: profit is `q · (exit − entry)`.
    Linear,
    /// Quantity in quote, money in base: profit is `q · (1/entry − 1/exit)`.
    Inverse,
}

/// A contract and every figure of it that a fill needs. Events carry it, and a position keeps the
/// one it was opened under, so that a new configuration changes no open position (C6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Its name.
    pub symbol: Symbol,
    /// Linear or inverse.
    pub kind: ContractKind,
    /// How much of the underlying one contract stands for, above zero.
    pub multiplier: Decimal,
    /// The currency of margin, profit and fees.
    pub settled_in: Currency,
    /// How its money is rounded.
    #[serde(default, skip_serializing_if = "Roundings::are_default")]
    pub rounding: Roundings,
    /// The margin that keeps a position of it from being liquidated, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceTiers>,
}

impl Contract {
    /// The same without its tiers: fills bring them to the position, which keeps them, and what nobody
    /// needs does not travel with every event.
    #[must_use]
    pub fn without_maintenance(self) -> Self {
        Self { maintenance: None, ..self }
    }

    /// The same with its tiers written short.
    #[must_use]
    pub fn with_short_tiers(self) -> Self {
        Self { maintenance: self.maintenance.map(MaintenanceTiers::short), ..self }
    }
}

/// Two currencies that are traded for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// What is bought and sold.
    pub base: CurrencyCode,
    /// What it is priced in.
    pub quote: CurrencyCode,
}
