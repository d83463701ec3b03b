//! Withdrawals under way, and which of them go first when losses need the money (A8, W1).

use std::collections::BTreeMap;

use super::currency::Currency;
use super::event::Amount;

/// A withdrawal under way.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    pub(crate) amount: Amount,
    /// Not to be settled before this second of the account's time, if it waits.
    pub(super) payable_at_secs: Option<i64>,
    /// The request that asked for it.
    pub(super) request_id: String,
    /// Its request's number at the account stage.
    pub(super) number: u64,
}

impl Withdrawal {
    pub(super) fn is_payable_at(&self, now_secs: i64) -> bool {
        self.payable_at_secs.is_none_or(|at| at <= now_secs)
    }
}

/// All withdrawals under way of one account, by id.
pub(crate) type Withdrawals = BTreeMap<String, Withdrawal>;

/// Takes the one of `currency` that was asked for last, of those that are not payable yet: any other may
/// be on its way through the bank.
pub(super) fn take_last(
    withdrawals: &mut Withdrawals,
    currency: Currency,
    now_secs: i64,
) -> Option<(String, Withdrawal)> {
    let of_currency = withdrawals.iter().filter(|(_, held)| held.amount.currency == currency);
    let of_currency = of_currency.filter(|(_, held)| !held.is_payable_at(now_secs));
    let (id, _) = of_currency.max_by_key(|(id, held)| (held.number, *id))?;
    withdrawals.remove_entry(&id.clone())
}
