//! Through the exchange: what is short in one currency is bought with the card's, and what comes in
//! repays what is owed on it (A6).
//!
//! First all other currencies that are short, then those that have a credit, each in the order of
//! their codes; the card's currency last. What is judged short or come in is what the plan itself
//! moved: what an exchange leaves over stays available.

use super::credit::{Asked, Card};
use super::posting::Posting;
use crate::money::{Currency, Exchange, Money};
use crate::plan::Shortfall;
use crate::refusal::{Poison, RejectionCode, Stop};
use crate::subject::Subject;

impl Posting<'_> {
    /// Covers or refuses what is short, and repays through the exchange; nets are final then.
    pub(super) fn close_currencies(&mut self) -> Result<(), Stop> {
        let card = Card::of(self.account);
        // What is owed on a line that was switched off is repaid all the same.
        let line = self.account.credit.map(|credit| credit.limit.currency());
        let mut short = Vec::new();
        let mut came_in = Vec::new();
        let others = self.open.iter().filter(|(code, _)| line.is_none_or(|k| k.code != **code));
        for open in others.map(|(_, open)| open) {
            let moved = open.net().minus(open.net_before)?.plus(open.came_into_declared()?)?;
            if open.short()?.is_positive() {
                short.push((Asked::of(open)?, open.policy));
            } else if moved.is_positive() {
                came_in.push(moved);
            }
        }
        let own = match line.and_then(|line| self.open.get(&line.code)) {
            Some(open) => Some(Asked::of(open)?),
            None => None,
        };
        let mut asked = None;
        for (shortage, policy) in short {
            match (policy.unwrap_or(Shortfall::Force), card) {
                (Shortfall::Reject, _) | (Shortfall::Borrow, None) => {
                    return Err(self.refused(RejectionCode::InsufficientFunds, &shortage));
                }
                (Shortfall::Force | Shortfall::Position, None) => {}
                (policy, Some(card)) => {
                    self.buy(shortage.short, card.currency(), policy)?;
                    if policy == Shortfall::Borrow {
                        asked = asked.or(Some(shortage));
                    }
                }
            }
        }
        if let Some(line) = line {
            for moved in came_in {
                self.repay(moved, line)?;
            }
            // What was bought may be owed now: what came in repays that too, in the line's own currency.
            self.repay_in(line.code)?;
            if let Some(asked) = asked.or(own) {
                self.check_line(card, line, &asked)?;
            }
        }
        Ok(())
    }

    /// Buys what is short with the smallest amount of the card's currency that covers it.
    fn buy(&mut self, short: Money, card: Currency, policy: Shortfall) -> Result<(), Stop> {
        let exchange = self.rates.between(card, short.currency()).ok_or_else(|| {
            let must = format!("{short} must be borrowed on the credit line in {card}");
            self.rate_missing(card, short.currency(), &must)
        })?;
        self.is_taken_under(card, policy)?;
        self.exchange(&exchange, exchange.smallest_for(short)?)
    }

    /// Repays what is owed on the line in `line` with no more of what came in than that takes. A
    /// currency that the event carries no rate of stays available.
    fn repay(&mut self, moved: Money, line: Currency) -> Result<(), Stop> {
        let owed = self.net_of(line)?.negated();
        let Some(exchange) = self.rates.between(moved.currency(), line) else { return Ok(()) };
        let there = self.net_of(moved.currency())?;
        let nothing = Money::zero(moved.currency());
        let (declared, gained) = match self.open.get(&moved.currency().code) {
            Some(open) => {
                let gained = open.net().minus(open.net_before)?;
                (open.came_into_declared()?, gained.or_zero().min(there.or_zero())?)
            }
            None => (nothing, nothing),
        };
        let most = moved.min(there.plus(declared)?)?;
        if !owed.is_positive() || !most.is_positive() {
            return Ok(());
        }
        // What covers it all may be more than any amount can be, and then is more than there is.
        let repaid = match exchange.smallest_for(owed) {
            Ok(enough) => enough.min(most)?,
            Err(_) => most,
        };
        if exchange.of(repaid)?.is_zero() {
            return Ok(());
        }
        // What was available before stays: what was credited repays.
        self.free(repaid.minus(gained)?)?;
        self.exchange(&exchange, repaid)
    }

    /// Gives `given` to the house and takes what it is exchanged into: two legs.
    fn exchange(&mut self, exchange: &Exchange, given: Money) -> Result<(), Stop> {
        let (house, received) = (Subject::house_exchange(), exchange.of(given)?);
        self.move_money(Subject::Available, house, given)?;
        self.move_money(house, Subject::Available, received)?;
        Ok(())
    }

    /// A rate that is needed is a field that is missing: of a fact poison, of a request
    /// `invalid_request` ([`Stop::of_class`]).
    pub(super) fn rate_missing(&self, from: Currency, to: Currency, what_for: &str) -> Stop {
        let reason = format!("rates: {from}/{to} is missing, {what_for}");
        Stop::Poisoned(Poison::InvalidFact { kind: self.kind.into(), reason })
    }
}
