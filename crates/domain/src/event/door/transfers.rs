//! Transfers at the door: what a caller asks for, and what CAP sends itself on its behalf.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Door, InvalidField, Sign, invalid};
use crate::event::Event;
use crate::ids::{AccountKey, AccountName, Company, CustomerGroup, ExternalId, Product, RequestId};
use crate::money::{CurrencyCode, Money};

/// An account as an event names another one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountWire {
    company: Company,
    product: Product,
    customer_group: CustomerGroup,
    account: AccountName,
}

impl AccountWire {
    /// The account's name for the wire.
    pub(crate) fn of(account: &AccountKey) -> Self {
        let (company, product, customer_group, account) = account.parts();
        Self { company, product, customer_group, account }
    }

    /// The account's key.
    pub(crate) fn key(&self) -> AccountKey {
        AccountKey::new(&self.company, &self.product, &self.customer_group, &self.account)
    }
}

/// The account that a `transfer.requested` names, if it names one.
pub fn destination(event: &Value) -> Option<AccountKey> {
    AccountWire::deserialize(event.get("to")?).ok().map(|to| to.key())
}

impl Door<'_> {
    pub(super) fn transfer_requested(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            transfer_id: ExternalId,
            to: AccountWire,
            currency: String,
            amount: String,
        }
        let wire: Wire = self.fields()?;
        Ok(Event::TransferRequested {
            transfer_id: wire.transfer_id,
            to: wire.to.key(),
            amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
            acknowledge: self.rulebook.acknowledges,
        })
    }

    pub(super) fn transfer_arrived(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            transfer_id: ExternalId,
            from: AccountWire,
            currency: String,
            amount: String,
            #[serde(default)]
            acknowledge: bool,
        }
        let wire: Wire = self.fields()?;
        Ok(Event::TransferArrived {
            transfer_id: wire.transfer_id,
            from: wire.from.key(),
            amount: self.money(&wire.currency, &wire.amount, Sign::Positive)?,
            acknowledge: wire.acknowledge,
        })
    }

    pub(super) fn transfer_returned(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            transfer_id: ExternalId,
            to: AccountWire,
            currency: String,
            amount: String,
            reason: String,
            arrival: Option<RequestId>,
        }
        let wire: Wire = self.fields()?;
        if wire.arrival.is_none() && self.rulebook.acknowledges {
            return Err(invalid("arrival", "missing, so nobody can tell what came back"));
        }
        Ok(Event::TransferReturned {
            transfer_id: wire.transfer_id,
            to: wire.to.key(),
            amount: self.sent_money(&wire.currency, &wire.amount)?,
            reason: self.text("reason", wire.reason)?,
            arrival: wire.arrival,
        })
    }

    pub(super) fn transfer_landed(&self) -> Result<Event, InvalidField> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            transfer_id: ExternalId,
            to: AccountWire,
            currency: String,
            amount: String,
            arrival: RequestId,
        }
        let wire: Wire = self.fields()?;
        Ok(Event::TransferLanded {
            transfer_id: wire.transfer_id,
            to: wire.to.key(),
            amount: self.sent_money(&wire.currency, &wire.amount)?,
            arrival: wire.arrival,
        })
    }

    /// What left this account once, in whatever currencies its product has today.
    fn sent_money(&self, currency: &str, amount: &str) -> Result<Money, InvalidField> {
        let code: CurrencyCode = currency.parse().map_err(|error| invalid("currency", error))?;
        let currency = self
            .configuration
            .currency(code)
            .ok_or_else(|| invalid("currency", format!("there is no currency {code}")))?;
        self.amount("amount", currency, amount, Sign::Positive)
    }
}
