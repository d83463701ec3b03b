//! Events that CAP sends itself, from an account to another or to the same (ADR 9, ADR 11), and what
//! comes of them. When each comes is the caller's: nothing but its place among others decides.

use serde_json::Value;

use super::book::Posted;
use super::exchange::Rates;
use super::expected::{Expected, text};
use super::follow_up::FollowUp;
use super::margin::OwnEvent;
use super::transfer::{Arrival, Transfer};
use super::{Model, cancelled};
use crate::script::{Account, Stage};

/// An event that CAP sends itself.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Whom it is for.
    pub to: Account,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// For the account's own positions, with the rates of the event that it follows from.
    Own(OwnEvent, Rates),
    Arrived(Transfer),
    Landed(Transfer),
    Returned(Transfer),
}

/// What comes of an event that CAP sent itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It is applied.
    Posted(FollowUp),
    /// It is a transfer that cannot land.
    Rejected(Expected),
    /// It is poison at the account stage, and skipped in the end. The position stage has applied by then
    /// what the account stage cannot.
    Poisoned,
}

/// What comes of a message, and what CAP sends itself then.
#[derive(Debug)]
pub struct Taken<T> {
    /// What must come of it.
    pub expected: T,
    /// The one event that follows from it, if one does.
    pub errand: Option<Errand>,
}

impl Errand {
    /// Its type.
    pub const fn kind(&self) -> &'static str {
        match &self.what {
            What::Own(own, _) => own.kind(),
            What::Arrived(_) => "transfer.arrived",
            What::Landed(_) => "transfer.landed",
            What::Returned(_) => "transfer.returned",
        }
    }

    /// The request's name of the transfer it is about.
    pub fn transfer_id(&self) -> Option<&str> {
        self.transfer().map(|transfer| transfer.id.as_str())
    }

    /// The account that a transfer comes from.
    pub fn from(&self) -> Option<&Account> {
        self.transfer().map(|transfer| &transfer.from)
    }

    /// The money in transit while it is on its way, in units, by the currency's code.
    pub fn in_transit(&self) -> Option<(&'static str, i128)> {
        let moves = matches!(self.what, What::Arrived(_) | What::Returned(_));
        let amount = self.transfer().filter(|_| moves)?.amount;
        Some((amount.currency.code, amount.units))
    }

    /// The margin that the account has of it while no position has it, in units, by the code of its
    /// currency.
    pub fn margin(&self) -> Option<(&'static str, i128)> {
        let What::Own(own, _) = &self.what else { return None };
        own.margin_posted().map(|amount| (amount.currency.code, amount.units))
    }

    /// Whether it is for the account that it comes from.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self.what, What::Own(..))
    }

    /// What of an isolated position's funding is unpaid, if that is what it is about.
    pub(crate) fn unpaid(&self) -> Option<super::event::Amount> {
        let What::Own(own, _) = &self.what else { return None };
        own.unpaid()
    }

    const fn transfer(&self) -> Option<&Transfer> {
        match &self.what {
            What::Own(..) => None,
            What::Arrived(transfer) | What::Landed(transfer) | What::Returned(transfer) => {
                Some(transfer)
            }
        }
    }
}

impl Done {
    /// Whether `outcome`, the `outcome` object of a message on the outcome queue, tells of `errand`.
    ///
    /// # Errors
    /// One sentence that names the field, with what was expected and what was found.
    pub fn matches(&self, errand: &Errand, outcome: &Value) -> Result<(), String> {
        if let Some(id) = errand.transfer_id() {
            text("transfer_id", id, &outcome["transfer_id"])?;
        }
        match self {
            Self::Posted(follow_up) => follow_up.matches(outcome),
            Self::Rejected(expected) => expected.matches(outcome),
            Self::Poisoned => Expected::Skipped.matches(outcome),
        }
    }
}

impl Model {
    /// Takes what CAP sent itself, in its place among the account's messages.
    pub fn run(&mut self, errand: &Errand) -> Taken<Done> {
        let mut after = self.book.clone();
        let came = match &errand.what {
            What::Own(own, rates) => after.follow(own, rates).map(Arrival::landed),
            What::Arrived(transfer) => after.receive(transfer),
            What::Landed(transfer) => after.settle(transfer, false).map(Arrival::landed),
            What::Returned(transfer) => after.settle(transfer, true).map(Arrival::landed),
        };
        let expected = match came {
            Ok(Arrival::Landed(posted)) => {
                self.book = after;
                Done::Posted(self.followed_up(errand, *posted))
            }
            Ok(Arrival::Refused(code)) => Done::Rejected(self.rejected(code)),
            Err(_) => {
                self.book.positions = after.positions;
                self.numbered_through(Stage::Position);
                Done::Poisoned
            }
        };
        Taken { errand: answer(errand, &expected), expected }
    }

    /// Whether it would be poison now.
    pub(crate) fn would_stop(&self, errand: &Errand) -> bool {
        matches!(self.clone().run(errand).expected, Done::Poisoned)
    }

    fn followed_up(&mut self, errand: &Errand, posted: Posted) -> FollowUp {
        let lane_seq = self.numbered_through(Stage::Account);
        let balances = self.book.funds.shown_of(&posted.touched);
        let (all_balances, positions) = match &errand.what {
            What::Own(own, _) => (self.book.funds.shown().collect(), self.book.changed_by(own)),
            _ => (balances.clone(), Vec::new()),
        };
        FollowUp {
            kind: errand.kind(),
            lane_seq,
            balances,
            all_balances,
            positions,
            cancelled: cancelled(posted.cancelled, lane_seq),
        }
    }
}

/// Where a transfer has arrived, who sent it is told of it.
fn answer(errand: &Errand, done: &Done) -> Option<Errand> {
    let What::Arrived(transfer) = &errand.what else { return None };
    let what = match done {
        Done::Posted(_) => What::Landed(transfer.clone()),
        Done::Rejected(_) => What::Returned(transfer.clone()),
        Done::Poisoned => return None,
    };
    Some(Errand { to: transfer.from.clone(), what })
}
