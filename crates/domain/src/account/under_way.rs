//! What is under way: transfers, kept from the request until they are told to have landed, or come
//! back, and unpaid funding, kept until it has come back. A transfer that is not kept here cannot come
//! back, whoever says so.

use super::state::{AccountState, UnderWay, UnpaidFunding};
use crate::ids::RequestId;
use crate::refusal::{Refusal, RejectionCode};

/// The most transfers of one account that may be under way.
pub(super) const UNDER_WAY_MAX: usize = 100;

/// The most fundings of one account that may be unpaid and under way. They cannot be refused: beyond
/// that, available pays them by force.
pub(super) const UNPAID_MAX: usize = 200;

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

/// What is under way, in words; nothing if nothing is.
pub(super) fn told(account: &AccountState) -> impl Iterator<Item = String> {
    let transfers = account.under_way.values().next().map(|first| match account.under_way.len() {
        1 => format!("transfer {} under way", show(first)),
        count => format!("{count} transfers under way, one of them {}", show(first)),
    });
    let unpaid =
        account.unpaid.values().next().map(|UnpaidFunding { symbol, amount }| {
            match account.unpaid.len() {
                1 => format!("unpaid funding of {amount} for {symbol} under way"),
                count => format!(
                    "{count} unpaid fundings under way, one of them of {amount} for {symbol}"
                ),
            }
        });
    transfers.into_iter().chain(unpaid)
}

fn show(transfer: &UnderWay) -> String {
    let UnderWay { transfer_id, to, amount } = transfer;
    format!("{transfer_id} of {amount} to {to}")
}

fn invalid(detail: String) -> Result<(), Refusal> {
    Err(Refusal::rejected(RejectionCode::InvalidRequest, detail))
}
