//! Pushing a configuration while positions open and close (C6).
//!
//! ```text
//! look ── push ── wait until clearing has taken it up ── wait until position has taken what clearing
//!                 had decided by then ── look again ──► in force, or taken back
//! ```
//!
//! A fill that clearing decided under the revision before may still be on its way to position when
//! the new revision appears; so the second look waits until every lane of the product has passed
//! position up to where it stood in clearing. Positions that were opened under the new revision are
//! none of its business. Where nobody can tell in time, the revision is taken back, because it is the
//! change that has to wait and not trading.
//!
//! It does not know of clearing services that follow DynamoDB later than [`Waits`] says, nor of fills
//! that are parked at position: those open positions under the figures they were decided under,
//! and a position keeps its figures until it is closed.

use std::time::Duration;

use cap_aws::ConfigurationStore;
use cap_aws::configuration::ConfigurationStoreError;
use cap_aws::watch::POLL_SECS;
use cap_domain::configuration::{Changed, Configuration, ConfigurationDocument};
use cap_domain::ids::{AccountKey, Product};
use cap_domain::time::Timestamp;
use cap_store::QueryError;
use cap_store::inspect::{
    ACCOUNTS_PAGE_MAX, accounts_with_open_positions, filled_under_earlier, lane_numbers,
    numbers_taken, open_positions,
};
use sqlx::PgPool;

/// How often position is looked at for what it has taken.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far the clocks of this tool and of clearing may be apart.
const CLOCKS_APART_SECS: i64 = 60;

/// How often a take-back is tried that nobody answers.
const TAKE_BACK_TRIES_MAX: u32 = 3;

/// How long the second look waits.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For clearing to take the revision up: it asks every [`POLL_SECS`].
    pub taken_up: Duration,
    /// For position to take what clearing had decided, in all.
    pub passed: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { taken_up: Duration::from_secs(2 * POLL_SECS + 1), passed: Duration::from_secs(30) }
    }
}

/// A configuration that is to be pushed.
pub struct Push<'a> {
    /// Where to.
    pub store: &'a ConfigurationStore,
    /// Clearing's database.
    pub clearing: &'a PgPool,
    /// Position's database.
    pub positions: &'a PgPool,
    /// What.
    pub document: &'a ConfigurationDocument,
    /// Who.
    pub by: &'a str,
    /// How long the second look waits.
    pub waits: Waits,
}

/// Why a configuration is not in force as it should be.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Nobody can tell whether it may be pushed.
    #[error("looking for open positions before the push; nothing was pushed")]
    NotSeen(#[source] QueryError),
    /// It may not.
    #[error("{changed} cannot change: {} (C6)", are_open(*.open))]
    Open {
        /// What it changes.
        changed: Changed,
        /// How many positions live by that.
        open: u64,
    },
    /// It was not pushed.
    #[error(transparent)]
    NotPushed(#[from] ConfigurationStoreError),
    /// Nobody answered when it was pushed.
    #[error(
        "pushing the configuration; nobody can tell whether it is in force: see `capctl config show`, then push again"
    )]
    Unanswered(#[source] ConfigurationStoreError),
    /// It was pushed, and taken back.
    #[error("revision {revision} was taken back by {by_revision}: {doubt}")]
    TakenBack {
        /// The revision.
        revision: u64,
        /// The one that has the content of the one before it.
        by_revision: u64,
        /// Why.
        #[source]
        doubt: Doubt,
    },
    /// It was pushed, and could not be taken back.
    #[error(
        "revision {revision} is in force and could not be taken back, although {doubt}; see `capctl config show`, and what was in force before with `capctl config show --revision {}`: push that again, with the versions of its rulebooks raised",
        revision.saturating_sub(1)
    )]
    NotTakenBack {
        /// The revision.
        revision: u64,
        /// Why it should have been.
        doubt: Box<Doubt>,
        /// Why it could not be.
        #[source]
        error: ConfigurationStoreError,
    },
}

/// Why a revision that is in force should not be.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    /// A fill was quicker.
    #[error(
        "positions were opened meanwhile under the revision before, and live by {changed}: {} (C6)",
        are_open(*.open)
    )]
    Opened {
        /// What it changes.
        changed: Changed,
        /// How many positions live by that by now, as the next push would be told.
        open: u64,
    },
    /// Messages are under way.
    #[error(
        "after {} s position had still not taken what clearing had decided for {lanes} of product {product}'s accounts, such as {first}, so nobody can tell what it opens (C6): look why with `capctl lane show {first}`, then push again",
        waited.as_secs()
    )]
    UnderWay {
        /// Whose.
        product: Product,
        /// How many lanes, of a page of them.
        lanes: usize,
        /// One of them.
        first: AccountKey,
        /// How long was waited.
        waited: Duration,
    },
    /// A database is away.
    #[error(
        "nobody can tell whether positions were opened meanwhile (C6): push again once the databases of clearing and position answer"
    )]
    NotSeen(#[from] QueryError),
}

fn are_open(open: u64) -> String {
    match open {
        1 => "there is 1 open position".to_owned(),
        _ => format!("there are {open} open positions"),
    }
}

impl Push<'_> {
    /// Makes the document the next revision, unless it changes what open positions live by; tells its
    /// number. A push that changes nothing of the kind does not wait.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn push(&self, now: impl Fn() -> Timestamp) -> Result<u64, PushError> {
        let begun_at = now();
        let previous = self.store.latest().await?;
        let next = Configuration::check(0, self.document.clone());
        let next = next.map_err(ConfigurationStoreError::from)?;
        // What this release cannot read, it cannot compare with either.
        let changed = match previous.map(|previous| Configuration::check(0, previous.document)) {
            Some(Ok(previous)) => next.changed_since(&previous),
            Some(Err(_)) | None => Vec::new(),
        };
        self.check_nothing_open(&changed).await?;
        let revision = match self.store.push(self.document, self.by, begun_at).await {
            Ok(revision) => revision,
            Err(error @ ConfigurationStoreError::Unreachable(_)) => {
                return Err(PushError::Unanswered(error));
            }
            Err(error) => return Err(error.into()),
        };
        if changed.is_empty() {
            return Ok(revision);
        }
        let since = begun_at.plus_seconds(-CLOCKS_APART_SECS);
        match self.look_again(revision, &changed, since).await {
            Ok(()) => Ok(revision),
            Err(doubt) => Err(self.take_back(revision, doubt, now()).await),
        }
    }

    async fn check_nothing_open(&self, changed: &[Changed]) -> Result<(), PushError> {
        for changed in changed {
            let Changed { product, symbol } = changed;
            let open = open_positions(self.positions, product, symbol.as_ref()).await;
            let open = open.map_err(PushError::NotSeen)?;
            if open > 0 {
                return Err(PushError::Open { changed: changed.clone(), open });
            }
        }
        Ok(())
    }

    async fn look_again(
        &self,
        revision: u64,
        changed: &[Changed],
        since: Timestamp,
    ) -> Result<(), Doubt> {
        tokio::time::sleep(self.waits.taken_up).await;
        let mut products: Vec<&Product> = changed.iter().map(|changed| &changed.product).collect();
        products.dedup();
        for product in products {
            self.wait_until_passed(product).await?;
        }
        for changed in changed {
            if !self.opened_under_earlier(changed, revision, since).await? {
                continue;
            }
            // They are counted as the first look counts. What was closed meanwhile is no doubt any more.
            let Changed { product, symbol } = changed;
            let open = open_positions(self.positions, product, symbol.as_ref()).await?;
            if open > 0 {
                return Err(Doubt::Opened { changed: changed.clone(), open });
            }
        }
        Ok(())
    }

    /// Waits until position has taken, of every lane of `product`, what clearing has decided. A page
    /// of lanes is in memory.
    async fn wait_until_passed(&self, product: &Product) -> Result<(), Doubt> {
        let (mut after, mut waited) = (None, Duration::ZERO);
        loop {
            let lanes = lane_numbers(self.clearing, product, after.as_ref()).await?;
            let ended = lanes.len() < ACCOUNTS_PAGE_MAX as usize;
            after = lanes.last().map(|(account, _)| account.clone());
            let mut under_way = lanes;
            loop {
                let accounts: Vec<&str> =
                    under_way.iter().map(|(account, _)| account.as_str()).collect();
                let taken = numbers_taken(self.positions, &accounts).await?;
                under_way.retain(|(account, decided)| {
                    taken.get(account).copied().unwrap_or_default() < *decided
                });
                let Some((first, _)) = under_way.first() else { break };
                if waited >= self.waits.passed {
                    let (product, first) = (product.clone(), first.clone());
                    return Err(Doubt::UnderWay { product, lanes: under_way.len(), first, waited });
                }
                tokio::time::sleep(LOOK_EVERY).await;
                waited += LOOK_EVERY;
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Whether a position is open that lives by what is `changed`, of an account that had a fill decided
    /// under a revision before `revision`. A page of accounts is in memory.
    async fn opened_under_earlier(
        &self,
        changed: &Changed,
        revision: u64,
        since: Timestamp,
    ) -> Result<bool, Doubt> {
        let Changed { product, symbol } = changed;
        let mut after = None;
        loop {
            let accounts = accounts_with_open_positions(
                self.positions,
                product,
                symbol.as_ref(),
                after.as_ref(),
            );
            let accounts = accounts.await?;
            for account in &accounts {
                if filled_under_earlier(self.clearing, account, revision, since).await? {
                    return Ok(true);
                }
            }
            if accounts.len() < ACCOUNTS_PAGE_MAX as usize {
                return Ok(false);
            }
            after = accounts.into_iter().next_back();
        }
    }

    async fn take_back(&self, revision: u64, doubt: Doubt, now: Timestamp) -> PushError {
        let mut tries = 1;
        loop {
            match self.store.take_back(revision, self.by, now).await {
                Ok(by_revision) => return PushError::TakenBack { revision, by_revision, doubt },
                Err(ConfigurationStoreError::Unreachable(_)) if tries < TAKE_BACK_TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    let doubt = Box::new(doubt);
                    return PushError::NotTakenBack { revision, doubt, error };
                }
            }
        }
    }
}
