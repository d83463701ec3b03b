//! The stack, and an installation of CAP on it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use cap_aws::files::read_configuration;
use cap_aws::provision::create_queues;
use cap_aws::{Aws, ConfigurationStore, DynamoClaims, connect_to};
use cap_domain::lane::StageName;
use cap_domain::routing::Scope;
use cap_local::dynamodb::DynamoDb;
use cap_local::postgres::PostgresCluster;
use cap_local::sqs::{Broker, BrokerConfig, BrokerHandle};
use cap_pipeline::system_time;

/// Where the SDK is told it is; any region does.
const REGION: &str = "us-east-1";

/// The queues of the contract: company acme has its own for each product, and for the customer
/// group vip of perpetual; company zenith has one a stage for everything.
const SCOPES: [&str; 4] = ["acme_spot", "acme_perpetual", "acme_perpetual_vip", "zenith"];

/// Broker, DynamoDB and PostgreSQL on loopback. They stop when it is dropped.
pub struct Stack {
    /// SQS.
    pub broker: BrokerHandle,
    dynamodb: Mutex<Option<DynamoDb>>,
    dynamodb_url: String,
    postgres: Option<PostgresCluster>,
    postgres_url: String,
}

impl Stack {
    /// Starts everything, with a PostgreSQL of its own.
    pub async fn start() -> anyhow::Result<Self> {
        let started = tokio::task::spawn_blocking(PostgresCluster::start_temporary).await;
        let postgres = started.context("starting PostgreSQL")?.context("starting PostgreSQL")?;
        let postgres_url = postgres.url("postgres");
        Ok(Self { postgres: Some(postgres), ..Self::start_with(postgres_url).await? })
    }

    /// Starts everything but PostgreSQL, which runs already: `postgres_url` names its `postgres`
    /// database and a role that may create others.
    pub async fn start_with(postgres_url: String) -> anyhow::Result<Self> {
        let broker =
            Broker::start(BrokerConfig::default()).await.context("starting the SQS broker")?;
        let dynamodb = DynamoDb::start().await.context("starting DynamoDB")?;
        let dynamodb_url = dynamodb.endpoint_url();
        Ok(Self {
            broker,
            dynamodb: Mutex::new(Some(dynamodb)),
            dynamodb_url,
            postgres: None,
            postgres_url,
        })
    }

    /// New clients of the AWS SDK for broker and DynamoDB; their connections end with the runtime
    /// that made them.
    pub async fn connect(&self) -> Aws {
        connect_to(&self.broker.endpoint_url(), &self.dynamodb_url).await
    }

    /// The PostgreSQL cluster, if it is the stack's own.
    pub fn postgres(&mut self) -> Option<&mut PostgresCluster> {
        self.postgres.as_mut()
    }

    /// Ends DynamoDB for good, as an outage would.
    pub fn stop_dynamodb(&self) {
        self.dynamodb.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Prepares an installation: databases, tables, queues, configuration. Installations with
    /// different prefixes do not see each other.
    pub async fn install(
        &self,
        prefix: &str,
        configuration: &Path,
    ) -> anyhow::Result<Installation> {
        let aws = self.connect().await;
        let databases = Databases::new(&self.postgres_url, prefix);
        for stage in StageName::ALL {
            cap_store::migrations::migrate(stage, databases.of(stage)).await?;
        }
        // The query store has no schema yet; its database is there, so that its address is true.
        cap_store::migrations::create_database(&databases.query).await?;
        DynamoClaims::new(aws.dynamodb.clone(), prefix).create_table().await?;
        let configurations = ConfigurationStore::new(aws.dynamodb.clone(), prefix);
        configurations.create_table().await?;
        let document = read_configuration(configuration)?;
        configurations.push(&document, "local stack", system_time()).await?;
        let scopes = SCOPES.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
        create_queues(&aws.sqs, prefix, &scopes).await?;
        Ok(Installation {
            prefix: prefix.to_owned(),
            databases,
            environment: self.environment(prefix),
        })
    }

    fn environment(&self, prefix: &str) -> Vec<(String, String)> {
        let databases = Databases::new(&self.postgres_url, prefix);
        let variables = [
            ("AWS_ENDPOINT_URL_SQS", self.broker.endpoint_url()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb_url.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("CLEARING_DATABASE_URL", databases.clearing),
            ("POSITION_DATABASE_URL", databases.position),
            ("ACCOUNT_DATABASE_URL", databases.account),
            ("QUERY_DATABASE_URL", databases.query),
            ("CAP_PREFIX", prefix.to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// An installation of CAP on the stack.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The prefix of its queues and tables.
    pub prefix: String,
    /// Its databases.
    pub databases: Databases,
    /// What its services and tools are to be told.
    pub environment: Vec<(String, String)>,
}

/// The URLs of an installation's databases.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Clearing's.
    pub clearing: String,
    /// Position's.
    pub position: String,
    /// Account's.
    pub account: String,
    /// The query store's.
    pub query: String,
}

impl Databases {
    fn new(postgres_url: &str, prefix: &str) -> Self {
        let dash = if prefix.is_empty() { "" } else { "_" };
        let database = |name: &str| match postgres_url.rsplit_once('/') {
            Some((server, _)) => format!("{server}/cap{dash}{}_{name}", prefix.replace('-', "_")),
            None => postgres_url.to_owned(),
        };
        Self {
            clearing: database("clearing"),
            position: database("position"),
            account: database("account"),
            query: database("query"),
        }
    }

    /// The URL of a stage's database.
    pub fn of(&self, stage: StageName) -> &str {
        match stage {
            StageName::Clearing => &self.clearing,
            StageName::Position => &self.position,
            StageName::Account => &self.account,
        }
    }
}
