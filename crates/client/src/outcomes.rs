//! Reading outcomes: what came of every request, each account's in order.
//!
//! Guarantees that an outcome is deleted only after whoever reads it is done with it. It may
//! therefore come twice; the request id, status and `lane_seq` tell. The next outcomes of an account come
//! only after those before are deleted, or given back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cap_aws::directory::DirectoryError;
use cap_aws::{QueueDirectory, SqsQueues, Unreachable, connect};
use cap_domain::outcome::OutcomeMessage;
use cap_domain::routing::{Channel, QueueName, Scope};
use cap_pipeline::queues::{Queues as _, Received};
use futures::future::{BoxFuture, FutureExt as _, join_all};
use futures::stream::{FuturesUnordered, StreamExt as _};

/// How long a reader has for a batch before it is given to another.
pub const VISIBILITY_SECS: u32 = 60;
/// Receives at the same time of one queue, each for other accounts.
const POLLS_PER_QUEUE: usize = 4;
const WAIT_SECS: u32 = 20;
/// How long a queue is left alone after a failure, and a batch after its reader failed.
const PAUSE_SECS: u32 = 1;
const DELETE_TRIES_MAX: usize = 3;

/// There is no outcome queue of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no outcome queue of scope {0}")]
pub struct NoOutcomeQueue(String);

/// A message that is no outcome of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the outcome cannot be read: {reason}")]
pub struct UnreadableOutcome {
    /// What is wrong with it.
    pub reason: String,
    /// As it came.
    pub body: String,
}

/// Reads outcome queues.
pub struct OutcomeReader {
    queues: SqsQueues,
    of: Vec<QueueName>,
    polls: FuturesUnordered<BoxFuture<'static, Polled>>,
}

type Polled = (QueueName, Result<Vec<Received>, Unreachable>);

/// Outcomes that were received together.
#[derive(Debug)]
pub struct OutcomeBatch {
    /// The queue they came from.
    pub queue: QueueName,
    /// The outcomes, each account's in order.
    pub outcomes: Vec<Result<OutcomeMessage, UnreadableOutcome>>,
    receipt: Receipt,
}

#[derive(Debug)]
struct Receipt {
    queues: SqsQueues,
    queue: QueueName,
    handles: Vec<String>,
}

impl OutcomeReader {
    /// Connects as the environment says, to every outcome queue whose name begins with `prefix`.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn connect(prefix: &str) -> Result<Self, DirectoryError> {
        let sqs = connect().await.sqs;
        let directory = QueueDirectory::load(sqs.clone(), prefix).await?;
        Ok(Self::new(SqsQueues::new(&sqs, Arc::new(directory))))
    }

    /// Reads every outcome queue there is now.
    pub fn new(queues: SqsQueues) -> Self {
        let of = queues.directory().routes().of(Channel::Outcome).collect();
        Self { queues, of, polls: FuturesUnordered::new() }
    }

    /// Reads the outcome queue of one scope only.
    ///
    /// # Errors
    /// [`NoOutcomeQueue`] if that very scope has none.
    pub fn only(mut self, scope: &Scope) -> Result<Self, NoOutcomeQueue> {
        self.of.retain(|queue| queue.scope == *scope);
        self.polls.clear();
        if self.of.is_empty() { Err(NoOutcomeQueue(scope.to_string())) } else { Ok(self) }
    }

    /// The queues it reads.
    pub fn queues(&self) -> &[QueueName] {
        &self.of
    }

    /// Waits for outcomes of any of the queues. Without a queue it waits for ever.
    ///
    /// # Errors
    /// [`Unreachable`] if a queue cannot be received from; the next call tries it again.
    pub async fn next_batch(&mut self) -> Result<OutcomeBatch, Unreachable> {
        if self.polls.is_empty() {
            let polls = self.of.iter().map(|queue| poll(&self.queues, queue.clone(), 0));
            self.polls = polls.collect();
        }
        loop {
            let Some((queue, received)) = self.polls.next().await else {
                return std::future::pending().await;
            };
            let pause_secs = if received.is_err() { PAUSE_SECS } else { 0 };
            self.polls.push(poll(&self.queues, queue.clone(), pause_secs));
            let received = received?;
            if !received.is_empty() {
                return Ok(OutcomeBatch::of(&self.queues, queue, received));
            }
        }
    }

    /// Hands every outcome to `handler` and deletes it when that is done; what it fails on comes
    /// again. Several batches are handled at the same time, of other accounts each. Ends when
    /// `stop` does and all that was handed out is handled.
    pub async fn run<H, F, E>(self, handler: H, stop: impl Future<Output = ()>)
    where
        H: Fn(Vec<Result<OutcomeMessage, UnreadableOutcome>>) -> F,
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let (stop, queues) = (stop.shared(), self.queues);
        let polls = self.of.iter().flat_map(|queue| std::iter::repeat_n(queue, POLLS_PER_QUEUE));
        join_all(polls.map(|queue| read(&queues, queue, &handler, stop.clone()))).await;
    }
}

/// Reads one queue until `stop` ends; what was received by then is handled.
async fn read<H, F, E>(
    queues: &SqsQueues,
    queue: &QueueName,
    handler: &H,
    stop: impl Future<Output = ()> + Clone,
) where
    H: Fn(Vec<Result<OutcomeMessage, UnreadableOutcome>>) -> F,
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let mut pause_secs = 0;
    loop {
        let received = tokio::select! {
            () = stop.clone() => return,
            (_, received) = poll(queues, queue.clone(), pause_secs) => received,
        };
        pause_secs = if received.is_err() { PAUSE_SECS } else { 0 };
        let batch = match received {
            Ok(received) if received.is_empty() => continue,
            Ok(received) => OutcomeBatch::of(queues, queue.clone(), received),
            Err(error) => {
                tracing::warn!(%error, "outcomes cannot be read for now");
                continue;
            }
        };
        let settled = match handler(batch.outcomes).await {
            Ok(()) => batch.receipt.delete().await,
            Err(error) => {
                tracing::warn!(%error, "outcomes were not handled: they will come again");
                batch.receipt.give_back(PAUSE_SECS).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "outcomes will come again");
        }
    }
}

impl fmt::Debug for OutcomeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutcomeReader").field("of", &self.of).finish_non_exhaustive()
    }
}

impl OutcomeBatch {
    fn of(queues: &SqsQueues, queue: QueueName, received: Vec<Received>) -> Self {
        let mut handles = Vec::with_capacity(received.len());
        let mut outcomes = Vec::with_capacity(received.len());
        for message in received {
            handles.push(message.receipt_handle);
            let body = message.body;
            outcomes.push(serde_json::from_str(&body).map_err(|error: serde_json::Error| {
                UnreadableOutcome { reason: error.to_string(), body }
            }));
        }
        let receipt = Receipt { queues: queues.clone(), queue: queue.clone(), handles };
        Self { queue, outcomes, receipt }
    }

    /// They are read: none of them comes again, and the next ones of their accounts may.
    ///
    /// # Errors
    /// [`Unreachable`]; they may come again then.
    pub async fn delete(self) -> Result<(), Unreachable> {
        self.receipt.delete().await
    }

    /// They are not read: they come again, at once.
    ///
    /// # Errors
    /// [`Unreachable`]; they come again after [`VISIBILITY_SECS`] then.
    pub async fn give_back(self) -> Result<(), Unreachable> {
        self.receipt.give_back(0).await
    }
}

impl Receipt {
    async fn delete(self) -> Result<(), Unreachable> {
        let mut left: Vec<&str> = self.handles.iter().map(String::as_str).collect();
        let mut failure = None;
        for _ in 0..DELETE_TRIES_MAX {
            let results = self.queues.delete(&self.queue, &left).await?;
            let mut results = results.into_iter();
            left.retain(|_| match results.next() {
                Some(Err(error)) => {
                    failure = Some(error);
                    true
                }
                _ => false,
            });
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Unreachable {
            attempted: format!(
                "deleting {} outcomes from {}",
                left.len(),
                self.queue.to_name(self.queues.directory().prefix())
            ),
            cause: failure.map_or_else(String::new, |failure| failure.to_string()),
        })
    }

    async fn give_back(self, after_secs: u32) -> Result<(), Unreachable> {
        let handles: Vec<&str> = self.handles.iter().map(String::as_str).collect();
        self.queues.extend(&self.queue, &handles, after_secs).await.map(|_| ())
    }
}

fn poll(queues: &SqsQueues, queue: QueueName, pause_secs: u32) -> BoxFuture<'static, Polled> {
    let queues = queues.clone();
    let polled = async move {
        tokio::time::sleep(Duration::from_secs(pause_secs.into())).await;
        let received = queues.receive(&queue, WAIT_SECS, VISIBILITY_SECS).await;
        (queue, received)
    };
    polled.boxed()
}
