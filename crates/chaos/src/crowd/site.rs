//! An installation on the shared stack, with its services as processes and an ear for its outcomes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use cap_aws::provision::list_queues;
use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use cap_domain::routing::Channel;
use cap_stack::{Installation, Service};
use futures::future::try_join_all;
use sqlx::PgPool;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Place;
use super::hearing::{Hearing, listen};

/// The scope all of it happens in: crowd and healthy accounts share queues, tables and dead letters.
pub(super) const SCOPE: &str = "acme_spot";

/// Connections to each database, for what is looked up from outside.
const CONNECTIONS_MAX: u32 = 2;

/// Outcome receives at the same time.
const LISTENERS: usize = 6;

/// How long the services may take until they have nothing in hand.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Longer than a receive waits for a message (`CAP_RECEIVE_WAIT_SECS`, as the stack sets it).
const RECOVERY: Duration = Duration::from_millis(1_500);

/// A log line for each of hundreds of thousands of parked messages is nobody's to read.
const SETTINGS: [(&str, &str); 1] = [("CAP_LOG", "warn,cap_pipeline=off,cap_service=info")];

/// An installation, and what runs of it.
pub(super) struct Site {
    pub(super) installation: Installation,
    pub(super) sqs: Client,
    pub(super) hearing: Arc<Hearing>,
    /// Where events go.
    pub(super) clearing_url: String,
    databases: Vec<(StageName, PgPool)>,
    services: Vec<Service>,
    listeners: Vec<JoinHandle<()>>,
}

impl Site {
    /// Installs CAP on the stack and starts its services.
    pub(super) async fn open(place: &Place<'_>, name: &str) -> anyhow::Result<Self> {
        let prefix = format!("{name}{}", &uuid::Uuid::new_v4().simple().to_string()[..5]);
        let installation = place.stack.install(&prefix, place.configuration).await?;
        let sqs = place.stack.connect().await.sqs;
        let mut databases = Vec::new();
        let mut services = Vec::new();
        for stage in StageName::ALL {
            let url = installation.databases.of(stage);
            databases.push((stage, cap_store::connect(url, "crowd", CONNECTIONS_MAX)?));
            let log = place.logs.join(format!("{prefix}-{stage}.log"));
            let started = Service::start(stage, place.binaries, &installation, &SETTINGS, log);
            services.push(started.await?);
        }
        let url = |kind: &str| queue_name(&prefix, &format!("{kind}-{SCOPE}"));
        let clearing_url = queue_url(&sqs, &url("clearing")).await?;
        let outcome_url = queue_url(&sqs, &url("outcome")).await?;
        let hearing = Arc::new(Hearing::default());
        let listeners = (0..LISTENERS)
            .map(|_| tokio::spawn(listen(sqs.clone(), outcome_url.clone(), hearing.clone())));
        let listeners = listeners.collect();
        Ok(Self { installation, sqs, hearing, clearing_url, databases, services, listeners })
    }

    /// A stage's database.
    pub(super) fn database(&self, stage: StageName) -> anyhow::Result<&PgPool> {
        let found = self.databases.iter().find(|(of, _)| *of == stage);
        found.map(|(_, pool)| pool).with_context(|| format!("the database of {stage}"))
    }

    /// How many letters lie in the dead-letter queue of `stage`, those that a janitor looks at too.
    pub(super) async fn letters(&self, stage: StageName) -> anyhow::Result<usize> {
        let name = queue_name(&self.installation.prefix, &format!("{stage}-{SCOPE}-dlq"));
        let url = queue_url(&self.sqs, &name).await?;
        let call = self.sqs.get_queue_attributes().queue_url(url);
        let found = call.attribute_names(QueueAttributeName::All).send().await;
        let found = found.with_context(|| format!("counting the letters in {name}"))?;
        let count = |name| {
            let text = found.attributes().and_then(|attributes| attributes.get(&name));
            text.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default()
        };
        Ok(count(QueueAttributeName::ApproximateNumberOfMessages)
            + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible))
    }

    /// Stops the services where they stand, as soon as they have nothing in hand.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.has_work().await? {
            ensure!(begun.elapsed() < PATIENCE, "the services do not come to rest");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.signal("-STOP").await
    }

    /// Lets them go on, and waits until they have got over it: an answer to a question that was asked
    /// before the pause counts as old, and what it brings would be left to come again.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.signal("-CONT").await?;
        tokio::time::sleep(RECOVERY).await;
        Ok(())
    }

    /// Whether anything lies in a queue but outcomes and dead letters.
    async fn has_work(&self) -> anyhow::Result<bool> {
        let queues = list_queues(&self.sqs, &self.installation.prefix).await?;
        Ok(queues.iter().any(|listed| {
            !listed.queue.dead_letters
                && listed.queue.channel != Channel::Outcome
                && listed.visible + listed.in_flight > 0
        }))
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        for service in &self.services {
            let id =
                service.process_id().with_context(|| format!("{} has ended", service.stage))?;
            let sent = Command::new("kill").args([signal, &id.to_string()]).status().await;
            ensure!(sent.context("sending a signal")?.success(), "signal {signal} to {id} failed");
        }
        Ok(())
    }

    /// Drains and ends the services.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.signal("-CONT").await?;
        try_join_all(self.services.into_iter().map(Service::stop)).await?;
        self.listeners.iter().for_each(JoinHandle::abort);
        for (_, database) in self.databases {
            database.close().await;
        }
        Ok(())
    }
}

fn queue_name(prefix: &str, name: &str) -> String {
    format!("{prefix}-{name}.fifo")
}

async fn queue_url(sqs: &Client, name: &str) -> anyhow::Result<String> {
    let found = sqs.get_queue_url().queue_name(name).send().await;
    let found = found.with_context(|| format!("finding queue {name}"))?;
    found.queue_url.with_context(|| format!("queue {name} has no URL"))
}

/// The key of the account of this name.
pub(super) fn key(name: &str) -> anyhow::Result<AccountKey> {
    let key = format!("{SCOPE}_retail_{name}").parse();
    key.with_context(|| format!("the key of {name}"))
}
