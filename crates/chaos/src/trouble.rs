//! What goes wrong, how often, and from which dice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cap_domain::routing::QueueName;
use cap_pipeline::queues::Outgoing;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

/// How often each kind of trouble strikes, in thousandths of the calls it can strike.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    /// The process stops before a call.
    pub crash_before: u32,
    /// The process stops after a call, before its answer is used.
    pub crash_after: u32,
    /// The call fails and has no effect.
    pub unreachable: u32,
    /// The call takes effect and its answer is lost.
    pub reply_lost: u32,
    /// Entries of a batch fail, each by itself.
    pub entry_failed: u32,
    /// The call takes longer than usual.
    pub slow: u32,
    /// The call takes longer than a message stays hidden.
    pub overdue: u32,
    /// A commit finds a rival where there is none.
    pub fenced: u32,
    /// What was sent is sent again later, when SQS no longer recognises it.
    pub ghost: u32,
}

impl Default for Odds {
    fn default() -> Self {
        Self {
            crash_before: 3,
            crash_after: 6,
            unreachable: 8,
            reply_lost: 15,
            entry_failed: 30,
            slow: 30,
            overdue: 3,
            fenced: 20,
            ghost: 60,
        }
    }
}

/// The longest of a slow call.
const SLOW_MILLIS_MAX: u64 = 60;

/// Trouble of one run: dice, odds, and what it has done so far.
#[derive(Debug)]
pub struct Trouble {
    dice: Mutex<StdRng>,
    odds: Odds,
    calm: AtomicBool,
    ghosts: Mutex<Vec<(QueueName, Outgoing)>>,
    struck: Mutex<BTreeMap<&'static str, u64>>,
}

impl Trouble {
    /// From `seed`.
    pub fn new(seed: u64, odds: Odds) -> Arc<Self> {
        Arc::new(Self {
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
            odds,
            calm: AtomicBool::new(false),
            ghosts: Mutex::default(),
            struck: Mutex::default(),
        })
    }

    /// How often what strikes.
    pub const fn odds(&self) -> &Odds {
        &self.odds
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Release);
    }

    /// Whether nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// Whether `what` happens now, and counts it if it does.
    pub fn strikes(&self, what: &'static str, per_mille: u32) -> bool {
        if self.is_calm() || !lock(&self.dice).random_ratio(per_mille.min(1_000), 1_000) {
            return false;
        }
        self.count(what);
        true
    }

    /// Whether `what` happens now, calm or not, and counts it if it does: what people do clumsily
    /// they do at any time.
    pub fn happens(&self, what: &'static str, per_mille: u64) -> bool {
        let happens = self.below(1_000) < per_mille;
        if happens {
            self.count(what);
        }
        happens
    }

    /// Counts `what`.
    pub fn count(&self, what: &'static str) {
        *lock(&self.struck).entry(what).or_default() += 1;
    }

    /// What has happened so far, and how often.
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.struck).clone()
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        lock(&self.dice).random_range(0..bound.max(1))
    }

    /// How long a slow call takes.
    pub fn slowness(&self) -> Duration {
        Duration::from_millis(self.below(SLOW_MILLIS_MAX))
    }

    /// Keeps a copy of what was sent, to come back later.
    pub fn keep_ghost(&self, queue: &QueueName, outgoing: &Outgoing) {
        lock(&self.ghosts).push((queue.clone(), outgoing.clone()));
    }

    /// A copy whose time has come, if there is one.
    pub fn ghost(&self) -> Option<(QueueName, Outgoing)> {
        let mut ghosts = lock(&self.ghosts);
        let index = self.below(ghosts.len() as u64);
        let index = usize::try_from(index).unwrap_or_default();
        (!ghosts.is_empty()).then(|| ghosts.swap_remove(index))
    }
}

/// One life of a pipeline: it ends when a crash strikes.
#[derive(Debug, Clone)]
pub struct Life {
    /// Cancelled when it is over.
    pub over: CancellationToken,
    /// What may end it.
    pub trouble: Arc<Trouble>,
}

impl Life {
    /// Ends this life here, if the dice say so: then this never returns.
    pub async fn may_end(&self, place: &'static str, per_mille: u32) {
        if self.trouble.strikes(place, per_mille) {
            self.over.cancel();
            std::future::pending::<()>().await;
        }
    }
}

/// Nothing that is locked here can be left half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
