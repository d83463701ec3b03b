//! The terms positions are held on: one or two of a symbol, each with its own margin or none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{InvalidId, Symbol};

/// How many positions an account holds of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionMode {
    /// One, long or short.
    #[default]
    OneWay,
    /// Two, a long and a short one, apart from each other.
    Hedge,
}

impl PositionMode {
    /// Whether there is one position of a symbol.
    pub const fn is_one_way(&self) -> bool {
        matches!(self, Self::OneWay)
    }

    /// The word for it in events, tables and sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneWay => "one_way",
            Self::Hedge => "hedge",
        }
    }
}

/// A word that is no mode or side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct UnknownTerm {
    found: String,
    expected: &'static str,
}

impl FromStr for PositionMode {
    type Err = UnknownTerm;

    fn from_str(text: &str) -> Result<Self, UnknownTerm> {
        match text {
            "one_way" => Ok(Self::OneWay),
            "hedge" => Ok(Self::Hedge),
            _ => Err(UnknownTerm { found: text.to_owned(), expected: "one_way or hedge" }),
        }
    }
}

/// Whether a position shares the account's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarginMode {
    /// It does.
    #[default]
    Cross,
    /// Only its own margin stands behind it.
    Isolated,
}

impl MarginMode {
    /// Whether the account's money stands behind it.
    pub const fn is_cross(&self) -> bool {
        matches!(self, Self::Cross)
    }

    /// The word for it in events, tables and sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::Isolated => "isolated",
        }
    }
}

impl FromStr for MarginMode {
    type Err = UnknownTerm;

    fn from_str(text: &str) -> Result<Self, UnknownTerm> {
        match text {
            "cross" => Ok(Self::Cross),
            "isolated" => Ok(Self::Isolated),
            _ => Err(UnknownTerm { found: text.to_owned(), expected: "cross or isolated" }),
        }
    }
}

/// Which of a hedge account's two positions of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HedgeSide {
    /// The one that is bought to open.
    Long,
    /// The one that is sold to open.
    Short,
}

impl HedgeSide {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Long, Self::Short];

    /// 1 for long, −1 for short: the sign of what opens it.
    pub const fn sign(self) -> i128 {
        match self {
            Self::Long => 1,
            Self::Short => -1,
        }
    }

    /// The word for it in events, tables and sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Short => "short",
        }
    }
}

impl fmt::Display for HedgeSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which position of an account: `BTC-USDT`, or in a hedge account `BTC-USDT:long`. No symbol has
/// a colon, so the text is as good as the two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositionKey {
    /// The contract's name.
    pub symbol: Symbol,
    /// Which of the two, in a hedge account.
    pub side: Option<HedgeSide>,
}

impl PositionKey {
    /// The one position of `symbol` in a one-way account.
    pub const fn net(symbol: Symbol) -> Self {
        Self { symbol, side: None }
    }

    /// One of the two of `symbol` in a hedge account.
    pub const fn hedge(symbol: Symbol, side: HedgeSide) -> Self {
        Self { symbol, side: Some(side) }
    }
}

impl fmt::Display for PositionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            None => self.symbol.fmt(f),
            Some(side) => write!(f, "{}:{side}", self.symbol),
        }
    }
}

impl FromStr for PositionKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (symbol, side) = match text.rsplit_once(':') {
            Some((symbol, "long")) => (symbol, Some(HedgeSide::Long)),
            Some((symbol, "short")) => (symbol, Some(HedgeSide::Short)),
            // Another word behind a colon makes no symbol either.
            _ => (text, None),
        };
        Ok(Self { symbol: Symbol::new(symbol)?, side })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_is_written_and_nothing_else_is_one() {
        for text in ["BTC-USDT", "BTC-USDT:long", "BTC-USDT:short"] {
            assert_eq!(text.parse::<PositionKey>().unwrap().to_string(), text);
        }
        for text in ["", ":long", "BTC-USDT:", "BTC-USDT:both", "BTC-USDT:long:short"] {
            assert!(text.parse::<PositionKey>().is_err(), "{text}");
        }
    }
}
