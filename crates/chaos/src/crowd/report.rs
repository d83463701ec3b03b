//! What was measured, in figures.

use std::time::Duration;

use serde::Serialize;

use super::Plan;
use super::redriving::Redriven;

/// One round of healthy traffic.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Deposits published, and posted.
    pub messages: usize,
    /// From the first publish until the last outcome was read.
    pub millis: u64,
    /// Of them in a second, from end to end.
    pub per_second: u64,
}

impl Round {
    pub(super) fn new(messages: usize, took: Duration) -> Self {
        let per_second = messages as u128 * 1_000_000 / took.as_micros().max(1);
        Self {
            messages,
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        }
    }
}

/// Two neighbouring rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pair {
    /// Beside the crowd.
    pub with: Round,
    /// In the installation without a crowd.
    pub without: Round,
}

impl Pair {
    /// The rate beside the crowd, in thousandths of the rate without it.
    pub fn permille(&self) -> u64 {
        self.with.per_second * 1_000 / self.without.per_second.max(1)
    }
}

/// How big it was.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Size {
    /// Suspended accounts.
    pub suspended: usize,
    /// Parked messages of each.
    pub parked_each: usize,
    /// Healthy accounts.
    pub healthy: usize,
    /// Deposits of each in a round.
    pub deposits: usize,
}

impl Size {
    pub(super) const fn of(plan: &Plan) -> Self {
        let Plan { suspended, parked_each, healthy, deposits, .. } = *plan;
        Self { suspended, parked_each, healthy, deposits }
    }
}

/// What the crowd came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How big it was.
    pub size: Size,
    /// The profile that broker, services and tools were built in.
    pub built: &'static str,
    /// How long it took until all of the crowd was suspended, its messages parked.
    pub suspended_in_millis: u64,
    /// Rounds with and without the crowd, one right after the other.
    pub pairs: Vec<Pair>,
    /// The accounts that were redriven.
    pub redriven: Vec<Redriven>,
}

impl Report {
    /// The rate beside the crowd, in thousandths of the rate without it: the median of the pairs,
    /// the lower one of two in the middle.
    pub fn permille(&self) -> u64 {
        let mut all: Vec<u64> = self.pairs.iter().map(Pair::permille).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(millis: u64) -> Round {
        Round::new(1_000, Duration::from_millis(millis))
    }

    #[test]
    fn what_counts_is_the_median_of_neighbouring_rounds() {
        let pair = |with, without| Pair { with: round(with), without: round(without) };
        // The machine was half as fast in the second pair, and something else ran in the third.
        let pairs = vec![pair(1_000, 950), pair(2_000, 1_900), pair(3_000, 1_000)];
        let plan = Plan { suspended: 2, parked_each: 2, healthy: 1, deposits: 1_000, rounds: 3 };
        let report = Report {
            size: Size::of(&plan),
            built: "dev",
            suspended_in_millis: 0,
            pairs,
            redriven: Vec::new(),
        };
        assert_eq!(report.permille(), 950);
    }
}
