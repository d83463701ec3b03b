//! The outcomes that are due for a message, one by one, and those that came, each once.

use serde_json::Value;

use super::cancelled::CancelledWithdrawal;
use super::expected::Expected;
use super::follow_up::FollowUp;

/// One outcome that is due.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    /// The request its header must name; of what CAP sent itself, the request that led to it.
    pub request_id: &'a str,
    what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
enum What<'a> {
    Cancelled(&'a CancelledWithdrawal),
    Expected(&'a Expected),
    FollowUp(&'a FollowUp),
}

impl Expected {
    /// The outcomes that are due for the message of `request_id`, in order: one for each withdrawal
    /// it has taken, then its own; then the same of what CAP sends itself.
    pub fn due<'a>(&'a self, request_id: &'a str) -> impl Iterator<Item = Due<'a>> {
        let due = move |what| Due { request_id, what };
        let own = cancelled(self.cancelled()).chain([due(What::Expected(self))]);
        let follow_up = self.follow_up().into_iter().flat_map(move |follow_up| {
            cancelled(&follow_up.cancelled).chain([due(What::FollowUp(follow_up))])
        });
        own.chain(follow_up)
    }
}

fn cancelled(of: &[CancelledWithdrawal]) -> impl Iterator<Item = Due<'_>> {
    of.iter().map(|cancelled| Due {
        request_id: &cancelled.request_id,
        what: What::Cancelled(cancelled),
    })
}

impl Due<'_> {
    /// Whether an outcome under `request_id` can be the one: its own, or of what CAP sent itself
    /// another than that of the request that led to it.
    pub fn is_told_under(&self, request_id: &str) -> bool {
        matches!(self.what, What::FollowUp(_)) != (request_id == self.request_id)
    }

    /// Whether it is of what CAP sent itself.
    pub const fn is_follow_up(&self) -> bool {
        matches!(self.what, What::FollowUp(_))
    }

    /// Whether `outcome`, the `outcome` object of a message on the outcome queue, says what is due.
    /// The request id stands in the message's header: the caller compares it.
    ///
    /// # Errors
    /// One sentence that names the field, with what was expected and what was found.
    pub fn matches(&self, outcome: &Value) -> Result<(), String> {
        match self.what {
            What::Cancelled(cancelled) => cancelled.matches(outcome),
            What::Expected(expected) => expected.matches(outcome),
            What::FollowUp(follow_up) => follow_up.matches(outcome),
        }
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
