//! A queue under its lock, with what belongs to it and is not FIFO: name, tags, bell.
//!
//! Guarantees that its lock is held for one change at a time and never while another queue's
//! is, and that a change which makes messages receivable rings the bell.
//! Source: Amazon SQS API Reference, "PurgeQueue", "TagQueue", "GetQueueAttributes".

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    attributes::{AttributeMap, QueueSettings},
    error::SqsError,
    id::ReceiptHandle,
    message::Payload,
    queue::{Accepted, Counts, FifoQueue},
};

/// How long a purge, or the name of a deleted queue, rests.
pub const REST_MILLIS: u64 = 60_000;
const TAGS_MAX: usize = 50;

/// Rings when a receive that found nothing may find something now.
pub trait Bell: Default + Send + Sync + 'static {
    /// Wakes one waiting consumer.
    fn ring(&self);
    /// Wakes all waiting consumers.
    fn ring_all(&self);
}

/// A bell nobody listens to.
#[derive(Debug, Default)]
pub struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
    fn ring_all(&self) {}
}

/// One queue with its name.
pub struct NamedQueue<B> {
    /// The name, `.fifo` included.
    pub name: Arc<str>,
    /// The ARN.
    pub arn: Arc<str>,
    /// When it was created.
    pub created_at: u64,
    /// Rings when messages become visible.
    pub bell: B,
    pub(super) queue: Mutex<FifoQueue>,
    settings: RwLock<Arc<QueueSettings>>,
    modified_at: AtomicU64,
    purged_at: Mutex<Option<u64>>,
    tags: Mutex<AttributeMap>,
    /// Held while dead letters are carried over, so that they arrive in order.
    pub(super) burial: Mutex<()>,
}

impl<B: Bell> NamedQueue<B> {
    pub(super) fn new(
        name: Arc<str>,
        arn: Arc<str>,
        settings: Arc<QueueSettings>,
        tags: AttributeMap,
        queue: FifoQueue,
        now: u64,
    ) -> Self {
        Self {
            name,
            arn,
            created_at: now,
            bell: B::default(),
            queue: Mutex::new(queue),
            settings: RwLock::new(settings),
            modified_at: AtomicU64::new(now),
            purged_at: Mutex::default(),
            tags: Mutex::new(tags),
            burial: Mutex::default(),
        }
    }

    /// Puts changed settings in force; whoever waits looks again.
    pub(super) fn change_settings(
        &self,
        attributes: &AttributeMap,
        now: u64,
    ) -> Result<(), SqsError> {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::new(settings.changed_by(attributes)?);
        *settings = Arc::clone(&changed);
        drop(settings);
        self.modified_at.store(now, Ordering::Relaxed);
        lock(&self.queue).change_settings(changed, now);
        self.bell.ring_all();
        Ok(())
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Messages by state.
    #[must_use]
    pub fn counts(&self, now: u64) -> Counts {
        let mut queue = lock(&self.queue);
        queue.tick(now);
        queue.counts()
    }

    /// When something becomes visible by itself, if anything will.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<u64> {
        lock(&self.queue).next_visible_at()
    }

    /// Sends one message.
    pub fn send(&self, payload: Payload, now: u64) -> Accepted {
        self.change(|queue| queue.send(payload, now))
    }

    /// Deletes one message; see [`FifoQueue::delete`].
    ///
    /// # Errors
    /// As [`FifoQueue::delete`].
    pub fn delete(&self, handle: ReceiptHandle, now: u64) -> Result<(), SqsError> {
        self.change(|queue| queue.delete(handle, now))
    }

    /// Changes how long one message stays invisible.
    ///
    /// # Errors
    /// As [`FifoQueue::change_visibility`].
    pub fn change_visibility(
        &self,
        handle: ReceiptHandle,
        timeout_secs: u32,
        now: u64,
    ) -> Result<(), SqsError> {
        self.change(|queue| queue.change_visibility(handle, timeout_secs, now))
    }

    /// Deletes all messages.
    ///
    /// # Errors
    /// [`SqsError::PurgeQueueInProgress`] within a minute of the last purge.
    pub fn purge(&self, now: u64) -> Result<(), SqsError> {
        let mut purged_at = lock(&self.purged_at);
        if purged_at.is_some_and(|at| now < at + REST_MILLIS) {
            return Err(SqsError::PurgeQueueInProgress(self.name.to_string()));
        }
        *purged_at = Some(now);
        lock(&self.queue).purge();
        Ok(())
    }

    /// All attributes, settings and counts.
    #[must_use]
    pub fn attributes(&self, now: u64) -> AttributeMap {
        let counts = self.counts(now);
        let mut attributes = self.settings().to_attributes();
        let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value);
        put("QueueArn", self.arn.to_string());
        put("CreatedTimestamp", (self.created_at / 1_000).to_string());
        let modified_at = self.modified_at.load(Ordering::Relaxed);
        put("LastModifiedTimestamp", (modified_at / 1_000).to_string());
        put("ApproximateNumberOfMessages", counts.visible.to_string());
        put("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
        put("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
        attributes
    }

    /// The tags.
    #[must_use]
    pub fn tags(&self) -> AttributeMap {
        lock(&self.tags).clone()
    }

    /// Adds or replaces tags.
    ///
    /// # Errors
    /// [`SqsError::InvalidParameterValue`] when there would be more than fifty.
    pub fn tag(&self, added: AttributeMap) -> Result<(), SqsError> {
        let mut tags = lock(&self.tags);
        let mut all = tags.clone();
        all.extend(added);
        if all.len() > TAGS_MAX {
            return Err(SqsError::InvalidParameterValue(format!(
                "Too many tags added for queue {}.",
                self.name
            )));
        }
        *tags = all;
        Ok(())
    }

    /// Removes tags; those it does not have are no error.
    pub fn untag(&self, keys: &[String]) {
        lock(&self.tags).retain(|key, _| !keys.contains(key));
    }

    /// Runs a change of the queue and rings if a group is free after it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut FifoQueue) -> T) -> T {
        let mut queue = lock(&self.queue);
        let done = change(&mut queue);
        let free = queue.has_free_group();
        drop(queue);
        if free {
            self.bell.ring();
        }
        done
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere is its own failure; the queues stay in service.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
