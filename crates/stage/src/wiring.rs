//! What connects a stage's rules with the world.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_aws::configuration::{ConfigurationStore, ConfigurationStoreError, PushedConfiguration};
use cap_aws::directory::DirectoryError;
use cap_aws::watch::InForce;
use cap_aws::{Aws, ConfigurationWatch, DynamoClaims, QueueDirectory, SqsQueues};
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::position::Positions;
use cap_domain::routing::Routes;
use cap_pipeline::prepare::{Complete, Prepare};
use cap_pipeline::{Gate, Limits, Pipeline, RouteBook, StageSource, system_time};
use cap_store::{PostgresLanes, StateTables};
use sqlx::PgPool;

use crate::claims::ClaimRequestIds;
use crate::submissions::PrepareSubmissions;

/// How long after a new configuration could not be kept it is tried again.
const REMEMBER_AGAIN_SECS: u64 = 2;

/// Why a stage does not start.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The queues cannot be listed.
    #[error("finding the queues")]
    Queues(#[from] DirectoryError),
    /// The configuration cannot be read, or fails its check.
    #[error("reading the configuration")]
    Configuration(#[from] ConfigurationStoreError),
    /// Nothing was pushed yet.
    #[error("there is no configuration yet: push one with `capctl config push DIR`")]
    NoConfiguration,
    /// The configuration cannot be kept beside the journal.
    #[error("remembering the configuration beside the journal")]
    Remember(#[from] cap_store::QueryError),
}

/// A stage that can be run as a service.
#[async_trait]
pub trait Wired: StateTables {
    /// The variable that holds its database's URL.
    const DATABASE_URL: &'static str;

    /// The rules in force, and what completes new arrivals; `routes` are the queues there are.
    async fn wire(
        connections: &Connections,
        routes: &Arc<Routes>,
    ) -> Result<(StageSource<Self>, Arc<dyn Prepare<Self>>), WiringError>;
}

/// What a stage is connected to.
#[derive(Debug, Clone)]
pub struct Connections {
    /// SQS and DynamoDB.
    pub aws: Aws,
    /// The stage's database.
    pub database: PgPool,
    /// The prefix of the installation's queues and tables.
    pub prefix: String,
}

/// A stage's pipeline over `connections`.
pub async fn pipeline<S: Wired>(
    connections: &Connections,
    limits: Limits,
) -> Result<Pipeline<S>, WiringError> {
    let directory =
        Arc::new(QueueDirectory::load(connections.aws.sqs.clone(), &connections.prefix).await?);
    let routes = directory.routes();
    let (stage, prepare) = S::wire(connections, &routes).await?;
    Ok(Pipeline {
        stage,
        routes: Arc::new(RouteBook::new(routes)),
        queues: Arc::new(SqsQueues::new(&connections.aws.sqs, directory)),
        store: Arc::new(PostgresLanes::<S>::new(connections.database.clone())),
        prepare,
        clock: Arc::new(system_time),
        gate: Arc::new(Gate::default()),
        limits,
    })
}

#[async_trait]
impl Wired for Clearing {
    const DATABASE_URL: &'static str = "CLEARING_DATABASE_URL";

    async fn wire(
        connections: &Connections,
        routes: &Arc<Routes>,
    ) -> Result<(StageSource<Self>, Arc<dyn Prepare<Self>>), WiringError> {
        let Connections { aws, database, prefix } = connections;
        let kept = cap_store::configurations::latest(database).await?;
        let kept = kept.map(|(revision, document)| PushedConfiguration {
            revision,
            document,
            pushed_at: system_time(),
            pushed_by: "kept beside the journal".to_owned(),
        });
        let store = ConfigurationStore::new(aws.dynamodb.clone(), prefix);
        let watch = ConfigurationWatch::start(store, kept).await?;
        let in_force = Rulebooks::start(watch, database.clone()).await?;
        let claims = DynamoClaims::new(aws.dynamodb.clone(), prefix);
        let prepare =
            PrepareSubmissions { claims: ClaimRequestIds::new(claims), routes: Arc::clone(routes) };
        Ok((Arc::new(move || in_force.current()), Arc::new(prepare)))
    }
}

#[async_trait]
impl Wired for Positions {
    const DATABASE_URL: &'static str = "POSITION_DATABASE_URL";

    async fn wire(
        _connections: &Connections,
        _routes: &Arc<Routes>,
    ) -> Result<(StageSource<Self>, Arc<dyn Prepare<Self>>), WiringError> {
        let stage = Arc::new(Self);
        Ok((Arc::new(move || Arc::clone(&stage)), Arc::new(Complete)))
    }
}

#[async_trait]
impl Wired for Accounts {
    const DATABASE_URL: &'static str = "ACCOUNT_DATABASE_URL";

    async fn wire(
        _connections: &Connections,
        _routes: &Arc<Routes>,
    ) -> Result<(StageSource<Self>, Arc<dyn Prepare<Self>>), WiringError> {
        let stage = Arc::new(Self::default());
        Ok((Arc::new(move || Arc::clone(&stage)), Arc::new(Complete)))
    }
}

/// Clearing under the configuration in force (T5). A revision is kept beside the journal before
/// the first decision is made by it: without it, nobody could prove the decision later.
struct Rulebooks {
    current: tokio::sync::watch::Receiver<Arc<Clearing>>,
    /// Follows the revisions for as long as it lives.
    _watch: ConfigurationWatch,
}

impl Rulebooks {
    async fn start(watch: ConfigurationWatch, database: PgPool) -> Result<Self, WiringError> {
        let mut revisions = watch.subscribe();
        let first = revisions.borrow_and_update().clone();
        let pushed = first.pushed.ok_or(WiringError::NoConfiguration)?;
        cap_store::configurations::remember(&database, pushed.revision, &pushed.document).await?;
        let (sender, current) =
            tokio::sync::watch::channel(Arc::new(Clearing::new(first.configuration)));
        tokio::spawn(async move {
            while revisions.changed().await.is_ok() {
                follow(&mut revisions, &database, &sender).await;
            }
        });
        Ok(Self { current, _watch: watch })
    }

    fn current(&self) -> Arc<Clearing> {
        Arc::clone(&self.current.borrow())
    }
}

/// Puts the latest configuration in force, as soon as it is kept beside the journal; a newer one
/// that comes meanwhile takes its place.
async fn follow(
    revisions: &mut tokio::sync::watch::Receiver<InForce>,
    database: &PgPool,
    current: &tokio::sync::watch::Sender<Arc<Clearing>>,
) {
    loop {
        let next = revisions.borrow_and_update().clone();
        let Some(pushed) = next.pushed else { return };
        let revision = pushed.revision;
        match cap_store::configurations::remember(database, revision, &pushed.document).await {
            Ok(()) => {
                tracing::info!(revision, "a new configuration is in force");
                current.send_replace(Arc::new(Clearing::new(next.configuration)));
                return;
            }
            Err(error) => tracing::error!(
                revision,
                error = &error as &dyn std::error::Error,
                "the new configuration cannot be kept beside the journal: the one before stays in force"
            ),
        }
        tokio::select! {
            _ = tokio::time::sleep(Duration::from_secs(REMEMBER_AGAIN_SECS)) => {}
            _ = revisions.changed() => {}
        }
    }
}
