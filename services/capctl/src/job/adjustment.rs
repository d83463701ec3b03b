//! One adjustment, as it is sent.

use cap_domain::configuration::Configuration;
use cap_domain::envelope::{CONTRACT_VERSION, Envelope, Header, UnusableEnvelope};
use cap_domain::event::{EventKind, door};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::money::Money;
use cap_domain::rulebook::Rule;
use cap_domain::time::Timestamp;
use serde_json::{Value, json};

use super::JobId;
use crate::arguments::Shortfall;

/// What a line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// The line's number.
    pub line: usize,
    /// Whose money it is.
    pub account: AccountKey,
    /// The id under which it is posted once.
    pub request_id: RequestId,
    /// How much is given; below zero: taken. Never zero.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// What if it is to be taken and is not there.
    pub shortfall: Shortfall,
}

impl Adjustment {
    /// The event. It says nothing of when it is sent, or by whom: sent again, it is the same.
    pub fn event(&self, job: &JobId) -> Value {
        json!({
            "type": EventKind::AdjustmentPosted.to_string(),
            "currency": self.amount.currency().code, "amount": self.amount.amount(),
            "reason": self.reason, "operator": super::operator(job),
            "shortfall": self.shortfall.as_str(),
        })
    }

    /// The envelope, made at `now`.
    pub(super) fn envelope(
        &self,
        job: &JobId,
        now: Timestamp,
    ) -> Result<Envelope, UnusableEnvelope> {
        let (company, product, customer_group, account) = self.account.parts();
        let header = Header {
            version: CONTRACT_VERSION,
            request_id: self.request_id.clone(),
            initiated_at: now,
            company,
            product,
            customer_group,
            account,
            traceparent: None,
        };
        Envelope::read(&json!({ "header": header, "event": self.event(job) }).to_string())
    }

    /// Whether clearing would take it: what it would say otherwise, as field and reason.
    pub(super) fn check(
        &self,
        job: &JobId,
        configuration: &Configuration,
    ) -> Result<(), (String, String)> {
        let (_, product, ..) = self.account.parts();
        let of_product = |reason: String| Err(("product".to_owned(), reason));
        let Some(rulebook) = configuration.rulebook(&product) else {
            return of_product(format!("there is no product {product}"));
        };
        let kind = EventKind::AdjustmentPosted;
        match rulebook.rule(kind) {
            None => return of_product(format!("{product} has no rule for {kind}")),
            Some(Rule::Refused(reason)) => return of_product(reason.clone()),
            Some(Rule::Legs(_)) => {}
        }
        let read = door::read_event(kind, &self.event(job), rulebook, configuration);
        read.map(|_| ()).map_err(|invalid| (invalid.field, invalid.reason))
    }
}
