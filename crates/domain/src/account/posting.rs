//! Posting a plan: enough, borrow or reject; whatever comes in repays first (A6, A7).
//!
//! The net rule of `CONTRACT.md`: per currency, after any posting, `available = max(n, 0)` and
//! `borrowed = max(−n, 0)`, where n = available − borrowed before, plus all that the posting adds
//! to or takes from available. So legs move a signed net, and borrowing and repaying are what it
//! takes, at the end, to split the net again: at most one leg of either a currency. Subjects that a
//! rulebook declares move beside the net, and what comes into them repays first as well
//! ([`super::declared`]).
//!
//! In between, while nothing is split, what is short is covered: from withdrawals on hold if the
//! account is being liquidated, then through the card ([`super::exchange`], [`super::credit`]).

use std::collections::BTreeMap;

use litemap::{Entry, LiteMap};

use super::balance::Balance;
use super::state::{AccountState, CancelledWithdrawal, Leg};
use super::withdrawal::{self, Takes};
use crate::division::{Source, Target};
use crate::money::{Currency, CurrencyCode, Money, MoneyError, Rates};
use crate::plan::{PlannedAmount, PlannedLeg, Shortfall};
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};
use crate::subject::{Subject, SubjectName};
use crate::time::Timestamp;

/// A plan as it was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The legs, with those that exchanged, borrowed and repaid.
    pub legs: Vec<Leg>,
    /// The balances touched, afterwards.
    pub balances: Vec<Balance>,
    /// The withdrawals that were cancelled for losses, in that order.
    pub cancelled: Vec<CancelledWithdrawal>,
    /// What available did not cover of what falls on a position then ([`Shortfall::Position`]).
    pub unpaid: Option<Money>,
}

/// A plan while it is being posted: the account as it was, and what has moved since.
pub(super) struct Posting<'a> {
    pub(super) account: &'a AccountState,
    /// The event's type, for errors.
    pub(super) kind: &'a str,
    pub(super) rates: &'a Rates,
    takes: Takes,
    /// The currencies touched.
    pub(super) open: LiteMap<CurrencyCode, Open>,
    legs: Vec<Leg>,
    cancelled: Vec<CancelledWithdrawal>,
    unpaid: Option<Money>,
}

/// One currency while a plan is being posted.
pub(super) struct Open {
    /// As it was, with `available` net of `borrowed` as legs move it.
    pub(super) balance: Balance,
    /// Available less borrowed, before.
    pub(super) net_before: Money,
    /// The strictest policy of what took from available.
    pub(super) policy: Option<Shortfall>,
    /// What was drawn of other subjects before available, with what they had, for the words of a no.
    pub(super) drawn: Vec<(Subject, Money)>,
    /// What came into declared subjects and has not repaid anything, in the order it came.
    pub(super) came_in: Vec<(SubjectName, Money)>,
    /// What was in declared subjects before.
    pub(super) declared_before: BTreeMap<SubjectName, Money>,
}

impl Open {
    /// Available less borrowed, now.
    pub(super) const fn net(&self) -> Money {
        self.balance.available
    }

    /// How much is newly short: what the posting takes beyond what was there. Old debt is not.
    pub(super) fn short(&self) -> Result<Money, MoneyError> {
        let taken = self.net_before.minus(self.net())?;
        Ok(self.net().negated().min(taken)?.or_zero())
    }
}

/// Posts `plan` to `account`, whole or not at all, while no withdrawal that waits is payable yet.
/// `kind` names the event in errors, `rates` are those it carries.
pub fn post(
    account: &mut AccountState,
    kind: &str,
    plan: &[PlannedLeg],
    rates: &Rates,
) -> Result<Posted, Stop> {
    post_at(account, kind, plan, rates, Takes::NotPayableAt(Timestamp::from_millis(0)))
}

/// The same, by which withdrawals losses take.
pub(super) fn post_at(
    account: &mut AccountState,
    kind: &str,
    plan: &[PlannedLeg],
    rates: &Rates,
    takes: Takes,
) -> Result<Posted, Stop> {
    let mut posting = Posting {
        account,
        kind,
        rates,
        takes,
        open: LiteMap::new_vec(),
        legs: Vec::with_capacity(plan.len() + 1),
        cancelled: Vec::new(),
        unpaid: None,
    };
    for leg in plan {
        posting.take(leg)?;
    }
    posting.repay_from_what_came_in()?;
    posting.take_from_withdrawals()?;
    posting.close_currencies()?;
    let posted = posting.split()?;
    for balance in &posted.balances {
        account.balances.insert(balance.available.currency().code, balance.clone());
    }
    for cancelled in &posted.cancelled {
        account.withdrawals.remove(&cancelled.withdrawal_id);
    }
    Ok(posted)
}

impl Posting<'_> {
    fn take(&mut self, leg: &PlannedLeg) -> Result<(), Stop> {
        let (&PlannedAmount::Known(money), &Target::One(to)) = (&leg.amount, &leg.to) else {
            let reason = format!("nobody computed the amount from {} to {}", leg.from, leg.to);
            return Err(self.contradiction(reason));
        };
        if leg.shortfall == Shortfall::Position {
            return self.pay_what_is_there(leg.from.subjects(), to, money);
        }
        let from = match &leg.from {
            Source::One(from) => *from,
            Source::InOrder(subjects) => return self.draw(subjects, to, money, leg.shortfall),
        };
        if from == Subject::Available {
            self.is_taken_under(money.currency(), leg.shortfall)?;
        }
        let held = self.move_money(from, to, money)?;
        match held {
            Some(held) if held < money && from != Subject::Available => {
                Err(self.not_enough_held(from, leg.shortfall, money, held))
            }
            _ => Ok(()),
        }
    }

    /// Pays as much of `money` as there is in `subjects`, one after the other, and notes the rest.
    fn pay_what_is_there(
        &mut self,
        subjects: &[Subject],
        to: Subject,
        money: Money,
    ) -> Result<(), Stop> {
        let mut due = money;
        for from in subjects {
            let paid = due.min(self.is_there(*from, money.currency())?)?;
            if paid.is_positive() {
                self.move_money(*from, to, paid)?;
                due = due.minus(paid)?;
            }
        }
        if due.is_positive() {
            self.unpaid = Some(due);
        }
        Ok(())
    }

    /// What is there of a subject now; a currency that is only looked at does not count as touched.
    fn is_there(&self, subject: Subject, currency: Currency) -> Result<Money, MoneyError> {
        if subject == Subject::Available {
            return Ok(self.net_of(currency)?.or_zero());
        }
        let open = self.open.get(&currency.code).map(|open| &open.balance);
        let balance = open.or_else(|| self.account.balances.get(&currency.code));
        let held = balance.and_then(|balance| balance.held(subject));
        Ok(held.map_or(Money::zero(currency), Money::or_zero))
    }

    /// Notes that something of `currency` is taken from available under `policy`.
    pub(super) fn is_taken_under(
        &mut self,
        currency: Currency,
        policy: Shortfall,
    ) -> Result<(), MoneyError> {
        let open = self.open(currency)?;
        open.policy = Some(open.policy.map_or(policy, |strictest| strictest.min(policy)));
        Ok(())
    }

    /// Moves `money` and tells the leg; of an account's own subject, what `from` held before.
    pub(super) fn move_money(
        &mut self,
        from: Subject,
        to: Subject,
        money: Money,
    ) -> Result<Option<Money>, MoneyError> {
        let open = self.open(money.currency())?;
        open.note_coming_in(from, to, money);
        let balance = &mut open.balance;
        let held = balance.held(from);
        if let Some(share) = balance.share(from) {
            *share = share.minus(money)?;
        }
        if let Some(share) = balance.share(to) {
            *share = share.plus(money)?;
        }
        self.legs.push(Leg { from, to, money });
        Ok(held)
    }

    /// The currency as it stands; from here on it is one that was touched.
    pub(super) fn open(&mut self, currency: Currency) -> Result<&mut Open, MoneyError> {
        Ok(match self.open.entry(currency.code) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let held = self.account.balances.get(&currency.code).cloned();
                let mut balance = held.unwrap_or_else(|| Balance::zero(currency));
                let net_before = balance.available.minus(balance.borrowed)?;
                balance.available = net_before;
                let declared_before = balance.declared.clone();
                let (policy, drawn, came_in) = (None, Vec::new(), Vec::new());
                let open = Open { balance, net_before, policy, drawn, came_in, declared_before };
                vacant.insert(open)
            }
        })
    }

    /// What a fact leaves short during a liquidation is taken from withdrawals on hold, each
    /// wholly, before anything is borrowed (A8).
    fn take_from_withdrawals(&mut self) -> Result<(), Stop> {
        if !self.account.liquidating {
            return Ok(());
        }
        let forced = self.open.values().filter(|open| open.policy == Some(Shortfall::Force));
        for currency in forced.map(|open| open.net().currency()).collect::<Vec<_>>() {
            for withdrawal in withdrawal::last_first(self.account, currency, self.takes) {
                if !self.open(currency)?.short()?.is_positive() {
                    break;
                }
                let CancelledWithdrawal { withdrawal_id, amount, .. } = &withdrawal;
                let held = self.move_money(Subject::Withdrawing, Subject::Available, *amount)?;
                if held.is_none_or(|held| held < *amount) {
                    let reason = format!(
                        "less is on hold than withdrawal {withdrawal_id} of {amount} needs"
                    );
                    return Err(self.contradiction(reason));
                }
                self.cancelled.push(withdrawal);
            }
        }
        Ok(())
    }

    /// Splits every net into available and borrowed again, with the leg that borrows or repays.
    fn split(self) -> Result<Posted, MoneyError> {
        let Self { open, mut legs, cancelled, unpaid, .. } = self;
        let mut balances = Vec::with_capacity(open.len());
        for (_, Open { mut balance, net_before, .. }) in open {
            let net = balance.available;
            balance.available = net.or_zero();
            balance.borrowed = net.negated().or_zero();
            let borrowed = balance.borrowed.minus(net_before.negated().or_zero())?;
            if borrowed.is_positive() {
                legs.push(Leg { from: Subject::Borrowed, to: Subject::Available, money: borrowed });
            } else if borrowed.is_negative() {
                let repaid = borrowed.negated();
                legs.push(Leg { from: Subject::Available, to: Subject::Borrowed, money: repaid });
            }
            balances.push(balance);
        }
        Ok(Posted { legs, balances, cancelled, unpaid })
    }

    fn not_enough_held(
        &self,
        from: Subject,
        shortfall: Shortfall,
        money: Money,
        held: Money,
    ) -> Stop {
        let reason = format!("needs {money} {from}, has {held} {from}");
        let code = match from {
            Subject::Declared(_) => RejectionCode::InsufficientFunds,
            _ => RejectionCode::InsufficientFrozen,
        };
        match shortfall {
            // What a position sets free it has let go already.
            Shortfall::Reject if from != Subject::Margin => Refusal::rejected(code, reason).into(),
            Shortfall::Reject | Shortfall::Borrow | Shortfall::Force | Shortfall::Position => {
                self.contradiction(reason)
            }
        }
    }

    pub(super) fn contradiction(&self, reason: String) -> Stop {
        Stop::Poisoned(Poison::Contradiction { kind: self.kind.into(), reason })
    }
}
