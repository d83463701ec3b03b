//! The account itself at the door: its opening and its credit line.

use serde::Deserialize;

use super::{Door, InvalidField, Sign, not_supported_yet};
use crate::event::Event;
use crate::ids::ExternalId;
use crate::position::PositionMode;

impl Door<'_> {
    pub(super) fn account_opened(&self) -> Result<Event, InvalidField> {
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
        let wire: Wire = self.fields()?;
        let position_mode = wire.position_mode.unwrap_or_default();
        if !position_mode.is_one_way() && !self.rulebook.hedge_mode {
            return not_supported_yet("position_mode (hedge)");
        }
        let credit_limit = wire
            .credit
            .map(|credit| {
                let currency = self.currency("credit.currency", &credit.currency)?;
                self.amount("credit.limit", currency, &credit.limit, Sign::NotNegative)
            })
            .transpose()?;
        Ok(Event::AccountOpened { customer: wire.customer, credit_limit, position_mode })
    }

    pub(super) fn credit_changed(&self) -> Result<Event, InvalidField> {
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
}
