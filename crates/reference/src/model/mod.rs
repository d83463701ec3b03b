//! The reference model: what the contract promises one account, message by message.
//!
//! It is sequential, in memory and as plain as the contract itself: no lanes, no plans, no legs.
//! It knows neither queues nor retries; a message is taken once, in its place. Poison changes
//! nothing, which is what skipping it comes to. Its only time is what [`Model::pass`] says has passed.
//!
//! Modelled are the contract's events: pairs and contracts, linear and inverse, cross and isolated, in
//! one-way and in hedge accounts, credit on a card in any currency, subjects that a product declares
//! besides (ADR 12), and transfers (ADR 9). What CAP sends itself after an event is an [`Errand`]: when
//! it comes, the caller says; [`Model::take`] has what is for the same account at once.

mod book;
mod cancelled;
mod contract;
mod credit;
mod currency;
mod declared;
mod due;
mod errand;
mod event;
mod exchange;
mod expected;
mod fields;
mod fill;
mod follow_up;
mod fraction;
mod funds;
mod liquidation;
mod margin;
mod pair;
mod positions;
mod posting;
mod product;
mod transfer;
mod withdrawals;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::script::{Account, Content, Message, Stage};
pub(crate) use book::Status;
use book::{Asked, Book, Posted, Stop};
pub use cancelled::CancelledWithdrawal;
pub(crate) use contract::{Contract, QUANTITY_DECIMALS};
pub(crate) use currency::{Currency, written};
pub use due::{Due, first_tellings};
use errand::What;
pub use errand::{Done, Errand, Taken};
pub(crate) use event::Amount;
use event::{Event, Unreadable};
pub(crate) use event::{MarginMode, PositionSide};
use exchange::Rates;
pub use expected::{Balance, Expected, Position, PositionChange};
pub(crate) use fill::Holding;
pub use follow_up::FollowUp;
pub(crate) use funds::Held;
pub(crate) use product::Product;
use withdrawals::Withdrawal;

/// A request made longer ago than this when it is sent has expired, in seconds.
const AGE_SECS_MAX: i64 = 5 * 60;

/// How far a request may seem to be made after it is sent, in seconds.
const FUTURE_SECS_MAX: i64 = 60;

/// What would come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Would {
    /// It is applied.
    Post {
        /// Whether it takes money from withdrawals.
        cancels: bool,
        /// Whether CAP sends itself something then.
        follows: bool,
    },
    /// It is applied, and what CAP sends itself then could not be, if it came at once.
    Strand,
    /// It is refused, or cannot be read.
    NotPost,
    /// It is a fact that contradicts what the account has.
    Poison,
}

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
        Self { book: Book::new(account), asked: BTreeMap::new(), seqs: BTreeMap::new() }
    }

    /// Takes the account's next message and says what must come of it, with what CAP sends itself for
    /// the same account taken right behind it. What it sends to another is on its way for good.
    pub fn take(&mut self, message: &Message) -> Expected {
        let Taken { mut expected, errand } = self.take_apart(message);
        if let Some(errand) = errand.filter(Errand::is_own)
            && let Done::Posted(then) = self.run(&errand).expected
            && let Expected::Posted { follow_up, .. } = &mut expected
        {
            *follow_up = Some(Box::new(then));
        }
        expected
    }

    /// Takes the account's next message and says what must come of it, and what CAP sends itself then.
    ///
    /// The order of the checks is the order in which the stages could notice: can it be read, is
    /// it known, is it in time, is it valid, does the account allow it.
    pub fn take_apart(&mut self, message: &Message) -> Taken<Expected> {
        let answered = |expected| Taken { expected, errand: None };
        let Content::Envelope { event, .. } = &message.content else {
            return answered(Expected::Skipped);
        };
        if let Some((first, expected)) = self.asked.get(&message.request_id) {
            return answered(if first == event {
                Expected::Replayed(Box::new(expected.clone()))
            } else {
                Expected::Conflict
            });
        }
        let Some(taken) = self.decide(event, message) else {
            return answered(Expected::Skipped);
        };
        self.asked.insert(message.request_id.clone(), (event.clone(), taken.expected.clone()));
        taken
    }

    /// So much time passes in which nothing comes.
    pub fn pass(&mut self, secs: u32) {
        self.book.now_secs += i64::from(secs);
    }

    /// How many messages the account's lane of `stage` has numbered so far.
    pub fn seq(&self, stage: Stage) -> u64 {
        self.seqs.get(&stage).copied().unwrap_or_default()
    }

    /// What the account has, by currency: every currency that was ever touched.
    pub fn balances(&self) -> BTreeMap<String, Balance> {
        self.book.funds.shown().map(|balance| (balance.currency.clone(), balance)).collect()
    }

    /// What the account holds, and held: by symbol, in a hedge account by symbol and side such as
    /// `BTC-USDT long`.
    pub fn positions(&self) -> BTreeMap<String, Position> {
        let named = |(place, held): (&(&str, Option<PositionSide>), &Holding)| match place {
            (symbol, None) => ((*symbol).to_owned(), held.shown()),
            (symbol, Some(side)) => (format!("{symbol} {}", side.name()), held.shown()),
        };
        self.book.positions.iter().map(named).collect()
    }

    /// What the world outside of the account's own shares has come to, by subject and currency: of
    /// each currency, all of these and the account's shares together, less what is borrowed, are
    /// nothing.
    pub fn contra(&self) -> BTreeMap<(String, String), String> {
        self.book.funds.contra_shown()
    }

    /// Whether an event that is new and in time would be applied, with what CAP sends itself then.
    pub(crate) fn would(&self, event: &Value) -> Would {
        let Ok(reading) = Event::read(event, self.book.product) else {
            return Would::NotPost;
        };
        let mut after = self.book.clone();
        match after.take(&reading, Asked { request_id: "", lane_seq: u64::MAX }) {
            Ok(Posted { cancelled, own: None, .. }) => {
                Would::Post { cancels: !cancelled.is_empty(), follows: false }
            }
            Ok(Posted { cancelled, own: Some(own), .. }) => {
                match after.follow(&own, &reading.rates) {
                    Ok(then) => {
                        let cancels = !cancelled.is_empty() || !then.cancelled.is_empty();
                        Would::Post { cancels, follows: true }
                    }
                    Err(_) => Would::Strand,
                }
            }
            Err(_) if reading.event.is_request() => Would::NotPost,
            Err(_) => Would::Poison,
        }
    }

    /// The account's own side of the story, for who writes the next message.
    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// What comes of a request that is new; none if clearing cannot number it.
    fn decide(&mut self, event: &Value, message: &Message) -> Option<Taken<Expected>> {
        let answered = |expected| Some(Taken { expected, errand: None });
        if message.initiated_at_offset_secs < -AGE_SECS_MAX {
            return answered(Expected::Expired { lane_seq: self.numbered_through(Stage::Account) });
        }
        if message.initiated_at_offset_secs > FUTURE_SECS_MAX {
            return answered(self.rejected("initiated_in_the_future"));
        }
        let reading = match Event::read(event, self.book.product) {
            Ok(reading) => reading,
            Err(Unreadable::Request) => return answered(self.rejected("invalid_request")),
            Err(Unreadable::Poison) => return None,
        };
        let lane_seq = self.seq(Stage::Account) + 1;
        let mut after = self.book.clone();
        answered(match after.take(&reading, Asked { request_id: &message.request_id, lane_seq }) {
            Ok(posted) => {
                self.book = after;
                return Some(self.posted(posted, reading.rates));
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

    fn posted(&mut self, posted: Posted, rates: Rates) -> Taken<Expected> {
        let lane_seq = self.numbered_through(Stage::Account);
        let expected = Expected::Posted {
            lane_seq,
            balances: self.book.funds.shown_of(&posted.touched),
            position: posted.position.map(|seen| Box::new(self.book.told(&seen))),
            delayed: posted.delayed,
            cancelled: cancelled(posted.cancelled, lane_seq),
            follow_up: None,
        };
        let errand = match (posted.own, posted.sent) {
            (Some(own), _) => {
                Some(Errand { to: self.book.account.clone(), what: What::Own(own, rates) })
            }
            (None, Some(sent)) => Some(Errand { to: sent.to.clone(), what: What::Arrived(sent) }),
            (None, None) => None,
        };
        Taken { expected, errand }
    }

    fn rejected(&mut self, code: &str) -> Expected {
        let lane_seq = self.numbered_through(Stage::Account);
        Expected::Rejected { lane_seq, code: code.to_owned() }
    }

    /// Numbers a message in every stage on the account's path up to `last`; the number in the last.
    fn numbered_through(&mut self, last: Stage) -> u64 {
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= last) {
            if stage != Stage::Position || self.book.product.goes_by_positions() {
                *self.seqs.entry(stage).or_default() += 1;
            }
        }
        self.seq(last)
    }
}

/// Withdrawals whose money was taken by the event of this number.
fn cancelled(of: Vec<(String, Withdrawal)>, lane_seq: u64) -> Vec<CancelledWithdrawal> {
    let cancelled = |(withdrawal_id, withdrawal): (String, Withdrawal)| CancelledWithdrawal {
        request_id: withdrawal.request_id,
        lane_seq,
        withdrawal_id,
        amount: written(withdrawal.amount.units, withdrawal.amount.currency.decimals),
        currency: withdrawal.amount.currency.code.to_owned(),
    };
    of.into_iter().map(cancelled).collect()
}
