//! Queues as CAP wants them, created with their dead-letter queues, and listed.
//!
//! Creating is idempotent and changes no queue that exists: where one differs from what it should
//! be, the report says in what.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use cap_domain::routing::{Channel, QUEUE_NAME_CHARS_MAX, QueueName, Scope};
use cap_pipeline::queues::Unreachable;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::directory::{DirectoryError, list_urls};
use crate::shape::{attributes, check_name, differences};
use crate::unreachable::unreachable;

pub use crate::shape::{
    AttributeDifference, Attributes, DLQ_RETENTION_DAYS, RETENTION_DAYS, SQS_RECEIVES_MAX,
    VISIBILITY_TIMEOUT_SECS,
};

/// Queues that are created or described at the same time.
const QUEUES_IN_FLIGHT_MAX: usize = 8;

const COUNTS: [(&str, Attribute); 3] = [
    ("ApproximateNumberOfMessages", Attribute::ApproximateNumberOfMessages),
    ("ApproximateNumberOfMessagesNotVisible", Attribute::ApproximateNumberOfMessagesNotVisible),
    ("ApproximateNumberOfMessagesDelayed", Attribute::ApproximateNumberOfMessagesDelayed),
];

/// Why queues are not created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProvisionError {
    /// SQS does not answer, or refuses.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// SQS takes no such name.
    #[error("queue name {name} has {chars} characters, {QUEUE_NAME_CHARS_MAX} is the most")]
    NameTooLong {
        /// The name.
        name: String,
        /// Its length.
        chars: usize,
    },
    /// The name would be read as another queue's.
    #[error("queue name {0} would be taken for a dead-letter queue: no scope may end in -dlq")]
    NameAmbiguous(String),
}

/// A queue that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionedQueue {
    /// Which.
    pub queue: QueueName,
    /// Its name in SQS.
    pub name: String,
    /// Whether it was there.
    pub found: Provisioned,
}

/// What was found where a queue was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// Nothing: it was created.
    Created,
    /// It was there, and differs in these attributes; it was left as it is.
    Existing(Vec<AttributeDifference>),
}

/// A queue of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedQueue {
    /// Which.
    pub queue: QueueName,
    /// Its name in SQS.
    pub name: String,
    /// All its attributes.
    pub attributes: Attributes,
    /// About how many messages can be received.
    pub visible: u64,
    /// About how many are being worked on.
    pub in_flight: u64,
    /// About how many are not to be received yet.
    pub delayed: u64,
}

/// Creates every channel's queue for each scope, stage queues with their dead-letter queues. SQS
/// lists a new queue about a second later.
///
/// # Errors
/// See [`ProvisionError`]. Names are checked before anything is created.
pub async fn create_queues(
    sqs: &Client,
    prefix: &str,
    scopes: &[Scope],
) -> Result<Vec<ProvisionedQueue>, ProvisionError> {
    let of_scope =
        |scope: &Scope| Channel::ALL.map(|channel| QueueName::new(channel, scope.clone()));
    let queues: Vec<QueueName> = scopes.iter().flat_map(of_scope).collect();
    for queue in &queues {
        check_name(prefix, queue)?;
        check_name(prefix, &queue.dlq())?;
    }
    let provisioned = stream::iter(&queues)
        .map(|queue| create_with_dlq(sqs, prefix, queue))
        .buffered(QUEUES_IN_FLIGHT_MAX)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(provisioned.into_iter().flatten().collect())
}

/// Every queue of the installation, ordered by channel and scope, each before its dead letters.
///
/// # Errors
/// See [`DirectoryError`].
pub async fn list_queues(sqs: &Client, prefix: &str) -> Result<Vec<ListedQueue>, DirectoryError> {
    let mut queues = list_urls(sqs, prefix).await?;
    queues.sort();
    let described = stream::iter(&queues).map(|(queue, url)| async move {
        let name = queue.to_name(prefix);
        let attributes = describe(sqs, &name, url).await?;
        let count = |name: &str| attributes.get(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        let [visible, in_flight, delayed] = COUNTS.map(|(name, _)| count(name));
        Ok(ListedQueue { queue: queue.clone(), name, attributes, visible, in_flight, delayed })
    });
    described.buffered(QUEUES_IN_FLIGHT_MAX).try_collect().await
}

async fn create_with_dlq(
    sqs: &Client,
    prefix: &str,
    queue: &QueueName,
) -> Result<Vec<ProvisionedQueue>, ProvisionError> {
    let mut provisioned = Vec::with_capacity(2);
    let mut dlq_arn = None;
    if let Channel::Stage(_) = queue.channel {
        let dlq = queue.dlq();
        let (url, report) = create(sqs, prefix, &dlq, None).await?;
        let arn = describe(sqs, &report.name, &url).await?.remove("QueueArn");
        dlq_arn = Some(arn.ok_or_else(|| Unreachable {
            attempted: format!("describing {}", report.name),
            cause: "SQS did not say its QueueArn".to_owned(),
        })?);
        provisioned.push(report);
    }
    let (_, report) = create(sqs, prefix, queue, dlq_arn.as_deref()).await?;
    provisioned.insert(0, report);
    Ok(provisioned)
}

async fn create(
    sqs: &Client,
    prefix: &str,
    queue: &QueueName,
    dlq_arn: Option<&str>,
) -> Result<(String, ProvisionedQueue), ProvisionError> {
    let name = queue.to_name(prefix);
    let wanted = attributes(queue, dlq_arn);
    let report = |found| ProvisionedQueue { queue: queue.clone(), name: name.clone(), found };
    if let Some(url) = find(sqs, &name).await? {
        let found = describe(sqs, &name, &url).await?;
        return Ok((url, report(Provisioned::Existing(differences(&wanted, &found)))));
    }
    let attributes: HashMap<Attribute, String> =
        wanted.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect();
    let created = sqs
        .create_queue()
        .queue_name(&name)
        .set_attributes(Some(attributes))
        .tags("cap:channel", queue.channel.name())
        .tags("cap:scope", queue.scope.to_string())
        .send()
        .await
        .map_err(|error| unreachable(format!("creating queue {name}"), &error))?;
    let url = created.queue_url.ok_or_else(|| Unreachable {
        attempted: format!("creating queue {name}"),
        cause: "SQS did not say its URL".to_owned(),
    })?;
    Ok((url, report(Provisioned::Created)))
}

async fn find(sqs: &Client, name: &str) -> Result<Option<String>, Unreachable> {
    match sqs.get_queue_url().queue_name(name).send().await {
        Ok(found) => Ok(found.queue_url),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_queue_does_not_exist()) => {
            Ok(None)
        }
        Err(error) => Err(unreachable(format!("looking for queue {name}"), &error)),
    }
}

async fn describe(sqs: &Client, name: &str, url: &str) -> Result<Attributes, Unreachable> {
    let call = sqs.get_queue_attributes().queue_url(url).attribute_names(Attribute::All);
    let answer =
        call.send().await.map_err(|error| unreachable(format!("describing {name}"), &error))?;
    let attributes = answer.attributes.unwrap_or_default().into_iter();
    Ok(attributes.map(|(name, value)| (name.as_str().to_owned(), value)).collect())
}
