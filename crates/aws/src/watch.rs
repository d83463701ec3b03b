//! The configuration in force: the latest revision that passes its check, soon after it was
//! pushed, without a restart (T5).
//!
//! Guarantees that what it hands out was checked and that revisions only grow: one that fails its
//! check, one older than that in force, or a DynamoDB that is away, changes nothing. It says so
//! once per revision and once per outage.

use std::sync::Arc;
use std::time::Duration;

use cap_domain::configuration::Configuration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::configuration::{ConfigurationStore, ConfigurationStoreError, PushedConfiguration};

/// How often the current revision is asked for.
pub const POLL_SECS: u64 = 2;

/// A checked configuration, and the document it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// What decisions are made by. Of revision 0, and empty, until something is pushed.
    pub configuration: Arc<Configuration>,
    /// As it was pushed; none at revision 0.
    pub pushed: Option<Arc<PushedConfiguration>>,
}

/// Follows the revisions for as long as it lives.
#[derive(Debug)]
pub struct ConfigurationWatch {
    in_force: watch::Receiver<InForce>,
    polling: JoinHandle<()>,
}

impl ConfigurationWatch {
    /// Reads the latest revision and follows it from then on, asking every [`POLL_SECS`]. If
    /// DynamoDB is away and there is a `kept` configuration, that is in force until it answers: an
    /// outage of it may not keep a service from being started again.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`] when the latest revision cannot be read or fails its check, and
    /// there is none before it to go on with.
    pub async fn start(
        store: ConfigurationStore,
        kept: Option<PushedConfiguration>,
    ) -> Result<Self, ConfigurationStoreError> {
        let first = match (load(&store).await, kept) {
            (Err(ConfigurationStoreError::Unreachable(error)), Some(kept)) => {
                let revision = kept.revision;
                tracing::error!(%error, revision, "the configuration cannot be read: the one kept beside the journal is in force");
                in_force(kept)?
            }
            (loaded, _) => loaded?,
        };
        Ok(Self::following(store, Duration::from_secs(POLL_SECS), first))
    }

    fn following(store: ConfigurationStore, every: Duration, first: InForce) -> Self {
        let (sender, in_force) = watch::channel(first);
        let polling = tokio::spawn(follow(store, every, sender));
        Self { in_force, polling }
    }

    /// The same without one that is kept, asking as often as told.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_polling(
        store: ConfigurationStore,
        every: Duration,
    ) -> Result<Self, ConfigurationStoreError> {
        let first = load(&store).await?;
        Ok(Self::following(store, every, first))
    }

    /// The configuration to decide by now.
    pub fn current(&self) -> Arc<Configuration> {
        Arc::clone(&self.in_force.borrow().configuration)
    }

    /// The same, with the document it came from.
    pub fn in_force(&self) -> InForce {
        self.in_force.borrow().clone()
    }

    /// Announces every change.
    pub fn subscribe(&self) -> watch::Receiver<InForce> {
        self.in_force.clone()
    }
}

impl Drop for ConfigurationWatch {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

async fn load(store: &ConfigurationStore) -> Result<InForce, ConfigurationStoreError> {
    let Some(pushed) = store.latest().await? else {
        return Ok(InForce::default());
    };
    in_force(pushed)
}

fn in_force(pushed: PushedConfiguration) -> Result<InForce, ConfigurationStoreError> {
    let configuration = Configuration::check(pushed.revision, pushed.document.clone())?;
    Ok(InForce { configuration: Arc::new(configuration), pushed: Some(Arc::new(pushed)) })
}

/// What was said last, so that it is said once.
#[derive(PartialEq, Eq)]
enum Said {
    Nothing,
    Refused(u64),
    Unreachable,
}

async fn follow(store: ConfigurationStore, every: Duration, sender: watch::Sender<InForce>) {
    let mut said = Said::Nothing;
    loop {
        tokio::time::sleep(every).await;
        let revision = match store.current_revision().await {
            Ok(revision) => revision,
            Err(error) => {
                lost(&mut said, &error);
                continue;
            }
        };
        if said == Said::Unreachable {
            tracing::info!(revision, "the configuration is reachable again");
            said = Said::Nothing;
        }
        let in_force = sender.borrow().configuration.revision;
        if revision == in_force || said == Said::Refused(revision) {
            continue;
        }
        if revision < in_force {
            // Its number may come to stand for something else than what journals recorded.
            tracing::error!(
                revision,
                stays = in_force,
                "the current revision went back: the configuration in force stays"
            );
            said = Said::Refused(revision);
            continue;
        }
        match load(&store).await {
            Ok(loaded) => {
                tracing::info!(
                    revision = loaded.configuration.revision,
                    replaces = in_force,
                    "a new configuration is in force"
                );
                sender.send_replace(loaded);
                said = Said::Nothing;
            }
            Err(ConfigurationStoreError::Unreachable(error)) => lost(&mut said, &error.into()),
            Err(error) => {
                tracing::error!(
                    %error,
                    revision,
                    stays = in_force,
                    "a new configuration is refused: the one before it stays in force"
                );
                said = Said::Refused(revision);
            }
        }
    }
}

fn lost(said: &mut Said, error: &ConfigurationStoreError) {
    if *said != Said::Unreachable {
        tracing::warn!(%error, "the configuration cannot be followed: the one in force stays");
        *said = Said::Unreachable;
    }
}
