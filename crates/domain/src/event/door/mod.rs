//! The door (T38): wire JSON becomes an [`Event`], or one sentence with the field and the reason.
//!
//! Unknown fields are errors; amounts must fit their currency; an event that this version cannot
//! carry out in full is refused as `not supported yet` rather than half done.

mod account;
mod margin;
mod money;
mod trades;
mod transfers;

pub(crate) use transfers::AccountWire;
pub use transfers::destination;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Event, EventKind};
use crate::configuration::Configuration;
use crate::money::exact::parse_decimal;
use crate::money::{Currency, CurrencyCode, InvalidRates, Money, Rates};
use crate::rulebook::{Instruments, Rulebook};
use crate::subject::Subject;

/// The longest free text (a reason) an event may carry, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Why an event is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidField {
    /// The field, as a path within the event.
    pub field: String,
    /// The reason, in words.
    pub reason: String,
}

fn invalid(field: impl Into<String>, reason: impl ToString) -> InvalidField {
    InvalidField { field: field.into(), reason: reason.to_string() }
}

fn not_supported_yet<T>(field: &str) -> Result<T, InvalidField> {
    Err(invalid(field, "not supported yet"))
}

/// The kind of a wire event, read from its `type`.
pub fn read_kind(event: &Value) -> Result<EventKind, InvalidField> {
    let kind = event
        .get("type")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("type", "missing, or not a text"))?;
    kind.parse().map_err(|error| invalid("type", error))
}

/// Reads a wire event of `kind` for the product of `rulebook`, and the rates it carries.
pub fn read_event(
    kind: EventKind,
    event: &Value,
    rulebook: &Rulebook,
    configuration: &Configuration,
) -> Result<(Event, Rates), InvalidField> {
    let door = Door { event, rulebook, configuration };
    let bare = |event: Result<Event, InvalidField>| Ok((event?, Rates::default()));
    let without_fields = |event| bare(door.fields::<NoFields>().map(|_| event));
    match kind {
        EventKind::AccountOpened => bare(door.account_opened()),
        EventKind::AccountClosed => without_fields(Event::AccountClosed),
        EventKind::CreditChanged => bare(door.credit_changed()),
        EventKind::DepositReceived => door.deposit_received(),
        EventKind::WithdrawalRequested => bare(door.withdrawal_requested()),
        EventKind::WithdrawalSettled => bare(door.withdrawal_settled()),
        EventKind::WithdrawalCancelled => door.withdrawal_cancelled(),
        EventKind::OrderReserved => door.order_reserved(),
        EventKind::OrderReleased => door.order_released(),
        EventKind::TradeFilled => match &rulebook.instruments {
            Instruments::Pairs(pairs) => door.pair_filled(pairs),
            Instruments::Contracts(_) => door.contract_filled(),
        },
        EventKind::FundingCharged => door.funding_charged(),
        EventKind::FeeCharged => door.fee_charged(),
        EventKind::InterestCharged => door.interest_charged(),
        EventKind::LiquidationStarted => without_fields(Event::LiquidationStarted),
        EventKind::LiquidationEnded => without_fields(Event::LiquidationEnded),
        EventKind::AdjustmentPosted => door.adjustment_posted(),
        EventKind::TransferRequested => bare(door.transfer_requested()),
        EventKind::TransferArrived => bare(door.transfer_arrived()),
        EventKind::TransferReturned => bare(door.transfer_returned()),
        EventKind::MarginChanged => door.margin_changed(),
        EventKind::LeverageChanged => door.leverage_changed(),
        EventKind::MarginPosted => door.margin_posted(),
        EventKind::FundingUnpaid => door.funding_unpaid(),
        EventKind::TransferLanded => bare(door.transfer_landed()),
    }
}

struct Door<'a> {
    event: &'a Value,
    rulebook: &'a Rulebook,
    configuration: &'a Configuration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// Rates as they are written; see [`Rates`].
type WireRates = Option<BTreeMap<String, String>>;

#[derive(Clone, Copy)]
enum Sign {
    Positive,
    NotNegative,
    Any,
}

impl Door<'_> {
    /// The event's fields besides `type`, by name; unknown and missing ones are named.
    fn fields<T: DeserializeOwned>(&self) -> Result<T, InvalidField> {
        let mut event = self.event.clone();
        if let Some(fields) = event.as_object_mut() {
            fields.remove("type");
        }
        serde_path_to_error::deserialize(event).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner().to_string();
            invalid(if path == "." { "event".to_owned() } else { path }, reason)
        })
    }

    fn currency(&self, field: &str, code: &str) -> Result<Currency, InvalidField> {
        let code: CurrencyCode = code.parse().map_err(|error| invalid(field, error))?;
        self.configuration
            .currency(code)
            .filter(|_| self.rulebook.currencies.contains(&code))
            .ok_or_else(|| {
                invalid(
                    field,
                    format!("{code} is not a currency of product {}", self.rulebook.product),
                )
            })
    }

    fn money(&self, currency: &str, amount: &str, sign: Sign) -> Result<Money, InvalidField> {
        let currency = self.currency("currency", currency)?;
        self.amount("amount", currency, amount, sign)
    }

    fn amount(
        &self,
        field: &str,
        currency: Currency,
        text: &str,
        sign: Sign,
    ) -> Result<Money, InvalidField> {
        let money = Money::parse(currency, text).map_err(|error| invalid(field, error))?;
        match sign {
            Sign::Positive if !money.is_positive() => {
                Err(invalid(field, format!("{money} is not above zero")))
            }
            Sign::NotNegative if money.is_negative() => {
                Err(invalid(field, format!("{money} is below zero")))
            }
            _ => Ok(money),
        }
    }

    fn decimal(&self, field: &str, text: &str) -> Result<Decimal, InvalidField> {
        parse_decimal(text).map_err(|error| invalid(field, error))
    }

    fn above_zero(&self, field: &str, text: &str) -> Result<Decimal, InvalidField> {
        let decimal = self.decimal(field, text)?;
        if decimal > Decimal::ZERO {
            Ok(decimal)
        } else {
            Err(invalid(field, format!("{text} is not above zero")))
        }
    }

    fn text(&self, field: &str, text: String) -> Result<String, InvalidField> {
        match text.chars().count() {
            1..=TEXT_CHARS_MAX => Ok(text),
            count => Err(invalid(
                field,
                format!("has {count} characters, 1 to {TEXT_CHARS_MAX} are allowed"),
            )),
        }
    }

    fn rates(&self, rates: WireRates) -> Result<Rates, InvalidField> {
        // So answered every release before there were exchanges, under the rulebooks of its time.
        if rates.is_some() && !self.rulebook.subjects.contains_key(&Subject::house_exchange()) {
            return not_supported_yet("rates");
        }
        let is_known = |code| self.configuration.currency(code).is_some();
        Rates::read(&rates.unwrap_or_default(), is_known).map_err(|error| match error {
            InvalidRates::TooMany(_) => invalid("rates", error),
            InvalidRates::Entry { pair, reason } => invalid(format!("rates.{pair}"), reason),
        })
    }
}
