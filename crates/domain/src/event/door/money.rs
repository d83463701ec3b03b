//! Money at the door: what comes in and goes out, what orders hold, and what is charged.

use serde::Deserialize;

use super::{Door, InvalidField, Sign, WireRates, invalid};
use crate::event::Event;
use crate::ids::ExternalId;
use crate::money::Rates;

impl Door<'_> {
    pub(super) fn deposit_received(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            reference: ExternalId,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok((Event::DepositReceived { amount, reference: wire.reference }, rates))
    }

    pub(super) fn withdrawal_requested(&self) -> Result<Event, InvalidField> {
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

    pub(super) fn withdrawal_settled(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            withdrawal_id: ExternalId,
        }
        let Wire { withdrawal_id } = self.fields()?;
        Ok(Event::WithdrawalSettled { withdrawal_id })
    }

    pub(super) fn withdrawal_cancelled(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            withdrawal_id: ExternalId,
            rates: WireRates,
        }
        let Wire { withdrawal_id, rates } = self.fields()?;
        let rates = self.rates(rates)?;
        Ok((Event::WithdrawalCancelled { withdrawal_id }, rates))
    }

    pub(super) fn order_reserved(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            order_id: ExternalId,
            currency: String,
            amount: String,
            #[serde(default)]
            may_borrow: bool,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok((
            Event::OrderReserved { order_id: wire.order_id, amount, may_borrow: wire.may_borrow },
            rates,
        ))
    }

    pub(super) fn order_released(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            order_id: ExternalId,
            currency: String,
            amount: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok((Event::OrderReleased { order_id: wire.order_id, amount }, rates))
    }

    pub(super) fn fee_charged(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            reason: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Positive)?;
        Ok((Event::FeeCharged { amount, reason: self.text("reason", wire.reason)? }, rates))
    }

    pub(super) fn interest_charged(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            currency: String,
            amount: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        Ok((
            Event::InterestCharged {
                amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
            },
            rates,
        ))
    }

    pub(super) fn adjustment_posted(&self) -> Result<(Event, Rates), InvalidField> {
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
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let amount = self.money(&wire.currency, &wire.amount, Sign::Any)?;
        if amount.is_zero() {
            return Err(invalid("amount", "an adjustment of nothing"));
        }
        Ok((
            Event::AdjustmentPosted {
                amount,
                reason: self.text("reason", wire.reason)?,
                operator: wire.operator,
                force: matches!(wire.shortfall, Shortfall::Force),
            },
            rates,
        ))
    }
}
