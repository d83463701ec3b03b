//! How far a redrive is, and what came of it.

use std::fmt;

use cap_domain::lane::{Lane, LaneStatus};
use serde::Serialize;

/// How far a redrive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The first number of the set that is redriven.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// The last number that the lane has taken.
    pub taken: u64,
}

/// What came of a redrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// The first number of the set that was redriven.
    pub first: u64,
    /// The last: what waited when the redrive began, or as far as it was asked to go.
    pub last: u64,
    /// How many of the set were taken.
    pub redriven: u64,
    /// How many were taken that arrived while it ran.
    pub behind: u64,
    /// How the lane is now.
    pub status: LaneStatus,
    /// How many wait still.
    pub waiting: u64,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

/// How a redrive ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// Nothing waits any more: the lane is open.
    Open,
    /// It went as far as it was asked to.
    Through,
    /// A message failed again, and the lane is suspended at it.
    Stopped {
        /// The message's number.
        parked_seq: u64,
        /// The error's own words.
        error: String,
    },
}

impl Redriven {
    /// Of a redrive of the numbers `first` to `last` that left the lane as `lane`.
    pub(super) fn new(first: u64, last: u64, lane: &Lane, ending: Ending) -> Self {
        let taken = lane.redriven_seq;
        Self {
            first,
            last,
            redriven: (taken.min(last) + 1).saturating_sub(first),
            behind: taken.saturating_sub(last),
            status: lane.status,
            waiting: lane.waiting(),
            ending,
        }
    }

    /// Whether all that was asked for was done.
    pub fn is_done(&self) -> bool {
        !matches!(self.ending, Ending::Stopped { .. })
    }
}

impl fmt::Display for Redriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, redriven, behind, status, waiting, .. } = self;
        match (last + 1).saturating_sub(*first) {
            1 if *redriven == 1 => write!(f, "number {first} redriven")?,
            all if *redriven == all => write!(f, "numbers {first} to {last} redriven")?,
            _ => write!(f, "{redriven} of numbers {first} to {last} redriven")?,
        }
        if *behind > 0 {
            write!(f, ", and {behind} that arrived meanwhile")?;
        }
        match &self.ending {
            Ending::Open => write!(f, "; the lane is open"),
            Ending::Through => write!(f, "; the lane is {status}, {waiting} wait"),
            Ending::Stopped { parked_seq, error } => {
                write!(f, "; the lane is suspended at number {parked_seq}, {waiting} wait: {error}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_redrive_is_one_sentence() {
        let lane = |redriven_seq, parked_seq, status| Lane {
            redriven_seq,
            parked_seq,
            status,
            ..Lane::default()
        };
        let stopped = || Ending::Stopped { parked_seq: 4, error: "why".to_owned() };
        let cases = [
            (
                Redriven::new(3, 7, &lane(9, 9, LaneStatus::Active), Ending::Open),
                "numbers 3 to 7 redriven, and 2 that arrived meanwhile; the lane is open",
            ),
            (
                Redriven::new(3, 3, &lane(3, 9, LaneStatus::Suspended), Ending::Through),
                "number 3 redriven; the lane is suspended, 6 wait",
            ),
            (
                Redriven::new(3, 7, &lane(3, 9, LaneStatus::Suspended), stopped()),
                "1 of numbers 3 to 7 redriven; the lane is suspended at number 4, 6 wait: why",
            ),
            (
                Redriven::new(4, 7, &lane(3, 9, LaneStatus::Suspended), stopped()),
                "0 of numbers 4 to 7 redriven; the lane is suspended at number 4, 6 wait: why",
            ),
        ];
        for (redriven, sentence) in cases {
            assert_eq!(redriven.to_string(), sentence);
        }
    }
}
