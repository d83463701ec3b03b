//! Withdrawals that a loss has taken, and the outcomes that tell of them (W1, W2).

use serde_json::Value;

use super::expected::{absent, same, text, touches_nothing};

/// The outcome of a withdrawal whose money was needed for losses. It comes right before the outcome
/// of the event that took it, under the request id of the withdrawal's own request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledWithdrawal {
    /// The request that asked for the withdrawal: the outcome's header names it.
    pub request_id: String,
    /// The number of the event that took the money.
    pub lane_seq: u64,
    /// What its request called it.
    pub withdrawal_id: String,
    /// The money it held.
    pub amount: String,
    /// Of which currency.
    pub currency: String,
}

impl CancelledWithdrawal {
    /// The sentence that says why.
    pub fn detail(&self) -> String {
        let Self { withdrawal_id, amount, currency, .. } = self;
        format!(
            "withdrawal {withdrawal_id} of {amount} {currency} was cancelled: \
             the money was needed for losses during liquidation"
        )
    }

    /// Whether `outcome`, the `outcome` object of a message on the outcome queue, tells of it. The
    /// request id stands in the message's header: the caller compares it.
    ///
    /// # Errors
    /// One sentence that names the field, with what was expected and what was found.
    pub fn matches(&self, outcome: &Value) -> Result<(), String> {
        text("status", "rejected", &outcome["status"])?;
        text("cancelled", &self.withdrawal_id, &outcome["cancelled"])?;
        text("reason.code", "insufficient_funds", &outcome["reason"]["code"])?;
        text("reason.detail", &self.detail(), &outcome["reason"]["detail"])?;
        text("stage", "account", &outcome["stage"])?;
        same("lane_seq", &Some(self.lane_seq), &outcome["lane_seq"].as_u64())?;
        absent("replayed", outcome)?;
        touches_nothing(outcome)
    }
}
