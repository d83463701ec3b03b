//! What goes through all stages ends in its one outcome, under the caller's trace.

use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Sent, Story};

/// A trace that the caller started.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn traced(story: &mut Story, request_id: &str, event: &Value) -> Sent {
    story.message_with(request_id, event, json!({ "traceparent": TRACE }))
}

#[test]
fn a_deposit_goes_through_all_stages_to_its_outcome() {
    for (product, seq) in [("spot", 2), ("perpetual", 2)] {
        let mut story = Story::of(product);
        story.posted(&opened());
        let message = story.message("ord-7f3a-1", &deposit("100.00 USDT"));
        let told = story.tell_sent(&message);
        let trace = told.message.header.traceparent.clone().map(|trace| json!(trace));
        assert!(trace.is_some(), "without a trace of its own CAP starts one");
        let expected = json!({
            "header": {
                "version": 1, "request_id": "ord-7f3a-1", "company": "acme", "product": product,
                "customer_group": "retail", "account": "A-1001", "traceparent": trace,
            },
            "outcome": {
                "status": "posted", "stage": "account", "lane_seq": seq,
                "decided_at": "2026-11-21T12:00:00.000Z",
                "balances": [{
                    "currency": "USDT", "available": "100.000000", "frozen": "0.000000",
                    "margin": "0.000000", "withdrawing": "0.000000", "borrowed": "0.000000",
                }],
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap(), expected);
        assert!(told.deduplication_id.starts_with("ord-7f3a-1:"), "{}", told.deduplication_id);
        let passed = if product == "perpetual" { 2 } else { 0 };
        assert_eq!(story.position.journal.len(), passed, "spot does not go by position");
    }
}

#[test]
fn a_position_change_is_told_with_its_outcome() {
    let mut story = Story::perpetual().holding("USDT 1000 available");
    let told = story.posted(&perpetual("buy", "0.5", "4000"));
    let position = &serde_json::from_str::<Value>(&told.body).unwrap()["outcome"]["position"];
    // Liquidated at (1000 − 2000) / (0.5 · (0.004 − 1)).
    let expected = json!({
        "symbol": "BTC-USDT", "side": "long", "quantity": "0.5", "entry_price": "4000",
        "margin": "200.000000", "margin_mode": "cross", "realised_profit": "0.000000",
        "liquidation_price": "2008.03212851",
    });
    assert_eq!(position, &expected);
    let told = story.posted(&perpetual("sell", "0.5", "4100"));
    assert!(told.body.contains("\"realised_profit\":\"50.000000\""), "{}", told.body);
}

#[test]
fn the_callers_trace_is_kept_to_the_end() {
    let mut story = Story::perpetual();
    for (id, event) in [("r-1", deposit("1 USDT")), ("r-2", reserved("5 USDT"))] {
        let message = traced(&mut story, id, &event);
        let told = story.tell_sent(&message);
        assert_eq!(json!(told.message.header.traceparent), json!(TRACE), "{}", told.body);
    }
}

/// The outcome of what is parked or conflicts belongs to the caller's trace as any other.
#[test]
fn the_callers_trace_is_kept_by_what_is_answered_without_being_decided() {
    let mut story = Story::spot();
    let first = story.message("r-1", &deposit("1 USDT"));
    story.tell_sent(&first);
    let mut lost = Vec::new();
    for (id, event) in
        [("r-1", deposit("2 USDT")), ("r-2", deposit("0 USDT")), ("r-3", deposit("1 USDT"))]
    {
        let message = traced(&mut story, id, &event);
        let told = story.tell_sent(&message);
        if json!(told.message.header.traceparent) != json!(TRACE) {
            lost.push(format!("{:?} {}: {}", told.status(), told.code(), told.detail()));
        }
    }
    assert!(lost.is_empty(), "the trace is lost by:\n{}", lost.join("\n"));
}
