//! Withdrawals: on hold from the request until they are settled or cancelled, or until losses
//! during a liquidation take them.

use std::cmp::Reverse;

use super::state::{AccountState, CancelledWithdrawal, Withdrawal, WithdrawalRequest};
use crate::ids::{ExternalId, RequestId};
use crate::money::{Currency, Money};
use crate::refusal::{Poison, Refusal, RejectionCode};
use crate::time::Timestamp;

/// How long a withdrawal waits that was requested during a liquidation (A8).
const LIQUIDATION_DELAY_SECS: i64 = 30 * 60;

/// The most withdrawals of one account that may be under way.
const PENDING_MAX: usize = 100;

/// Which withdrawals losses during a liquidation take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// All, as under the first version of the rules.
    All,
    /// Those that are not payable yet at that time. Any other may be on its way through the bank:
    /// were it taken, its settlement could not be posted.
    NotPayableAt(Timestamp),
}

impl Takes {
    fn includes(self, withdrawal: &Withdrawal) -> bool {
        match self {
            Self::All => true,
            Self::NotPayableAt(now) => withdrawal.payable_at.is_some_and(|at| at > now),
        }
    }
}

/// Registers a withdrawal; during a liquidation with margin in use it is payable later.
pub(super) fn request(
    account: &mut AccountState,
    id: &ExternalId,
    amount: Money,
    request: WithdrawalRequest,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let invalid = |detail: String| Err(Refusal::rejected(RejectionCode::InvalidRequest, detail));
    if account.withdrawals.contains_key(id) {
        return invalid(format!("withdrawal_id: {id} is under way already"));
    }
    if account.withdrawals.len() >= PENDING_MAX {
        return invalid(format!(
            "withdrawal_id: {PENDING_MAX} withdrawals are under way, more are not allowed"
        ));
    }
    let payable_at =
        is_needed_for_losses(account).then(|| now.plus_seconds(LIQUIDATION_DELAY_SECS));
    let withdrawal = Withdrawal { amount, payable_at, request: Some(request) };
    account.withdrawals.insert(id.clone(), withdrawal);
    Ok(payable_at)
}

/// Whether margin is in use while the account is being liquidated (A8).
fn is_needed_for_losses(account: &AccountState) -> bool {
    account.liquidating && account.balances.values().any(|balance| balance.margin.is_positive())
}

/// Whether money may leave by a transfer now: it would walk around the hold of a withdrawal (A8).
pub(super) fn check_transfer(account: &AccountState) -> Result<(), Refusal> {
    if !is_needed_for_losses(account) {
        return Ok(());
    }
    let detail = "the account is being liquidated with margin in use: nothing is transferred until that is over";
    Err(Refusal::rejected(RejectionCode::InvalidRequest, detail))
}

/// Takes a withdrawal off the list and tells its amount.
pub(super) fn finish(
    account: &mut AccountState,
    kind: &str,
    id: &ExternalId,
    settled_at: Option<Timestamp>,
) -> Result<Money, Poison> {
    let contradiction = |reason: String| Poison::Contradiction { kind: kind.into(), reason };
    let withdrawal = account
        .withdrawals
        .get(id)
        .ok_or_else(|| contradiction(format!("there is no withdrawal {id} under way")))?;
    if let (Some(settled_at), Some(payable_at)) = (settled_at, withdrawal.payable_at)
        && settled_at < payable_at
    {
        return Err(contradiction(format!(
            "withdrawal {id} is payable at {payable_at}, not already at {settled_at}"
        )));
    }
    let amount = withdrawal.amount;
    account.withdrawals.remove(id);
    Ok(amount)
}

/// The withdrawals on hold in `currency` that losses during a liquidation take from, in that order:
/// the one requested last first (A8).
pub(super) fn last_first(
    account: &AccountState,
    currency: Currency,
    takes: Takes,
) -> impl Iterator<Item = CancelledWithdrawal> {
    let mut on_hold: Vec<_> = account
        .withdrawals
        .iter()
        .filter(|(_, withdrawal)| withdrawal.amount.currency() == currency)
        .filter(|(_, withdrawal)| takes.includes(withdrawal))
        .collect();
    on_hold.sort_by_key(|(id, withdrawal)| {
        let number = withdrawal.request.as_ref().map(|request| request.number);
        Reverse((number, *id))
    });
    on_hold.into_iter().map(|(id, withdrawal)| CancelledWithdrawal {
        withdrawal_id: id.clone(),
        request_id: withdrawal
            .request
            .as_ref()
            .map_or_else(RequestId::unknown, |request| request.request_id.clone()),
        amount: withdrawal.amount,
    })
}
