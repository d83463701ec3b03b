//! The credit line: what it lends, up to its limit, and how a no to it is worded (A6).

use std::collections::BTreeSet;

use super::declared::in_words;
use super::posting::{Open, Posting};
use super::state::AccountState;
use crate::money::{Currency, Money, MoneyError};
use crate::plan::Shortfall;
use crate::refusal::{Refusal, RejectionCode, Stop};
use crate::subject::Subject;

/// A credit line that lends now: switched on, with a limit above zero.
#[derive(Clone, Copy)]
pub(super) struct Card {
    limit: Money,
}

impl Card {
    /// The account's, if it has one.
    pub(super) fn of(account: &AccountState) -> Option<Self> {
        let lends = account.credit.filter(|credit| credit.enabled && credit.limit.is_positive());
        lends.map(|credit| Self { limit: credit.limit })
    }

    /// The currency it lends in.
    pub(super) const fn currency(self) -> Currency {
        self.limit.currency()
    }
}

/// What a plan asks of one currency, before anything was borrowed.
pub(super) struct Asked {
    /// What it takes on balance.
    needed: Money,
    /// What was available.
    available: Money,
    /// What is short of it.
    pub(super) short: Money,
    /// What other subjects had that were drawn from before it, and gave.
    drawn: Vec<(Subject, Money)>,
}

impl Asked {
    /// What is asked of a currency as it is after the plan's legs.
    pub(super) fn of(open: &Open) -> Result<Self, MoneyError> {
        Ok(Self {
            needed: open.net_before.minus(open.net())?,
            available: open.net_before.or_zero(),
            short: open.short()?,
            drawn: open.drawn.clone(),
        })
    }
}

impl Posting<'_> {
    /// Checks that the line's own currency may be owed as it now is: by the strictest policy that
    /// took from it, and within the limit where the policy is to borrow. `asked` is told in a no.
    pub(super) fn check_line(
        &self,
        card: Option<Card>,
        line: Currency,
        asked: &Asked,
    ) -> Result<(), Stop> {
        let Some(open) = self.open.get(&line.code) else { return Ok(()) };
        if !open.short()?.is_positive() {
            return Ok(());
        }
        match (open.policy.unwrap_or(Shortfall::Force), card) {
            (Shortfall::Force | Shortfall::Position, _) => Ok(()),
            (Shortfall::Borrow, Some(card)) => {
                if self.owed_now(line)? <= card.limit {
                    return Ok(());
                }
                Err(self.refused(RejectionCode::CreditLimitExceeded, asked))
            }
            (Shortfall::Reject, _) | (Shortfall::Borrow, None) => {
                Err(self.refused(RejectionCode::InsufficientFunds, asked))
            }
        }
    }

    /// All that is owed now, whatever the currency, in that of the line.
    fn owed_now(&self, line: Currency) -> Result<Money, Stop> {
        let mut owed = Money::zero(line);
        let balances = self.account.balances.values();
        let currencies = balances.map(|balance| balance.available.currency());
        let opened = self.open.values().map(|open| open.net().currency());
        for currency in currencies.chain(opened).collect::<BTreeSet<_>>() {
            let debt = self.net_of(currency)?.negated().or_zero();
            if debt.is_zero() {
                continue;
            }
            let counted = if currency == line {
                debt
            } else {
                let exchange = self.rates.between(currency, line).ok_or_else(|| {
                    let owed = format!("{debt} owed count against the credit line in {line}");
                    self.rate_missing(currency, line, &owed)
                })?;
                exchange.of(debt)?
            };
            owed = owed.plus(counted)?;
        }
        Ok(owed)
    }

    /// What the line could lend before: its limit less all that was owed, as far as the event
    /// carries the rates to count it. Without a card there is none.
    fn credit_left(&self) -> Option<Money> {
        let limit = Card::of(self.account)?.limit;
        let line = limit.currency();
        let debts = self.account.balances.values().map(|balance| balance.borrowed);
        let mut counted = debts.filter_map(|debt| match debt.currency() == line {
            true => Some(debt),
            false => self.rates.between(debt.currency(), line)?.of(debt).ok(),
        });
        let left = counted.try_fold(limit, Money::minus);
        Some(left.map_or(Money::zero(line), Money::or_zero))
    }

    /// A no, with the figures: `needs 300.000000 USDT, has 100.000000 available, credit left 0.00 USD`.
    pub(super) fn refused(&self, code: RejectionCode, asked: &Asked) -> Stop {
        let Asked { needed, available, drawn, .. } = asked;
        let left = match self.credit_left() {
            None => Money::zero(needed.currency()).amount(),
            Some(left) if left.currency() == needed.currency() => left.amount(),
            Some(left) => left.to_string(),
        };
        let mut has = drawn.clone();
        has.push((Subject::Available, *available));
        let all = drawn.iter().try_fold(*needed, |all, (_, money)| all.plus(*money));
        let needed = all.unwrap_or(*needed);
        let detail = format!("needs {needed}, has {}, credit left {left}", in_words(&has));
        Refusal::rejected(code, detail).into()
    }

    /// Available less borrowed, now; a currency that is only looked at does not count as touched.
    pub(super) fn net_of(&self, currency: Currency) -> Result<Money, MoneyError> {
        match (self.open.get(&currency.code), self.account.balances.get(&currency.code)) {
            (Some(open), _) => Ok(open.net()),
            (None, Some(balance)) => balance.available.minus(balance.borrowed),
            (None, None) => Ok(Money::zero(currency)),
        }
    }
}
