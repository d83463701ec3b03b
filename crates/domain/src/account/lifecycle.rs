//! Opening, closing and the credit line: what an account is, apart from its money.

use super::state::{AccountState, AccountStatus, Credit};
use super::under_way;
use crate::event::{Event, EventClass};
use crate::ids::ExternalId;
use crate::money::Money;
use crate::refusal::{Poison, Refusal, RejectionCode, Stop};

/// Whether `event` may touch an account of this status at all; `class` says what a no to it is.
pub(super) fn check_status(
    account: &AccountState,
    event: &Event,
    class: EventClass,
) -> Result<(), Stop> {
    let kind = event.kind();
    let (code, reason) = match (account.status, event) {
        (AccountStatus::Unopened, Event::AccountOpened { .. }) => return Ok(()),
        (AccountStatus::Open, Event::AccountOpened { .. }) => {
            (RejectionCode::AccountAlreadyOpen, "the account is open already")
        }
        (AccountStatus::Open, _) => return Ok(()),
        (AccountStatus::Unopened, _) => {
            (RejectionCode::AccountNotFound, "the account was never opened")
        }
        (AccountStatus::Closed, _) => (RejectionCode::AccountClosed, "the account was closed"),
    };
    Err(match class {
        EventClass::Request => Refusal::rejected(code, reason).into(),
        EventClass::Fact => Stop::Poisoned(Poison::Contradiction {
            kind: kind.name().into(),
            reason: reason.to_owned(),
        }),
    })
}

/// The account exists from here on (A3).
pub(super) fn open(account: &mut AccountState, customer: &ExternalId, credit_limit: Option<Money>) {
    account.status = AccountStatus::Open;
    account.customer = Some(customer.clone());
    account.credit = credit_limit.map(|limit| Credit { limit, enabled: true });
}

/// Only an account with nothing in it or under way closes, so that what comes back finds it open; positions were checked before, by their stage.
pub(super) fn close(account: &mut AccountState) -> Result<(), Refusal> {
    let mut left: Vec<String> = account
        .balances
        .values()
        .filter(|balance| !balance.is_zero())
        .map(|balance| {
            let currency = balance.available.currency();
            let shares = balance.shares().filter(|(_, money)| !money.is_zero());
            let shares: Vec<String> =
                shares.map(|(name, money)| format!("{} {name}", money.amount())).collect();
            format!("{currency} {}", shares.join(" and "))
        })
        .collect();
    left.extend(under_way::told(account));
    if !left.is_empty() {
        return Err(Refusal::rejected(
            RejectionCode::AccountNotEmpty,
            format!("still has {}", left.join(", ")),
        ));
    }
    account.status = AccountStatus::Closed;
    Ok(())
}

/// The credit line is another; its currency stays while something is owed.
pub(super) fn change_credit(
    account: &mut AccountState,
    limit: Money,
    enabled: bool,
) -> Result<(), Refusal> {
    let owed = account
        .balances
        .values()
        .find(|balance| balance.borrowed.is_positive())
        .map(|balance| balance.borrowed);
    if let (Some(credit), Some(owed)) = (&account.credit, owed)
        && credit.limit.currency() != limit.currency()
    {
        let detail = format!(
            "currency: the credit line is in {} and {owed} is still owed, so it cannot move to {}",
            credit.limit.currency(),
            limit.currency()
        );
        return Err(Refusal::rejected(RejectionCode::InvalidRequest, detail));
    }
    account.credit = Some(Credit { limit, enabled });
    Ok(())
}
