//! Transfers under way: kept from the request until they are told to have landed, or come back. What
//! is not kept here cannot come back, whoever says so.

use super::state::{AccountState, UnderWay};
use crate::ids::RequestId;
use crate::refusal::{Refusal, RejectionCode};

/// The most transfers of one account that may be under way.
pub(super) const UNDER_WAY_MAX: usize = 100;

/// Keeps a transfer that leaves, until it has arrived under the request id `arrival`.
pub(super) fn keep(
    account: &mut AccountState,
    arrival: RequestId,
    transfer: UnderWay,
) -> Result<(), Refusal> {
    if account.under_way.len() >= UNDER_WAY_MAX {
        return invalid(format!(
            "transfer_id: {UNDER_WAY_MAX} transfers are under way, more are not allowed"
        ));
    }
    account.under_way.insert(arrival, transfer);
    Ok(())
}

/// Takes the transfer that arrived under `arrival` off the list, if it is what is said of it.
pub(super) fn finish(
    account: &mut AccountState,
    arrival: &RequestId,
    said: &UnderWay,
) -> Result<(), Refusal> {
    match account.under_way.get(arrival) {
        None => invalid(format!("arrival: no transfer is under way that arrives as {arrival}")),
        Some(kept) if kept != said => {
            invalid(format!("arrival: {arrival} is transfer {}, not {}", show(kept), show(said)))
        }
        Some(_) => {
            account.under_way.remove(arrival);
            Ok(())
        }
    }
}

/// What is under way, in words; none if nothing is.
pub(super) fn told(account: &AccountState) -> Option<String> {
    let first = account.under_way.values().next()?;
    Some(match account.under_way.len() {
        1 => format!("transfer {} under way", show(first)),
        count => format!("{count} transfers under way, one of them {}", show(first)),
    })
}

fn show(transfer: &UnderWay) -> String {
    let UnderWay { transfer_id, to, amount } = transfer;
    format!("{transfer_id} of {amount} to {to}")
}

fn invalid(detail: String) -> Result<(), Refusal> {
    Err(Refusal::rejected(RejectionCode::InvalidRequest, detail))
}
