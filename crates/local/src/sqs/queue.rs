//! One FIFO queue, as a pure state machine: the time comes in as milliseconds, ids from a seed.
//!
//! Guarantees order within a message group, a lock on a group for as long as any of its
//! messages is in flight, and free flow of all others. Receiving costs the same whatever the
//! number of waiting messages and locked groups. Knows no other queue: what a redrive policy
//! takes out waits in [`FifoQueue::take_dead_letters`].
//! Source: Amazon SQS Developer Guide, "FIFO queue delivery logic", "Exactly-once processing",
//! "Visibility timeout", "FIFO queue quotas"; Amazon SQS API Reference, "ReceiveMessage".

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub use super::terms::{Accepted, BATCH_MAX, Counts, Delivery, Moving, QueueLimits, Receive};
use super::{
    attempt::Attempts,
    attributes::{DedupScope, QueueSettings, VISIBILITY_TIMEOUT_SECS_MAX},
    dedup::{DedupKey, DedupWindow},
    error::SqsError,
    group::{GroupIndex, Groups},
    id::{IdSource, ReceiptHandle, SequenceNumber},
    message::Payload,
    slots::{Key, Message, Phase, Slots},
};

/// One FIFO queue.
pub struct FifoQueue {
    pub(super) number: u32,
    pub(super) arn: Arc<str>,
    pub(super) settings: Arc<QueueSettings>,
    pub(super) limits: QueueLimits,
    pub(super) ids: IdSource,
    pub(super) next_serial: u64,
    pub(super) next_delivery: u32,
    pub(super) slots: Slots,
    pub(super) groups: Groups,
    pub(super) dedup: DedupWindow,
    pub(super) attempts: Attempts,
    /// All messages in order of arrival, with gaps where some are gone.
    pub(super) by_age: VecDeque<Key>,
    pub(super) delayed: VecDeque<Key>,
    pub(super) delayed_count: usize,
    /// Those behind the first `searched_max`.
    pub(super) unsearched: VecDeque<Key>,
    pub(super) searched_count: usize,
    /// When deliveries run out, by time; some have been deleted or extended since.
    pub(super) timeouts: BTreeMap<u64, Vec<(Key, u32)>>,
    pub(super) timeouts_count: usize,
    pub(super) in_flight_count: usize,
    pub(super) dead_letters: VecDeque<Moving>,
}

impl FifoQueue {
    /// An empty queue. Its receipt handles carry `number`; its ids come from `ids`.
    #[must_use]
    pub fn new(
        number: u32,
        arn: Arc<str>,
        settings: Arc<QueueSettings>,
        limits: QueueLimits,
        ids: IdSource,
    ) -> Self {
        Self {
            number,
            arn,
            settings,
            limits,
            ids,
            next_serial: 0,
            next_delivery: 0,
            slots: Slots::default(),
            groups: Groups::default(),
            dedup: DedupWindow::default(),
            attempts: Attempts::default(),
            by_age: VecDeque::new(),
            delayed: VecDeque::new(),
            delayed_count: 0,
            unsearched: VecDeque::new(),
            searched_count: 0,
            timeouts: BTreeMap::new(),
            timeouts_count: 0,
            in_flight_count: 0,
            dead_letters: VecDeque::new(),
        }
    }

    /// Puts a message at the end of its group, unless it was sent before.
    pub fn send(&mut self, payload: Payload, now: u64) -> Accepted {
        self.tick(now);
        let scope = match self.settings.dedup_scope {
            DedupScope::Queue => None,
            DedupScope::MessageGroup => Some(&*payload.group_id),
        };
        let key = DedupKey::new(scope, &payload.dedup_id);
        if let Some((id, sequence)) = self.dedup.first_send(key, now) {
            return Accepted { id, sequence, duplicate: true };
        }
        let id = self.ids.message_id();
        let sequence = self.append(
            Moving { id, payload: Arc::new(payload), first_received_at: None, receive_count: 0 },
            now,
        );
        self.dedup.remember(key, now, (id, sequence));
        Accepted { id, sequence, duplicate: false }
    }

    /// Takes in a message that a redrive policy moved here: it keeps its id and its receive
    /// count, its retention starts anew, and deduplication does not look at it.
    pub fn accept_dead_letter(&mut self, moving: Moving, now: u64) {
        self.tick(now);
        self.append(moving, now);
    }

    /// Takes in a message from a move task: a new message with a new id, behind the live ones.
    pub fn accept_redriven(&mut self, moving: Moving, now: u64) {
        self.tick(now);
        let mut payload = Arc::unwrap_or_clone(moving.payload);
        payload.dead_letter_source_arn = None;
        let id = self.ids.message_id();
        self.append(
            Moving { id, payload: Arc::new(payload), first_received_at: None, receive_count: 0 },
            now,
        );
    }

    fn append(&mut self, moving: Moving, now: u64) -> SequenceNumber {
        let serial = self.next_serial;
        self.next_serial += 1;
        let delayed = self.settings.delay_secs > 0;
        let searched = self.unsearched.is_empty()
            && self.limits.searched_max.is_none_or(|max| self.searched_count < max);
        let group = self.groups.find_or_open(&moving.payload.group_id);
        let key = self.slots.put(Message {
            id: moving.id,
            serial,
            group,
            payload: moving.payload,
            sent_at: now,
            first_received_at: moving.first_received_at,
            receive_count: moving.receive_count,
            receive_count_elsewhere: moving.receive_count,
            phase: if delayed { Phase::Delayed } else { Phase::Waiting },
            searched,
        });
        self.groups.get_mut(group).line.push_back(key.slot);
        self.by_age.push_back(key);
        if delayed {
            self.delayed_count += 1;
            self.delayed.push_back(key);
        }
        if searched {
            self.searched_count += 1;
        } else {
            self.unsearched.push_back(key);
        }
        self.settle(group);
        SequenceNumber(serial)
    }

    /// Hands out messages of free groups, a run of each in order, and locks those groups.
    ///
    /// # Errors
    /// [`SqsError::InvalidParameterValue`] when the attempt was made before and one of its
    /// messages has been deleted, or its visibility changed, since.
    pub fn receive(&mut self, ask: Receive<'_>, now: u64) -> Result<Vec<Delivery>, SqsError> {
        self.tick(now);
        let timeout = ask.visibility_timeout_secs.unwrap_or(self.settings.visibility_timeout_secs);
        let until = now + u64::from(timeout) * 1_000;
        if let Some(attempt_id) = ask.attempt_id
            && let Some(replayed) = self.replay(attempt_id, until, now)?
        {
            return Ok(replayed);
        }
        let mut taken = Vec::new();
        while taken.len() < ask.messages_max && self.in_flight_count < self.limits.in_flight_max {
            let Some(group) = self.groups.take_free() else {
                break;
            };
            self.take_run(group, &mut taken, ask.messages_max, until, now);
        }
        if let Some(attempt_id) = ask.attempt_id.filter(|_| !taken.is_empty()) {
            let handles = taken.iter().map(|delivery| delivery.handle).collect();
            self.attempts.remember(attempt_id, now, handles);
        }
        Ok(taken)
    }

    /// Takes the front of a free group, moving aside what has been received too often.
    fn take_run(
        &mut self,
        group: GroupIndex,
        taken: &mut Vec<Delivery>,
        messages_max: usize,
        until: u64,
        now: u64,
    ) {
        // A group can be listed and locked: it was listed while its run was being taken.
        if self.groups.get(group).in_flight > 0 {
            return;
        }
        let mut place = 0;
        while taken.len() < messages_max && self.in_flight_count < self.limits.in_flight_max {
            let Some(key) = self.deliverable_at(group, place) else {
                break;
            };
            if self.received_too_often(key) {
                self.bury(key);
            } else if let Some(delivery) = self.deliver(key, until, now) {
                taken.push(delivery);
                place += 1;
            }
        }
        self.settle(group);
    }

    fn received_too_often(&self, key: Key) -> bool {
        let Some(policy) = &self.settings.redrive_policy else {
            return false;
        };
        self.slots.get(key).is_some_and(|message| {
            message.receive_count - message.receive_count_elsewhere >= policy.receive_count_max
        })
    }

    fn deliver(&mut self, key: Key, until: u64, now: u64) -> Option<Delivery> {
        let delivery = self.next_delivery;
        let message = self.slots.get_mut(key)?;
        message.receive_count += 1;
        message.first_received_at.get_or_insert(now);
        message.phase = Phase::InFlight { delivery, since: now, until, touched: false };
        let group = message.group;
        self.next_delivery = self.next_delivery.wrapping_add(1);
        self.in_flight_count += 1;
        self.groups.get_mut(group).in_flight += 1;
        self.await_timeout(key, delivery, until);
        self.shown(key, delivery)
    }

    fn shown(&self, key: Key, delivery: u32) -> Option<Delivery> {
        let message = self.slots.get(key)?;
        Some(Delivery {
            id: message.id,
            sequence: SequenceNumber(message.serial),
            handle: ReceiptHandle {
                queue: self.number,
                slot: key.slot,
                serial: key.serial,
                delivery,
            },
            payload: Arc::clone(&message.payload),
            sent_at: message.sent_at,
            first_received_at: message.first_received_at.unwrap_or(message.sent_at),
            receive_count: message.receive_count,
        })
    }

    /// What this attempt was given before, with the same handles and a new timeout; `None` when
    /// it is new, or its messages have become visible in the meantime.
    fn replay(
        &mut self,
        attempt_id: &str,
        until: u64,
        now: u64,
    ) -> Result<Option<Vec<Delivery>>, SqsError> {
        let Some(handles) = self.attempts.received(attempt_id, now) else {
            return Ok(None);
        };
        let mut lapsed = false;
        for handle in &handles {
            match self.slots.get(key_of(handle)).map(|message| message.phase) {
                Some(Phase::InFlight { delivery, touched: false, .. })
                    if delivery == handle.delivery => {}
                Some(Phase::InFlight { delivery, .. }) if delivery == handle.delivery => {
                    return Err(not_retryable(attempt_id));
                }
                Some(_) => lapsed = true,
                None => return Err(not_retryable(attempt_id)),
            }
        }
        if lapsed {
            return Ok(None);
        }
        let mut replayed = Vec::with_capacity(handles.len());
        for handle in handles {
            self.hold(key_of(&handle), until, false);
            replayed.extend(self.shown(key_of(&handle), handle.delivery));
        }
        Ok(Some(replayed))
    }

    /// Removes a message for good. Deleting it twice is no error.
    ///
    /// # Errors
    /// [`SqsError::InvalidParameterValue`] when the delivery's visibility has run out: the
    /// message stays. [`SqsError::ReceiptHandleIsInvalid`] for a handle of another queue.
    pub fn delete(&mut self, handle: ReceiptHandle, now: u64) -> Result<(), SqsError> {
        self.tick(now);
        self.check_handle(&handle)?;
        let key = key_of(&handle);
        match self.slots.get(key).map(|message| message.phase) {
            Some(Phase::InFlight { delivery, .. }) if delivery == handle.delivery => {
                self.remove(key);
                Ok(())
            }
            Some(_) => Err(SqsError::bad_parameter(
                "ReceiptHandle",
                handle,
                "The receipt handle has expired.",
            )),
            None => Ok(()),
        }
    }

    /// Lets a delivery run out `timeout_secs` from now: zero gives the message back at once.
    ///
    /// # Errors
    /// [`SqsError::MessageNotInflight`] when the message is visible again,
    /// [`SqsError::InvalidParameterValue`] when it is gone, in another consumer's hands, or would
    /// be held for more than twelve hours in all.
    pub fn change_visibility(
        &mut self,
        handle: ReceiptHandle,
        timeout_secs: u32,
        now: u64,
    ) -> Result<(), SqsError> {
        self.tick(now);
        self.check_handle(&handle)?;
        let key = key_of(&handle);
        match self.slots.get(key).map(|message| message.phase) {
            Some(Phase::InFlight { delivery, since, .. }) if delivery == handle.delivery => {
                let until = now + u64::from(timeout_secs) * 1_000;
                if until > since + u64::from(VISIBILITY_TIMEOUT_SECS_MAX) * 1_000 {
                    return Err(SqsError::bad_parameter(
                        "VisibilityTimeout",
                        timeout_secs,
                        "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
                    ));
                }
                if timeout_secs == 0 {
                    self.give_back(key);
                } else {
                    self.hold(key, until, true);
                }
                Ok(())
            }
            Some(Phase::Waiting | Phase::Delayed) => Err(SqsError::MessageNotInflight),
            Some(Phase::InFlight { .. }) | None => Err(SqsError::bad_parameter(
                "ReceiptHandle",
                handle,
                "Message does not exist or is not available for visibility timeout change.",
            )),
        }
    }

    fn check_handle(&self, handle: &ReceiptHandle) -> Result<(), SqsError> {
        if handle.queue == self.number && handle.serial < self.next_serial {
            Ok(())
        } else {
            Err(SqsError::ReceiptHandleIsInvalid)
        }
    }
}

fn key_of(handle: &ReceiptHandle) -> Key {
    Key { slot: handle.slot, serial: handle.serial }
}

fn not_retryable(attempt_id: &str) -> SqsError {
    SqsError::bad_parameter(
        "ReceiveRequestAttemptId",
        attempt_id,
        "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.",
    )
}
