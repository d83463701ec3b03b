//! The queues of an installation: which there are, where they are, and the routes they make.
//!
//! Guarantees that routes and URLs are of one listing, that every page of it was read (Q23), and
//! that a listing that fails or finds nothing never replaces one that found something.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_sdk_sqs::Client;
use cap_domain::routing::{Channel, QueueName, Routes};
use cap_pipeline::queues::Unreachable;
use futures::future::try_join_all;

use crate::unreachable::unreachable;

/// Queues on one page of a listing (Q23).
pub const LIST_PAGE_QUEUES_MAX: i32 = 1_000;
/// Pages of one listing: a million queues of one channel.
const LIST_PAGES_MAX: usize = 1_000;

/// Why there is no directory.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// SQS does not list.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// There is nothing to route to.
    #[error("no queue of this installation exists: none is named {example}; create them first")]
    Empty {
        /// What a name would look like.
        example: String,
    },
    /// More queues than a listing may have.
    #[error("there are more than {queues_max} queues whose names begin with {prefix:?}")]
    TooMany {
        /// How the names begin.
        prefix: String,
        /// The most.
        queues_max: usize,
    },
}

/// The listed queues, refreshed on request.
#[derive(Debug)]
pub struct QueueDirectory {
    sqs: Client,
    prefix: String,
    listed: ArcSwap<Listed>,
}

#[derive(Debug)]
struct Listed {
    routes: Arc<Routes>,
    urls: HashMap<QueueName, Arc<str>>,
}

impl QueueDirectory {
    /// Lists the queues of the installation with that prefix.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn load(sqs: Client, prefix: &str) -> Result<Self, DirectoryError> {
        let listed = ArcSwap::from_pointee(list(&sqs, prefix).await?);
        Ok(Self { sqs, prefix: prefix.to_owned(), listed })
    }

    /// Lists them again.
    ///
    /// # Errors
    /// See [`DirectoryError`]; what was listed before stays.
    pub async fn refresh(&self) -> Result<(), DirectoryError> {
        self.listed.store(Arc::new(list(&self.sqs, &self.prefix).await?));
        Ok(())
    }

    /// The routes that the listed queues make.
    pub fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.listed.load().routes)
    }

    /// Where a listed queue is.
    pub fn url(&self, queue: &QueueName) -> Option<Arc<str>> {
        self.listed.load().urls.get(queue).cloned()
    }

    /// What the names of the installation's queues begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

async fn list(sqs: &Client, prefix: &str) -> Result<Listed, DirectoryError> {
    let urls: HashMap<_, _> = list_urls(sqs, prefix).await?.into_iter().collect();
    let routes = Arc::new(Routes::new(urls.keys().cloned()));
    Ok(Listed { routes, urls })
}

/// Every queue of the installation, dead-letter queues included, with its URL.
pub(crate) async fn list_urls(
    sqs: &Client,
    prefix: &str,
) -> Result<Vec<(QueueName, Arc<str>)>, DirectoryError> {
    // By channel: without a prefix, the region's other queues need not be listed at all.
    let of_channels = Channel::ALL.map(|channel| list_channel(sqs, prefix, channel));
    let listed: Vec<_> = try_join_all(of_channels).await?.into_iter().flatten().collect();
    if listed.is_empty() {
        let example = format!("{}company.fifo", name_prefix(prefix, Channel::ALL[0]));
        return Err(DirectoryError::Empty { example });
    }
    Ok(listed)
}

fn name_prefix(prefix: &str, channel: Channel) -> String {
    let dash = if prefix.is_empty() { "" } else { "-" };
    format!("{prefix}{dash}{}-", channel.name())
}

async fn list_channel(
    sqs: &Client,
    prefix: &str,
    channel: Channel,
) -> Result<Vec<(QueueName, Arc<str>)>, DirectoryError> {
    let names = name_prefix(prefix, channel);
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..LIST_PAGES_MAX {
        let page = sqs
            .list_queues()
            .queue_name_prefix(&names)
            .max_results(LIST_PAGE_QUEUES_MAX)
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| unreachable(format!("listing the queues {names}*"), &error))?;
        for url in page.queue_urls() {
            let name = url.rsplit('/').next().unwrap_or_default();
            if let Some(queue) = QueueName::from_name(prefix, name) {
                found.push((queue, Arc::from(url.as_str())));
            }
        }
        match page.next_token {
            Some(token) => next = Some(token),
            None => return Ok(found),
        }
    }
    let queues_max = LIST_PAGES_MAX * LIST_PAGE_QUEUES_MAX.unsigned_abs() as usize;
    Err(DirectoryError::TooMany { prefix: names, queues_max })
}
