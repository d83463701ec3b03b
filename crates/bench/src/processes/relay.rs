//! The bare relay: receive, send, delete, with the services' own client of SQS; nothing is decided,
//! nothing is stored. What is left of its rate is what deciding and storing cost.

use std::sync::Arc;

use anyhow::{Context, ensure};
use cap_aws::{QueueDirectory, SqsQueues, connect};
use cap_domain::lane::StageName;
use cap_domain::routing::{Channel, QueueName};
use cap_pipeline::Limits;
use cap_pipeline::queues::{Outgoing, Queues as _, Received};
use cap_stack::Installation;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::arena::Arena;

/// How long a relayed message stays hidden.
const VISIBILITY_SECS: u32 = 60;

/// Relays what comes to `from` on to `to`, or to the outcome queues, until the process is ended.
///
/// # Errors
/// If the queues cannot be found, or one refuses.
pub async fn relay(prefix: &str, from: StageName, to: Option<StageName>) -> anyhow::Result<()> {
    let sqs = connect().await.sqs;
    let directory = Arc::new(QueueDirectory::load(sqs.clone(), prefix).await?);
    let sources: Vec<QueueName> = directory.routes().of(Channel::Stage(from)).collect();
    let queues = SqsQueues::new(&sqs, directory);
    let mut relays = JoinSet::new();
    for source in sources {
        let channel = to.map_or(Channel::Outcome, Channel::Stage);
        let target = QueueName::new(channel, source.scope.clone());
        for _ in 0..Limits::default().receivers_per_queue {
            let (queues, source, target) = (queues.clone(), source.clone(), target.clone());
            relays.spawn(async move {
                loop {
                    pass_on(&queues, &source, &target).await?;
                }
            });
        }
    }
    match relays.join_next().await {
        Some(ended) => ended.context("relaying")?,
        None => Ok(()),
    }
}

async fn pass_on(queues: &SqsQueues, source: &QueueName, target: &QueueName) -> anyhow::Result<()> {
    let received = queues.receive(source, 1, VISIBILITY_SECS).await?;
    if received.is_empty() {
        return Ok(());
    }
    let outgoing = |message: &Received| Outgoing {
        message_group_id: message.message_group_id.clone(),
        deduplication_id: message.deduplication_id.clone(),
        body: message.body.clone(),
        attributes: Vec::new(),
    };
    let outgoing: Vec<Outgoing> = received.iter().map(outgoing).collect();
    let sent = queues.send(target, &outgoing.iter().collect::<Vec<_>>()).await?;
    ensure!(sent.iter().all(Result::is_ok), "not sent: {sent:?}");
    let handles: Vec<&str> =
        received.iter().map(|message| message.receipt_handle.as_str()).collect();
    queues.delete(source, &handles).await?;
    Ok(())
}

/// A relay for every stage, as processes of their own; each ends when it is dropped.
pub(super) fn start_all(
    arena: &Arena,
    installation: &Installation,
    path: &[StageName],
) -> anyhow::Result<Vec<Child>> {
    let hops = path.iter().zip(path.iter().skip(1).map(Some).chain([None]));
    hops.map(|(from, to)| {
        let mut command = Command::new(arena.binaries.join("xtask"));
        command.args(["relay", "--prefix", &installation.prefix, "--from", from.as_str()]);
        if let Some(to) = to {
            command.args(["--to", to.as_str()]);
        }
        command.envs(installation.environment.iter().map(|(name, value)| (name, value)));
        command.kill_on_drop(true).spawn().context("starting a relay")
    })
    .collect()
}
