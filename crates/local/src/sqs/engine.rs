//! All queues of one account in one region.
//!
//! Guarantees that no operation on one queue waits for another queue: each has its own lock,
//! and no two are ever held together. Still pure: the time is an argument, and whoever waits
//! for messages is woken through a [`Bell`] that the caller brings.
//! Source: Amazon SQS API Reference, "CreateQueue", "DeleteQueue", "ListQueues",
//! "PurgeQueue", "ListDeadLetterSourceQueues"; Amazon SQS Developer Guide, "FIFO queue quotas".

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

pub use super::named_queue::{Bell, NamedQueue, REST_MILLIS, Silent};
use super::{
    attributes::{AttributeMap, QueueSettings},
    error::SqsError,
    id::IdSource,
    move_task::MoveTask,
    named_queue::lock,
    queue::{Delivery, FifoQueue, QueueLimits, Receive},
};

const NAME_CHARS_MAX: usize = 80;

/// Whose queues these are, and how their ids are drawn.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The account that all queues belong to.
    pub account_id: String,
    /// The region in their ARNs.
    pub region: String,
    /// Where message ids come from.
    pub seed: u64,
    /// SQS's quotas.
    pub limits: QueueLimits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            seed: 0,
            limits: QueueLimits::default(),
        }
    }
}

/// The queues, and what happens between them.
pub struct Engine<B = Silent> {
    pub(super) config: EngineConfig,
    queues: RwLock<BTreeMap<Arc<str>, Arc<NamedQueue<B>>>>,
    deleted: Mutex<HashMap<Arc<str>, u64>>,
    pub(super) move_tasks: Mutex<Vec<MoveTask>>,
    queues_created: AtomicU32,
}

impl<B: Bell> Engine<B> {
    /// An account without queues.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            config,
            queues: RwLock::default(),
            deleted: Mutex::default(),
            move_tasks: Mutex::default(),
            queues_created: AtomicU32::new(0),
        }
    }

    /// The ARN of a queue of that name.
    #[must_use]
    pub fn arn_of(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.config.region, self.config.account_id)
    }

    /// The account that all queues belong to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.config.account_id
    }

    /// Finds a queue.
    ///
    /// # Errors
    /// [`SqsError::QueueDoesNotExist`].
    pub fn queue(&self, name: &str) -> Result<Arc<NamedQueue<B>>, SqsError> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).cloned().ok_or(SqsError::QueueDoesNotExist)
    }

    pub(super) fn queue_by_arn(&self, arn: &str) -> Result<Arc<NamedQueue<B>>, SqsError> {
        self.queue(arn.rsplit(':').next().unwrap_or_default()).and_then(|queue| {
            if *queue.arn == *arn { Ok(queue) } else { Err(SqsError::QueueDoesNotExist) }
        })
    }

    /// Creates a queue, or finds the one that has these attributes already.
    ///
    /// # Errors
    /// A name or an attribute that SQS refuses, [`SqsError::QueueNameExists`] for other
    /// attributes, [`SqsError::QueueDeletedRecently`] within a minute of its deletion, and
    /// [`SqsError::UnsupportedOperation`] for a standard queue.
    pub fn create_queue(
        &self,
        name: &str,
        attributes: &AttributeMap,
        tags: AttributeMap,
        now: u64,
    ) -> Result<Arc<NamedQueue<B>>, SqsError> {
        check_name(name, attributes)?;
        let settings = Arc::new(QueueSettings::created_with(attributes)?);
        self.check_dead_letter_queue(&settings)?;
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(existing) = queues.get(name) {
            return match existing.settings().conflict_with(attributes)? {
                None => Ok(Arc::clone(existing)),
                Some(attribute) => Err(SqsError::QueueNameExists(format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                ))),
            };
        }
        let mut deleted = lock(&self.deleted);
        deleted.retain(|_, at| now < *at + REST_MILLIS);
        if deleted.contains_key(name) {
            return Err(SqsError::QueueDeletedRecently);
        }
        let number = self.queues_created.fetch_add(1, Ordering::Relaxed);
        let arn: Arc<str> = self.arn_of(name).into();
        let mut seeds = IdSource::from_seed(self.config.seed ^ u64::from(number));
        let ids = IdSource::from_seed(seeds.next());
        let fifo = FifoQueue::new(
            number,
            Arc::clone(&arn),
            Arc::clone(&settings),
            self.config.limits,
            ids,
        );
        let queue = Arc::new(NamedQueue::new(name.into(), arn, settings, tags, fifo, now));
        queues.insert(Arc::clone(&queue.name), Arc::clone(&queue));
        Ok(queue)
    }

    fn check_dead_letter_queue(&self, settings: &QueueSettings) -> Result<(), SqsError> {
        let Some(policy) = &settings.redrive_policy else {
            return Ok(());
        };
        self.queue_by_arn(&policy.dead_letter_arn).map(drop).map_err(|_| {
            SqsError::bad_parameter(
                "RedrivePolicy",
                &policy.dead_letter_arn,
                "Dead letter target does not exist.",
            )
        })
    }

    /// Deletes a queue with everything in it; whoever waits on it is woken.
    ///
    /// # Errors
    /// [`SqsError::QueueDoesNotExist`].
    pub fn delete_queue(&self, name: &str, now: u64) -> Result<(), SqsError> {
        let removed = self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let queue = removed.ok_or(SqsError::QueueDoesNotExist)?;
        lock(&self.deleted).insert(Arc::clone(&queue.name), now);
        queue.bell.ring_all();
        Ok(())
    }

    /// Changes settings.
    ///
    /// # Errors
    /// An attribute that SQS refuses; nothing is changed then.
    pub fn set_attributes(
        &self,
        name: &str,
        attributes: &AttributeMap,
        now: u64,
    ) -> Result<(), SqsError> {
        let queue = self.queue(name)?;
        // Looks at other queues, and so comes before this queue's settings are locked.
        self.check_dead_letter_queue(&queue.settings().changed_by(attributes)?)?;
        queue.change_settings(attributes, now)
    }

    /// Names of queues in order, from behind `after`, at most `names_max`.
    #[must_use]
    pub fn list(&self, prefix: &str, after: Option<&str>, names_max: usize) -> Vec<Arc<str>> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        queues
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(name, _)| Arc::clone(name))
            .take_while(|name| name.starts_with(prefix))
            .take(names_max)
            .collect()
    }

    /// All queues, in order of their names.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<NamedQueue<B>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Names of the queues whose dead letters go to that ARN, in order.
    #[must_use]
    pub fn dead_letter_sources(&self, arn: &str) -> Vec<Arc<str>> {
        let leads_here = |queue: &Arc<NamedQueue<B>>| {
            let settings = queue.settings();
            settings.redrive_policy.as_ref().is_some_and(|policy| policy.dead_letter_arn == arn)
        };
        let queues = self.queues();
        queues
            .iter()
            .filter(|queue| leads_here(queue))
            .map(|queue| Arc::clone(&queue.name))
            .collect()
    }

    /// Receives, and carries over to the dead-letter queue what has been received too often.
    ///
    /// # Errors
    /// As [`FifoQueue::receive`].
    pub fn receive(
        &self,
        queue: &NamedQueue<B>,
        ask: Receive<'_>,
        now: u64,
    ) -> Result<Vec<Delivery>, SqsError> {
        let mut state = lock(&queue.queue);
        let received = state.receive(ask, now);
        let (free, dead) = (state.has_free_group(), state.has_dead_letters());
        drop(state);
        // One bell wakes one consumer: what it leaves is for the next.
        if free {
            queue.bell.ring();
        }
        if dead {
            self.carry_dead_letters(queue, now);
        }
        received
    }

    fn carry_dead_letters(&self, source: &NamedQueue<B>, now: u64) {
        let _in_order = lock(&source.burial);
        let dead_letters = lock(&source.queue).take_dead_letters();
        let settings = source.settings();
        let Some(policy) = &settings.redrive_policy else {
            return;
        };
        let Ok(target) = self.queue_by_arn(&policy.dead_letter_arn) else {
            let (count, arn) = (dead_letters.len(), &policy.dead_letter_arn);
            tracing::warn!(count, arn, "dead letters are lost: their queue was deleted");
            return;
        };
        target.change(|queue| {
            for moving in dead_letters {
                queue.accept_dead_letter(moving, now);
            }
        });
    }
}

/// SQS allows letters, digits, hyphens and underscores, and the suffix `.fifo`.
fn check_name(name: &str, attributes: &AttributeMap) -> Result<(), SqsError> {
    let bad = |why: &str| Err(SqsError::InvalidParameterValue(why.to_owned()));
    let stem = name.strip_suffix(".fifo");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let bare = stem.unwrap_or(name);
    if bare.is_empty() || name.len() > NAME_CHARS_MAX || !bare.bytes().all(allowed) {
        return bad(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        );
    }
    let fifo = attributes.get("FifoQueue").map(String::as_str);
    match (stem, fifo) {
        (Some(_), Some("true")) => Ok(()),
        (Some(_), _) => bad(
            "The name of a FIFO queue ends with .fifo, and such a queue is created with FifoQueue=true.",
        ),
        (None, Some("true")) => bad(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
        ),
        (None, _) => Err(SqsError::UnsupportedOperation(
            "This broker has FIFO queues only: name the queue with .fifo and set FifoQueue=true."
                .to_owned(),
        )),
    }
}
