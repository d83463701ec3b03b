//! Waiting longer after each failure, with jitter, so that a recovering service is not stormed.

use std::time::Duration;

use rand::RngExt;

/// The first wait.
const FIRST_MILLIS: u64 = 50;

/// The longest wait.
const LONGEST_MILLIS: u64 = 5_000;

/// Doubles from [`FIRST_MILLIS`] to [`LONGEST_MILLIS`]; each wait is drawn from its upper half.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = FIRST_MILLIS.saturating_mul(1 << self.failures.min(10)).min(LONGEST_MILLIS);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(rand::rng().random_range(ceiling / 2..=ceiling))
    }

    /// Waits after one more failure.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
