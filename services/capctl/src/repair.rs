//! A repair: an adjustment that is applied to an account although its lanes are suspended (C15).
//!
//! It goes the way of every event, from clearing's queue to the account's journal, and is found
//! there by its request id. It changes money alone; what is parked stays parked, in its place.

use std::time::Duration;

use cap_domain::envelope::{CONTRACT_VERSION, Envelope, Header, UnusableEnvelope};
use cap_domain::ids::{AccountKey, ExternalId, InvalidId, RequestId};
use cap_domain::lane::{Row, StageName};
use cap_domain::money::CurrencyCode;
use cap_domain::outcome::{Outcome, OutcomeMessage};
use cap_domain::refusal::Poison;
use cap_domain::routing::{Channel, Routes};
use cap_domain::time::Timestamp;
use cap_pipeline::queues::{Outgoing, Queues, attribute};
use cap_store::QueryError;
use cap_store::journal::row_of_request;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;

/// How long its outcome is waited for.
pub const REPAIR_PATIENCE: Duration = Duration::from_secs(60);

/// How often the account's journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An adjustment of one account.
#[derive(Clone, Copy)]
pub struct Repair<'a> {
    /// Where it is sent.
    pub queues: &'a dyn Queues,
    /// Which queues there are.
    pub routes: &'a Routes,
    /// The account stage's database, where it arrives.
    pub accounts: &'a PgPool,
    /// Whose money it is.
    pub account: &'a AccountKey,
    /// Its id: with the same one, nothing is posted twice.
    pub request_id: &'a RequestId,
    /// The currency's code.
    pub currency: CurrencyCode,
    /// How much is given, as a decimal; below zero: taken.
    pub amount: &'a str,
    /// `reject` or `force`: what if it is not there.
    pub shortfall: &'static str,
    /// Why.
    pub reason: &'a str,
    /// Who.
    pub operator: &'a str,
    /// How long its outcome is waited for: usually [`REPAIR_PATIENCE`].
    pub patience: Duration,
}

/// Why a repair has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The journal wants a name without spaces.
    #[error("the operator's name goes into the event: give one with --operator")]
    Operator(#[source] InvalidId),
    /// It cannot be written as an envelope.
    #[error("writing the envelope")]
    Envelope(#[from] UnusableEnvelope),
    /// Nowhere to send it to.
    #[error("no queue of clearing takes messages of {0}")]
    NoQueue(AccountKey),
    /// SQS did not take it.
    #[error(
        "sending the repair {request_id}: {reason}; it may have been sent all the same: with --request-id {request_id} it is not posted twice"
    )]
    NotSent {
        /// Its id.
        request_id: RequestId,
        /// What came back.
        reason: String,
    },
    /// Something else was posted under its id.
    #[error("request id {0} was used for something else: nothing was posted now")]
    Conflict(RequestId),
    /// It did not arrive.
    #[error(
        "the repair {request_id} was sent, but has not arrived at account within {} s; it is not lost: ask `capctl trace {request_id} --account {account}`",
        patience.as_secs()
    )]
    NotArrived {
        /// Its id.
        request_id: RequestId,
        /// Whose.
        account: AccountKey,
        /// How long was waited.
        patience: Duration,
    },
    /// The database does not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Its journal row makes no sense.
    #[error("reading the outcome of the repair")]
    Altered(#[from] Poison),
}

impl Repair<'_> {
    /// Sends it, made at `now`, and waits for what the account stage decides.
    ///
    /// # Errors
    /// See [`RepairError`].
    pub async fn post(&self, now: Timestamp) -> Result<Outcome, RepairError> {
        let envelope = self.envelope(now)?;
        self.send(&envelope).await?;
        let give_up_at = Instant::now() + self.patience;
        loop {
            let row = row_of_request(self.accounts, self.account, self.request_id).await?;
            if let Some(row) = row {
                return self.outcome(&envelope, &row);
            }
            if Instant::now() > give_up_at {
                let (request_id, account) = (self.request_id.clone(), self.account.clone());
                let patience = self.patience;
                return Err(RepairError::NotArrived { request_id, account, patience });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn envelope(&self, now: Timestamp) -> Result<Envelope, RepairError> {
        let operator = ExternalId::new(self.operator).map_err(RepairError::Operator)?;
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
        let event = json!({
            "type": "adjustment.posted", "currency": self.currency, "amount": self.amount,
            "reason": self.reason, "operator": operator, "shortfall": self.shortfall,
        });
        // Read as clearing will read it: what it could not read would suspend the account.
        Ok(Envelope::read(&json!({ "header": header, "event": event }).to_string())?)
    }

    async fn send(&self, envelope: &Envelope) -> Result<(), RepairError> {
        let route = self.routes.resolve(Channel::Stage(StageName::Clearing), self.account);
        let route = route.ok_or_else(|| RepairError::NoQueue(self.account.clone()))?;
        let Envelope { header, event } = envelope;
        let repair = Outgoing {
            message_group_id: route.message_group_id,
            deduplication_id: self.request_id.to_string(),
            body: json!({ "header": header, "event": event }).to_string(),
            attributes: vec![(attribute::REPAIR, self.operator.to_owned())],
        };
        let reason = match self.queues.send(&route.queue, &[&repair]).await.as_deref() {
            Ok([Ok(())]) => return Ok(()),
            Ok([Err(failure)]) => failure.to_string(),
            Ok(_) => "SQS did not say what became of it".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(RepairError::NotSent { request_id: self.request_id.clone(), reason })
    }

    fn outcome(&self, envelope: &Envelope, row: &Row) -> Result<Outcome, RepairError> {
        if row.fingerprint != envelope.fingerprint() {
            return Err(RepairError::Conflict(self.request_id.clone()));
        }
        Ok(OutcomeMessage::of_row(row)?.outcome)
    }
}
