//! The door (T38): wire JSON becomes an [`Event`], or one sentence with the field and the reason.
//!
//! Unknown fields are errors; amounts must fit their currency; an event that this version cannot
//! carry out in full is refused as `not supported yet` rather than half done.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ContractFill, Event, EventKind, Liquidity, PairFill, Side};
use crate::configuration::Configuration;
use crate::ids::{ExternalId, Symbol};
use crate::instrument::Pair;
use crate::money::exact::parse_decimal;
use crate::money::{Currency, CurrencyCode, Exact, Money, Rounding};
use crate::rulebook::{Instruments, Rulebook};

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

/// Reads a wire event of `kind` for the product of `rulebook`.
pub fn read_event(
    kind: EventKind,
    event: &Value,
    rulebook: &Rulebook,
    configuration: &Configuration,
) -> Result<Event, InvalidField> {
    let door = Door { event, rulebook, configuration };
    match kind {
        EventKind::AccountOpened => door.account_opened(),
        EventKind::AccountClosed => door.fields::<NoFields>().map(|_| Event::AccountClosed),
        EventKind::CreditChanged => door.credit_changed(),
        EventKind::DepositReceived => door.deposit_received(),
        EventKind::WithdrawalRequested => door.withdrawal_requested(),
        EventKind::WithdrawalSettled => door.withdrawal_settled(),
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
        EventKind::LiquidationStarted => {
            door.fields::<NoFields>().map(|_| Event::LiquidationStarted)
        }
        EventKind::LiquidationEnded => door.fields::<NoFields>().map(|_| Event::LiquidationEnded),
        EventKind::AdjustmentPosted => door.adjustment_posted(),
        EventKind::TransferRequested | EventKind::MarginChanged | EventKind::LeverageChanged => {
            not_supported_yet("type")
        }
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeWire {
    currency: String,
    amount: String,
}

type Rates = Option<BTreeMap<String, String>>;

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

    fn no_rates(&self, rates: Rates) -> Result<(), InvalidField> {
        // Exchange into and out of a card currency is not built yet; to ignore a rate would repay
        // nothing where the contract says it repays.
        if rates.is_some() { not_supported_yet("rates") } else { Ok(()) }
    }

    fn account_opened(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            customer: ExternalId,
            position_mode: Option<PositionMode>,
            credit: Option<Credit>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Credit {
            currency: String,
            limit: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum PositionMode {
            OneWay,
            Hedge,
        }
        let wire: Wire = self.fields()?;
        if let Some(PositionMode::Hedge) = wire.position_mode {
            return not_supported_yet("position_mode (hedge)");
        }
        let credit_limit = wire
            .credit
            .map(|credit| {
                let currency = self.currency("credit.currency", &credit.currency)?;
                self.amount("credit.limit", currency, &credit.limit, Sign::NotNegative)
            })
            .transpose()?;
        Ok(Event::AccountOpened { customer: wire.customer, credit_limit })
    }

    fn credit_changed(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            limit: String,
            enabled: bool,
        }
        let wire: Wire = self.fields()?;
        let currency = self.currency("currency", &wire.currency)?;
        let limit = self.amount("limit", currency, &wire.limit, Sign::NotNegative)?;
        Ok(Event::CreditChanged { limit, enabled: wire.enabled })
    }

    fn deposit_received(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            reference: ExternalId,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok(Event::DepositReceived { amount, reference: wire.reference })
    }

    fn withdrawal_requested(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            withdrawal_id: ExternalId,
            currency: String,
            amount: String,
        }
        let wire: Wire = self.fields()?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok(Event::WithdrawalRequested { withdrawal_id: wire.withdrawal_id, amount })
    }

    fn withdrawal_settled(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            withdrawal_id: ExternalId,
        }
        let Wire { withdrawal_id } = self.fields()?;
        Ok(Event::WithdrawalSettled { withdrawal_id })
    }

    fn withdrawal_cancelled(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            withdrawal_id: ExternalId,
            rates: Rates,
        }
        let Wire { withdrawal_id, rates } = self.fields()?;
        self.no_rates(rates)?;
        Ok(Event::WithdrawalCancelled { withdrawal_id })
    }

    fn order_reserved(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            order_id: ExternalId,
            currency: String,
            amount: String,
            #[serde(default)]
            may_borrow: bool,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok(Event::OrderReserved { order_id: wire.order_id, amount, may_borrow: wire.may_borrow })
    }

    fn order_released(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            order_id: ExternalId,
            currency: String,
            amount: String,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok(Event::OrderReleased { order_id: wire.order_id, amount })
    }

    fn fee(&self, fee: &FeeWire) -> Result<Money, InvalidField> {
        let currency = self.currency("fee.currency", &fee.currency)?;
        self.amount("fee.amount", currency, &fee.amount, Sign::Any)
    }

    fn pair_filled(&self, pairs: &std::collections::BTreeSet<Pair>) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            trade_id: ExternalId,
            order_id: ExternalId,
            base: String,
            quote: String,
            side: Side,
            quantity: String,
            price: String,
            reserved: Option<String>,
            fee: FeeWire,
            liquidity: Liquidity,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let (base, quote) =
            (self.currency("base", &wire.base)?, self.currency("quote", &wire.quote)?);
        if !pairs.contains(&Pair { base: base.code, quote: quote.code }) {
            return Err(invalid(
                "base",
                format!("{base}/{quote} is not a pair of product {}", self.rulebook.product),
            ));
        }
        let quantity = self.amount("quantity", base, &wire.quantity, Sign::Positive)?;
        let price = self.above_zero("price", &wire.price)?;
        let value = Exact::from(quantity)
            .times(price)
            .and_then(|value| value.money(quote, Rounding::HalfEven))
            .map_err(|error| invalid("price", error))?;
        let (paid, received) = match wire.side {
            Side::Buy => (value, quantity),
            Side::Sell => (quantity, value),
        };
        let reserved = wire.reserved.as_deref().unwrap_or("0");
        let reserved = self.amount("reserved", paid.currency(), reserved, Sign::NotNegative)?;
        let fee = self.fee(&wire.fee)?;
        Ok(Event::PairFilled(PairFill {
            trade_id: wire.trade_id,
            order_id: wire.order_id,
            side: wire.side,
            paid,
            received,
            reserved,
            fee,
            liquidity: wire.liquidity,
        }))
    }

    fn contract(&self, symbol: &str) -> Result<crate::instrument::Contract, InvalidField> {
        let symbol = Symbol::new(symbol).map_err(|error| invalid("symbol", error))?;
        match &self.rulebook.instruments {
            Instruments::Contracts(contracts) => contracts.get(&symbol).cloned(),
            Instruments::Pairs(_) => None,
        }
        .ok_or_else(|| {
            invalid(
                "symbol",
                format!("{symbol} is not a symbol of product {}", self.rulebook.product),
            )
        })
    }

    fn contract_filled(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum MarginMode {
            Cross,
            Isolated,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum PositionSide {
            Long,
            Short,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            trade_id: ExternalId,
            order_id: ExternalId,
            symbol: String,
            side: Side,
            quantity: String,
            price: String,
            leverage: String,
            margin_mode: MarginMode,
            position_side: Option<PositionSide>,
            reserved: Option<String>,
            fee: FeeWire,
            liquidity: Liquidity,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let contract = self.contract(&wire.symbol)?;
        match (contract.kind, wire.margin_mode, wire.position_side) {
            (crate::instrument::ContractKind::Inverse, ..) => {
                return not_supported_yet("symbol (inverse contract)");
            }
            (_, MarginMode::Isolated, _) => return not_supported_yet("margin_mode (isolated)"),
            (_, _, Some(PositionSide::Long | PositionSide::Short)) => {
                return not_supported_yet("position_side (hedge mode)");
            }
            (crate::instrument::ContractKind::Linear, MarginMode::Cross, None) => {}
        }
        let fee = self.fee(&wire.fee)?;
        if fee.currency() != contract.settled_in {
            let reason = format!(
                "{} is not {}, in which {} is settled",
                fee.currency(),
                contract.settled_in,
                contract.symbol
            );
            return Err(invalid("fee.currency", reason));
        }
        let reserved = wire.reserved.as_deref().unwrap_or("0");
        Ok(Event::ContractFilled(ContractFill {
            trade_id: wire.trade_id,
            order_id: wire.order_id,
            side: wire.side,
            quantity: self.above_zero("quantity", &wire.quantity)?,
            price: self.above_zero("price", &wire.price)?,
            leverage: self.above_zero("leverage", &wire.leverage)?,
            reserved: self.amount("reserved", contract.settled_in, reserved, Sign::NotNegative)?,
            contract,
            fee,
            liquidity: wire.liquidity,
        }))
    }

    fn funding_charged(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            rate: String,
            mark_price: String,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let contract = self.contract(&wire.symbol)?;
        if contract.kind == crate::instrument::ContractKind::Inverse {
            return not_supported_yet("symbol (inverse contract)");
        }
        Ok(Event::FundingCharged {
            contract,
            rate: self.decimal("rate", &wire.rate)?,
            mark_price: self.above_zero("mark_price", &wire.mark_price)?,
        })
    }

    fn fee_charged(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            reason: String,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok(Event::FeeCharged { amount, reason: self.text("reason", wire.reason)? })
    }

    fn interest_charged(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        Ok(Event::InterestCharged {
            amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
        })
    }

    fn adjustment_posted(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Shortfall {
            Reject,
            Force,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            reason: String,
            operator: ExternalId,
            shortfall: Shortfall,
            rates: Rates,
        }
        let wire: Wire = self.fields()?;
        self.no_rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Any)?;
        if amount.is_zero() {
            return Err(invalid("amount", "an adjustment of nothing"));
        }
        Ok(Event::AdjustmentPosted {
            amount,
            reason: self.text("reason", wire.reason)?,
            operator: wire.operator,
            force: matches!(wire.shortfall, Shortfall::Force),
        })
    }
}
