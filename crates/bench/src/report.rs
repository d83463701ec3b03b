//! What was measured, and whether it is enough.

use serde::Serialize;

/// A figure that was measured in several rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it is of.
    pub name: String,
    /// Its unit, such as `messages/s`.
    pub unit: &'static str,
    /// One a round, in the order they were measured; the warm-up is not among them.
    pub rounds: Vec<f64>,
    /// The median of the rounds.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Figure {
    /// A figure of `rounds`.
    pub fn new(name: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = match (sorted.first(), sorted.last()) {
            (Some(min), Some(max)) => (*min, *max),
            _ => (f64::NAN, f64::NAN),
        };
        Self { name: name.into(), unit, median: median(&sorted), min, max, rounds }
    }

    /// This figure over another one that was measured beside it, round by round: what drifts from
    /// one round to the next drifts for both.
    pub fn over(&self, beside: &Self, name: impl Into<String>) -> Self {
        let ratios = self.rounds.iter().zip(&beside.rounds).map(|(one, other)| one / other);
        Self::new(name, "×", ratios.collect())
    }
}

/// The median of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
    /// Less than so much.
    Below(f64),
}

impl Bound {
    /// Whether `measured` is within it. What was not measured is not.
    pub fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
            Self::Below(bound) => measured < bound,
        }
    }
}

/// A target, and whether the median of what was measured reaches it.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The name of the figure it is about.
    pub figure: String,
    /// What was measured.
    pub measured: f64,
    /// The figure's unit.
    pub unit: &'static str,
    /// What it has to reach.
    pub bound: Bound,
    /// Whether it does.
    pub holds: bool,
}

/// What one bench found.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// The bench.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// The figures, in the order they are told.
    pub figures: Vec<Figure>,
    /// The targets.
    pub checks: Vec<Check>,
    /// What else is to be known about it, a sentence each.
    pub notes: Vec<String>,
}

impl Section {
    /// A bench that has found nothing yet.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, figures: Vec::new(), checks: Vec::new(), notes: Vec::new() }
    }

    /// Adds a figure.
    pub fn tell(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds a figure that has a target.
    pub fn check(&mut self, figure: Figure, bound: Bound) {
        self.checks.push(Check {
            figure: figure.name.clone(),
            measured: figure.median,
            unit: figure.unit,
            bound,
            holds: bound.holds(figure.median),
        });
        self.figures.push(figure);
    }

    /// Adds a sentence.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_by_its_median_and_extremes() {
        let figure = Figure::new("rate", "messages/s", vec![3.0, 1.0, 2.0]);
        assert_eq!((figure.median, figure.min, figure.max), (2.0, 1.0, 3.0));
        let even = Figure::new("rate", "messages/s", vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!(even.median, 2.5);
    }

    #[test]
    fn a_ratio_compares_what_was_measured_in_the_same_round() {
        let fast = Figure::new("fast", "messages/s", vec![10.0, 40.0, 30.0]);
        let slow = Figure::new("slow", "messages/s", vec![5.0, 10.0, 15.0]);
        assert_eq!(fast.over(&slow, "fast over slow").rounds, [2.0, 4.0, 2.0]);
    }

    #[test]
    fn a_target_that_was_not_measured_does_not_hold() {
        let mut section = Section::new("account", "");
        section.check(Figure::new("rate", "messages/s", Vec::new()), Bound::AtLeast(1.0));
        section.check(Figure::new("p99", "ms", vec![80.0]), Bound::AtMost(80.0));
        section.check(Figure::new("memory", "MiB", vec![150.0]), Bound::Below(150.0));
        let holds: Vec<bool> = section.checks.iter().map(|check| check.holds).collect();
        assert_eq!(holds, [false, true, false]);
    }
}
