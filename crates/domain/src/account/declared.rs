//! Subjects that a rulebook declares, while a plan is posted (A7): drawing an outgoing amount from
//! several in their order, and repaying with what comes in.
//!
//! The net rule says of available that whatever is added to it repays first. Of declared subjects it
//! could not: they are no part of the net. So what a plan brings into them, from outside or out of a
//! hold, goes on to available as far as something is owed once all legs have moved, in the order in
//! which it came. What was there before stays: only what is credited repays.

use std::collections::BTreeMap;

use super::posting::{Open, Posting};
use crate::money::{Currency, CurrencyCode, Money, MoneyError};
use crate::plan::Shortfall;
use crate::refusal::{Refusal, RejectionCode, Stop};
use crate::subject::{Subject, SubjectName};

impl Open {
    /// Remembers what comes into a declared subject, from outside or out of a hold. What moves
    /// between subjects that are free already does not come in.
    pub(super) fn note_coming_in(&mut self, from: Subject, to: Subject, money: Money) {
        if let Subject::Declared(name) = to
            && (from.is_contra() || from.is_held())
        {
            self.came_in.push((name, money));
        }
    }

    /// How much more is in a declared subject than was there before.
    fn gained(&self, name: &SubjectName) -> Result<Money, MoneyError> {
        let of = |declared: &BTreeMap<SubjectName, Money>| {
            declared.get(name).copied().unwrap_or(Money::zero(self.net().currency()))
        };
        Ok(of(&self.balance.declared).minus(of(&self.declared_before))?.or_zero())
    }

    /// All that came into declared subjects, stayed there on balance and has not repaid anything.
    pub(super) fn came_into_declared(&self) -> Result<Money, MoneyError> {
        let nothing = Money::zero(self.net().currency());
        let mut by_name: BTreeMap<SubjectName, Money> = BTreeMap::new();
        for (name, came) in &self.came_in {
            let sum = by_name.entry(*name).or_insert(nothing);
            *sum = sum.plus(*came)?;
        }
        let stayed = |(name, came): (&SubjectName, &Money)| came.min(self.gained(name)?);
        by_name.iter().try_fold(nothing, |all, one| all.plus(stayed(one)?))
    }

    /// Remembers what subjects had, and gave, that were drawn from before available.
    fn note_drawn(&mut self, had: Vec<(Subject, Money)>) -> Result<(), MoneyError> {
        for (subject, money) in had {
            match self.drawn.iter_mut().find(|(drawn, _)| *drawn == subject) {
                Some((_, sum)) => *sum = sum.plus(money)?,
                None => self.drawn.push((subject, money)),
            }
        }
        Ok(())
    }
}

impl Posting<'_> {
    /// Draws `money` from `subjects` in their order: each gives what it has, the last one answers for
    /// what is missing. Available as the last one gives under `shortfall`, as a leg from it alone
    /// would; any other has to have it.
    pub(super) fn draw(
        &mut self,
        subjects: &[Subject],
        to: Subject,
        money: Money,
        shortfall: Shortfall,
    ) -> Result<(), Stop> {
        let Some((last, before)) = subjects.split_last() else {
            return Err(self.contradiction(format!("{money} to {to} are drawn from no subject")));
        };
        let mut left = money;
        let mut had = Vec::with_capacity(subjects.len());
        for subject in before {
            let held = self.held(*subject, money.currency())?;
            let taken = held.min(left)?;
            if taken.is_positive() {
                self.move_money(*subject, to, taken)?;
                left = left.minus(taken)?;
            }
            had.push((*subject, held));
        }
        if left.is_zero() {
            return Ok(());
        }
        if *last == Subject::Available {
            self.is_taken_under(money.currency(), shortfall)?;
            self.open(money.currency())?.note_drawn(had)?;
            self.move_money(Subject::Available, to, left)?;
            return Ok(());
        }
        let held = self.held(*last, money.currency())?;
        if held < left {
            had.push((*last, held));
            let reason = format!("needs {money}, has {}", in_words(&had));
            return Err(match shortfall {
                Shortfall::Reject => {
                    Refusal::rejected(RejectionCode::InsufficientFunds, reason).into()
                }
                Shortfall::Borrow | Shortfall::Force | Shortfall::Position => {
                    self.contradiction(reason)
                }
            });
        }
        self.move_money(*last, to, left)?;
        Ok(())
    }

    /// What can be drawn from a subject now; of available what is there once debts are counted.
    fn held(&mut self, subject: Subject, currency: Currency) -> Result<Money, MoneyError> {
        let held = self.open(currency)?.balance.held(subject);
        Ok(held.map_or(Money::zero(currency), Money::or_zero))
    }

    /// Repays with what came into declared subjects, currency by currency.
    pub(super) fn repay_from_what_came_in(&mut self) -> Result<(), MoneyError> {
        let received = self.open.iter().filter(|(_, open)| !open.came_in.is_empty());
        for code in received.map(|(code, _)| *code).collect::<Vec<_>>() {
            self.repay_in(code)?;
        }
        Ok(())
    }

    /// Repays what is owed in one currency, or newly short in it.
    pub(super) fn repay_in(&mut self, code: CurrencyCode) -> Result<(), MoneyError> {
        match self.open.get(&code) {
            Some(open) => self.free(open.net().negated()),
            None => Ok(()),
        }
    }

    /// Moves of what came into declared subjects as much to available as `wanted` says, or there is.
    pub(super) fn free(&mut self, wanted: Money) -> Result<(), MoneyError> {
        let code = wanted.currency().code;
        let mut wanted = wanted;
        let came_in = match self.open.get_mut(&code) {
            Some(open) if wanted.is_positive() => std::mem::take(&mut open.came_in),
            _ => return Ok(()),
        };
        let mut kept = Vec::new();
        for (name, came) in came_in {
            let gained = self.open(wanted.currency())?.gained(&name)?;
            let freed = gained.min(came)?.min(wanted)?;
            if freed.is_positive() {
                self.move_money(Subject::Declared(name), Subject::Available, freed)?;
                wanted = wanted.minus(freed)?;
            }
            kept.push((name, came.minus(freed)?));
        }
        if let Some(open) = self.open.get_mut(&code) {
            open.came_in = kept;
        }
        Ok(())
    }
}

/// `20.00 bonus, 300.00 cash`.
pub(super) fn in_words(had: &[(Subject, Money)]) -> String {
    let each = had.iter().map(|(subject, money)| format!("{} {subject}", money.amount()));
    each.collect::<Vec<_>>().join(", ")
}
