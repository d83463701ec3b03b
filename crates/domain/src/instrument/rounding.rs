//! How a contract's money is rounded, symbol by symbol.

use serde::{Deserialize, Serialize};

use crate::money::Rounding;

/// The named roundings of a symbol; what it does not name is rounded as `CONTRACT.md` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roundings {
    /// Of initial margin: up, so that it is never short of its rate.
    pub margin: Rounding,
    /// Of realised profit and loss.
    pub profit: Rounding,
    /// Of funding.
    pub funding: Rounding,
}

impl Roundings {
    /// Whether nothing is rounded otherwise than everywhere.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Roundings {
    fn default() -> Self {
        Self { margin: Rounding::Up, profit: Rounding::HalfEven, funding: Rounding::HalfEven }
    }
}
