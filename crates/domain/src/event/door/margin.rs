//! The margin of open positions at the door: what callers ask for, and what CAP sends itself when
//! account has done its part (ADR 11).

use serde::Deserialize;

use super::{Door, InvalidField, Sign, WireRates, invalid, not_supported_yet};
use crate::event::{Event, EventKind};
use crate::money::Rates;
use crate::position::HedgeSide;
use crate::rulebook::Rule;

impl Door<'_> {
    pub(super) fn margin_changed(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            position_side: Option<HedgeSide>,
            amount: String,
            rates: WireRates,
        }
        self.check_margin_can_be_posted()?;
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let contract = self.contract(&wire.symbol)?.without_maintenance();
        let amount = self.amount("amount", contract.settled_in, &wire.amount, Sign::Any)?;
        if amount.is_zero() {
            return Err(invalid("amount", format!("{amount} changes nothing")));
        }
        Ok((Event::MarginChanged { contract, position_side: wire.position_side, amount }, rates))
    }

    pub(super) fn leverage_changed(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            leverage: String,
            rates: WireRates,
        }
        self.check_margin_can_be_posted()?;
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let contract = self.contract(&wire.symbol)?.without_maintenance();
        let leverage = self.above_zero("leverage", &wire.leverage)?;
        Ok((Event::LeverageChanged { contract, leverage }, rates))
    }

    pub(super) fn margin_posted(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            position_side: Option<HedgeSide>,
            leverage: Option<String>,
            leverage_seq: Option<u64>,
            currency: String,
            amount: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        let leverage = wire.leverage.as_deref();
        if wire.leverage_seq.is_some() && leverage.is_none() {
            return Err(invalid("leverage_seq", "is the number of a leverage that is not given"));
        }
        Ok((
            Event::MarginPosted {
                contract: self.contract(&wire.symbol)?.without_maintenance(),
                position_side: wire.position_side,
                leverage: leverage.map(|text| self.above_zero("leverage", text)).transpose()?,
                leverage_seq: wire.leverage_seq,
                amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
            },
            rates,
        ))
    }

    pub(super) fn funding_unpaid(&self) -> Result<(Event, Rates), InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            symbol: String,
            owed_by: HedgeSide,
            currency: String,
            amount: String,
            rates: WireRates,
        }
        let wire: Wire = self.fields()?;
        let rates = self.rates(wire.rates)?;
        Ok((
            Event::FundingUnpaid {
                contract: self.contract(&wire.symbol)?.without_maintenance(),
                owed_by: wire.owed_by,
                amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
            },
            rates,
        ))
    }

    /// So answered every release before margin could be changed, under the rulebooks of its time.
    fn check_margin_can_be_posted(&self) -> Result<(), InvalidField> {
        match self.rulebook.rule(EventKind::MarginPosted) {
            Some(Rule::Legs(_)) => Ok(()),
            _ => not_supported_yet("type"),
        }
    }
}
