//! What is wrong gets what the contract says: an unreadable message or an invalid fact suspends the
//! lane, an invalid request is rejected.

use cap_domain::lane::StageName;
use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, noon};

/// A message that has to suspend clearing, with the start of the error.
fn suspends(body: &str, request_id: &str, error: &str) {
    let mut story = Story::spot();
    let message = story.sent("dedup-1", body.to_owned());
    let told = story.tell_sent(&message);
    assert_eq!(told.status(), OutcomeStatus::Parked, "{}", told.body);
    assert_eq!(told.code(), "lane_suspended");
    assert!(told.detail().starts_with(error), "expected {error}\ngot      {}", told.detail());
    assert_eq!(told.request_id(), request_id, "told to whom it belongs");
    assert_eq!(told.message.outcome.stage, StageName::Clearing);
    assert_eq!(story.suspended(), [StageName::Clearing]);
    assert!(story.clearing.journal.is_empty() && story.account.journal.is_empty());
    let [parked] = story.clearing.parked.as_slice() else { panic!("{:?}", story.clearing.parked) };
    assert_eq!((parked.parked_seq, parked.body.as_str()), (1, body), "parked as it came");
    assert_eq!(story.clearing.dead_letters.len(), 1, "and in the DLQ");
    let suspension = story.clearing.lane.suspension.as_ref().unwrap();
    assert_eq!((suspension.at, suspension.reason.as_str()), (noon(), told.detail()));
}

#[test]
fn what_cannot_be_read_suspends_the_lane() {
    let story = Story::spot();
    let envelope = |patch: fn(&mut Value)| {
        let mut envelope = story.envelope("r-1", &deposit("1 USDT"));
        patch(&mut envelope);
        envelope.to_string()
    };
    let whole = envelope(|_| {});
    let cases: Vec<(String, &str, &str)> = vec![
        ("nonsense".to_owned(), "dedup-1", "the message cannot be read: the body is not JSON: "),
        (String::new(), "dedup-1", "the message cannot be read: the body is not JSON: "),
        (
            whole[..whole.len() - 1].to_owned(),
            "dedup-1",
            "the message cannot be read: the body is not JSON: ",
        ),
        (
            format!("{whole} {whole}"),
            "dedup-1",
            "the message cannot be read: the body is not JSON: trailing characters",
        ),
        ("[]".to_owned(), "dedup-1", "the message cannot be read: the envelope is not usable: "),
        (
            "{}".to_owned(),
            "dedup-1",
            "the message cannot be read: the envelope is not usable: missing field `header`",
        ),
        (
            envelope(|e| drop(e.as_object_mut().unwrap().remove("event"))),
            "r-1",
            "the message cannot be read: the envelope is not usable: missing field `event`",
        ),
        (
            envelope(|e| e["extra"] = json!(1)),
            "r-1",
            "the message cannot be read: the envelope is not usable: extra: unknown field `extra`",
        ),
        (
            envelope(|e| e["header"]["extra"] = json!(1)),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.extra: unknown field `extra`",
        ),
        (
            envelope(|e| e["header"]["version"] = json!(2)),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.version: version 2 is not 1",
        ),
        (
            envelope(|e| e["header"]["version"] = json!("1")),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.version: invalid type",
        ),
        (
            envelope(|e| e["header"]["company"] = json!("Acme")),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.company: company \"Acme\"",
        ),
        (
            envelope(|e| e["header"]["request_id"] = json!("a b")),
            "dedup-1",
            "the message cannot be read: the envelope is not usable: header.request_id: request_id \"a b\"",
        ),
        (
            envelope(|e| e["header"]["initiated_at"] = json!("today")),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.initiated_at: \"today\" is not an RFC 3339 time",
        ),
        (
            envelope(|e| e["header"]["initiated_at"] = json!("2026-11-21T12:00:00")),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.initiated_at: ",
        ),
        (
            envelope(|e| e["header"]["traceparent"] = json!("trace")),
            "r-1",
            "the message cannot be read: the envelope is not usable: header.traceparent: traceparent \"trace\"",
        ),
        (
            envelope(|e| e["header"]["account"] = json!("A-1002")),
            "r-1",
            "the message is for account acme_spot_retail_A-1002, but came in the group of acme_spot_retail_A-1001",
        ),
        (
            envelope(|e| e["header"]["customer_group"] = json!("vip")),
            "r-1",
            "the message is for account acme_spot_vip_A-1001, but came in the group of acme_spot_retail_A-1001",
        ),
        (
            envelope(|e| e["event"]["type"] = json!("deposit.lost")),
            "r-1",
            "the message cannot be read: type: \"deposit.lost\" is not the type of any event",
        ),
        (
            envelope(|e| drop(e["event"].as_object_mut().unwrap().remove("type"))),
            "r-1",
            "the message cannot be read: type: missing, or not a text",
        ),
        (
            envelope(|e| e["event"] = json!([1])),
            "r-1",
            "the message cannot be read: type: missing, or not a text",
        ),
        (
            envelope(|e| e["event"]["reference"] = json!("x".repeat(70_000))),
            "r-1",
            "the message cannot be read: the body has ",
        ),
    ];
    for (body, request_id, error) in cases {
        suspends(&body, request_id, error);
    }
}

#[test]
fn an_invalid_fact_suspends_the_lane() {
    let cases = [
        (
            deposit("0 USDT"),
            "deposit.received is not valid: amount: 0.000000 USDT is not above zero",
        ),
        (
            deposit("1 DOGE"),
            "deposit.received is not valid: currency: DOGE is not a currency of product spot",
        ),
        (
            with(fee("1 USDT"), json!({ "note": 1 })),
            "fee.charged is not valid: note: unknown field `note`",
        ),
        (spot("buy", "1", "0"), "trade.filled is not valid: price: 0 is not above zero"),
        (
            perpetual("buy", "1", "1"),
            "trade.filled is not valid: leverage: unknown field `leverage`",
        ),
        (
            funding("0.1", "1"),
            "funding.charged is not valid: type: spot has no positions to charge funding on",
        ),
    ];
    for (event, error) in cases {
        let body = Story::spot().envelope("r-1", &event).to_string();
        suspends(&body, "r-1", error);
    }
}

#[test]
fn an_invalid_request_is_rejected_with_its_field_and_suspends_nothing() {
    let cases = [
        (reserved("0 USDT"), "amount: 0.000000 USDT is not above zero"),
        (reserved("1.0000001 USDT"), "amount: 1.0000001 has 7 decimals, USDT has 6"),
        (
            with(reserved("1 USDT"), json!({ "note": 1 })),
            "note: unknown field `note`, expected one of `order_id`, `currency`, `amount`, `may_borrow`, `rates`",
        ),
        (json!({ "type": "withdrawal.requested" }), "event: missing field `withdrawal_id`"),
        (json!({ "type": "transfer.requested" }), "event: missing field `transfer_id`"),
        (json!({ "type": "margin.changed" }), "type: spot has no positions to margin"),
        (
            with(opened(), json!({ "position_mode": "netting" })),
            "position_mode: unknown variant `netting`, expected `one_way` or `hedge`",
        ),
    ];
    for (event, detail) in cases {
        let mut story = Story::spot();
        let told = story.tell(&event);
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Rejected, "invalid_request")
        );
        assert_eq!(told.detail(), detail);
        assert_eq!(story.suspended(), [], "{event}");
        assert_eq!((story.clearing.lane.seq, story.account.lane.seq), (1, 1), "a no is journaled");
        story.posted(&deposit("1 USDT"));
    }
}

#[test]
fn a_request_for_a_product_that_there_is_not_is_rejected_and_a_fact_is_poison() {
    let mut story = Story::of("margin");
    let told = story.tell(&reserved("1 USDT"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        ("invalid_request", "product: there is no product margin")
    );
    let told = story.tell(&deposit("1 USDT"));
    assert_eq!(
        (told.status(), told.detail()),
        (
            OutcomeStatus::Parked,
            "deposit.received is not valid: product: there is no product margin"
        )
    );
}
