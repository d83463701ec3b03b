//! Settling a batch: read its lanes, decide in memory, write all in one transaction.
//!
//! What goes wrong stays with whom it concerns: if a rival moved one of the lanes all are read again, the second
//! time alone, a lane that
//! the database refuses is split until the guilty message is alone and poisoned, and while the
//! database is unreachable everything waits and nothing is parked.

use std::collections::HashMap;
use std::sync::Arc;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{
    Arrival, Lane, LaneStatus, ParkedMessage, Redriver, Row, Stage, Step, Taken, advance, recall,
};
use cap_domain::refusal::Poison;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::LaneWork;
use crate::failpoint;
use crate::gate::Gate;
use crate::hand::InHand;
use crate::lane_store::{CommitError, LaneChange, LaneStore, LoadError, Loaded, Reading};
use crate::limits::{FENCED_TRIES_MAX, STORE_CALL_MAX};
use crate::pipeline::Clock;
use crate::prepare::Prepare;
use crate::steps::BatchStep;

/// What settling needs.
pub(crate) struct Settler<'a, S: Stage> {
    pub(crate) stage: Arc<S>,
    pub(crate) store: &'a dyn LaneStore<S>,
    pub(crate) prepare: &'a dyn Prepare<S>,
    pub(crate) clock: &'a Clock,
    pub(crate) gate: &'a Gate,
    pub(crate) stop: &'a CancellationToken,
}

/// A lane whose arrivals are committed.
pub(crate) struct Settled<S: Stage> {
    pub(crate) work: LaneWork<S>,
    /// One step an arrival.
    pub(crate) steps: Vec<Step>,
    /// The messages behind those: the rule of the first is on the way, so they are to come again.
    pub(crate) left: Vec<Arc<InHand>>,
}

impl<S: Stage> Settled<S> {
    fn new(mut work: LaneWork<S>, steps: Vec<Step>) -> Self {
        let left = work.split_undecided(steps.len());
        if !left.is_empty() {
            metrics::counter!("cap_rule_awaited_total").increment(1);
            tracing::info!(account_id = %work.account, messages = left.len(), "no rule for CAP's own message yet: it and those behind it are left to come again");
        }
        Self { work, steps, left }
    }
}

/// Why lanes were not written.
enum Setback {
    /// A rival advanced one of them.
    Fenced,
    /// Something stored of one of them cannot be read.
    Unreadable,
    /// The database refuses something of one of them.
    Refused(String),
    /// They are no longer ours, or we are told to stop: others will do them.
    Abandoned,
}

/// What is to be written and then done for one lane.
type Planned<S> = (LaneChange<S>, Vec<Step>);

impl<S: Stage> Settler<'_, S> {
    /// Settles `lanes`; those that are missing from the answer were left to come again.
    pub(crate) async fn settle(&self, mut lanes: Vec<LaneWork<S>>) -> Vec<Settled<S>> {
        let mut whole: Vec<&mut LaneWork<S>> = lanes.iter_mut().collect();
        let mut reading = Reading::Trusting;
        let mut attempted = self.attempt(&mut whole, &mut reading).await;
        if matches!(attempted, Err(Setback::Fenced)) {
            // Likely decided from a lane that was kept: from now on they are read.
            metrics::counter!("cap_fenced_total").increment(1);
            attempted = self.attempt(&mut whole, &mut reading).await;
            if matches!(attempted, Err(Setback::Fenced)) {
                reading = Reading::Whole;
            }
        }
        match attempted {
            Ok(mut steps) => lanes
                .into_iter()
                .filter_map(|work| Some((steps.remove(&work.account)?, work)))
                .map(|(steps, work)| Settled::new(work, steps))
                .collect(),
            Err(Setback::Abandoned) => Vec::new(),
            Err(Setback::Fenced | Setback::Unreadable | Setback::Refused(_)) => {
                let mut settled = Vec::with_capacity(lanes.len());
                for mut work in lanes {
                    if let Some(steps) = self.settle_alone(&mut work, reading).await {
                        settled.push(Settled::new(work, steps));
                    }
                }
                settled
            }
        }
    }

    /// Settles one lane, message by message if the database refuses it as a whole.
    async fn settle_alone(&self, work: &mut LaneWork<S>, reading: Reading) -> Option<Vec<Step>> {
        match self.attempt_one(work, reading).await {
            Ok(steps) => return Some(steps),
            Err(Setback::Refused(_)) => {}
            Err(Setback::Unreadable) => {
                // Not even what stands there can be told, so nothing can be written beside it.
                metrics::counter!("cap_journal_unreadable_total").increment(1);
                return None;
            }
            Err(Setback::Fenced | Setback::Abandoned) => return None,
        }
        let mut steps = Vec::with_capacity(work.arrivals.len());
        for index in 0..work.arrivals.len() {
            if !work.is_ours() {
                return None;
            }
            let mut one = LaneWork {
                account: work.account.clone(),
                messages: Vec::new(),
                arrivals: vec![work.arrivals[index].clone()],
                completed: false,
            };
            if let Some(redriven) = &mut one.arrivals[0].redriven {
                redriven.run_max = 1;
            }
            let settled = match self.attempt_one(&mut one, reading).await {
                Err(Setback::Refused(reason)) => {
                    tracing::error!(account_id = %one.account, request_id = %one.arrivals[0].request_id, reason, "the database refuses this message: its lane is suspended");
                    one.arrivals[0].refused = Some(Poison::RefusedByDatabase(reason));
                    self.attempt_one(&mut one, reading).await
                }
                settled => settled,
            };
            let mut settled = settled.ok()?;
            if settled.is_empty() {
                break;
            }
            steps.append(&mut settled);
        }
        Some(steps)
    }

    /// Attempts one lane until no rival gets in between.
    async fn attempt_one(
        &self,
        work: &mut LaneWork<S>,
        mut reading: Reading,
    ) -> Result<Vec<Step>, Setback> {
        for _ in 0..FENCED_TRIES_MAX {
            match self.attempt(&mut [&mut *work], &mut reading).await {
                Ok(mut steps) => return steps.remove(&work.account).ok_or(Setback::Abandoned),
                Err(Setback::Fenced) => {
                    metrics::counter!("cap_fenced_total").increment(1);
                    reading = Reading::Whole;
                }
                Err(setback) => return Err(setback),
            }
        }
        tracing::warn!(account_id = %work.account, tries = FENCED_TRIES_MAX, "a rival keeps advancing the lane: its messages are left to come again");
        Err(Setback::Fenced)
    }

    /// Reads, decides and writes `lanes` in one transaction, waiting while the database is away; once it was,
    /// `reading` is whole.
    async fn attempt(
        &self,
        lanes: &mut [&mut LaneWork<S>],
        reading: &mut Reading,
    ) -> Result<HashMap<AccountKey, Vec<Step>>, Setback> {
        let mut backoff = Backoff::default();
        loop {
            let attempt = self.attempt_now(lanes, *reading);
            let attempted = if self.gate.is_open() {
                attempt.await
            } else {
                // A database that is away may keep a drain waiting no longer.
                tokio::select! {
                    attempted = attempt => attempted,
                    () = self.stop.cancelled() => return Err(Setback::Abandoned),
                }
            };
            let unreachable = match attempted {
                Err(Failure::Unreachable(error)) => error,
                // Whatever else it said, the database has answered.
                Err(Failure::Setback(setback)) => {
                    self.gate.open();
                    return Err(setback);
                }
                // With every row read, there is none to be repeated: the journal was altered.
                Err(Failure::Repeated(reason)) => {
                    self.gate.open();
                    return Err(Setback::Refused(reason));
                }
                Ok(steps) => {
                    self.gate.open();
                    return Ok(steps);
                }
            };
            // The commit that was not answered may have been made.
            *reading = Reading::Whole;
            // Nothing is wrong with the messages: hold them, and receive no more meanwhile.
            self.gate.close();
            tracing::warn!(error = %unreachable, stage = %S::NAME, "the database is away: waiting");
            metrics::counter!("cap_database_unreachable_total").increment(1);
            tokio::select! {
                () = backoff.wait() => {}
                () = self.stop.cancelled() => return Err(Setback::Abandoned),
            }
        }
    }

    /// Decides first what is new, as almost everything is; a request that the journal has after all is
    /// read and answered in a second go.
    async fn attempt_now(
        &self,
        lanes: &mut [&mut LaneWork<S>],
        reading: Reading,
    ) -> Result<HashMap<AccountKey, Vec<Step>>, Failure> {
        lanes.iter_mut().for_each(|work| work.completed = false);
        match self.attempt_reading(lanes, reading).await {
            Err(Failure::Repeated(_)) if reading == Reading::Trusting => {
                metrics::counter!("cap_repeated_batches_total").increment(1);
                self.attempt_reading(lanes, Reading::Whole).await
            }
            attempted => attempted,
        }
    }

    async fn attempt_reading(
        &self,
        lanes: &mut [&mut LaneWork<S>],
        reading: Reading,
    ) -> Result<HashMap<AccountKey, Vec<Step>>, Failure> {
        let mut planned = self.plan_all(lanes, reading).await?;
        if reading == Reading::Trusting {
            let mut doubtful: Vec<&mut LaneWork<S>> = lanes
                .iter_mut()
                .filter(|work| work.is_first_receipt())
                .filter(|work| {
                    planned.get(&work.account).is_some_and(|plan| is_doubtful(work, plan))
                })
                .map(|work| &mut **work)
                .collect();
            if !doubtful.is_empty() {
                metrics::counter!("cap_doubtful_lanes_total").increment(doubtful.len() as u64);
                // What was decided unread counts for nothing, also if the lane cannot be read now.
                for work in &doubtful {
                    planned.remove(&work.account);
                }
                planned.extend(self.plan_all(&mut doubtful, Reading::Whole).await?);
            }
        }
        // Q20: what expired meanwhile may already be in another consumer's hands.
        for work in lanes.iter().filter(|work| !work.is_ours()) {
            planned.remove(&work.account);
        }
        let mut changes = Vec::with_capacity(planned.len());
        let mut settled = HashMap::with_capacity(planned.len());
        for (account, (change, steps)) in planned {
            let is_decided = !steps.is_empty();
            settled.insert(account, steps);
            if is_decided && change.before.as_ref() != Some(&change.after) {
                changes.push(change);
            }
        }
        if !changes.is_empty() {
            BatchStep::Commit
                .timed(in_time("committing a batch", self.store.commit(&changes)))
                .await?;
            failpoint::hit("after_commit");
            report(&changes);
        }
        Ok(settled)
    }

    /// Reads `lanes`, completes what is new and decides it. A lane that is missing from the answer is no
    /// longer ours, or its journal no longer makes sense.
    async fn plan_all(
        &self,
        lanes: &mut [&mut LaneWork<S>],
        reading: Reading,
    ) -> Result<HashMap<AccountKey, Planned<S>>, Failure> {
        let ours: Vec<_> = lanes.iter().filter(|work| work.is_ours()).collect();
        let trusted: Vec<_> =
            ours.iter().filter(|work| work.is_trusted(reading)).map(|work| &work.account).collect();
        let mut loaded: HashMap<_, _> = self.store.kept(&trusted).into_iter().collect();
        let unknown = ours.iter().filter(|work| !loaded.contains_key(&work.account));
        let wanted: Vec<_> = unknown.map(|work| work.wanted(reading)).collect();
        let load = async {
            if wanted.is_empty() {
                return Ok(HashMap::new());
            }
            BatchStep::Read.timed(in_time("reading lanes", self.store.load(&wanted))).await
        };
        let (read, ()) = tokio::join!(load, self.prepare_unread(lanes, reading));
        loaded.extend(read?);
        failpoint::hit("after_load");
        let now = (self.clock)();
        for work in lanes.iter_mut() {
            if let Some(loaded) = loaded.get(&work.account) {
                recall::<S>(&work.account, &mut work.arrivals, &loaded.memory);
            }
        }
        let read = lanes.iter_mut().map(|work| &mut **work).filter(|work| !work.completed);
        self.prepare.prepare(new_arrivals(read, &loaded), now).await;
        failpoint::hit("after_prepare");
        Ok(BatchStep::Decide.done(|| {
            let mut planned = HashMap::with_capacity(lanes.len());
            for work in lanes.iter() {
                if let Some(loaded) = loaded.remove(&work.account)
                    && let Some(plan) = self.plan(work, loaded, now)
                {
                    planned.insert(work.account.clone(), plan);
                }
            }
            planned
        }))
    }

    /// Completes what is taken for new, while its lane is read.
    async fn prepare_unread(&self, lanes: &mut [&mut LaneWork<S>], reading: Reading) {
        let trusted = lanes.iter_mut().filter(|work| work.is_trusted(reading));
        let arrivals: Vec<_> = trusted
            .flat_map(|work| {
                let LaneWork { account, arrivals, completed, .. } = &mut **work;
                let account: &AccountKey = account;
                *completed = true;
                arrivals.iter_mut().map(move |arrival| (account, arrival))
            })
            .collect();
        if !arrivals.is_empty() {
            BatchStep::Complete.timed(self.prepare.prepare(arrivals, (self.clock)())).await;
        }
    }

    /// Decides a lane's arrivals; none if its journal no longer makes sense.
    fn plan(
        &self,
        work: &LaneWork<S>,
        loaded: Loaded<S>,
        now: cap_domain::time::Timestamp,
    ) -> Option<Planned<S>> {
        let Loaded { lane: before, state: state_before, memory } = loaded;
        let lane: Lane = before.clone().unwrap_or_default();
        match advance(
            &*self.stage,
            &work.account,
            lane,
            Arc::clone(&state_before),
            memory,
            &work.arrivals,
            now,
        ) {
            Ok(advance) => {
                let account = work.account.clone();
                Some(LaneChange::of(account, before, state_before, advance, now))
            }
            Err(error) => {
                tracing::error!(account_id = %work.account, %error, "the lane's journal cannot be read back: its messages are left in the queue");
                metrics::counter!("cap_journal_unreadable_total").increment(1);
                None
            }
        }
    }
}

/// Whether a plan that was made without looking for the requests does anything but append a row for each
/// arrival. Only that is sure to be refused if one of them was journaled before: a message that would be
/// parked, or wait, might only be repeated. A lane that was not active was looked into, and a new one has no
/// requests.
fn is_doubtful<S: Stage>(work: &LaneWork<S>, (change, _): &Planned<S>) -> bool {
    change.before.as_ref().is_some_and(|lane| lane.status == LaneStatus::Active)
        && (change.rows.len() != work.arrivals.len() || !change.parked.is_empty())
}

/// What the database says to `call`, if it says anything in time: a host that is gone without a
/// word would otherwise hold a committer until TCP gives up.
async fn in_time<T, E: Into<Failure>>(
    attempted: &str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(STORE_CALL_MAX, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => {
            Err(Failure::Unreachable(format!("{attempted}: no answer within {STORE_CALL_MAX:?}")))
        }
    }
}

enum Failure {
    Setback(Setback),
    /// A request is in the journal that was taken for new.
    Repeated(String),
    Unreachable(String),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unreachable(error) => Self::Unreachable(error.to_string()),
            LoadError::Unreadable { account, reason } => {
                tracing::error!(account_id = %account, reason, "a stored row is not readable: the batch is split around it");
                Self::Setback(Setback::Unreadable)
            }
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced => Self::Setback(Setback::Fenced),
            CommitError::Repeated(reason) => Self::Repeated(reason),
            CommitError::Refused(reason) => Self::Setback(Setback::Refused(reason)),
            CommitError::Unreachable(error) => Self::Unreachable(error.to_string()),
        }
    }
}

/// The arrivals that are neither journaled nor parked, to be completed before they are decided.
fn new_arrivals<'a, S: Stage>(
    lanes: impl Iterator<Item = &'a mut LaneWork<S>>,
    loaded: &HashMap<AccountKey, Loaded<S>>,
) -> Vec<(&'a AccountKey, &'a mut Arrival<S::Input>)> {
    let mut new = Vec::new();
    for LaneWork { account, arrivals, .. } in lanes {
        let Some(loaded) = loaded.get(account) else {
            continue;
        };
        let memory = &loaded.memory;
        let unknown = |arrival: &Arrival<S::Input>| {
            !memory.rows.contains_key(&arrival.request_id)
                && !memory.parked.contains_key(&arrival.source_id)
        };
        let account: &'a AccountKey = account;
        for arrival in arrivals.iter_mut() {
            if arrival.redriven.is_none() {
                new.extend(unknown(arrival).then_some((account, arrival)));
                continue;
            }
            if arrival.redriven.as_ref().is_some_and(|redriven| redriven.by == Redriver::Letter) {
                // It is never decided, only put back.
                continue;
            }
            let run = arrival.run.iter_mut().map(|recalled| &mut recalled.arrival);
            let again = run.filter(|again| !memory.rows.contains_key(&again.request_id));
            new.extend(again.map(|again| (account, again)));
        }
    }
    new
}

fn report<S: Stage>(changes: &[LaneChange<S>]) {
    let rows: usize = changes.iter().map(|change| change.rows.len()).sum();
    metrics::counter!("cap_journaled_total").increment(rows as u64);
    metrics::histogram!("cap_batch_lanes").record(changes.len() as u32);
    for LaneChange { account, before, after, rows, parked, redriven, failed_again, .. } in changes {
        for row in rows {
            let Row { request_id, seq: lane_seq, result, .. } = row;
            let kind = row.kind.as_str();
            if row.is_refusal() {
                metrics::counter!("cap_refused_total").increment(1);
                tracing::info!(account_id = %account, %request_id, lane_seq, kind, result, "refused");
            } else {
                tracing::debug!(account_id = %account, %request_id, lane_seq, kind, "journaled");
            }
        }
        for ParkedMessage { request_id, parked_seq, error, .. } in parked {
            metrics::counter!("cap_parked_total").increment(1);
            tracing::error!(account_id = %account, %request_id, parked_seq, error, "message parked, lane suspended");
        }
        for Taken { parked_seq, .. } in redriven {
            metrics::counter!("cap_redriven_total").increment(1);
            tracing::info!(account_id = %account, parked_seq, "parked message redriven");
        }
        for (parked_seq, error) in failed_again {
            metrics::counter!("cap_redrive_failed_total").increment(1);
            tracing::error!(account_id = %account, parked_seq, error, "redriven message failed again, lane suspended");
        }
        if after.status == LaneStatus::Active
            && before.as_ref().is_some_and(|before| before.status != LaneStatus::Active)
        {
            tracing::info!(account_id = %account, parked = after.parked_seq, "lane open again");
        }
    }
}

#[cfg(test)]
mod contested;
