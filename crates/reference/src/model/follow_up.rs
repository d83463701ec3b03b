//! What comes of an event that CAP sends itself, and the outcome it has of its own (ADR 9, ADR 11).

use serde_json::Value;

use super::cancelled::CancelledWithdrawal;
use super::expected::{Balance, Expected, PositionChange, absent, matches_position, same, text};

/// What comes of an event that CAP sends itself.
///
/// Its outcome comes under a request id that CAP derives, which the model does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// `margin.posted`, `funding.unpaid`, `transfer.arrived`, `transfer.landed` or
    /// `transfer.returned`.
    pub kind: &'static str,
    /// Its number at the account stage.
    pub lane_seq: u64,
    /// The currencies touched, afterwards, by code.
    pub balances: Vec<Balance>,
    /// The currencies it may tell of: for the sake of margins and funding, any that was ever touched.
    pub all_balances: Vec<Balance>,
    /// The open positions it is about, afterwards: an outcome tells of one of them, or of none.
    pub positions: Vec<PositionChange>,
    /// Withdrawals whose money it took: each has an outcome right before its own.
    pub cancelled: Vec<CancelledWithdrawal>,
}

impl Expected {
    /// What CAP sends itself then, if the model takes it at once. A repetition sends nothing anew.
    pub fn follow_up(&self) -> Option<&FollowUp> {
        match self {
            Self::Posted { follow_up, .. } => follow_up.as_deref(),
            _ => None,
        }
    }
}

impl FollowUp {
    /// Whether `outcome`, the `outcome` object of a message on the outcome queue, tells of it. What
    /// it must tell is that it is posted, under which number, and what it touched; of margins and
    /// funding neither the contract nor ADR 11 says which position and which other balances are shown,
    /// but what is shown must be so.
    ///
    /// # Errors
    /// One sentence that names the field, with what was expected and what was found.
    pub fn matches(&self, outcome: &Value) -> Result<(), String> {
        text("status", "posted", &outcome["status"])?;
        for field in ["reason", "replayed", "cancelled", "payable_at"] {
            absent(field, outcome)?;
        }
        text("stage", "account", &outcome["stage"])?;
        same("lane_seq", &Some(self.lane_seq), &outcome["lane_seq"].as_u64())?;
        self.matches_balances(outcome)?;
        self.matches_position(outcome)
    }

    fn matches_balances(&self, outcome: &Value) -> Result<(), String> {
        let found =
            outcome["balances"].as_array().ok_or("balances: expected a list, found none")?;
        self.balances.iter().try_for_each(|balance| balance.is_among(found))?;
        for one in found {
            let known =
                self.all_balances.iter().find(|due| one["currency"] == due.currency.as_str());
            let due = known.ok_or_else(|| format!("balances: found {one}, never touched"))?;
            due.is_among(found)?;
        }
        Ok(())
    }

    fn matches_position(&self, outcome: &Value) -> Result<(), String> {
        let found = &outcome["position"];
        if found.is_null() {
            return Ok(());
        }
        let is_it = |due: &&PositionChange| {
            found["symbol"] == due.symbol.as_str()
                && found["position_side"].as_str() == due.position_side.as_deref()
        };
        let due = self.positions.iter().find(is_it);
        let due = due.ok_or_else(|| format!("position: found {found}, which it is not about"))?;
        matches_position(Some(due), outcome)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::expected::Balance;
    use super::FollowUp;

    fn balance(currency: &str, available: &str) -> Balance {
        Balance {
            currency: currency.to_owned(),
            available: available.to_owned(),
            frozen: "0".to_owned(),
            margin: "0".to_owned(),
            withdrawing: "0".to_owned(),
            borrowed: "0".to_owned(),
            declared: Vec::new(),
        }
    }

    fn shown(currency: &str, available: &str) -> Value {
        json!({
            "currency": currency, "available": available, "frozen": "0", "margin": "0",
            "withdrawing": "0", "borrowed": "0",
        })
    }

    #[test]
    fn what_was_touched_must_be_told_and_what_else_is_told_must_be_so() {
        let follow_up = FollowUp {
            kind: "funding.unpaid",
            lane_seq: 4,
            balances: vec![balance("USDT", "5")],
            all_balances: vec![balance("BTC", "1"), balance("USDT", "5")],
            positions: Vec::new(),
            cancelled: Vec::new(),
        };
        let says = |seq: u64, balances: Value| {
            follow_up.matches(&json!({
                "status": "posted", "stage": "account", "lane_seq": seq, "balances": balances,
            }))
        };
        assert_eq!(says(4, json!([shown("USDT", "5")])), Ok(()));
        assert_eq!(says(4, json!([shown("USDT", "5"), shown("BTC", "1")])), Ok(()));
        let wrong = [
            (5, json!([shown("USDT", "5")])),
            (4, json!([])),
            (4, json!([shown("USDT", "6")])),
            (4, json!([shown("USDT", "5"), shown("BTC", "2")])),
            (4, json!([shown("USDT", "5"), shown("ETH", "0")])),
        ];
        for (seq, balances) in wrong {
            assert!(says(seq, balances.clone()).is_err(), "{balances}");
        }
    }
}
