//! Where a lane stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::RowHash;
use crate::time::Timestamp;

/// Whether a lane takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneStatus {
    /// It decides every message.
    #[default]
    Active,
    /// It parks every message, untried (C5).
    Suspended,
    /// It takes the parked messages back, in order, and parks the live ones behind them.
    Redriving,
}

impl LaneStatus {
    /// The name in the database and in tools.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Redriving => "redriving",
        }
    }
}

impl fmt::Display for LaneStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no lane status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a lane status: active, suspended or redriving")]
pub struct UnknownLaneStatus(String);

impl FromStr for LaneStatus {
    type Err = UnknownLaneStatus;

    fn from_str(text: &str) -> Result<Self, UnknownLaneStatus> {
        [Self::Active, Self::Suspended, Self::Redriving]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownLaneStatus(text.to_owned()))
    }
}

/// Why and since when a lane is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When it was suspended.
    pub at: Timestamp,
    /// The poison's own words.
    pub reason: String,
}

/// A lane's counters. `seq` is also its fence: a batch commits only if `seq` is still what it
/// was when the batch was decided (C7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lane {
    /// Rows in its journal: the number of the last one.
    pub seq: u64,
    /// The hash of the last row.
    pub head: RowHash,
    /// The upstream stage's number of the last message that was journaled or parked here.
    pub upstream_seq: u64,
    /// Whether it takes messages.
    pub status: LaneStatus,
    /// The number of the last parked message.
    pub parked_seq: u64,
    /// The number of the last parked message that was redriven or skipped.
    pub redriven_seq: u64,
    /// How many redrives were begun. Copies carry it, so that those of an earlier one are refused
    /// for good, and it is part of the fence, so that no decision outlives the redrive it was for.
    pub redrive_seq: u64,
    /// While redriving: the last number to be taken. None: all there are, until the lane opens.
    pub redrive_through: Option<u64>,
    /// Why it is suspended.
    pub suspension: Option<Suspension>,
}
