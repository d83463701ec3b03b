//! The queues there are, as they were listed at the start; listed again when one is missing.
//!
//! A queue that was created since is found for the accounts that no queue took before. Accounts that
//! had one keep it until the next start: a finer queue in the middle of a lane would split its order
//! (C16: stop, create, start).

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cap_domain::ids::AccountKey;
use cap_domain::routing::{Channel, Route, Routes};
use tokio::time::Instant;

use crate::queues::Queues;

/// How long after one listing the next is made, at the earliest.
const RELIST_PAUSE: Duration = Duration::from_secs(5);

/// The most listings that are kept: each one took an account that none before it did. The last one
/// gives way to newer ones.
const LISTINGS_MAX: usize = 16;

/// The queues there are.
#[derive(Debug)]
pub struct RouteBook {
    /// The first at the start, the others in order.
    listings: RwLock<Vec<Arc<Routes>>>,
    listed_at: Mutex<Option<Instant>>,
}

impl RouteBook {
    /// The queues that were listed at the start.
    pub fn new(listed: Arc<Routes>) -> Self {
        Self { listings: RwLock::new(vec![listed]), listed_at: Mutex::new(None) }
    }

    /// The queues that were listed at the start.
    pub fn at_start(&self) -> Arc<Routes> {
        Arc::clone(&self.listings()[0])
    }

    /// The queue and message group of `account` in `channel`, by the first listing that has one.
    pub fn resolve(&self, channel: Channel, account: &AccountKey) -> Option<Route> {
        self.listings().iter().find_map(|listed| listed.resolve(channel, account))
    }

    /// Lists the queues again, if that was not done just before, for accounts that have none;
    /// whether one of them has now.
    pub(crate) async fn look_again(
        &self,
        queues: &dyn Queues,
        missing: &[(Channel, AccountKey)],
        now: Instant,
    ) -> bool {
        let found = |book: &Self| {
            missing.iter().any(|(channel, account)| book.resolve(*channel, account).is_some())
        };
        if found(self) {
            return true;
        }
        if !self.is_due(now) {
            return false;
        }
        match queues.list_again().await {
            Ok(listed) => {
                let takes = |(channel, account): &(Channel, AccountKey)| {
                    listed.resolve(*channel, account).is_some()
                };
                if missing.iter().any(takes) {
                    self.keep(listed);
                }
            }
            Err(error) => tracing::warn!(%error, "the queues cannot be listed again"),
        }
        found(self)
    }

    fn keep(&self, listed: Arc<Routes>) {
        let mut listings = self.listings.write().unwrap_or_else(PoisonError::into_inner);
        listings.truncate(LISTINGS_MAX - 1);
        listings.push(listed);
    }

    /// Whether it is time for a listing, of which there is one at a time.
    fn is_due(&self, now: Instant) -> bool {
        let mut listed_at = self.listed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = listed_at.is_none_or(|at| now.duration_since(at) >= RELIST_PAUSE);
        if is_due {
            *listed_at = Some(now);
        }
        is_due
    }

    fn listings(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Routes>>> {
        self.listings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use cap_domain::lane::StageName;
    use cap_domain::routing::QueueName;

    use super::*;
    use crate::queues::{EntryResult, Outgoing, Received, Unreachable};

    const CLEARING: Channel = Channel::Stage(StageName::Clearing);

    fn routes(names: &[&str]) -> Arc<Routes> {
        Arc::new(Routes::new(names.iter().map(|name| QueueName::from_name("", name).unwrap())))
    }

    /// Lists what it is told, and counts how often.
    struct Listed(Arc<Routes>, AtomicUsize);

    #[async_trait]
    impl Queues for Listed {
        async fn receive(
            &self,
            _: &QueueName,
            _: u32,
            _: u32,
        ) -> Result<Vec<Received>, Unreachable> {
            Ok(Vec::new())
        }

        async fn send(
            &self,
            _: &QueueName,
            _: &[&Outgoing],
        ) -> Result<Vec<EntryResult>, Unreachable> {
            Ok(Vec::new())
        }

        async fn delete(&self, _: &QueueName, _: &[&str]) -> Result<Vec<EntryResult>, Unreachable> {
            Ok(Vec::new())
        }

        async fn extend(
            &self,
            _: &QueueName,
            _: &[&str],
            _: u32,
        ) -> Result<Vec<EntryResult>, Unreachable> {
            Ok(Vec::new())
        }

        async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::clone(&self.0))
        }
    }

    fn account(key: &str) -> AccountKey {
        key.parse().unwrap()
    }

    #[tokio::test]
    async fn a_queue_created_since_is_found_and_others_keep_theirs() {
        let book = RouteBook::new(routes(&["clearing-acme.fifo"]));
        let later =
            routes(&["clearing-acme.fifo", "clearing-acme_spot.fifo", "clearing-nova.fifo"]);
        let queues = Listed(later, AtomicUsize::new(0));
        let nova = account("nova_spot_retail_N-1");
        let now = Instant::now();
        assert!(book.look_again(&queues, &[(CLEARING, nova.clone())], now).await);
        assert!(book.resolve(CLEARING, &nova).is_some());
        let acme = book.resolve(CLEARING, &account("acme_spot_retail_A-1")).unwrap();
        assert_eq!(acme.queue.to_name(""), "clearing-acme.fifo", "until the next start");
        assert!(book.look_again(&queues, &[(CLEARING, nova)], now).await);
        assert_eq!(queues.1.load(Ordering::Relaxed), 1, "known now");
    }

    #[tokio::test]
    async fn a_queue_that_is_not_there_is_looked_for_now_and_then() {
        let book = RouteBook::new(routes(&["clearing-acme.fifo"]));
        let queues = Listed(routes(&["clearing-acme.fifo"]), AtomicUsize::new(0));
        let missing = [(CLEARING, account("nova_spot_retail_N-1"))];
        let start = Instant::now();
        for (after_secs, listings) in [(0, 1), (4, 1), (6, 2), (7, 2), (11, 3)] {
            let now = start + Duration::from_secs(after_secs);
            assert!(!book.look_again(&queues, &missing, now).await);
            assert_eq!(queues.1.load(Ordering::Relaxed), listings);
        }
    }
}
