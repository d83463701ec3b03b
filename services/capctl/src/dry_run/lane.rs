//! One stage's lane of an account, taken on in memory.

use std::collections::HashMap;
use std::sync::Arc;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Arrival, Content, DeadLetter, Lane, Memory, Output, ParkedMessage, RawMessage, Redriven,
    Redriver, Row, advance, recall,
};
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::{LaneStore as _, Wanted};
use cap_store::{PostgresLanes, StateTables};
use sqlx::PgPool;

use super::DryRunError;

/// The id of whatever a rehearsal sends.
const REHEARSAL: &str = "rehearsal";

/// How often a rehearsed message counts as received.
const RECEIVES: u32 = 1;

/// A lane as it would be.
pub(super) struct RehearsedLane<S: StateTables> {
    rules: S,
    stored: PostgresLanes<S>,
    account: AccountKey,
    now: Timestamp,
    /// Its counters.
    pub(super) lane: Lane,
    /// What the stage keeps of the account.
    pub(super) state: Arc<S::State>,
    /// What was journaled and parked here, and is in no database.
    rows: HashMap<RequestId, Row>,
    parked: HashMap<String, DeadLetter>,
}

/// What came of one message at one stage.
pub(super) struct Taken<I> {
    /// What it says on; none if it was not taken.
    pub(super) output: Option<Output>,
    /// Why it failed again.
    pub(super) failed_again: Option<String>,
    /// What was decided on.
    pub(super) input: Option<(String, I)>,
}

/// What is decided on when `arrival` comes: itself, or what it calls for.
fn tried<I>(mut arrival: Arrival<I>) -> Arrival<I> {
    if arrival.run.is_empty() { arrival } else { arrival.run.swap_remove(0).arrival }
}

impl<S: StateTables> RehearsedLane<S> {
    /// The lane of `account` as the database of `pool` has it, under `rules`.
    pub(super) async fn load(
        rules: S,
        pool: &PgPool,
        account: &AccountKey,
        now: Timestamp,
    ) -> Result<Self, DryRunError> {
        let stored = PostgresLanes::new(pool.clone());
        let wanted = Wanted::of::<S::Input>(account, &[]);
        let loaded = stored.load(&[wanted]).await?.remove(account);
        let (lane, state) = match loaded {
            Some(loaded) => (loaded.lane.unwrap_or_default(), loaded.state),
            None => Default::default(),
        };
        let (rows, parked) = Default::default();
        Ok(Self { rules, stored, account: account.clone(), now, lane, state, rows, parked })
    }

    /// Takes `parked` back, as a redrive would send it.
    pub(super) async fn redrive(
        &mut self,
        parked: &ParkedMessage,
    ) -> Result<Taken<S::Input>, DryRunError> {
        let redriven = Redriven {
            parked_seq: parked.parked_seq,
            by: Redriver::Copy { redrive_seq: self.lane.redrive_seq },
            message_id: REHEARSAL.to_owned(),
            run_max: 1,
        };
        let mut arrivals = self.read(&parked.source_id, parked.sent_at, &parked.body);
        arrivals.truncate(1);
        arrivals.iter_mut().for_each(|arrival| arrival.redriven = Some(redriven.clone()));
        self.take(arrivals).await
    }

    /// Takes a message that another stage sends on.
    pub(super) async fn receive(&mut self, body: &str) -> Result<Taken<S::Input>, DryRunError> {
        let arrivals = self.read(REHEARSAL, self.now, body);
        self.take(arrivals).await
    }

    fn read(&self, message_id: &str, sent_at: Timestamp, body: &str) -> Vec<Arrival<S::Input>> {
        let message = RawMessage {
            message_id,
            deduplication_id: None,
            sent_at,
            receives: RECEIVES,
            repair: false,
            body,
        };
        S::read(&self.account, message)
    }

    async fn take(
        &mut self,
        mut arrivals: Vec<Arrival<S::Input>>,
    ) -> Result<Taken<S::Input>, DryRunError> {
        let wanted = Wanted::of(&self.account, &arrivals);
        let loaded = self.stored.load(&[wanted]).await?.remove(&self.account);
        let mut memory = loaded.map(|loaded| loaded.memory).unwrap_or_default();
        self.recollect(&arrivals, &mut memory);
        recall::<S>(&self.account, &mut arrivals, &memory);
        let (lane, state) = (self.lane.clone(), self.state.clone());
        let advance = advance(&self.rules, &self.account, lane, state, memory, &arrivals, self.now)
            .map_err(|poison| DryRunError::Altered { stage: S::NAME, poison })?;
        self.lane = advance.lane;
        self.state = advance.state;
        self.rows.extend(advance.rows.into_iter().map(|row| (row.request_id.clone(), row)));
        self.parked.extend(advance.parked.into_iter().map(|parked| {
            let ParkedMessage { parked_seq, source_id, parked_at, error, .. } = parked;
            (source_id.to_string(), DeadLetter { parked_seq, parked_at, error })
        }));
        Ok(Taken {
            output: advance.steps.into_iter().find_map(|step| step.outputs.into_iter().next()),
            failed_again: advance.failed_again.into_iter().map(|(_, error)| error).next(),
            input: arrivals.into_iter().map(tried).find_map(|arrival| match arrival.content {
                Content::Message(message) => Some((message.kind.to_string(), message.input)),
                Content::Echo(_) | Content::Unreadable(_) => None,
            }),
        })
    }

    /// What was written in memory is remembered like what was written.
    fn recollect(&self, arrivals: &[Arrival<S::Input>], memory: &mut Memory) {
        let recalled: Vec<RequestId> =
            memory.recalled.values().map(|parked| parked.request_id.clone()).collect();
        let requests = arrivals.iter().map(|arrival| &arrival.request_id).chain(&recalled);
        for row in requests.filter_map(|request_id| self.rows.get(request_id)) {
            memory.rows.insert(row.request_id.clone(), row.clone());
        }
        for Arrival { source_id, .. } in arrivals {
            if let Some(letter) = self.parked.get(source_id.as_str()) {
                memory.parked.insert(source_id.clone(), letter.clone());
            }
        }
    }
}
