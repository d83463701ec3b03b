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

/// Of the outcomes of one account, in the order they came: those with a number of their own, each
/// the first time it was told. Outcomes are told at least once; set aside are copies, replays,
/// parked notices and conflicts.
pub fn first_tellings(outcomes: &[Value]) -> Vec<&Value> {
    let mut last = 0;
    let mut taken_by_next: Vec<&str> = Vec::new();
    let mut first = Vec::new();
    for outcome in outcomes {
        let numbered = outcome["status"] != "parked"
            && outcome["replayed"] != true
            && outcome["reason"]["code"] != "request_id_conflict";
        let seq = outcome["lane_seq"].as_u64().unwrap_or_default();
        if !numbered || seq <= last {
            continue;
        }
        match outcome["cancelled"].as_str() {
            Some(withdrawal) if taken_by_next.contains(&withdrawal) => continue,
            Some(withdrawal) => taken_by_next.push(withdrawal),
            None => {
                last = seq;
                taken_by_next.clear();
            }
        }
        first.push(outcome);
    }
    first
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::first_tellings;

    #[test]
    fn each_telling_counts_once_and_a_withdrawal_taken_is_one_of_its_own() {
        let event = |seq: u64| json!({ "status": "posted", "lane_seq": seq });
        let taken = |seq: u64, id: &str| json!({ "status": "rejected", "lane_seq": seq, "reason": { "code": "insufficient_funds" }, "cancelled": id });
        let parked = json!({ "status": "parked", "lane_seq": 9 });
        let replayed = json!({ "status": "posted", "lane_seq": 1, "replayed": true });
        let told: [Value; 10] = [
            event(1),
            taken(2, "w-2"),
            parked,
            taken(2, "w-2"),
            taken(2, "w-1"),
            event(2),
            taken(2, "w-2"),
            event(2),
            replayed,
            event(3),
        ];
        let first: Vec<Value> = first_tellings(&told).into_iter().cloned().collect();
        assert_eq!(first, [event(1), taken(2, "w-2"), taken(2, "w-1"), event(2), event(3)]);
    }
}
