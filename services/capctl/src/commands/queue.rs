//! `capctl queue`: queues with their dead-letter queues, created and listed.

use std::fmt;

use cap_aws::directory::DirectoryError;
use cap_aws::provision::{Provisioned, ProvisionedQueue, create_queues, list_queues};
use cap_domain::clearing::Clearing;
use cap_domain::routing::Scope;
use cap_service::environment;
use serde::Serialize;

use crate::answer::Answer;
use crate::audit_log::AuditLog;
use crate::databases::pool;
use crate::settings::{DatabaseUrl, Prefix};
use crate::table::{Align, Table};

#[derive(Debug, Serialize)]
struct CreatedQueues {
    queues: Vec<CreatedQueue>,
}

#[derive(Debug, Serialize)]
struct CreatedQueue {
    name: String,
    created: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    attribute: String,
    wanted: String,
    found: Option<String>,
}

#[derive(Debug, Serialize)]
struct ListedQueues {
    queues: Vec<ListedQueue>,
}

#[derive(Debug, Serialize)]
struct ListedQueue {
    name: String,
    channel: &'static str,
    scope: String,
    dead_letters: bool,
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

pub(super) async fn create(scopes: &[Scope], by: &str) -> anyhow::Result<Answer> {
    type Wanted = (DatabaseUrl<Clearing>, Prefix);
    let (clearing, Prefix(prefix)) = environment::read::<Wanted>(&environment::process)?;
    let names = scopes.iter().map(Scope::to_string).collect::<Vec<_>>();
    let command = format!("queue create {}", names.join(" "));
    let log = AuditLog::open(pool(&clearing.url)?, by, command).await?;
    let aws = cap_aws::connect().await;
    let provisioned = create_queues(&aws.sqs, &prefix, scopes).await;
    let is_new = |queue: &&ProvisionedQueue| matches!(queue.found, Provisioned::Created);
    let told = |queues: &Vec<ProvisionedQueue>| {
        let created = queues.iter().filter(is_new).count();
        format!("{created} of {} queues created", queues.len())
    };
    let provisioned = log.conclude(provisioned.map_err(Into::into), told).await?;
    let queues: Vec<CreatedQueue> = provisioned
        .into_iter()
        .map(|queue| {
            let (created, differences) = match queue.found {
                Provisioned::Created => (true, Vec::new()),
                Provisioned::Existing(differences) => (false, differences),
            };
            let differences = differences.into_iter().map(|difference| Difference {
                attribute: difference.attribute,
                wanted: difference.wanted,
                found: difference.found,
            });
            CreatedQueue { name: queue.name, created, differences: differences.collect() }
        })
        .collect();
    let created = queues.iter().filter(|queue| queue.created).count();
    if created > 0 {
        let scopes = names.join(", ");
        tracing::info!(operator = by, prefix, scopes, created, "created queues");
    }
    Answer::new(&CreatedQueues { queues })
}

pub(super) async fn list() -> anyhow::Result<Answer> {
    let Prefix(prefix) = environment::read(&environment::process)?;
    let aws = cap_aws::connect().await;
    let listed = match list_queues(&aws.sqs, &prefix).await {
        Err(DirectoryError::Empty { .. }) => Vec::new(),
        listed => listed?,
    };
    let queues = listed.into_iter().map(|listed| ListedQueue {
        name: listed.name,
        channel: listed.queue.channel.name(),
        scope: listed.queue.scope.to_string(),
        dead_letters: listed.queue.dead_letters,
        visible: listed.visible,
        in_flight: listed.in_flight,
        delayed: listed.delayed,
    });
    Answer::new(&ListedQueues { queues: queues.collect() })
}

impl fmt::Display for CreatedQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[("queue", Align::Left), ("", Align::Left)]);
        for queue in &self.queues {
            let found = match (queue.created, queue.differences.len()) {
                (true, _) => "created".to_owned(),
                (false, 0) => "is there".to_owned(),
                (false, 1) => "is there, 1 attribute differs".to_owned(),
                (false, count) => format!("is there, {count} attributes differ"),
            };
            table.row([queue.name.clone(), found]);
        }
        table.fmt(f)?;
        let differing = self.queues.iter().flat_map(|queue| {
            queue.differences.iter().map(move |difference| (&queue.name, difference))
        });
        let mut differences = Table::new(&[
            ("queue", Align::Left),
            ("attribute", Align::Left),
            ("should be", Align::Left),
            ("is", Align::Left),
        ]);
        let mut any = false;
        for (name, Difference { attribute, wanted, found }) in differing {
            let found = found.clone().unwrap_or_else(|| "not set".to_owned());
            differences.row([name.clone(), attribute.clone(), wanted.clone(), found]);
            any = true;
        }
        if any {
            write!(f, "\nNothing that existed was changed:\n\n{differences}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ListedQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.queues.is_empty() {
            return writeln!(
                f,
                "there are no queues yet: make some with `capctl queue create SCOPE`"
            );
        }
        let mut table = Table::new(&[
            ("queue", Align::Left),
            ("visible", Align::Right),
            ("in flight", Align::Right),
            ("", Align::Left),
        ]);
        for queue in &self.queues {
            let kind = match (queue.dead_letters, queue.visible) {
                (false, _) => "",
                (true, 0) => "DLQ",
                (true, _) => "DLQ, not empty",
            };
            let (visible, in_flight) = (queue.visible.to_string(), queue.in_flight.to_string());
            table.row([queue.name.clone(), visible, in_flight, kind.to_owned()]);
        }
        table.fmt(f)
    }
}
