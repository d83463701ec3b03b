//! What must come of a message, and whether an outcome says so.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cancelled::CancelledWithdrawal;
use super::follow_up::FollowUp;

/// How much later than its request a withdrawal during a liquidation is payable (A8).
pub(super) const PAYABLE_AFTER: time::Duration = time::Duration::minutes(30);

/// One currency of an account, as outcomes show it: amounts with exactly the currency's decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Its code.
    pub currency: String,
    /// Free to use.
    pub available: String,
    /// Held for orders.
    pub frozen: String,
    /// Held for positions.
    pub margin: String,
    /// Held for withdrawals.
    pub withdrawing: String,
    /// Owed.
    pub borrowed: String,
    /// What its product declares besides, by name: what never came is not among it.
    pub declared: Vec<(&'static str, String)>,
}

/// A position after an event, as outcomes show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionChange {
    /// The contract.
    pub symbol: String,
    /// `long` or `short` in a hedge account, none in a one-way account.
    pub position_side: Option<String>,
    /// `long`, `short` or `flat`.
    pub side: String,
    /// Without sign and without zeros at the end.
    pub quantity: String,
    /// To eight decimals, without zeros at the end; none when nothing is held.
    pub entry_price: Option<String>,
    /// Margin held for it, in its settlement currency.
    pub margin: String,
    /// `cross` or `isolated`; of what is flat, what it was last, and before that `cross`.
    pub margin_mode: String,
    /// What this event realised, in its settlement currency.
    pub realised_profit: String,
    /// To eight decimals, without zeros at the end, where one is told.
    pub liquidation_price: Option<String>,
}

/// What an account holds of one contract; of a hedge account, on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The contract.
    pub symbol: String,
    /// `long` or `short` in a hedge account, none in a one-way account.
    pub position_side: Option<String>,
    /// `long`, `short` or `flat`.
    pub side: String,
    /// Below zero for a short, without zeros at the end.
    pub quantity: String,
    /// Cost of what is open, to twelve decimals.
    pub cost: String,
    /// To eight decimals, without zeros at the end; none when nothing is held.
    pub entry_price: Option<String>,
    /// Margin held for it, in its settlement currency.
    pub margin: String,
    /// `cross` or `isolated`; of what is flat, what it was last.
    pub margin_mode: String,
    /// What was realised since the first fill, in its settlement currency.
    pub realised_profit: String,
}

/// What must come of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It is applied.
    Posted {
        /// Its number at the account stage.
        lane_seq: u64,
        /// The currencies touched, afterwards, by code.
        balances: Vec<Balance>,
        /// The position that a fill changed or funding looked at.
        position: Option<Box<PositionChange>>,
        /// Whether the outcome says `payable_at`, half an hour after the decision.
        delayed: bool,
        /// Withdrawals whose money it took: each has an outcome of its own, in this order, right
        /// before this one.
        cancelled: Vec<CancelledWithdrawal>,
        /// What CAP sends itself then, which has an outcome of its own behind this one.
        follow_up: Option<Box<FollowUp>>,
    },
    /// It is refused, and no balance is touched.
    Rejected {
        /// Its number at the account stage.
        lane_seq: u64,
        /// The reason's code.
        code: String,
    },
    /// It came too late.
    Expired {
        /// Its number at the account stage.
        lane_seq: u64,
    },
    /// The first outcome of its request, again.
    Replayed(Box<Self>),
    /// Its request id is another request's.
    Conflict,
    /// It is poison: it is parked, and skipped in the end.
    Skipped,
}

impl Expected {
    /// Whether `outcome`, the `outcome` object of a message on the outcome queue, says what must
    /// come. A `parked` notice is what a skipped message has; for every other it is news of a
    /// delay, which the caller sets aside.
    ///
    /// # Errors
    /// One sentence that names the field, with what was expected and what was found.
    pub fn matches(&self, outcome: &Value) -> Result<(), String> {
        let replayed = matches!(self, Self::Replayed(_));
        let found = outcome.get("replayed").and_then(Value::as_bool).unwrap_or_default();
        same("replayed", &replayed, &found)?;
        self.matches_once(outcome)
    }

    /// Whether `outcome` tells of a repetition that its first message is parked in a later lane: it
    /// is then the only answer the repetition has, as the first outcome follows under the same id.
    pub fn is_answered_as_parked(&self, outcome: &Value) -> bool {
        matches!(self, Self::Replayed(_))
            && outcome["status"] == "parked"
            && outcome["replayed"] == true
    }

    /// Its number at the account stage, if it was given one of its own.
    pub const fn lane_seq(&self) -> Option<u64> {
        match self {
            Self::Posted { lane_seq, .. }
            | Self::Rejected { lane_seq, .. }
            | Self::Expired { lane_seq } => Some(*lane_seq),
            Self::Replayed(_) | Self::Conflict | Self::Skipped => None,
        }
    }

    /// Outcomes that must come right before its own, in order. A replay repeats none of them.
    pub fn cancelled(&self) -> &[CancelledWithdrawal] {
        match self {
            Self::Posted { cancelled, .. } => cancelled,
            _ => &[],
        }
    }

    fn matches_once(&self, outcome: &Value) -> Result<(), String> {
        let code = |expected: &str| text("reason.code", expected, &outcome["reason"]["code"]);
        absent("cancelled", outcome)?;
        match self {
            Self::Posted { balances, position, delayed, .. } => {
                text("status", "posted", &outcome["status"])?;
                absent("reason", outcome)?;
                self.matches_number(outcome)?;
                matches_balances(balances, outcome)?;
                matches_position(position.as_deref(), outcome)?;
                matches_payable_at(*delayed, outcome)
            }
            Self::Rejected { code: expected, .. } => {
                text("status", "rejected", &outcome["status"])?;
                code(expected)?;
                self.matches_number(outcome)?;
                touches_nothing(outcome)
            }
            Self::Expired { .. } => {
                text("status", "expired", &outcome["status"])?;
                code("expired")?;
                self.matches_number(outcome)?;
                touches_nothing(outcome)
            }
            Self::Replayed(first) => first.matches_once(outcome),
            Self::Conflict => {
                text("status", "rejected", &outcome["status"])?;
                code("request_id_conflict")?;
                touches_nothing(outcome)
            }
            Self::Skipped => {
                text("status", "parked", &outcome["status"])?;
                touches_nothing(outcome)
            }
        }
    }

    fn matches_number(&self, outcome: &Value) -> Result<(), String> {
        text("stage", "account", &outcome["stage"])?;
        same("lane_seq", &self.lane_seq(), &outcome["lane_seq"].as_u64())
    }
}

impl Balance {
    /// Its amounts by name, the declared ones aside.
    pub fn amounts(&self) -> [(&'static str, &str); 5] {
        [
            ("available", &self.available),
            ("frozen", &self.frozen),
            ("margin", &self.margin),
            ("withdrawing", &self.withdrawing),
            ("borrowed", &self.borrowed),
        ]
    }

    /// Whether what was found of its currency is the same.
    pub(super) fn is_among(&self, found: &[Value]) -> Result<(), String> {
        let of_currency = |found: &&Value| found["currency"] == self.currency.as_str();
        let found = found.iter().find(of_currency).unwrap_or(&Value::Null);
        let declared = self.declared.iter().map(|(name, amount)| (*name, amount.as_str()));
        let due: BTreeMap<&str, &str> = self.amounts().into_iter().chain(declared).collect();
        for (name, amount) in &due {
            text(&format!("{} {name}", self.currency), amount, &found[name])?;
        }
        let mut names = found.as_object().into_iter().flat_map(|found| found.keys());
        match names.find(|name| *name != "currency" && !due.contains_key(name.as_str())) {
            Some(name) => Err(format!("{} {name}: expected none", self.currency)),
            None => Ok(()),
        }
    }
}

pub(super) fn touches_nothing(outcome: &Value) -> Result<(), String> {
    matches_balances(&[], outcome)?;
    absent("position", outcome)?;
    absent("payable_at", outcome)
}

fn matches_balances(expected: &[Balance], outcome: &Value) -> Result<(), String> {
    let found = outcome["balances"].as_array().ok_or("balances: expected a list, found none")?;
    let mut currencies: Vec<_> = found.iter().map(|b| b["currency"].as_str()).collect();
    currencies.sort_unstable();
    let expected_currencies: Vec<_> = expected.iter().map(|b| Some(b.currency.as_str())).collect();
    same("balances", &expected_currencies, &currencies)?;
    expected.iter().try_for_each(|balance| balance.is_among(found))
}

pub(super) fn matches_position(
    expected: Option<&PositionChange>,
    outcome: &Value,
) -> Result<(), String> {
    let Some(expected) = expected else { return absent("position", outcome) };
    let found = &outcome["position"];
    let fields = [
        ("symbol", &expected.symbol),
        ("side", &expected.side),
        ("quantity", &expected.quantity),
        ("margin", &expected.margin),
        ("margin_mode", &expected.margin_mode),
        ("realised_profit", &expected.realised_profit),
    ];
    for (name, figure) in fields {
        text(&format!("position.{name}"), figure, &found[name])?;
    }
    match &expected.position_side {
        Some(side) => text("position.position_side", side, &found["position_side"])?,
        None => absent("position_side", found)?,
    }
    let prices = [
        ("entry_price", &expected.entry_price),
        ("liquidation_price", &expected.liquidation_price),
    ];
    prices.into_iter().try_for_each(|(name, price)| {
        same(&format!("position.{name}"), &price.as_deref(), &found[name].as_str())
    })
}

fn matches_payable_at(delayed: bool, outcome: &Value) -> Result<(), String> {
    if !delayed {
        return absent("payable_at", outcome);
    }
    let at = |field: &str| {
        let found = outcome[field].as_str().unwrap_or_default();
        OffsetDateTime::parse(found, &Rfc3339)
            .map_err(|_| format!("{field}: expected a time, found {}", outcome[field]))
    };
    same("payable_at", &(at("decided_at")? + PAYABLE_AFTER), &at("payable_at")?)
}

pub(super) fn absent(field: &str, outcome: &Value) -> Result<(), String> {
    match outcome.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(found) => Err(format!("{field}: expected none, found {found}")),
    }
}

pub(super) fn text(field: &str, expected: &str, found: &Value) -> Result<(), String> {
    match found.as_str() {
        Some(found) if found == expected => Ok(()),
        _ => Err(format!("{field}: expected {expected}, found {found}")),
    }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    field: &str,
    expected: &T,
    found: &T,
) -> Result<(), String> {
    if expected == found {
        Ok(())
    } else {
        Err(format!("{field}: expected {expected:?}, found {found:?}"))
    }
}
