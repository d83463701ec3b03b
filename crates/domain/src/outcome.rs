//! What upstream learns of every message (`CONTRACT.md`, Outcomes).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::account::{AccountRuling, Balance, CancelledWithdrawal};
use crate::envelope::{CONTRACT_VERSION, TraceParent};
use crate::ids::{AccountKey, AccountName, Company, CustomerGroup, ExternalId, Product, RequestId};
use crate::json::{for_queues, written};
use crate::lane::{Body, Echo, Item, Lane, Output, Row, StageName};
use crate::position::{PositionChange, replay_item};
use crate::refusal::{Poison, Refusal, RejectionCode};
use crate::text::hex_text;
use crate::time::Timestamp;

/// Room for an outcome; longer ones take more.
const BODY_BYTES_USUAL: usize = 1_000;

/// Room for what an outcome's deduplication id is made of; longer ids take more.
const TOLD_BYTES_USUAL: usize = 192;

/// The message on the outcome queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeMessage {
    /// Whose outcome it is.
    pub header: OutcomeHeader,
    /// What came of it.
    pub outcome: Outcome,
}

/// Function parameters of an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeHeader {
    /// Always [`CONTRACT_VERSION`].
    pub version: u32,
    /// The request it answers.
    pub request_id: RequestId,
    /// The white-label broker.
    pub company: Company,
    /// The kind of trading.
    pub product: Product,
    /// The customer group.
    pub customer_group: CustomerGroup,
    /// The account.
    pub account: AccountName,
    /// The W3C trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeStatus {
    /// Applied.
    Posted,
    /// Refused for good.
    Rejected,
    /// Came too late (C4).
    Expired,
    /// Waits for support (C5).
    Parked,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How it ended.
    pub status: OutcomeStatus,
    /// The stage that says so.
    pub stage: StageName,
    /// The message's number in the lane of that stage; of what was not journaled, the number of
    /// the last message that was.
    pub lane_seq: u64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Why, unless it was posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The first outcome again, of a request that came again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The currencies touched, afterwards.
    pub balances: Vec<Balance>,
    /// The position, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionChange>,
    /// When a withdrawal requested during a liquidation is payable (A8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payable_at: Option<Timestamp>,
    /// The withdrawal that was cancelled after it had been posted, because its money was needed for
    /// losses during a liquidation (A8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<ExternalId>,
    /// What the caller of a transfer knows it by, on both sides: of `transfer.requested`, and of the
    /// `transfer.arrived`, `transfer.returned` and `transfer.landed` that CAP sends itself. Not if
    /// clearing refused the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<ExternalId>,
}

/// Why a request was not posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// A word for programs.
    pub code: ReasonCode,
    /// A sentence for people, with the figures.
    pub detail: String,
}

/// The word of a [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// It came too late.
    Expired,
    /// The lane is suspended.
    LaneSuspended,
    /// A rule was broken.
    #[serde(untagged)]
    Rejected(RejectionCode),
}

impl OutcomeMessage {
    /// What the account stage's journal says of a request.
    pub fn of_row(row: &Row) -> Result<Self, Poison> {
        Ok(Self::of(row, &replay_item(row)?.input, &row.ruling()?))
    }

    /// The same, by the item and the ruling that the row was written from.
    fn of(row: &Row, item: &Item, ruling: &AccountRuling) -> Self {
        let (position, transfer_id) = match &item.body {
            Body::Planned { position, event, .. } => {
                (position.clone(), event.transfer_id().cloned())
            }
            Body::Refused(_) => {
                (None, item.arriving.as_ref().map(|arriving| arriving.transfer_id.clone()))
            }
        };
        let mut outcome = Outcome {
            status: OutcomeStatus::Posted,
            stage: StageName::Account,
            lane_seq: row.seq,
            decided_at: row.decided_at,
            reason: None,
            replayed: false,
            balances: Vec::new(),
            position: None,
            payable_at: None,
            cancelled: None,
            transfer_id,
        };
        match ruling {
            AccountRuling::Posted { balances, payable_at, liquidation_price, .. } => {
                let position = position.map(|shown| {
                    // Position tells that of an isolated one, account that of a cross one.
                    let liquidation_price = shown.liquidation_price.or(*liquidation_price);
                    PositionChange { liquidation_price, ..shown }
                });
                let (balances, payable_at) = (balances.clone(), *payable_at);
                outcome = Outcome { balances, position, payable_at, ..outcome };
            }
            AccountRuling::Refused(Refusal::Rejected { code, detail }) => {
                outcome.status = OutcomeStatus::Rejected;
                let (code, detail) = (ReasonCode::Rejected(*code), detail.clone());
                outcome.reason = Some(Reason { code, detail });
            }
            AccountRuling::Refused(Refusal::Expired { detail }) => {
                outcome.status = OutcomeStatus::Expired;
                outcome.reason = Some(Reason { code: ReasonCode::Expired, detail: detail.clone() });
            }
        }
        let of = item.header.clone();
        let header = OutcomeHeader {
            version: CONTRACT_VERSION,
            request_id: row.request_id.clone(),
            company: of.company,
            product: of.product,
            customer_group: of.customer_group,
            account: of.account,
            traceparent: of.traceparent,
        };
        Self { header, outcome }
    }

    /// The answer to an echo whose request changed nothing here.
    pub fn of_echo(account: &AccountKey, lane: &Lane, echo: &Echo, answer: Unapplied<'_>) -> Self {
        let (status, stage, code, detail) = match answer {
            Unapplied::Parked { stage, detail } => {
                (OutcomeStatus::Parked, stage, ReasonCode::LaneSuspended, detail)
            }
            Unapplied::Conflict { detail } => {
                let code = ReasonCode::Rejected(RejectionCode::RequestIdConflict);
                (OutcomeStatus::Rejected, StageName::Account, code, detail)
            }
        };
        Self {
            header: header(account, &echo.request_id, echo.traceparent.clone()),
            outcome: Outcome {
                status,
                stage,
                lane_seq: lane.seq,
                decided_at: echo.at,
                reason: Some(Reason { code, detail: detail.to_owned() }),
                replayed: false,
                balances: Vec::new(),
                position: None,
                payable_at: None,
                cancelled: None,
                transfer_id: None,
            },
        }
    }

    /// What the account stage's journal says of a request, behind what it says of the withdrawals
    /// that were cancelled for it: all that upstream is told of a row, in order.
    pub fn all_of_row(row: &Row) -> Result<Vec<Self>, Poison> {
        Ok(Self::all_of(row, &replay_item(row)?.input, &row.ruling()?))
    }

    /// The same, by the item and the ruling that the row was written from.
    pub(crate) fn all_of(row: &Row, item: &Item, ruling: &AccountRuling) -> Vec<Self> {
        let of_event = Self::of(row, item, ruling);
        let cancelled = match ruling {
            AccountRuling::Posted { cancelled, .. } => cancelled.as_slice(),
            AccountRuling::Refused(_) => &[],
        };
        let mut all: Vec<Self> =
            cancelled.iter().map(|withdrawal| of_event.of_cancelled(withdrawal)).collect();
        all.push(of_event);
        all
    }

    /// What the request of a withdrawal is told that was cancelled for losses during a liquidation:
    /// said where and when this outcome is, and within its trace, which is that of the loss.
    fn of_cancelled(&self, withdrawal: &CancelledWithdrawal) -> Self {
        let CancelledWithdrawal { withdrawal_id, request_id, amount } = withdrawal;
        let detail = format!(
            "withdrawal {withdrawal_id} of {amount} was cancelled: the money was needed for losses during liquidation"
        );
        let code = ReasonCode::Rejected(RejectionCode::InsufficientFunds);
        Self {
            header: OutcomeHeader { request_id: request_id.clone(), ..self.header.clone() },
            outcome: Outcome {
                status: OutcomeStatus::Rejected,
                reason: Some(Reason { code, detail }),
                balances: Vec::new(),
                position: None,
                payable_at: None,
                cancelled: Some(withdrawal_id.clone()),
                transfer_id: None,
                ..self.outcome.clone()
            },
        }
    }

    /// The same outcome, told again.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.outcome.replayed = true;
        self
    }

    /// On its way to the outcome queue. `source_id` is what a redelivery of the message it
    /// answers is recognised by: the same message gives the same deduplication id, a repetition
    /// by the caller another one, or SQS would swallow its answer.
    pub fn output(&self, account: &AccountKey, source_id: &str) -> Result<Output, Poison> {
        let body = for_queues(written(self, BODY_BYTES_USUAL)?);
        let Outcome { status, stage, replayed, decided_at, cancelled, .. } = &self.outcome;
        // Writing to a text cannot fail.
        let mut told = String::with_capacity(TOLD_BYTES_USUAL);
        let _ = write!(told, "{account} {source_id} {stage} {status:?} {replayed} {decided_at}");
        // One message may cancel several withdrawals, and not all of them need know their request.
        if let Some(withdrawal) = cancelled {
            let _ = write!(told, " {withdrawal}");
        }
        let deduplication_id =
            format!("{}:{}", self.header.request_id, hex_text(&Sha256::digest(told)[..8]));
        Ok(Output::Outcome { deduplication_id, body })
    }
}

/// Why a request changed nothing.
#[derive(Debug, Clone, Copy)]
pub enum Unapplied<'a> {
    /// It waits for support.
    Parked {
        /// Where.
        stage: StageName,
        /// The error's own words.
        detail: &'a str,
    },
    /// Its id belongs to another content.
    Conflict {
        /// A sentence with the figures.
        detail: &'a str,
    },
}

fn header(
    account: &AccountKey,
    request_id: &RequestId,
    traceparent: Option<TraceParent>,
) -> OutcomeHeader {
    let (company, product, customer_group, account) = account.parts();
    OutcomeHeader {
        version: CONTRACT_VERSION,
        request_id: request_id.clone(),
        company,
        product,
        customer_group,
        account,
        traceparent,
    }
}
