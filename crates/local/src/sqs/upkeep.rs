//! What a queue does by itself: time out, delay, expire, unlock, tidy.
//!
//! Guarantees that after [`FifoQueue::tick`] every message is in the state that its deadlines
//! say, and that a group whose first message can be received is listed as free: no consumer
//! waits for a message that is there.
//! Source: Amazon SQS Developer Guide, "Visibility timeout", "Delay queues" (for FIFO queues a
//! changed delay also holds for messages already in the queue), "Using dead-letter queues" (the
//! retention of a FIFO message starts anew when it is moved).

use std::{collections::VecDeque, sync::Arc};

use super::{
    attempt::Attempts,
    attributes::QueueSettings,
    group::{GroupIndex, Groups},
    message::Payload,
    queue::{Counts, FifoQueue, Moving},
    slots::{Key, Phase, Slots},
};

/// Below this many entries a list is not worth tidying.
const TIDY_MIN: usize = 4_096;

impl FifoQueue {
    /// Lets everything happen that is due by `now`.
    pub fn tick(&mut self, now: u64) {
        self.expire(now);
        self.end_delays(now);
        self.end_visibility(now);
    }

    /// When something becomes visible by itself, if anything will.
    #[must_use]
    pub fn next_visible_at(&mut self) -> Option<u64> {
        let timeout = self.next_timeout_at();
        let delay = self
            .delayed
            .iter()
            .find_map(|key| self.slots.get(*key))
            .map(|message| message.sent_at + u64::from(self.settings.delay_secs) * 1_000);
        timeout.into_iter().chain(delay).min()
    }

    /// Whether a receive may find something now.
    #[must_use]
    pub fn has_free_group(&self) -> bool {
        self.groups.has_free() && self.in_flight_count < self.limits.in_flight_max
    }

    /// Messages by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            visible: self.slots.live() - self.in_flight_count - self.delayed_count,
            in_flight: self.in_flight_count,
            delayed: self.delayed_count,
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Arc<QueueSettings> {
        &self.settings
    }

    /// Puts other settings in force, also for the messages already here.
    pub fn change_settings(&mut self, settings: Arc<QueueSettings>, now: u64) {
        self.settings = settings;
        self.tick(now);
    }

    /// Deletes all messages, in flight or not. Deduplication remembers them.
    pub fn purge(&mut self) {
        self.slots = Slots::default();
        self.groups = Groups::default();
        self.attempts = Attempts::default();
        self.by_age.clear();
        self.delayed.clear();
        self.unsearched.clear();
        self.timeouts.clear();
        self.timeouts_count = 0;
        self.delayed_count = 0;
        self.searched_count = 0;
        self.in_flight_count = 0;
    }

    /// Whether messages wait to be moved to the dead-letter queue.
    #[must_use]
    pub fn has_dead_letters(&self) -> bool {
        !self.dead_letters.is_empty()
    }

    /// Messages that the redrive policy has taken out, in order, for the dead-letter queue.
    pub fn take_dead_letters(&mut self) -> VecDeque<Moving> {
        std::mem::take(&mut self.dead_letters)
    }

    /// The serial that the next message will get: a bound on those that are here now.
    pub(crate) fn end_serial(&self) -> u64 {
        self.next_serial
    }

    /// Takes the oldest message in the range out of the queue, for a move task. Locked groups are
    /// passed over, so that no message overtakes another of its group. `wanted` may refuse.
    pub(crate) fn take_oldest<E>(
        &mut self,
        serials: std::ops::Range<u64>,
        wanted: impl FnOnce(&Moving) -> Result<(), E>,
    ) -> Result<Option<(u64, Moving)>, E> {
        let from = self.by_age.partition_point(|key| key.serial < serials.start);
        let found =
            self.by_age.range(from..).copied().take_while(|key| key.serial < serials.end).find(
                |key| {
                    self.slots.get(*key).is_some_and(|message| {
                        let group = self.groups.get(message.group);
                        message.phase == Phase::Waiting
                            && group.in_flight == 0
                            && group.line.front() == Some(&key.slot)
                    })
                },
            );
        let Some((key, message)) = found.and_then(|key| Some((key, self.slots.get(key)?))) else {
            return Ok(None);
        };
        let moving = Moving {
            id: message.id,
            payload: Arc::clone(&message.payload),
            first_received_at: message.first_received_at,
            receive_count: message.receive_count,
        };
        wanted(&moving)?;
        self.remove(key);
        Ok(Some((key.serial, moving)))
    }

    /// The message at that place of the group, if it may be handed out.
    pub(super) fn deliverable_at(&self, group: GroupIndex, place: usize) -> Option<Key> {
        let slot = *self.groups.get(group).line.get(place)?;
        let message = self.slots.at(slot)?;
        (message.phase == Phase::Waiting && message.searched)
            .then_some(Key { slot, serial: message.serial })
    }

    /// Lists the group if it is free now, closes it if it is empty.
    pub(super) fn settle(&mut self, group: GroupIndex) {
        if self.groups.get(group).in_flight > 0 {
            return;
        }
        if self.deliverable_at(group, 0).is_some() {
            self.groups.list_free(group);
        } else {
            self.groups.close_if_empty(group);
        }
    }

    /// Takes a message out that was received too often, with the marks it carries from then on.
    pub(super) fn bury(&mut self, key: Key) {
        let Some(message) = self.slots.get_mut(key) else {
            return;
        };
        let mut payload = Payload::clone(&message.payload);
        // Two messages that shared a deduplication id must both find a place in the DLQ.
        payload.dedup_id = message.id.to_string().into();
        payload.dead_letter_source_arn = Some(Arc::clone(&self.arn));
        self.dead_letters.push_back(Moving {
            id: message.id,
            payload: Arc::new(payload),
            first_received_at: message.first_received_at,
            receive_count: message.receive_count,
        });
        self.detach(key);
    }

    /// Takes a message out of the queue and lets its group go on.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(group) = self.detach(key) {
            self.settle(group);
        }
    }

    fn detach(&mut self, key: Key) -> Option<GroupIndex> {
        let message = self.slots.take(key)?;
        let group = self.groups.get_mut(message.group);
        match message.phase {
            Phase::InFlight { .. } => {
                group.in_flight -= 1;
                self.in_flight_count -= 1;
            }
            Phase::Delayed => self.delayed_count -= 1,
            Phase::Waiting => {}
        }
        // Near the front: in flight, oldest of its group, or oldest of all.
        if let Some(place) = group.line.iter().position(|slot| *slot == key.slot) {
            group.line.remove(place);
        }
        if message.searched {
            self.searched_count -= 1;
            self.search_further();
        }
        if self.by_age.len() > TIDY_MIN + 2 * self.slots.live() {
            let slots = &self.slots;
            self.by_age.retain(|key| slots.get(*key).is_some());
        }
        Some(message.group)
    }

    /// Lets the next message in as one of the first, where SQS looks for free groups.
    fn search_further(&mut self) {
        while self.limits.searched_max.is_none_or(|max| self.searched_count < max) {
            let Some(key) = self.unsearched.pop_front() else {
                return;
            };
            if let Some(message) = self.slots.get_mut(key) {
                message.searched = true;
                self.searched_count += 1;
                let group = message.group;
                self.settle(group);
            }
        }
    }

    /// When the next delivery runs out. Forgets those before it that ended otherwise, so that
    /// nobody wakes up for them.
    fn next_timeout_at(&mut self) -> Option<u64> {
        while let Some(first) = self.timeouts.first_entry() {
            let at = *first.key();
            let stands =
                |(key, delivery): &(Key, u32)| runs_out(&self.slots, *key, *delivery) == Some(at);
            if first.get().iter().any(stands) {
                return Some(at);
            }
            self.timeouts_count -= first.remove().len();
        }
        None
    }

    pub(super) fn await_timeout(&mut self, key: Key, delivery: u32, until: u64) {
        self.timeouts.entry(until).or_default().push((key, delivery));
        self.timeouts_count += 1;
        if self.timeouts_count > TIDY_MIN + 4 * self.in_flight_count {
            let slots = &self.slots;
            self.timeouts.retain(|due, waiting| {
                waiting.retain(|(key, delivery)| runs_out(slots, *key, *delivery) == Some(*due));
                !waiting.is_empty()
            });
            self.timeouts_count = self.timeouts.values().map(Vec::len).sum();
        }
    }

    /// Lets a delivery run out at another time.
    pub(super) fn hold(&mut self, key: Key, hold_until: u64, by_consumer: bool) {
        let Some(message) = self.slots.get_mut(key) else {
            return;
        };
        if let Phase::InFlight { until, touched, delivery, .. } = &mut message.phase {
            *until = hold_until;
            *touched |= by_consumer;
            let delivery = *delivery;
            self.await_timeout(key, delivery, hold_until);
        }
    }

    /// Ends a delivery: the message is visible again, at its place.
    pub(super) fn give_back(&mut self, key: Key) {
        let Some(message) = self.slots.get_mut(key) else {
            return;
        };
        if let Phase::InFlight { .. } = message.phase {
            message.phase = Phase::Waiting;
            let group = message.group;
            self.in_flight_count -= 1;
            self.groups.get_mut(group).in_flight -= 1;
            self.settle(group);
        }
    }

    fn end_visibility(&mut self, now: u64) {
        while let Some(due) = self.timeouts.first_entry().filter(|due| *due.key() <= now) {
            let (at, waiting) = due.remove_entry();
            self.timeouts_count -= waiting.len();
            for (key, delivery) in waiting {
                if runs_out(&self.slots, key, delivery) == Some(at) {
                    self.give_back(key);
                }
            }
        }
    }

    fn end_delays(&mut self, now: u64) {
        let delay = u64::from(self.settings.delay_secs) * 1_000;
        while let Some(key) = self.delayed.front().copied() {
            if let Some(message) = self.slots.get_mut(key) {
                if message.sent_at + delay > now {
                    return;
                }
                message.phase = Phase::Waiting;
                self.delayed_count -= 1;
                let group = message.group;
                self.settle(group);
            }
            self.delayed.pop_front();
        }
    }

    fn expire(&mut self, now: u64) {
        let retention = u64::from(self.settings.retention_secs) * 1_000;
        while let Some(key) = self.by_age.front().copied() {
            if self.slots.get(key).is_some_and(|message| message.sent_at + retention > now) {
                return;
            }
            self.by_age.pop_front();
            self.remove(key);
        }
    }
}

/// When that delivery runs out, if it still stands.
fn runs_out(slots: &Slots, key: Key, of_delivery: u32) -> Option<u64> {
    match slots.get(key)?.phase {
        Phase::InFlight { delivery, until, .. } if delivery == of_delivery => Some(until),
        _ => None,
    }
}
