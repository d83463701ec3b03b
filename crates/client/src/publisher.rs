//! Publishing events: checked, routed, and sent in the order of every account.
//!
//! Guarantees one result an envelope, in order. A message is sent only after all before it of its
//! account; if one cannot be sent, none of its account behind it is, since an event that comes
//! without what came before it would suspend the account (C5). Envelopes that are not usable are
//! told at once and hold nobody up.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cap_aws::directory::DirectoryError;
use cap_aws::{QueueDirectory, SqsQueues, connect};
use cap_domain::envelope::{Envelope, Header, UnusableEnvelope};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::StageName;
use cap_domain::routing::{Channel, QueueName, Route, Scope};
use cap_pipeline::queues::EntryFailure;

use crate::sending::{Sending, TRIES_MAX};

/// The channel upstream publishes to.
const DOOR: Channel = Channel::Stage(StageName::Clearing);

/// An envelope as JSON.
pub trait Body {
    /// The message body.
    fn body(&self) -> Cow<'_, str>;
}

impl Body for str {
    fn body(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Body for String {
    fn body(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Body for serde_json::Value {
    fn body(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl Body for Envelope {
    fn body(&self) -> Cow<'_, str> {
        let Self { header, event } = self;
        Cow::Owned(serde_json::json!({ "header": header, "event": event }).to_string())
    }
}

impl<T: Body + ?Sized> Body for &T {
    fn body(&self) -> Cow<'_, str> {
        (**self).body()
    }
}

/// An envelope that is in its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its request id.
    pub request_id: RequestId,
    /// The queue.
    pub queue: QueueName,
}

/// Why an envelope was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It has no header that can be used.
    #[error(transparent)]
    Unusable(#[from] UnusableEnvelope),
    /// There is no queue for the account.
    #[error("no queue takes account {account}: none of {looked_for} exists")]
    NoQueue {
        /// Whose envelope it is.
        account: AccountKey,
        /// The names of queues that would take it.
        looked_for: String,
    },
    /// SQS does not take the message, now or ever.
    #[error("SQS refuses the message")]
    Refused(#[source] EntryFailure),
    /// It was tried often enough. It may have been sent all the same.
    #[error("the message was not confirmed in {TRIES_MAX} tries")]
    Unconfirmed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It waited behind another message of its account that could not be sent.
    #[error("not sent, because {0} before it in the same account could not be")]
    Behind(RequestId),
}

/// How far a publication is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Envelopes that are in their queues.
    pub published: usize,
    /// Envelopes that will not be.
    pub failed: usize,
    /// All of them.
    pub total: usize,
}

/// Publishes envelopes.
#[derive(Debug, Clone)]
pub struct Publisher {
    queues: SqsQueues,
}

impl Publisher {
    /// Connects as the environment says and lists the queues whose names begin with `prefix`.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn connect(prefix: &str) -> Result<Self, DirectoryError> {
        let sqs = connect().await.sqs;
        let directory = QueueDirectory::load(sqs.clone(), prefix).await?;
        Ok(Self::new(SqsQueues::new(&sqs, Arc::new(directory))))
    }

    /// Over queues that are connected already.
    pub fn new(queues: SqsQueues) -> Self {
        Self { queues }
    }

    /// Lists the queues again: after some were created, or split.
    ///
    /// # Errors
    /// See [`DirectoryError`]; what was listed before stays.
    pub async fn refresh(&self) -> Result<(), DirectoryError> {
        self.queues.directory().refresh().await
    }

    /// Publishes envelopes, those of one account in the order given; one result an envelope.
    pub async fn publish<B: Body>(&self, envelopes: &[B]) -> Vec<Result<Published, PublishError>> {
        self.publish_with_progress(envelopes, |_| ()).await
    }

    /// The same, telling after each call how far it is.
    pub async fn publish_with_progress<B: Body>(
        &self,
        envelopes: &[B],
        progress: impl FnMut(Progress),
    ) -> Vec<Result<Published, PublishError>> {
        let read: Vec<Result<(Header, String), UnusableEnvelope>> =
            envelopes.iter().map(|envelope| read(envelope.body())).collect();
        let routes = self.routes(&read).await;
        let mut sending = Sending::of(envelopes.len());
        for envelope in read {
            match envelope {
                Err(unusable) => sending.refuse(unusable.into()),
                Ok((header, body)) => match routes.get(&header.account_key()) {
                    Some(Some(route)) => sending.add(&header, route, body),
                    _ => sending.refuse(self.no_queue(&header)),
                },
            }
        }
        sending.run(&self.queues, progress).await
    }

    /// The route of every account there is one for.
    async fn routes(
        &self,
        read: &[Result<(Header, String), UnusableEnvelope>],
    ) -> HashMap<AccountKey, Option<Route>> {
        let accounts = || read.iter().flatten().map(|(header, _)| header.account_key());
        let resolve = || {
            let routes = self.queues.directory().routes();
            let mut resolved: HashMap<AccountKey, Option<Route>> = HashMap::new();
            for account in accounts() {
                resolved.entry(account).or_insert_with_key(|account| routes.resolve(DOOR, account));
            }
            resolved
        };
        let resolved = resolve();
        if resolved.values().all(Option::is_some) {
            return resolved;
        }
        // A queue may have been created since the last listing.
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the queues cannot be listed again: the routes stay");
        }
        resolve()
    }

    fn no_queue(&self, header: &Header) -> PublishError {
        let (company, product) = (&header.company, &header.product);
        let narrowings = [
            Some((product.clone(), Some(header.customer_group.clone()))),
            Some((product.clone(), None)),
            None,
        ];
        let names = narrowings.map(|narrowed| {
            let scope = Scope { company: company.clone(), narrowed };
            QueueName::new(DOOR, scope).to_name(self.queues.directory().prefix())
        });
        PublishError::NoQueue { account: header.account_key(), looked_for: names.join(", ") }
    }
}

fn read(body: Cow<'_, str>) -> Result<(Header, String), UnusableEnvelope> {
    Ok((Envelope::read(&body)?.header, body.into_owned()))
}
