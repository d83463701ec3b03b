//! Where a run takes place: an installation of CAP with broker and DynamoDB of its own, on a
//! PostgreSQL that others may share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use cap_aws::{Aws, QueueDirectory, SqsQueues};
use cap_domain::lane::StageName;
use cap_domain::routing::Routes;
use cap_reference::script::Stage;
use cap_stack::{Installation, Stack};
use cap_store::verify::Databases;
use sqlx::PgPool;
use sqlx::migrate::MigrateDatabase as _;
use sqlx::postgres::PgPoolOptions;
use tokio::time::Instant;

/// Connections to each database of the services that run in this process.
const CONNECTIONS_MAX: u32 = 6;

/// Connections to each database of what looks after a run.
const TOOL_CONNECTIONS_MAX: u32 = 2;

/// How long a database may be away for who looks after a run.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an outcome stays hidden whose receipt was lost.
const OUTCOME_VISIBILITY_SECS: i32 = 5;

/// Lets a run refuse rows, as a constraint would that the rules did not foresee.
const REFUSE: &str = "
create table if not exists chaos_refused (request_id text primary key);
create or replace function chaos_refuse() returns trigger language plpgsql as $$
begin
    if exists (select from chaos_refused where request_id = new.request_id) then
        raise exception 'chaos refuses request %', new.request_id using errcode = 'check_violation';
    end if;
    return new;
end
$$;
create or replace trigger chaos_refuse before insert on journal
    for each row execute function chaos_refuse();
";

/// An installation and all that talks to it from outside.
pub struct Arena {
    /// Broker and DynamoDB.
    pub stack: Stack,
    /// Names, addresses and environment.
    pub installation: Installation,
    /// The SDK's clients, untroubled by anything but the broker's own faults.
    pub aws: Aws,
    /// The stages' databases, as tools see them: connections that were cut are noticed.
    pub databases: Databases,
    /// The same, as services see them.
    pub of_services: Databases,
    /// Where accounts' messages go.
    pub routes: Arc<Routes>,
    /// The queues as the tools use them.
    pub queues: Arc<SqsQueues>,
    urls: HashMap<String, String>,
}

impl Arena {
    /// Installs CAP under `prefix` on a new broker, with databases in the cluster of `postgres_url`.
    ///
    /// # Errors
    /// If anything of it cannot be started.
    pub async fn open(
        postgres_url: &str,
        prefix: &str,
        configuration: &Path,
    ) -> anyhow::Result<Self> {
        let stack = Stack::start_with(postgres_url.to_owned()).await?;
        Self::open_on(stack, prefix, configuration).await
    }

    /// Installs CAP under `prefix` on `stack`.
    ///
    /// # Errors
    /// If anything of it cannot be started.
    pub async fn open_on(stack: Stack, prefix: &str, configuration: &Path) -> anyhow::Result<Self> {
        let installation = stack.install(prefix, configuration).await?;
        let aws = stack.connect().await;
        let pool =
            |stage| cap_store::connect(installation.databases.of(stage), "chaos", CONNECTIONS_MAX);
        let of_services = Databases {
            clearing: pool(StageName::Clearing)?,
            position: pool(StageName::Position)?,
            account: pool(StageName::Account)?,
        };
        let pool = |stage| {
            PgPoolOptions::new()
                .max_connections(TOOL_CONNECTIONS_MAX)
                .connect_lazy(installation.databases.of(stage))
        };
        let databases = Databases {
            clearing: pool(StageName::Clearing)?,
            position: pool(StageName::Position)?,
            account: pool(StageName::Account)?,
        };
        for stage in StageName::ALL {
            let refuse = sqlx::raw_sql(REFUSE).execute(database(&databases, stage)).await;
            refuse.with_context(|| format!("preparing the {stage} database"))?;
        }
        let directory = Arc::new(QueueDirectory::load(aws.sqs.clone(), prefix).await?);
        let routes = directory.routes();
        let queues = Arc::new(SqsQueues::new(&aws.sqs, directory));
        let listed = aws.sqs.list_queues().queue_name_prefix(prefix).max_results(1_000).send();
        let listed = listed.await.context("listing queues")?;
        let name = |url: &String| url.rsplit('/').next().unwrap_or_default().to_owned();
        let urls = listed.queue_urls().iter().map(|url| (name(url), url.clone())).collect();
        Ok(Self { stack, installation, aws, databases, of_services, routes, queues, urls })
    }

    /// Gives back connections and drops the databases: hundreds of runs would use up either.
    pub async fn close(&self) {
        for stage in StageName::ALL {
            self.database(stage).close().await;
            database(&self.of_services, stage).close().await;
        }
        let databases = &self.installation.databases;
        let urls = StageName::ALL.map(|stage| databases.of(stage));
        for url in urls.into_iter().chain([databases.query.as_str()]) {
            let dropped = patiently(async || sqlx::Postgres::force_drop_database(url).await);
            if let Err(error) = dropped.await {
                tracing::debug!(%error, "a database of chaos is left");
            }
        }
    }

    /// A stage's database.
    pub const fn database(&self, stage: StageName) -> &PgPool {
        database(&self.databases, stage)
    }

    /// The URL of a queue, named without prefix and suffix: `outcome-zenith`.
    ///
    /// # Errors
    /// If there is no such queue.
    pub fn url(&self, queue: &str) -> anyhow::Result<&str> {
        let name = format!("{}-{queue}.fifo", self.installation.prefix);
        self.urls.get(&name).map(String::as_str).with_context(|| format!("no queue {name}"))
    }

    /// The names of the queues of `kind` (`clearing`, `outcome`, …), without prefix and suffix.
    pub fn queues_of(&self, kind: &str) -> Vec<String> {
        let prefix = format!("{}-", self.installation.prefix);
        let names = self
            .urls
            .keys()
            .filter_map(|name| Some(name.strip_prefix(&prefix)?.strip_suffix(".fifo")?.to_owned()));
        names
            .filter(|name| name.starts_with(&format!("{kind}-")) && !name.ends_with("-dlq"))
            .collect()
    }

    /// The broker's time, in milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        i64::try_from(self.stack.broker.clock().now_millis()).unwrap_or(i64::MAX)
    }

    /// Up to ten messages of a queue, with their groups; they stay hidden until they are deleted.
    ///
    /// # Errors
    /// If SQS does not answer.
    pub async fn receive(&self, queue: &str, wait_secs: i32) -> anyhow::Result<Vec<Taken>> {
        let call = self.aws.sqs.receive_message().queue_url(self.url(queue)?);
        let received = call
            .max_number_of_messages(10)
            .wait_time_seconds(wait_secs)
            .visibility_timeout(OUTCOME_VISIBILITY_SECS)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .send()
            .await?;
        let taken = received.messages().iter().map(|message| Taken {
            receipt_handle: message.receipt_handle().unwrap_or_default().to_owned(),
            body: message.body().unwrap_or_default().to_owned(),
        });
        Ok(taken.collect())
    }

    /// How many messages lie in queues, outcomes too, and how many dead letters there are.
    pub fn in_queues(&self) -> (usize, usize) {
        let (now, prefix) = (self.stack.broker.clock().now_millis(), &self.installation.prefix);
        let (mut waiting, mut letters) = (0, 0);
        for queue in self.stack.broker.engine().queues() {
            let Some(name) = queue.name.strip_prefix(prefix.as_str()) else { continue };
            let counts = queue.counts(now);
            let messages = counts.visible + counts.in_flight + counts.delayed;
            if name.ends_with("-dlq.fifo") {
                letters += messages;
            } else {
                waiting += messages;
            }
        }
        (waiting, letters)
    }

    /// The queues in which anything lies: visible, in flight and delayed messages of each.
    pub fn left(&self) -> String {
        let (now, prefix) = (self.stack.broker.clock().now_millis(), &self.installation.prefix);
        let queues = self.stack.broker.engine().queues();
        let left = queues.iter().filter_map(|queue| {
            let name = queue.name.strip_prefix(prefix.as_str())?;
            let counts = queue.counts(now);
            let cap_local::sqs::Counts { visible, in_flight, delayed } = counts;
            (visible + in_flight + delayed > 0)
                .then(|| format!("{name} {visible} + {in_flight} + {delayed}"))
        });
        left.collect::<Vec<_>>().join(", ")
    }

    /// Makes a stage's database refuse a request from now on.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn refuse(&self, stage: StageName, request_id: &str) -> anyhow::Result<()> {
        let refuse = "insert into chaos_refused values ($1) on conflict do nothing";
        patiently(async || {
            sqlx::query(refuse).bind(request_id).execute(self.database(stage)).await.map(drop)
        })
        .await?;
        Ok(())
    }

    /// Takes back what [`refuse`](Self::refuse) did.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn repair(&self, stage: StageName, request_id: &str) -> anyhow::Result<()> {
        let repair = "delete from chaos_refused where request_id = $1";
        sqlx::query(repair).bind(request_id).execute(self.database(stage)).await?;
        Ok(())
    }
}

/// Asks a database that may be away until it answers, or too long.
///
/// # Errors
/// What it said last.
pub async fn patiently<T, E>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(_) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The right to delete it.
    pub receipt_handle: String,
    /// Its body.
    pub body: String,
}

impl Arena {
    /// A stage's database as its services see it.
    pub const fn service_database(&self, stage: StageName) -> &PgPool {
        database(&self.of_services, stage)
    }
}

/// The stage of CAP that the script means.
pub const fn stage_name(stage: Stage) -> StageName {
    match stage {
        Stage::Clearing => StageName::Clearing,
        Stage::Position => StageName::Position,
        Stage::Account => StageName::Account,
    }
}

const fn database(databases: &Databases, stage: StageName) -> &PgPool {
    match stage {
        StageName::Clearing => &databases.clearing,
        StageName::Position => &databases.position,
        StageName::Account => &databases.account,
    }
}
