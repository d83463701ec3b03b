//! Redrive: a suspended lane takes its parked messages back, in order, and opens (C5, DESIGN §3).
//!
//! Guarantees that a parked number is taken once, in its turn, whoever asks for it and however
//! often: a redrive, two at once, one that was killed and begun again, or AWS's own move of the
//! dead-letter queue. What is tried again is the message as it was parked, not the copy that came.
//! The step that takes the last number opens the lane; one that fails again suspends it there.
//!
//! A redrive is a chain of copies in the lane's own queue: each takes the parked messages from its
//! number on, as many as [`RUN_MAX`], and sends the next copy behind what they led to. So it goes on
//! by itself, also if who began it is gone, and it catches up with live messages: those that were
//! parked in front of a copy in the same batch are taken in the same step, within the same bound.
//!
//! A message leads to the same whenever it is delivered again, or outputs could overtake each other
//! after a crash. So a copy that was not taken is never taken later: copies of another redrive are
//! refused for good. Only the very copy that took a number repeats its output. And letters, which
//! AWS moves in any order, are never taken at all: they go back to the dead-letter queue, and the
//! one whose turn it is begins a redrive. (Delivered again, it may begin another, which tries the
//! same number once more: nothing was sent on in between.)

use super::advance::{Turn, Turned};
use super::{
    Arrival, Content, DeadLetter, Lane, LaneStatus, Memory, Pack, ParkedMessage, RawMessage, Stage,
    StageName, Step, Suspension, unreadable,
};
use crate::ids::AccountKey;
use crate::refusal::Poison;
use crate::time::Timestamp;

/// The most parked messages that one copy takes: one transaction's worth.
pub const RUN_MAX: usize = 100;

/// What comes back of parked messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// The number it says it was parked under.
    pub parked_seq: u64,
    /// What it is.
    pub by: Redriver,
    /// SQS's id of it.
    pub message_id: String,
    /// How many parked messages it may take: one, if one of them may be what kills the process.
    pub run_max: usize,
}

impl Redriven {
    /// How many parked messages it has to do with. A copy always with a whole run: delivered again,
    /// it repeats all it took, however many it may take now. (So [`RUN_MAX`] never shrinks.)
    pub const fn recalls(&self) -> usize {
        match self.by {
            Redriver::Copy { .. } => RUN_MAX,
            Redriver::Letter => 1,
        }
    }
}

/// What comes back of a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redriver {
    /// A copy that a redrive sent. The letter stays in the dead-letter queue.
    Copy {
        /// Of which redrive of the lane.
        redrive_seq: u64,
    },
    /// The letter itself, which AWS moved out of the dead-letter queue.
    Letter,
}

/// A parked message, and what it says.
#[derive(Debug, Clone)]
pub struct Recalled<I> {
    /// As it was parked.
    pub parked: ParkedMessage,
    /// As it is tried again.
    pub arrival: Arrival<I>,
}

/// A parked message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub parked_seq: u64,
    /// SQS's id of the copy that took it.
    pub message_id: String,
}

/// A parked number's turn in one redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The number.
    pub parked_seq: u64,
    /// The redrive of the lane.
    pub redrive_seq: u64,
}

/// Why a lane is not redriven, or a message not skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedriveRefused {
    /// Nothing waits.
    #[error("the lane is active: nothing is parked in it")]
    Active,
    /// The number to stop after is not one of those that wait.
    #[error("number {through} does not wait: {first} to {last} do")]
    NotWaiting {
        /// What was asked for.
        through: u64,
        /// The first number that waits.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Only the message that is next can be skipped: order is decided from the front.
    #[error("number {next} is the next to be redriven: only that one can be skipped, not {asked}")]
    NotNext {
        /// What was asked for.
        asked: u64,
        /// Whose turn it is.
        next: u64,
    },
}

impl Lane {
    /// How many parked messages wait.
    pub const fn waiting(&self) -> u64 {
        self.parked_seq - self.redriven_seq
    }

    /// The lane, taking its parked messages back up to number `through`, or until it opens. One that
    /// does so already is as it is: the redrive is joined.
    ///
    /// # Errors
    /// See [`RedriveRefused`].
    pub fn begin_redrive(&self, through: Option<u64>) -> Result<Self, RedriveRefused> {
        if self.status == LaneStatus::Active {
            return Err(RedriveRefused::Active);
        }
        let (first, last) = (self.redriven_seq + 1, self.parked_seq);
        if let Some(through) = through
            && !(first..=last).contains(&through)
        {
            return Err(RedriveRefused::NotWaiting { through, first, last });
        }
        let mut lane = self.clone();
        if lane.status == LaneStatus::Suspended || lane.redrive_through != through {
            lane.status = LaneStatus::Redriving;
            lane.redrive_through = through;
            lane.redrive_seq += 1;
        }
        Ok(lane)
    }

    /// The lane of `stage` without the parked message `skipped`, which must be the next one;
    /// `behind` is the one parked after it, if there is one. A redrive that is under way ends.
    ///
    /// # Errors
    /// See [`RedriveRefused`].
    pub fn skip(
        &self,
        stage: StageName,
        skipped: &ParkedMessage,
        behind: Option<&ParkedMessage>,
        now: Timestamp,
    ) -> Result<Self, RedriveRefused> {
        if self.status == LaneStatus::Active {
            return Err(RedriveRefused::Active);
        }
        let (asked, next) = (skipped.parked_seq, self.redriven_seq + 1);
        if asked != next {
            return Err(RedriveRefused::NotNext { asked, next });
        }
        let mut lane = self.clone();
        if stage.has_upstream() {
            lane.upstream_seq = lane.upstream_seq.max(self.upstream_seq_without(skipped, behind));
        }
        lane.resolve(asked, now);
        if lane.status != LaneStatus::Active {
            // Also one that redrives: its copy may be of the very number that was skipped.
            lane.suspend_again(format!("number {asked} was skipped; {} wait", lane.waiting()), now);
        }
        Ok(lane)
    }

    /// Up to where upstream's numbers count as taken once `skipped` is given up. Most were counted
    /// when they were parked; of what could not be read, the message behind it tells, and of the
    /// last one only its form: a unit had a number, anything else never came from upstream.
    fn upstream_seq_without(&self, skipped: &ParkedMessage, behind: Option<&ParkedMessage>) -> u64 {
        if let Some(upstream_seq) = skipped.upstream_seq() {
            return upstream_seq;
        }
        if let Some(upstream_seq) = behind.and_then(ParkedMessage::upstream_seq) {
            return upstream_seq - 1;
        }
        let is_unit = serde_json::from_str::<Pack>(&skipped.body).is_ok();
        self.upstream_seq + u64::from(is_unit)
    }

    /// Counts `parked_seq` as done. If it was the last, the lane opens; if a redrive was to go no
    /// further, it is suspended again.
    fn resolve(&mut self, parked_seq: u64, now: Timestamp) {
        self.redriven_seq = parked_seq;
        if self.redriven_seq == self.parked_seq {
            self.status = LaneStatus::Active;
            self.suspension = None;
            self.redrive_through = None;
        } else if self.redrive_through.is_some_and(|through| through <= parked_seq) {
            let reason =
                format!("redriven through number {parked_seq} as asked; {} wait", self.waiting());
            self.suspend_again(reason, now);
        }
    }

    fn suspend_again(&mut self, reason: String, now: Timestamp) {
        self.status = LaneStatus::Suspended;
        self.suspension = Some(Suspension { at: now, reason });
        self.redrive_through = None;
    }
}

/// Gives redriven arrivals what is parked from their numbers on, as far as `memory` has it.
pub fn recall<S: Stage>(account: &AccountKey, arrivals: &mut [Arrival<S::Input>], memory: &Memory) {
    for arrival in arrivals {
        let Some(redriven) = &arrival.redriven else { continue };
        let numbers = redriven.parked_seq..;
        let parked =
            numbers.map_while(|number| memory.recalled.get(&number)).take(redriven.recalls());
        let mut run: Vec<_> =
            parked.map(|parked| read_again::<S>(account, parked, arrival.receives)).collect();
        if let Some(first) = run.first_mut() {
            first.arrival.refused.clone_from(&arrival.refused);
        }
        arrival.run = run;
    }
}

/// Reads a parked message as when it came first.
fn read_again<S: Stage>(
    account: &AccountKey,
    parked: &ParkedMessage,
    receives: u32,
) -> Recalled<S::Input> {
    let message = RawMessage {
        message_id: &parked.source_id,
        deduplication_id: Some(&parked.request_id),
        sent_at: parked.sent_at,
        receives,
        repair: false,
        body: &parked.body,
    };
    let mut read = S::read(account, message);
    let arrival = match (read.pop(), read.len()) {
        (Some(mut arrival), 0) => {
            if matches!(arrival.content, Content::Unreadable(_)) {
                arrival.request_id.clone_from(&parked.request_id);
            }
            arrival
        }
        (_, others) => {
            let poison = Poison::Unreadable(format!("{} messages under one number", others + 1));
            unreadable(&message, message.body, parked.source_id.clone(), poison)
        }
    };
    let source_id = parked.source_id.clone();
    Recalled { parked: parked.clone(), arrival: Arrival { source_id, ..arrival } }
}

impl<S: Stage> Turn<'_, S> {
    /// Takes what a redriven message calls for, if it is its turn.
    pub(super) fn redrive(
        &mut self,
        arrival: &Arrival<S::Input>,
        redriven: &Redriven,
    ) -> Result<Step, Poison> {
        let parked_seq = redriven.parked_seq;
        let lane = &self.advance.lane;
        let is_done = parked_seq <= lane.redriven_seq;
        if !is_done && parked_seq > lane.parked_seq {
            if let Some(letter) = self.parked_before(arrival) {
                return self.parked_step(arrival, letter);
            }
            let poison = Poison::NeverParked { parked_seq, parked: lane.parked_seq };
            return self.receive(arrival, Err(poison));
        }
        let is_next = parked_seq == lane.redriven_seq + 1;
        match redriven.by {
            Redriver::Letter if is_done => Ok(Step::default()),
            Redriver::Letter => Ok(self.return_letter(arrival, parked_seq)),
            Redriver::Copy { redrive_seq } if is_done => {
                self.repeat_run(arrival, &redriven.message_id, redrive_seq)
            }
            Redriver::Copy { redrive_seq }
                if is_next
                    && lane.status == LaneStatus::Redriving
                    && lane.redrive_seq == redrive_seq =>
            {
                Ok(self.take_run(arrival, redriven, redrive_seq))
            }
            Redriver::Copy { .. } => Ok(Step::default()),
        }
    }

    /// A letter that was moved goes back to where support sees it. If it is its turn, the lane
    /// begins to redrive.
    fn return_letter(&mut self, arrival: &Arrival<S::Input>, parked_seq: u64) -> Step {
        let parked = arrival.run.first().map(|recalled| &recalled.parked);
        let dead_letter = parked.map(|parked| DeadLetter {
            parked_seq,
            parked_at: parked.parked_at,
            error: parked.error.clone(),
        });
        let lane = &mut self.advance.lane;
        if parked_seq != lane.redriven_seq + 1 {
            return Step { dead_letter, ..Step::default() };
        }
        if lane.status == LaneStatus::Suspended
            && let Ok(redriving) = lane.begin_redrive(None)
        {
            *lane = redriving;
        }
        let next = self.next_copy(self.advance.lane.redrive_seq);
        Step { dead_letter, next, ..Step::default() }
    }

    /// Takes parked messages while they are there and nothing stops the lane.
    fn take_run(
        &mut self,
        arrival: &Arrival<S::Input>,
        redriven: &Redriven,
        redrive_seq: u64,
    ) -> Step {
        let mut outputs = Vec::new();
        for index in 0..redriven.run_max.min(RUN_MAX) {
            let lane = &self.advance.lane;
            if lane.status != LaneStatus::Redriving {
                break;
            }
            let parked_seq = lane.redriven_seq + 1;
            // Behind what was stored lies what this very batch has parked.
            let here = self.parked_here.remove(&parked_seq);
            let Some(again) = arrival.run.get(index).map(|one| &one.arrival).or(here.as_ref())
            else {
                break;
            };
            match self.try_again(again) {
                Ok(step) => {
                    outputs.extend(step.outputs);
                    self.advance.lane.resolve(parked_seq, self.now);
                    let message_id = redriven.message_id.clone();
                    self.advance.redriven.push(Taken { parked_seq, message_id });
                }
                Err(poison) => {
                    self.advance.lane.suspend_again(poison.to_string(), self.now);
                    self.advance.failed_again.push((parked_seq, poison.to_string()));
                }
            }
        }
        Step { outputs, next: self.next_copy(redrive_seq), dead_letter: None }
    }

    /// What a copy led to when it was delivered before: the process may have stopped before it was
    /// sent. Of what another copy took, or support skipped, it leads to nothing.
    fn repeat_run(
        &self,
        arrival: &Arrival<S::Input>,
        message_id: &str,
        redrive_seq: u64,
    ) -> Result<Step, Poison> {
        let mut outputs = Vec::new();
        let took = |one: &&Recalled<S::Input>| one.parked.taken_by.as_deref() == Some(message_id);
        for one in arrival.run.iter().take_while(took) {
            let arrival = &one.arrival;
            let row = self.row_of(&arrival.request_id);
            let step = match (&arrival.content, row) {
                (Content::Message(message), Some(row)) => self.repeat(arrival, message, row)?,
                (Content::Echo(echo), _) => self.answer(echo)?,
                _ => Step::default(),
            };
            outputs.extend(step.outputs);
        }
        let next = if outputs.is_empty() { None } else { self.next_copy(redrive_seq) };
        Ok(Step { outputs, next, dead_letter: None })
    }

    /// The copy that is to be sent next, while the redrive goes on.
    fn next_copy(&self, redrive_seq: u64) -> Option<Ticket> {
        let lane = &self.advance.lane;
        let goes_on = lane.status == LaneStatus::Redriving && lane.redrive_seq == redrive_seq;
        goes_on.then_some(Ticket { parked_seq: lane.redriven_seq + 1, redrive_seq })
    }

    fn try_again(&mut self, arrival: &Arrival<S::Input>) -> Result<Step, Poison> {
        match &arrival.content {
            Content::Echo(echo) => self.answer(echo),
            Content::Unreadable(poison) => Err(poison.clone()),
            Content::Message(message) => match self.row_of(&arrival.request_id) {
                Some(row) => self.repeat(arrival, message, row),
                None => self.apply(arrival, message, Turned::Back),
            },
        }
    }
}
