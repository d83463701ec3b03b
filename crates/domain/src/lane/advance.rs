//! One step of a lane: from its state and the messages that arrived, to everything that has to
//! be written and sent. Pure: the pipeline executes what this proposes.
//!
//! For each arrival, in order:
//! 1. journaled before → its output again, an echo if it is a repetition, nothing written
//! 2. parked before → its dead letter again
//! 3. the lane is suspended → parked behind, untried (C5, A9)
//! 4. decided: one journal row, or the poison suspends the lane and the message is parked first

use std::collections::HashMap;

use super::{Echo, EchoKind, Lane, LaneStatus, Output, Row, Stage, Suspension};
use crate::envelope::{Fingerprint, TraceParent};
use crate::ids::{AccountKey, RequestId};
use crate::refusal::Poison;
use crate::time::Timestamp;

/// How often a message may be received without being finished before it is held to be what
/// kills the process. Far below the queue's own `maxReceiveCount`, which is the last resort (Q8).
pub const POISON_AFTER_RECEIVES: u32 = 30;

/// A message, or part of one, that arrived in a lane.
#[derive(Debug, Clone)]
pub struct Arrival<I> {
    /// What a redelivery is recognised by: SQS's message id at clearing, the upstream number or
    /// the echo's source between stages. Never an idempotency key.
    pub source_id: String,
    /// The request it is of; for what cannot be read, the best that could be made out.
    pub request_id: RequestId,
    /// As it is parked, if it has to be.
    pub raw: String,
    /// When it first entered a queue of CAP.
    pub sent_at: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// The trace it belongs to, if it says so.
    pub traceparent: Option<TraceParent>,
    /// Set when the database refused what came of it: then it is poison, whatever the rules say.
    pub refused: Option<Poison>,
    /// What it says.
    pub content: Content<I>,
}

/// What an arrival says.
#[derive(Debug, Clone)]
pub enum Content<I> {
    /// To be decided.
    Message(Message<I>),
    /// To be answered or passed on.
    Echo(Echo),
    /// Nothing that can be read.
    Unreadable(Poison),
}

/// A message to be decided.
#[derive(Debug, Clone)]
pub struct Message<I> {
    /// The content's fingerprint.
    pub fingerprint: Fingerprint,
    /// The upstream stage's number, where there is an upstream stage.
    pub upstream_seq: Option<u64>,
    /// The event's type.
    pub kind: String,
    /// When the envelope was first put into a queue.
    pub sent_at: Timestamp,
    /// What to decide on.
    pub input: I,
}

/// What the database remembers of the arrivals.
#[derive(Debug, Default)]
pub struct Memory {
    /// Journal rows of the arrivals' request ids.
    pub rows: HashMap<RequestId, Row>,
    /// Parked messages by the arrivals' source ids.
    pub parked: HashMap<String, DeadLetter>,
}

/// A message that is to be written to `parked_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Its place in the order of redrive.
    pub parked_seq: u64,
    /// The request it is of.
    pub request_id: RequestId,
    /// What a redelivery is recognised by.
    pub source_id: String,
    /// As it came.
    pub raw: String,
    /// When it first entered a queue of CAP.
    pub sent_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// The error's own words.
    pub error: String,
}

/// What the DLQ is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place in the order of redrive.
    pub parked_seq: u64,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// The error's own words.
    pub error: String,
}

/// What follows from one arrival, once the advance is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is to be sent on.
    pub output: Output,
    /// What is to be put into the DLQ, before the source message may be deleted.
    pub dead_letter: Option<DeadLetter>,
}

/// What a lane's arrivals come to.
#[derive(Debug)]
pub struct Advance<S: Stage> {
    /// The lane afterwards.
    pub lane: Lane,
    /// The state afterwards.
    pub state: S::State,
    /// Rows to append.
    pub rows: Vec<Row>,
    /// Messages to park.
    pub parked: Vec<ParkedMessage>,
    /// One step an arrival, in order.
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
    state: S::State,
    memory: Memory,
    arrivals: &[Arrival<S::Input>],
    now: Timestamp,
) -> Result<Advance<S>, Poison> {
    let advance = Advance {
        lane,
        state,
        rows: Vec::new(),
        parked: Vec::new(),
        steps: Vec::with_capacity(arrivals.len()),
    };
    let mut turn = Turn { stage, account, memory, now, advance };
    for arrival in arrivals {
        let step = turn.take(arrival)?;
        turn.advance.steps.push(step);
    }
    Ok(turn.advance)
}

/// A message that was decided, before anything is changed by it.
struct Decided<S: Stage> {
    row: Row,
    state: S::State,
    output: Output,
}

struct Turn<'a, S: Stage> {
    stage: &'a S,
    account: &'a AccountKey,
    memory: Memory,
    now: Timestamp,
    advance: Advance<S>,
}

impl<S: Stage> Turn<'_, S> {
    fn take(&mut self, arrival: &Arrival<S::Input>) -> Result<Step, Poison> {
        match &arrival.content {
            Content::Echo(echo) => self.answer(echo),
            Content::Message(message) => match self.memory.rows.get(&arrival.request_id) {
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

    fn answer(&self, echo: &Echo) -> Result<Step, Poison> {
        let first = self.memory.rows.get(&echo.request_id);
        let output = self.stage.answer(self.account, &self.advance.lane, echo, first)?;
        Ok(Step { output, dead_letter: None })
    }

    /// The request was journaled before: a redelivery of the same message, a repetition by the
    /// caller, or another content under the same id.
    fn repeat(
        &self,
        arrival: &Arrival<S::Input>,
        message: &Message<S::Input>,
        row: &Row,
    ) -> Result<Step, Poison> {
        if row.fingerprint == message.fingerprint && row.source_id == arrival.source_id {
            return Ok(Step { output: S::output(self.account, row)?, dead_letter: None });
        }
        let kind = if row.fingerprint == message.fingerprint {
            EchoKind::Repeated
        } else {
            let (id, seq, at) = (&arrival.request_id, row.seq, row.decided_at);
            EchoKind::Conflict {
                detail: format!(
                    "request id {id} was used at {at} for another {} (number {seq} of this lane)",
                    row.kind
                ),
            }
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

    fn receive(
        &mut self,
        arrival: &Arrival<S::Input>,
        content: Result<&Message<S::Input>, Poison>,
    ) -> Result<Step, Poison> {
        if let Some(letter) = self.memory.parked.get(&arrival.source_id).cloned() {
            return self.parked_step(arrival, letter);
        }
        let lane = &self.advance.lane;
        if lane.status != LaneStatus::Active {
            let first = lane
                .suspension
                .as_ref()
                .map_or("an earlier message", |suspension| suspension.reason.as_str());
            let error =
                format!("parked untried behind the message that suspended the lane: {first}");
            return self.park(arrival, content.ok(), error);
        }
        let message = content.as_ref().ok().copied();
        match content.and_then(|message| self.decide(arrival, message)) {
            Ok(Decided { row, state, output }) => {
                let lane = &mut self.advance.lane;
                lane.seq = row.seq;
                lane.head = row.hash;
                lane.upstream_seq = row.upstream_seq.unwrap_or(lane.upstream_seq);
                self.advance.state = state;
                self.memory.rows.insert(row.request_id.clone(), row.clone());
                self.advance.rows.push(row);
                Ok(Step { output, dead_letter: None })
            }
            Err(poison) => self.stop_at(arrival, message, &poison),
        }
    }

    /// Suspends the lane, unless it is already, and parks the message.
    fn stop_at(
        &mut self,
        arrival: &Arrival<S::Input>,
        message: Option<&Message<S::Input>>,
        poison: &Poison,
    ) -> Result<Step, Poison> {
        if let Some(letter) = self.memory.parked.get(&arrival.source_id).cloned() {
            return self.parked_step(arrival, letter);
        }
        let lane = &mut self.advance.lane;
        if lane.status == LaneStatus::Active {
            lane.status = LaneStatus::Suspended;
            lane.suspension = Some(Suspension { at: self.now, reason: poison.to_string() });
        }
        self.park(arrival, message, poison.to_string())
    }

    /// Decides one message, changing nothing. A row is good only if its output can be made from
    /// it again: what could not be sent on after a crash must not be journaled before it.
    fn decide(
        &self,
        arrival: &Arrival<S::Input>,
        message: &Message<S::Input>,
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
            if found != expected {
                return Err(Poison::Gap { expected, found });
            }
        }
        let (ruling, state) =
            self.stage.decide(self.account, &self.advance.state, message, self.now)?;
        let result = serde_json::to_string(&ruling)
            .map_err(|error| Poison::OutOfRange(error.to_string()))?;
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
        let output = S::output(self.account, &row)?;
        Ok(Decided { row, state, output })
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
        self.advance.parked.push(ParkedMessage {
            parked_seq: letter.parked_seq,
            request_id: arrival.request_id.clone(),
            source_id: arrival.source_id.clone(),
            raw: arrival.raw.clone(),
            sent_at: arrival.sent_at,
            parked_at: self.now,
            error,
        });
        self.memory.parked.insert(arrival.source_id.clone(), letter.clone());
        self.parked_step(arrival, letter)
    }

    fn parked_step(&self, arrival: &Arrival<S::Input>, letter: DeadLetter) -> Result<Step, Poison> {
        let kind = EchoKind::Parked { stage: S::NAME, detail: letter.error.clone() };
        let echo = self.echo(arrival, letter.parked_at, kind);
        let output = self.stage.answer(self.account, &self.advance.lane, &echo, None)?;
        Ok(Step { output, dead_letter: Some(letter) })
    }
}
