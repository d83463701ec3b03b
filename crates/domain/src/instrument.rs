//! What can be traded: pairs of currencies, and contracts that make positions.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

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

/// A contract and every figure of it that a fill needs.
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
}

/// Two currencies that are traded for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// What is bought and sold.
    pub base: CurrencyCode,
    /// What it is priced in.
    pub quote: CurrencyCode,
}
