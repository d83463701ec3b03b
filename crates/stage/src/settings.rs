//! What a stage is told by its environment (T60).

use std::marker::PhantomData;
use std::time::Duration;

use cap_pipeline::Limits;
use cap_service::environment::{Environment, Setting, Settings};

use crate::wiring::Wired;

/// The settings of a stage, besides those every service has and those of the AWS SDK.
#[derive(Debug, Clone)]
pub struct StageSettings<S> {
    /// The stage's database.
    pub database_url: String,
    /// Connections to it.
    pub database_connections_max: u32,
    /// The prefix of the installation's queues and tables.
    pub prefix: String,
    /// The pipeline's bounds.
    pub limits: Limits,
    stage: PhantomData<S>,
}

impl<S: Wired> Settings for StageSettings<S> {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let database_url = environment.required(
            Setting::new(S::DATABASE_URL, "the stage's PostgreSQL database")
                .example("postgres://cap@db.internal/cap_account")
                .secret(),
        );
        let database_connections_max = environment.with_default(
            Setting::new("CAP_DATABASE_CONNECTIONS_MAX", "connections to the database")
                .bounded(1..=100),
            "8",
        );
        let prefix = environment.with_default(
            Setting::new(
                "CAP_PREFIX",
                "what the names of this installation's queues and tables begin with",
            )
            .example("prod"),
            "",
        );
        let limits = limits(environment);
        Some(Self {
            database_url: database_url?,
            database_connections_max: database_connections_max?,
            prefix: prefix?,
            limits: limits?,
            stage: PhantomData,
        })
    }
}

fn limits(environment: &mut Environment<'_>) -> Option<Limits> {
    let usual = Limits::default();
    let receivers_per_queue = environment.with_default(
        Setting::new("CAP_RECEIVERS_PER_QUEUE", "concurrent receives a queue").bounded(1..=64),
        &usual.receivers_per_queue.to_string(),
    );
    let committers = environment.with_default(
        Setting::new("CAP_COMMITTERS", "batches being worked on at once").bounded(1..=32),
        &usual.committers.to_string(),
    );
    let batch_messages_max = environment.with_default(
        Setting::new("CAP_BATCH_MESSAGES_MAX", "the most messages of one transaction")
            .bounded(10..=10_000),
        &usual.batch_messages_max.to_string(),
    );
    let batch_wait: Option<Duration> = environment.with_default(
        Setting::millis(
            "CAP_BATCH_WAIT_MILLIS",
            "how long a batch that is not full waits at most for the one that is being worked on",
            0..=1_000,
        ),
        &usual.batch_wait.as_millis().to_string(),
    );
    let visibility_secs = environment.with_default(
        Setting::new(
            "CAP_VISIBILITY_SECS",
            "how long a received message stays hidden, renewed while it is worked on",
        )
        .bounded(2..=43_200),
        &usual.visibility_secs.to_string(),
    );
    let receive_wait_secs = environment.with_default(
        Setting::new(
            "CAP_RECEIVE_WAIT_SECS",
            "how long a receive waits for a message, and a drain for it",
        )
        .bounded(0..=7),
        &usual.receive_wait_secs.to_string(),
    );
    let janitor_every: Option<Duration> = environment.with_default(
        Setting::millis(
            "CAP_JANITOR_MILLIS",
            "how often letters of resolved messages are looked for, if nothing is redriven",
            100..=86_400_000,
        ),
        &usual.janitor_every.as_millis().to_string(),
    );
    Some(Limits {
        janitor_every: janitor_every?,
        receivers_per_queue: receivers_per_queue?,
        committers: committers?,
        batch_messages_max: batch_messages_max?,
        batch_wait: batch_wait?,
        visibility_secs: visibility_secs?,
        receive_wait_secs: receive_wait_secs?,
    })
}
