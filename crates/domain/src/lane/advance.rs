//! One step of a lane: from its state and the messages that arrived, to everything that has to
//! be written and sent. Pure: the pipeline executes what this proposes.
//!
//! For each arrival, in order:
//! 1. redriven → taken only in its turn: see `redrive.rs`
//! 2. parked before → its dead letter again: what became of it then is the redrive's to tell
//! 3. journaled before → its output again, an echo if it is a repetition, nothing written
//! 4. the lane is not active → parked behind, untried (C5, A9), unless it is a repair
//! 5. CAP's own, and its rule is on the way → it and all behind it are left to come again
//! 6. decided: one journal row, or the poison suspends the lane and the message is parked first

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Arrival, Content, DeadLetter, Echo, EchoKind, Lane, LaneStatus, Memory, Message, Output,
    ParkedMessage, Row, Stage, Suspension, Taken, Ticket,
};
use crate::event::EventKind;
use crate::ids::{AccountKey, RequestId};
use crate::json::written;
use crate::refusal::Poison;
use crate::time::Timestamp;

/// How often a message may be received without being finished before it is held to be what
/// kills the process. Far below the queue's own `maxReceiveCount`, which is the last resort (Q8).
pub const POISON_AFTER_RECEIVES: u32 = 30;

/// How often a message of CAP's own may be received by rules that have no word for it before it is held
/// to have none at all. A configuration that spreads has reached every task long before, and there
/// remain enough receives for those behind it that a crash brings again ([`POISON_AFTER_RECEIVES`]).
pub const RULE_AWAITED_RECEIVES_MAX: u32 = 20;

/// Room for a row's `result`; longer ones take more.
const RESULT_BYTES_USUAL: usize = 800;

/// What follows from one arrival, once the advance is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What is to be sent on, in order.
    pub outputs: Vec<Output>,
    /// What is to be put into the DLQ, before the source message may be deleted.
    pub dead_letter: Option<DeadLetter>,
    /// What is to be put back into the lane's own queue, after all it says.
    pub next: Option<Ticket>,
}

/// What a lane's arrivals come to.
#[derive(Debug)]
pub struct Advance<S: Stage> {
    /// The lane afterwards.
    pub lane: Lane,
    /// The state afterwards.
    pub state: Arc<S::State>,
    /// Rows to append.
    pub rows: Vec<Row>,
    /// Messages to park.
    pub parked: Vec<ParkedMessage>,
    /// Parked messages that were redriven.
    pub redriven: Vec<Taken>,
    /// Numbers of parked messages that failed again, and the error's own words.
    pub failed_again: Vec<(u64, String)>,
    /// One step an arrival, in order. Arrivals that have none are left in the queue, to come again.
    pub steps: Vec<Step>,
}

/// Advances the lane of `account` by `arrivals`.
///
/// # Errors
/// Only if an output cannot be made from a row that is already journaled: the journal was
/// altered, and nothing can be done here that would not make it worse.
pub fn advance<S: Stage>(
    stage: &S,
    account: &AccountKey,
    lane: Lane,
    state: Arc<S::State>,
    memory: Memory,
    arrivals: &[Arrival<S::Input>],
    now: Timestamp,
) -> Result<Advance<S>, Poison> {
    let advance = Advance {
        lane,
        state,
        rows: Vec::new(),
        parked: Vec::new(),
        redriven: Vec::new(),
        failed_again: Vec::new(),
        steps: Vec::with_capacity(arrivals.len()),
    };
    let mut turn = Turn {
        stage,
        account,
        memory,
        now,
        advance,
        appended: HashMap::new(),
        parked_here: HashMap::new(),
    };
    for arrival in arrivals {
        if turn.awaits_rule(arrival) {
            break;
        }
        let step = turn.take(arrival)?;
        turn.advance.steps.push(step);
    }
    Ok(turn.advance)
}

/// A message that was decided, before anything is changed by it.
struct Decided<S: Stage> {
    row: Row,
    state: S::State,
    outputs: Vec<Output>,
}

/// How a message comes to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    /// For the first time.
    Up,
    /// Parked before: if that was in its turn, its upstream number was counted then.
    Back,
}

/// A lane between two arrivals.
pub(super) struct Turn<'a, S: Stage> {
    pub(super) stage: &'a S,
    pub(super) account: &'a AccountKey,
    pub(super) memory: Memory,
    pub(super) now: Timestamp,
    pub(super) advance: Advance<S>,
    /// Where the rows of requests are that were appended here.
    pub(super) appended: HashMap<RequestId, usize>,
    /// What was parked here while the lane redrives: a copy behind it takes it too.
    pub(super) parked_here: HashMap<u64, Arrival<S::Input>>,
}

impl<S: Stage> Turn<'_, S> {
    /// The row of a request, if it was journaled before, or here.
    pub(super) fn row_of(&self, request_id: &RequestId) -> Option<&Row> {
        let here = || self.appended.get(request_id).map(|index| &self.advance.rows[*index]);
        self.memory.rows.get(request_id).or_else(here)
    }

    fn take(&mut self, arrival: &Arrival<S::Input>) -> Result<Step, Poison> {
        if let Some(redriven) = &arrival.redriven {
            return self.redrive(arrival, redriven);
        }
        if let Some(letter) = self.parked_before(arrival) {
            return self.parked_step(arrival, letter);
        }
        match &arrival.content {
            Content::Echo(echo) => self.answer(echo),
            Content::Message(message) => match self.row_of(&arrival.request_id) {
                Some(row) => match self.repeat(arrival, message, row) {
                    Ok(step) => Ok(step),
                    // The row cannot be read back: it was altered. Left in the queue, the message
                    // would block its lane; parked, support sees it.
                    Err(poison) => self.stop_at(arrival, Some(message), &poison),
                },
                None => self.receive(arrival, Ok(message)),
            },
            Content::Unreadable(poison) => self.receive(arrival, Err(poison.clone())),
        }
    }

    /// Whether an arrival that would be decided now has its rule on the way.
    fn awaits_rule(&self, arrival: &Arrival<S::Input>) -> bool {
        let Content::Message(message) = &arrival.content else { return false };
        self.advance.lane.status == LaneStatus::Active
            && arrival.receives <= RULE_AWAITED_RECEIVES_MAX
            && arrival.redriven.is_none()
            && self.stage.lacks_rule(message)
            && self.parked_before(arrival).is_none()
            && self.row_of(&arrival.request_id).is_none()
    }

    /// The letter of the message if it was parked: under its own source id, or, before it could be
    /// read, under that of its place in its message. An echo is never parked, whatever its source.
    pub(super) fn parked_before(&self, arrival: &Arrival<S::Input>) -> Option<DeadLetter> {
        if matches!(arrival.content, Content::Echo(_)) {
            return None;
        }
        let mut ids = std::iter::once(&arrival.source_id).chain(&arrival.unread_id);
        ids.find_map(|id| self.memory.parked.get(id)).cloned()
    }

    pub(super) fn answer(&self, echo: &Echo) -> Result<Step, Poison> {
        let first = self.row_of(&echo.request_id);
        let output = self.stage.answer(self.account, &self.advance.lane, echo, first)?;
        Ok(Step { outputs: vec![output], ..Step::default() })
    }

    /// The request was journaled before: a redelivery of the same message, a repetition by the
    /// caller, or another content under the same id, which of CAP's own messages is poison.
    pub(super) fn repeat(
        &self,
        arrival: &Arrival<S::Input>,
        message: &Message<S::Input>,
        row: &Row,
    ) -> Result<Step, Poison> {
        if row.fingerprint == message.fingerprint && row.source_id == arrival.source_id {
            let outputs = S::outputs(self.account, row)?;
            return Ok(Step { outputs, ..Step::default() });
        }
        let kind = if row.fingerprint == message.fingerprint {
            EchoKind::Repeated
        } else {
            let (id, seq, at) = (&arrival.request_id, row.seq, row.decided_at);
            let detail = format!(
                "request id {id} was used at {at} for another {} (number {seq} of this lane)",
                row.kind
            );
            // Nobody waits for an answer to what CAP sends itself: parked, support sees it.
            if EventKind::is_from_cap_by_name(&message.kind) {
                let kind = message.kind.clone();
                return Err(Poison::Contradiction { kind, reason: detail });
            }
            EchoKind::Conflict { detail }
        };
        self.answer(&self.echo(arrival, arrival.sent_at, kind))
    }

    fn echo(&self, arrival: &Arrival<S::Input>, at: Timestamp, kind: EchoKind) -> Echo {
        Echo {
            request_id: arrival.request_id.clone(),
            traceparent: arrival.traceparent.clone(),
            source_id: arrival.source_id.clone(),
            at,
            kind,
        }
    }

    pub(super) fn receive(
        &mut self,
        arrival: &Arrival<S::Input>,
        content: Result<&Message<S::Input>, Poison>,
    ) -> Result<Step, Poison> {
        let lane = &self.advance.lane;
        if lane.status != LaneStatus::Active && !arrival.repair {
            let first = lane
                .suspension
                .as_ref()
                .map_or("an earlier message", |suspension| suspension.reason.as_str());
            let error =
                format!("parked untried behind the message that suspended the lane: {first}");
            return self.park(arrival, content.ok(), error);
        }
        let message = content.as_ref().ok().copied();
        match content.and_then(|message| self.apply(arrival, message, Turned::Up)) {
            Ok(step) => Ok(step),
            Err(poison) => self.stop_at(arrival, message, &poison),
        }
    }

    /// Decides one message and appends its row; after a poison nothing is changed.
    pub(super) fn apply(
        &mut self,
        arrival: &Arrival<S::Input>,
        message: &Message<S::Input>,
        turned: Turned,
    ) -> Result<Step, Poison> {
        let Decided { row, state, outputs } = self.decide(arrival, message, turned)?;
        let lane = &mut self.advance.lane;
        lane.seq = row.seq;
        lane.head = row.hash;
        lane.upstream_seq = lane.upstream_seq.max(row.upstream_seq.unwrap_or_default());
        self.advance.state = Arc::new(state);
        self.appended.insert(row.request_id.clone(), self.advance.rows.len());
        self.advance.rows.push(row);
        Ok(Step { outputs, ..Step::default() })
    }

    /// Suspends the lane, unless it is already, and parks the message.
    fn stop_at(
        &mut self,
        arrival: &Arrival<S::Input>,
        message: Option<&Message<S::Input>>,
        poison: &Poison,
    ) -> Result<Step, Poison> {
        let lane = &mut self.advance.lane;
        if lane.status == LaneStatus::Active {
            lane.status = LaneStatus::Suspended;
            lane.suspension = Some(Suspension { at: self.now, reason: poison.to_string() });
        }
        self.park(arrival, message, poison.to_string())
    }

    /// Decides one message, changing nothing.
    fn decide(
        &self,
        arrival: &Arrival<S::Input>,
        message: &Message<S::Input>,
        turned: Turned,
    ) -> Result<Decided<S>, Poison> {
        if arrival.receives > POISON_AFTER_RECEIVES {
            return Err(Poison::TooManyReceives {
                received: arrival.receives,
                receives_max: POISON_AFTER_RECEIVES,
            });
        }
        if let Some(poison) = &arrival.refused {
            return Err(poison.clone());
        }
        let lane = &self.advance.lane;
        if let Some(found) = message.upstream_seq {
            let expected = lane.upstream_seq + 1;
            let counted = turned == Turned::Back && found < expected;
            if found != expected && !counted {
                return Err(Poison::Gap { expected, found });
            }
        }
        let (ruling, state) =
            self.stage.decide(self.account, &self.advance.state, message, self.now)?;
        let result = written(&ruling, RESULT_BYTES_USUAL)?;
        let rules = self.stage.rules();
        let mut row = Row {
            seq: lane.seq + 1,
            request_id: arrival.request_id.clone(),
            fingerprint: message.fingerprint,
            source_id: arrival.source_id.clone(),
            upstream_seq: message.upstream_seq,
            kind: message.kind.clone(),
            sent_at: message.sent_at,
            decided_at: self.now,
            rules_version: rules.version,
            configuration: rules.configuration,
            input: S::journal_input(&arrival.raw, &message.input),
            result,
            hash: super::RowHash::default(),
        };
        row.hash = row.hash_after(self.account, lane.head);
        let outputs = S::say(self.account, &row, message, ruling)?;
        // Read back, it says the same: what could not be sent on after a crash must not be journaled
        // before it. Every type that is journaled is read back as it was written, and every test
        // holds it to that here; to do it for every message would take a third of the time.
        debug_assert_eq!(S::outputs(self.account, &row).as_ref(), Ok(&outputs), "{row:?}");
        Ok(Decided { row, state, outputs })
    }

    fn park(
        &mut self,
        arrival: &Arrival<S::Input>,
        message: Option<&Message<S::Input>>,
        error: String,
    ) -> Result<Step, Poison> {
        let lane = &mut self.advance.lane;
        lane.parked_seq += 1;
        if let Some(upstream_seq) = message.and_then(|message| message.upstream_seq)
            && upstream_seq == lane.upstream_seq + 1
        {
            lane.upstream_seq = upstream_seq;
        }
        let letter =
            DeadLetter { parked_seq: lane.parked_seq, parked_at: self.now, error: error.clone() };
        if lane.status == LaneStatus::Redriving {
            self.parked_here.insert(lane.parked_seq, arrival.clone());
        }
        self.advance.parked.push(ParkedMessage {
            parked_seq: letter.parked_seq,
            request_id: arrival.request_id.clone(),
            source_id: arrival.source_id.clone(),
            body: arrival.body(self.account),
            sent_at: arrival.sent_at,
            parked_at: self.now,
            error,
            taken_by: None,
        });
        self.memory.parked.insert(arrival.source_id.clone(), letter.clone());
        self.parked_step(arrival, letter)
    }

    pub(super) fn parked_step(
        &self,
        arrival: &Arrival<S::Input>,
        letter: DeadLetter,
    ) -> Result<Step, Poison> {
        let kind = EchoKind::Parked { stage: S::NAME, detail: letter.error.clone() };
        let echo = self.echo(arrival, letter.parked_at, kind);
        let output = self.stage.answer(self.account, &self.advance.lane, &echo, None)?;
        Ok(Step { outputs: vec![output], dead_letter: Some(letter), next: None })
    }
}
