//! The broker's clock: the machine's, plus whatever a test has added to it.
//!
//! Guarantees that time never runs backwards and that whoever sleeps on it wakes when a test
//! moves it. Visibility timeouts and the five minutes of deduplication can so be tested over
//! the wire without waiting for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

/// A clock whose clones all show the same time, in milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    epoch_millis: u64,
    started: Instant,
    advanced_millis: AtomicU64,
    advances: watch::Sender<u64>,
}

impl Clock {
    /// The machine's time now, running on by itself.
    #[must_use]
    pub fn system() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Arc::new(Inner {
            epoch_millis: millis(since_1970),
            started: Instant::now(),
            advanced_millis: AtomicU64::new(0),
            advances: watch::channel(0).0,
        }))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        self.0.epoch_millis
            + millis(self.0.started.elapsed())
            + self.0.advanced_millis.load(Ordering::Acquire)
    }

    /// Moves the time forward and wakes everyone who waits for it.
    pub fn advance(&self, by: Duration) {
        let by = millis(by);
        self.0.advanced_millis.fetch_add(by, Ordering::AcqRel);
        self.0.advances.send_modify(|total| *total += by);
    }

    /// Returns when the clock shows `deadline_millis` or later.
    pub async fn sleep_until(&self, deadline_millis: u64) {
        let mut advances = self.0.advances.subscribe();
        loop {
            let now = self.now_millis();
            if now >= deadline_millis {
                return;
            }
            let nap = tokio::time::sleep(Duration::from_millis(deadline_millis - now));
            tokio::select! {
                () = nap => {}
                // The sender lives in `self`, so this only ever means an advance.
                _ = advances.changed() => {}
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
