//! Posting a plan: enough, borrow or reject; whatever comes in repays first (A6, A7).
//!
//! The net rule of `CONTRACT.md`: per currency, after any posting, `available = max(n, 0)` and
//! `borrowed = max(−n, 0)`, where n = available − borrowed before, plus all that the posting adds
//! to or takes from available. So legs move a signed net, and borrowing and repaying are what it
//! takes, at the end, to split the net again: at most one leg of either a currency.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::state::{AccountState, Balance, Credit, Leg};
use crate::money::{CurrencyCode, Money, MoneyError};
use crate::plan::{PlannedAmount, PlannedLeg, Shortfall};
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};
use crate::subject::Subject;

/// A plan as it was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The legs, with those that borrowed and repaid.
    pub legs: Vec<Leg>,
    /// The balances touched, afterwards.
    pub balances: Vec<Balance>,
}

/// One currency while a plan is being posted.
struct Open {
    /// As it was, with `available` net of `borrowed` as legs move it.
    balance: Balance,
    /// Available less borrowed, before.
    net_before: Money,
    /// The strictest policy of the legs that took from available.
    policy: Option<Shortfall>,
}

/// Posts `plan` to `account`, whole or not at all. `kind` names the event in errors.
pub fn post(account: &mut AccountState, kind: &str, plan: &[PlannedLeg]) -> Result<Posted, Stop> {
    let mut open: BTreeMap<CurrencyCode, Open> = BTreeMap::new();
    let mut legs = Vec::with_capacity(plan.len() + 1);
    for leg in plan {
        let PlannedAmount::Known(money) = leg.amount else {
            let reason = format!("nobody computed the amount from {} to {}", leg.from, leg.to);
            return Err(Stop::Poisoned(Poison::Contradiction { kind: kind.to_owned(), reason }));
        };
        let currency = open_currency(&mut open, account, money)?;
        move_leg(currency, kind, leg, money)?;
        legs.push(Leg { from: leg.from, to: leg.to, money });
    }
    let mut balances = Vec::with_capacity(open.len());
    for open in open.into_values() {
        let (balance, made_good) = close_currency(open, account.credit.as_ref())?;
        legs.extend(made_good);
        balances.push(balance);
    }
    account
        .balances
        .extend(balances.iter().map(|balance| (balance.available.currency().code, *balance)));
    Ok(Posted { legs, balances })
}

fn open_currency<'a>(
    open: &'a mut BTreeMap<CurrencyCode, Open>,
    account: &AccountState,
    money: Money,
) -> Result<&'a mut Open, MoneyError> {
    let code = money.currency().code;
    Ok(match open.entry(code) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(vacant) => {
            let held = account.balances.get(&code).copied();
            let mut balance = held.unwrap_or_else(|| Balance::zero(money.currency()));
            let net_before = balance.available.minus(balance.borrowed)?;
            balance.available = net_before;
            vacant.insert(Open { balance, net_before, policy: None })
        }
    })
}

fn move_leg(open: &mut Open, kind: &str, leg: &PlannedLeg, money: Money) -> Result<(), Stop> {
    if let Some(share) = open.balance.share(leg.from) {
        let held = *share;
        *share = held.minus(money)?;
        if leg.from == Subject::Available {
            open.policy =
                Some(open.policy.map_or(leg.shortfall, |policy| policy.min(leg.shortfall)));
        } else if share.is_negative() {
            return Err(not_enough_held(kind, leg, money, held));
        }
    }
    if let Some(share) = open.balance.share(leg.to) {
        *share = share.plus(money)?;
    }
    Ok(())
}

fn not_enough_held(kind: &str, leg: &PlannedLeg, money: Money, held: Money) -> Stop {
    let reason = format!("needs {money} {}, has {held} {}", leg.from, leg.from);
    match leg.shortfall {
        Shortfall::Reject => Refusal::rejected(RejectionCode::InsufficientFrozen, reason).into(),
        Shortfall::Borrow | Shortfall::Force => {
            Stop::Poisoned(Poison::Contradiction { kind: kind.to_owned(), reason })
        }
    }
}

/// Splits the net into available and borrowed again, within what the policy and the credit line
/// allow, and tells the leg that borrowed or repaid.
fn close_currency(open: Open, credit: Option<&Credit>) -> Result<(Balance, Option<Leg>), Stop> {
    let Open { mut balance, net_before, policy } = open;
    let net = balance.available;
    let owed_before = net_before.negated().or_zero();
    balance.available = net.or_zero();
    balance.borrowed = net.negated().or_zero();
    let borrowed = balance.borrowed.minus(owed_before)?;
    if borrowed.is_positive() {
        check_borrowing(&balance, net_before, net, policy, credit)?;
    }
    let leg = |from, to, money| Some(Leg { from, to, money });
    let made_good = if borrowed.is_positive() {
        leg(Subject::Borrowed, Subject::Available, borrowed)
    } else if borrowed.is_negative() {
        leg(Subject::Available, Subject::Borrowed, borrowed.negated())
    } else {
        None
    };
    Ok((balance, made_good))
}

fn check_borrowing(
    after: &Balance,
    net_before: Money,
    net: Money,
    policy: Option<Shortfall>,
    credit: Option<&Credit>,
) -> Result<(), Stop> {
    let currency = net.currency();
    let needed = net_before.minus(net)?;
    let has = net_before.or_zero();
    let card = credit.filter(|credit| credit.enabled && credit.limit.is_positive());
    let foreign_card = card.is_some_and(|card| card.limit.currency() != currency);
    let left = match card {
        Some(card) if !foreign_card => card.limit.minus(net_before.negated().or_zero())?.or_zero(),
        _ => Money::zero(currency),
    };
    let reject = |code| {
        let detail = format!(
            "needs {needed}, has {} available, credit left {}",
            has.amount(),
            left.amount()
        );
        Err(Refusal::rejected(code, detail).into())
    };
    match policy {
        Some(Shortfall::Reject) => reject(RejectionCode::InsufficientFunds),
        Some(Shortfall::Borrow) if foreign_card => {
            let detail = format!(
                "borrowing {currency} on a credit line in another currency is not supported yet"
            );
            Err(Refusal::rejected(RejectionCode::InvalidRequest, detail).into())
        }
        Some(Shortfall::Borrow) => match card {
            None => reject(RejectionCode::InsufficientFunds),
            Some(card) if after.borrowed.units() > card.limit.units() => {
                reject(RejectionCode::CreditLimitExceeded)
            }
            Some(_) => Ok(()),
        },
        // The contract borrows in the card's currency and exchanges; until that is built, to owe
        // in the leg's own currency would be silently wrong.
        Some(Shortfall::Force) | None if foreign_card => {
            Err(Stop::Poisoned(Poison::OutOfRange(format!(
                "{needed} would have to be borrowed on a credit line in another currency, which is not supported yet"
            ))))
        }
        Some(Shortfall::Force) | None => Ok(()),
    }
}
