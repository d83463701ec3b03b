//! The queues of the installation.

use std::sync::Arc;

use anyhow::Context as _;
use cap_aws::{QueueDirectory, SqsQueues};
use cap_domain::routing::Routes;
use cap_service::environment;

use crate::settings::Prefix;

/// Queues, and the routes they make.
pub struct Connection {
    /// The queues.
    pub queues: SqsQueues,
    /// The routes.
    pub routes: Arc<Routes>,
}

/// Connects as the environment says, and lists the queues.
///
/// # Errors
/// If SQS cannot be reached, or there are no queues.
pub async fn from_environment() -> anyhow::Result<Connection> {
    let Prefix(prefix) = environment::read(&environment::process)?;
    let sqs = cap_aws::connect().await.sqs;
    let directory =
        QueueDirectory::load(sqs.clone(), &prefix).await.context("finding the queues")?;
    let directory = Arc::new(directory);
    let routes = directory.routes();
    Ok(Connection { queues: SqsQueues::new(&sqs, directory), routes })
}
