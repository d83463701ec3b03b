//! A stage in memory: the very rules of the services, without queues and database.
//!
//! It makes the messages that the next stage is fed with, and the rows that the raw baseline writes.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::ensure;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Arrival, Lane, Memory, Output, PACK_UNITS_MAX, RawMessage, Stage, advance, pack,
};
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::LaneChange;

use crate::traffic::Envelope;

/// Messages that a stage takes at once here: as many as a batch of the services takes.
pub(crate) const BATCH_MESSAGES: usize = 500;

/// A message as it lies in a stage's queue.
#[derive(Debug, Clone)]
pub(crate) struct QueueMessage {
    /// The lane.
    pub(crate) account: AccountKey,
    /// SQS's id of it.
    pub(crate) message_id: String,
    /// Its deduplication id.
    pub(crate) deduplication_id: String,
    /// Its body.
    pub(crate) body: String,
    /// How many units it carries: what counts as a message of the stage.
    pub(crate) units: usize,
}

impl QueueMessage {
    /// An envelope in clearing's queue.
    pub(crate) fn of_envelope(envelope: &Envelope) -> Self {
        Self {
            account: envelope.account.clone(),
            message_id: format!("m-{}", envelope.request_id),
            deduplication_id: envelope.request_id.clone(),
            body: envelope.body.clone(),
            units: 1,
        }
    }
}

/// A batch that was decided: what is to be written, and what goes to the next stage.
pub(crate) struct Decided<S: Stage> {
    /// One change a lane.
    pub(crate) changes: Vec<LaneChange<S>>,
    /// What the next stage's queue gets, packed as the services pack it.
    pub(crate) forwarded: Vec<QueueMessage>,
}

/// The lanes of a stage.
pub(crate) struct Ledger<S: Stage> {
    stage: Arc<S>,
    lanes: HashMap<AccountKey, (Lane, Arc<S::State>)>,
    packs: u64,
}

impl<S: Stage> Ledger<S> {
    /// No lanes yet.
    pub(crate) fn new(stage: Arc<S>) -> Self {
        Self { stage, lanes: HashMap::new(), packs: 0 }
    }

    /// Decides `messages`, batch by batch. Nothing may suspend a lane here.
    ///
    /// # Errors
    /// If something was parked, or a row cannot be read back.
    pub(crate) fn decide(
        &mut self,
        messages: &[QueueMessage],
        now: Timestamp,
    ) -> anyhow::Result<Vec<Decided<S>>> {
        messages.chunks(BATCH_MESSAGES).map(|batch| self.decide_batch(batch, now)).collect()
    }

    fn decide_batch(
        &mut self,
        messages: &[QueueMessage],
        now: Timestamp,
    ) -> anyhow::Result<Decided<S>> {
        let mut places: HashMap<&AccountKey, usize> = HashMap::new();
        let mut lanes: Vec<(&AccountKey, Vec<Arrival<S::Input>>)> = Vec::new();
        for message in messages {
            let deduplication_id = RequestId::new(&message.deduplication_id).ok();
            let raw = RawMessage {
                message_id: &message.message_id,
                deduplication_id: deduplication_id.as_ref(),
                sent_at: now,
                receives: 1,
                repair: false,
                body: &message.body,
            };
            let place = *places.entry(&message.account).or_insert_with(|| {
                lanes.push((&message.account, Vec::new()));
                lanes.len() - 1
            });
            lanes[place].1.extend(S::read(&message.account, raw));
        }
        let mut decided =
            Decided { changes: Vec::with_capacity(lanes.len()), forwarded: Vec::new() };
        for (account, arrivals) in lanes {
            let known = self.lanes.get(account).cloned();
            let before = known.as_ref().map(|(lane, _)| lane.clone());
            let (lane, state) = known.unwrap_or_default();
            let advance = advance(
                &*self.stage,
                account,
                lane,
                state.clone(),
                Memory::default(),
                &arrivals,
                now,
            )?;
            ensure!(advance.parked.is_empty(), "{account}: {:?}", advance.parked);
            let (change, steps) = LaneChange::of(account.clone(), before, state, advance, now);
            self.lanes.insert(account.clone(), (change.after.clone(), change.state_after.clone()));
            decided.changes.push(change);
            let units: Vec<&str> = steps
                .iter()
                .flat_map(|step| &step.outputs)
                .filter_map(|output| match output {
                    Output::Forward { unit, .. } => Some(unit.as_str()),
                    Output::Outcome { .. } | Output::Event { .. } => None,
                })
                .collect();
            let runs = units.chunks(PACK_UNITS_MAX);
            for (run, (deduplication_id, body)) in runs.clone().zip(pack(account, &units)) {
                self.packs += 1;
                decided.forwarded.push(QueueMessage {
                    account: account.clone(),
                    message_id: format!("p-{}", self.packs),
                    deduplication_id,
                    body,
                    units: run.len(),
                });
            }
        }
        Ok(decided)
    }
}

/// Everything that `decided` forwards, in order.
pub(crate) fn forwarded<S: Stage>(decided: Vec<Decided<S>>) -> Vec<QueueMessage> {
    decided.into_iter().flat_map(|batch| batch.forwarded).collect()
}
