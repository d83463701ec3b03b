//! The reference model: what the contract promises one account, message by message.
//!
//! It is sequential, in memory and as plain as the contract itself: no lanes, no plans, no legs.
//! It knows neither queues nor retries; a message is taken once, in its place. Poison changes
//! nothing, which is what skipping it comes to.
//!
//! Modelled is what the contract says of events that are supported today: linear contracts, cross
//! margin, one-way positions, credit lines in the currency that is short.

mod book;
mod currency;
mod event;
mod expected;
mod fields;
mod fill;
mod fraction;
mod funds;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::script::{Account, Content, Message, Stage};
pub(crate) use book::Status;
use book::{Book, Stop};
pub(crate) use currency::{Currency, written};
use event::{Event, Unreadable};
pub use expected::{Balance, Cancelled, Expected, Position, PositionChange};
pub(crate) use fill::QUANTITY_DECIMALS;
pub(crate) use funds::Held;

/// A request made longer ago than this when it is sent has expired, in seconds.
const AGE_SECS_MAX: i64 = 5 * 60;

/// How far a request may seem to be made after it is sent, in seconds.
const FUTURE_SECS_MAX: i64 = 60;

/// One account, as the contract has it.
#[derive(Debug, Clone)]
pub struct Model {
    book: Book,
    /// What was first asked under each request id, and what came of it.
    asked: BTreeMap<String, (Value, Expected)>,
    seqs: BTreeMap<Stage, u64>,
}

impl Model {
    /// An account nobody has heard of.
    pub fn new(account: &Account) -> Self {
        Self {
            book: Book::new(account.has_positions()),
            asked: BTreeMap::new(),
            seqs: BTreeMap::new(),
        }
    }

    /// Takes the account's next message and says what must come of it.
    ///
    /// The order of the checks is the order in which the stages could notice: can it be read, is
    /// it known, is it in time, is it valid, does the account allow it.
    pub fn take(&mut self, message: &Message) -> Expected {
        let Content::Envelope { event, .. } = &message.content else {
            return Expected::Skipped;
        };
        if let Some((first, expected)) = self.asked.get(&message.request_id) {
            return if first == event {
                Expected::Replayed(Box::new(expected.clone()))
            } else {
                Expected::Conflict
            };
        }
        let Some(expected) = self.decide(event, message) else {
            return Expected::Skipped;
        };
        self.asked.insert(message.request_id.clone(), (event.clone(), expected.clone()));
        expected
    }

    /// How many messages the account's lane of `stage` has numbered so far.
    pub fn seq(&self, stage: Stage) -> u64 {
        self.seqs.get(&stage).copied().unwrap_or_default()
    }

    /// What the account has, by currency: every currency that was ever touched.
    pub fn balances(&self) -> BTreeMap<String, Balance> {
        self.book.funds.shown().map(|balance| (balance.currency.clone(), balance)).collect()
    }

    /// What the account holds, and held, by symbol.
    pub fn positions(&self) -> BTreeMap<String, Position> {
        self.book.positions.iter().map(|(symbol, held)| (symbol.clone(), held.shown())).collect()
    }

    /// The account's own side of the story, for who writes the next message.
    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// What comes of a request that is new; none if clearing cannot number it.
    fn decide(&mut self, event: &Value, message: &Message) -> Option<Expected> {
        let initiated_at_offset_secs = message.initiated_at_offset_secs;
        if initiated_at_offset_secs < -AGE_SECS_MAX {
            return Some(Expected::Expired { lane_seq: self.numbered_through(Stage::Account) });
        }
        if initiated_at_offset_secs > FUTURE_SECS_MAX {
            return Some(self.rejected("initiated_in_the_future"));
        }
        let event = match Event::read(event, self.book.has_positions) {
            Ok(event) => event,
            Err(Unreadable::Request) => return Some(self.rejected("invalid_request")),
            Err(Unreadable::Poison) => return None,
        };
        let mut after = self.book.clone();
        Some(match after.take(&event, &message.request_id) {
            Ok(posted) => {
                self.book = after;
                let lane_seq = self.numbered_through(Stage::Account);
                let balances = self.book.funds.shown_of(&posted.touched);
                Expected::Posted {
                    lane_seq,
                    balances,
                    position: posted.position,
                    delayed: posted.delayed,
                    cancelled: posted.cancelled,
                }
            }
            Err(Stop::Rejected(code)) => self.rejected(code),
            Err(Stop::Poisoned { at: Stage::Position }) => {
                self.numbered_through(Stage::Clearing);
                Expected::Skipped
            }
            Err(Stop::Poisoned { .. }) => {
                self.numbered_through(Stage::Position);
                Expected::Skipped
            }
        })
    }

    fn rejected(&mut self, code: &str) -> Expected {
        let lane_seq = self.numbered_through(Stage::Account);
        Expected::Rejected { lane_seq, code: code.to_owned() }
    }

    /// Numbers a message in every stage on the account's path up to `last`; the number in the last.
    fn numbered_through(&mut self, last: Stage) -> u64 {
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= last) {
            if stage != Stage::Position || self.book.has_positions {
                *self.seqs.entry(stage).or_default() += 1;
            }
        }
        self.seq(last)
    }
}
