//! Transfers between accounts, products and companies (A1, C10): debited here, in transit, credited
//! there through the other lane's own queue, and back again if they cannot land.
//!
//! Nobody ever holds two lanes. When account has posted a `transfer.requested` (available →
//! transit), it sends a `transfer.arrived` to the other lane; when it has posted one of those
//! (transit → available) it sends a `transfer.landed` back, which moves nothing, and when it has
//! refused one a `transfer.returned` (transit → available). All are events like any other:
//! journaled, answered, parked with their lane. Their request ids are derived from the message they
//! follow from, so sent again after a crash they are recognised as what they are, however late.
//! At every instant the transfers under way are what `transit` sums up to; the lane that sent them
//! keeps them until they have landed or come back, and takes back nothing else.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::AccountRuling;
use crate::envelope::{CONTRACT_VERSION, Header};
use crate::event::door::{AccountWire, TEXT_CHARS_MAX};
use crate::event::{Event, EventKind};
use crate::ids::{AccountKey, ExternalId, RequestId};
use crate::json::for_queues;
use crate::lane::{Body, Item, Output, Row};
use crate::money::{Currency, CurrencyCode, Money};
use crate::position::replay_item;
use crate::refusal::{Poison, Refusal};

/// A transfer on its way into a lane: what goes back if it cannot land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arriving {
    /// What its caller knows it by.
    pub transfer_id: ExternalId,
    /// Where it comes from, and goes back to.
    pub from: AccountKey,
    /// How much.
    pub amount: Money,
    /// Whether its sender keeps it under way until it is told what came of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledge: bool,
}

impl Arriving {
    /// What an event of this kind brings, whatever the lane's product makes of it: also what no
    /// rulebook knows must be able to go back.
    pub fn read(kind: &str, event: &Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            transfer_id: ExternalId,
            from: AccountWire,
            currency: CurrencyCode,
            amount: String,
            #[serde(default)]
            acknowledge: bool,
        }
        if kind != EventKind::TransferArrived.name() {
            return None;
        }
        let wire = Wire::deserialize(event).ok()?;
        let currency = Currency::of_amount(wire.currency, &wire.amount).ok()?;
        let amount = Money::parse(currency, &wire.amount).ok()?;
        let (transfer_id, from) = (wire.transfer_id, wire.from.key());
        Some(Self { transfer_id, from, amount, acknowledge: wire.acknowledge })
    }
}

/// The request id under which the transfer of `request_id` arrives, and is kept until it has.
pub(crate) fn arrival_id(
    account: &AccountKey,
    request_id: &RequestId,
) -> Result<RequestId, Poison> {
    derived_id("transfer", account, request_id)
}

/// The request id under which the transfer that arrived as `request_id` in the lane of `account` comes
/// back, if it could not land.
///
/// # Errors
/// Never of ids that are valid.
pub fn return_id(account: &AccountKey, request_id: &RequestId) -> Result<RequestId, Poison> {
    derived_id("return", account, request_id)
}

/// The event that follows from a row of the account stage, if one does.
pub(crate) fn what_follows(account: &AccountKey, row: &Row) -> Result<Option<Output>, Poison> {
    if row.kind != EventKind::TransferRequested.name()
        && row.kind != EventKind::TransferArrived.name()
    {
        return Ok(None);
    }
    let ruling: AccountRuling =
        serde_json::from_str(&row.result).map_err(|error| Poison::Unreadable(error.to_string()))?;
    let Item { header, arriving, body, .. } = replay_item(row)?.input;
    match (ruling, body, arriving) {
        (AccountRuling::Posted { .. }, Body::Planned { event, .. }, _) => match *event {
            Event::TransferRequested { transfer_id, to, amount, acknowledge } => {
                let mut event = json!({
                    "type": EventKind::TransferArrived, "transfer_id": transfer_id,
                    "from": AccountWire::of(account),
                    "currency": amount.currency().code, "amount": amount.amount(),
                });
                if acknowledge {
                    event["acknowledge"] = json!(true);
                }
                follow_up("transfer", account, row, &header, &to, &event).map(Some)
            }
            Event::TransferArrived { transfer_id, from, amount, acknowledge: true } => {
                let event = json!({
                    "type": EventKind::TransferLanded, "transfer_id": transfer_id,
                    "to": AccountWire::of(account), "currency": amount.currency().code,
                    "amount": amount.amount(), "arrival": row.request_id,
                });
                follow_up("landing", account, row, &header, &from, &event).map(Some)
            }
            _ => Ok(None),
        },
        // What nobody keeps does not go back to another company: it never came from there.
        (AccountRuling::Refused(refusal), _, Some(arriving))
            if arriving.acknowledge || arriving.from.parts().0 == account.parts().0 =>
        {
            let Arriving { transfer_id, from, amount, acknowledge } = arriving;
            let mut event = json!({
                "type": EventKind::TransferReturned, "transfer_id": transfer_id,
                "to": AccountWire::of(account), "currency": amount.currency().code,
                "amount": amount.amount(), "reason": in_words(&refusal),
            });
            if acknowledge {
                event["arrival"] = json!(row.request_id);
            }
            follow_up("return", account, row, &header, &from, &event).map(Some)
        }
        _ => Ok(None),
    }
}

fn in_words(refusal: &Refusal) -> String {
    let words = match refusal {
        Refusal::Rejected { code, detail } => format!("{code}: {detail}"),
        Refusal::Expired { detail } => format!("expired: {detail}"),
    };
    words.chars().take(TEXT_CHARS_MAX).collect()
}

/// `event` for the lane of `to`, as the consequence of `row` in the lane of `account`. Its request id
/// is `word` and a digest of what it follows from: the same however often it is made.
pub(crate) fn follow_up(
    word: &str,
    account: &AccountKey,
    row: &Row,
    of: &Header,
    to: &AccountKey,
    event: &Value,
) -> Result<Output, Poison> {
    let request_id = derived_id(word, account, &row.request_id)?;
    let deduplication_id = request_id.to_string();
    let (company, product, customer_group, name) = to.parts();
    let header = Header {
        version: CONTRACT_VERSION,
        request_id,
        initiated_at: row.decided_at,
        company,
        product,
        customer_group,
        account: name,
        traceparent: of.traceparent.clone(),
    };
    let body = for_queues(json!({ "header": header, "event": event }).to_string());
    Ok(Output::Event { account: to.clone(), deduplication_id, body })
}

/// The request id of what follows, in a word, from a request in the lane of `account`.
pub(crate) fn derived_id(
    word: &str,
    account: &AccountKey,
    request_id: &RequestId,
) -> Result<RequestId, Poison> {
    let cause = Sha256::digest(format!("{word} {account} {request_id}"));
    RequestId::new(&format!("{word}:{}", hex::encode(&cause[..16])))
        .map_err(|error| Poison::OutOfRange(error.to_string()))
}
