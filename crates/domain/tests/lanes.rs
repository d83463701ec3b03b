//! A lane through all stages in memory: every message once, in order, whatever comes how often,
//! and a journal that proves itself (DESIGN §1–§3).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod common;

use cap_domain::account::Accounts;
use cap_domain::clearing::{Clearing, Submission};
use cap_domain::ids::AccountKey;
use cap_domain::lane::{
    Arrival, Content, LaneStatus, Output, Pack, RECEIVES_MAX, RawMessage, Stage, StageName, pack,
};
use cap_domain::outcome::OutcomeStatus;
use proptest::prelude::*;
use serde_json::{Value, json};

use common::events::*;
use common::story::{LaneOf, Sent, Story, Told, noon};

fn clearing_arrivals(story: &Story, sent: &Sent) -> Vec<Arrival<Submission>> {
    Clearing::read(&story.account_key, sent.raw())
}

/// The outcomes' request ids, in the order they were told.
fn ids(told: &[Told]) -> Vec<&str> {
    told.iter().map(Told::request_id).collect()
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
    let expected = json!({
        "symbol": "BTC-USDT", "side": "long", "quantity": "0.5", "entry_price": "4000",
        "margin": "200.000000", "margin_mode": "cross", "realised_profit": "0.000000",
    });
    assert_eq!(position, &expected);
    let told = story.posted(&perpetual("sell", "0.5", "4100"));
    assert!(told.body.contains("\"realised_profit\":\"50.000000\""), "{}", told.body);
}

#[test]
fn the_callers_trace_is_kept_to_the_end() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut story = Story::perpetual();
    let traced = |story: &mut Story, id: &str, event: &Value| {
        let mut envelope = story.envelope(id, event);
        envelope["header"]["traceparent"] = json!(trace);
        story.sent(id, envelope.to_string())
    };
    for (id, event) in [("r-1", deposit("1 USDT")), ("r-2", reserved("5 USDT"))] {
        let message = traced(&mut story, id, &event);
        let told = story.tell_sent(&message);
        assert_eq!(json!(told.message.header.traceparent), json!(trace), "{}", told.body);
    }
}

/// The outcome of what is parked or conflicts belongs to the caller's trace as any other.
#[test]
fn the_callers_trace_is_kept_by_what_is_answered_without_being_decided() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut story = Story::spot();
    let first = story.message("r-1", &deposit("1 USDT"));
    story.tell_sent(&first);
    let mut lost = Vec::new();
    for (id, event) in
        [("r-1", deposit("2 USDT")), ("r-2", deposit("0 USDT")), ("r-3", deposit("1 USDT"))]
    {
        let mut envelope = story.envelope(id, &event);
        envelope["header"]["traceparent"] = json!(trace);
        let message = story.sent(id, envelope.to_string());
        let told = story.tell_sent(&message);
        if json!(told.message.header.traceparent) != json!(trace) {
            lost.push(format!("{:?} {}: {}", told.status(), told.code(), told.detail()));
        }
    }
    assert!(lost.is_empty(), "the trace is lost by:\n{}", lost.join("\n"));
}

// ── what is wrong gets (CONTRACT) ──────────────────────────────────────────────────────────

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
    assert_eq!((parked.parked_seq, parked.raw.as_str()), (1, body), "parked as it came");
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
        (json!({ "type": "transfer.requested" }), "type: transfers are not supported yet"),
        (json!({ "type": "margin.changed" }), "type: spot has no positions to margin"),
        (
            with(opened(), json!({ "position_mode": "hedge" })),
            "position_mode (hedge): not supported yet",
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

#[test]
fn age_is_what_lies_between_making_and_sending() {
    // initiated_at, from noon; what comes of a request sent at noon
    let cases = [
        ("2026-11-21T12:00:00.000Z", "posted"),
        ("2026-11-21T11:55:00.000Z", "posted"),
        ("2026-11-21T11:54:59.999Z", "expired"),
        ("2026-11-21T11:54:59.999999Z", "expired"),
        ("2020-01-01T00:00:00Z", "expired"),
        ("2026-11-21T12:01:00.000Z", "posted"),
        ("2026-11-21T12:01:00.001Z", "initiated_in_the_future"),
        ("2027-11-21T12:00:00.000Z", "initiated_in_the_future"),
    ];
    for (initiated_at, expected) in cases {
        let mut story = Story::spot().holding("USDT 5 available");
        let mut envelope = story.envelope("r-1", &reserved("1 USDT"));
        envelope["header"]["initiated_at"] = json!(initiated_at);
        let message = story.sent("r-1", envelope.to_string());
        let told = story.tell_sent(&message);
        let found = match told.status() {
            OutcomeStatus::Posted => "posted".to_owned(),
            _ => told.code(),
        };
        assert_eq!(found, expected, "made at {initiated_at}: {}", told.body);
        let status = if expected == "expired" { OutcomeStatus::Expired } else { told.status() };
        assert_eq!(told.status(), status);
        assert_eq!(story.account.lane.seq, 1, "recorded whatever came of it");
        assert_eq!(story.suspended(), []);
    }
}

#[test]
fn an_hour_of_backlog_expires_nothing() {
    let mut story = Story::spot().holding("USDT 5 available");
    let message = story.message("r-1", &reserved("1 USDT"));
    story.now = story.now.plus_seconds(3_600);
    assert_eq!(story.tell_sent(&message).status(), OutcomeStatus::Posted);
}

#[test]
fn more_than_a_minute_ahead_is_more_than_a_minute_to_the_last_microsecond() {
    let mut story = Story::spot().holding("USDT 5 available");
    let mut envelope = story.envelope("r-1", &reserved("1 USDT"));
    envelope["header"]["initiated_at"] = json!("2026-11-21T12:01:00.000001Z");
    let message = story.sent("r-1", envelope.to_string());
    assert_eq!(story.tell_sent(&message).status(), OutcomeStatus::Rejected);
}

#[test]
fn a_stale_fact_is_expired_too() {
    let mut story = Story::spot();
    let mut envelope = story.envelope("r-1", &deposit("1 USDT"));
    envelope["header"]["initiated_at"] = json!("2026-11-21T11:50:00Z");
    let message = story.sent("r-1", envelope.to_string());
    let told = story.tell_sent(&message);
    assert_eq!(told.status(), OutcomeStatus::Expired);
    assert_eq!(
        told.detail(),
        "made at 2026-11-21T11:50:00.000Z and sent at 2026-11-21T12:00:00.000Z, 600000 ms later; 300000 ms is the most"
    );
    assert_eq!(story.money(), "");
}

// ── the same again ─────────────────────────────────────────────────────────────────────────

/// What upstream is told again: all but `replayed` as the first time.
fn assert_replayed(first: &Told, again: &Told) {
    let mut expected: Value = serde_json::from_str(&first.body).unwrap();
    expected["outcome"]["replayed"] = json!(true);
    assert_eq!(serde_json::from_str::<Value>(&again.body).unwrap(), expected);
    assert_ne!(again.deduplication_id, first.deduplication_id, "SQS would swallow the answer");
}

#[test]
fn a_duplicate_changes_nothing_and_gets_the_first_outcome_again() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        let cases =
            [deposit("100 USDT"), reserved("30 USDT"), reserved("500 USDT"), reserved("0 USDT")];
        for (n, event) in cases.iter().enumerate() {
            let message = story.message(&format!("d-{n}"), event);
            let first = story.tell_sent(&message);
            story.posted(&deposit("1 HKD"));
            story.now = story.now.plus_seconds(3_600);
            let before = (
                story.clearing.lane.clone(),
                story.position.lane.clone(),
                story.account.lane.clone(),
            );
            let again = story.tell_sent(&message.again());
            assert_replayed(&first, &again);
            let after = (
                story.clearing.lane.clone(),
                story.position.lane.clone(),
                story.account.lane.clone(),
            );
            assert_eq!(before, after, "{event}: nothing was journaled");
        }
        assert_eq!(
            story.account.state.balances[&"USDT".parse().unwrap()].frozen,
            common::money("30 USDT")
        );
    }
}

#[test]
fn a_duplicate_in_the_same_batch_is_one_request() {
    let mut story = Story::spot();
    let first = story.message("d-1", &deposit("100 USDT"));
    let told = story.deliver(&[first.clone(), first.again()]);
    assert_replayed(&told[0], &told[1]);
    assert_eq!(story.money(), "USDT 100 available");
}

#[test]
fn white_space_order_and_time_of_the_call_do_not_make_it_another_request() {
    let mut story = Story::spot();
    let first = story.message("d-1", &deposit("100 USDT"));
    let first_told = story.tell_sent(&first);
    story.now = story.now.plus_seconds(60);
    let body = story.envelope("d-1", &json!({ "reference": "tx-1", "amount": "100", "currency": "USDT", "type": "deposit.received" }));
    let again = story.sent("d-1", serde_json::to_string_pretty(&body).unwrap());
    let told = story.tell_sent(&again);
    assert_replayed(&first_told, &told);
}

#[test]
fn the_same_request_id_with_another_content_is_a_conflict() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        let message = story.message("d-1", &deposit("100 USDT"));
        let first = story.tell_sent(&message);
        let other = story.message("d-1", &deposit("100.000001 USDT"));
        let told = story.tell_sent(&other);
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Rejected, "request_id_conflict")
        );
        assert_eq!(
            told.detail(),
            "request id d-1 was used at 2026-11-21T12:00:00.000Z for another deposit.received (number 2 of this lane)"
        );
        assert!(!told.message.outcome.replayed);
        let again = story.tell_sent(&message.again());
        assert_replayed(&first, &again);
        assert_eq!((story.account.lane.seq, story.suspended()), (2, vec![]));
    }
}

#[test]
fn a_request_id_that_another_account_holds_is_a_conflict() {
    let mut story = Story::spot().holding("USDT 5 available");
    let message = story.message("d-1", &reserved("1 USDT"));
    let mut arrivals = clearing_arrivals(&story, &message);
    let Content::Message(submitted) = &mut arrivals[0].content else { panic!("unreadable") };
    submitted.input.held_by = Some("zenith_spot_retail_Z-9".parse().unwrap());
    let steps = story.clearing.take(&arrivals, story.now);
    let told = story.onwards(&steps).remove(0);
    assert_eq!(
        (told.status(), told.code().as_str()),
        (OutcomeStatus::Rejected, "request_id_conflict")
    );
    assert_eq!(
        told.detail(),
        "request id d-1 was used by zenith_spot_retail_Z-9 in the last 8 minutes, for another request"
    );
    assert_eq!(story.money(), "USDT 5 available");
    let [row] = story.clearing.journal.as_slice() else { panic!("the no is journaled") };
    assert!(row.input.starts_with("{\"held_by\":\"zenith_spot_retail_Z-9\",\"envelope\":{"));
    story.clearing.prove();
}

#[test]
fn a_redelivered_message_says_the_same_byte_for_byte_and_writes_nothing() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        story.posted(&deposit("100 USDT"));
        for event in
            [reserved("30 USDT"), reserved("500 USDT"), reserved("0 USDT"), deposit("1 BTC")]
        {
            let id = format!("x-{}", story.clearing.lane.seq);
            let message = story.message(&id, &event);
            let arrivals = clearing_arrivals(&story, &message);
            let first_steps = story.clearing.take(&arrivals, story.now);
            let first = story.onwards(&first_steps);
            story.now = story.now.plus_seconds(7);
            let redelivered = Sent { receives: 2, ..message };
            let advance = story
                .clearing
                .propose(&clearing_arrivals(&story, &redelivered), story.now)
                .unwrap();
            assert!(advance.rows.is_empty() && advance.parked.is_empty());
            assert_eq!(advance.steps, first_steps, "{event}");
            assert_eq!(story.onwards(&advance.steps), first, "{event}");
        }
    }
}

#[test]
fn a_redelivery_packed_with_other_neighbours_is_still_recognised() {
    let mut story = Story::perpetual();
    let one = story.message("r-1", &deposit("1 USDT"));
    let two = story.message("r-2", &deposit("2 USDT"));
    let three = story.message("r-3", &deposit("3 USDT"));
    let mut told = story.deliver(&[one.clone(), two.clone()]);
    let again = story.deliver(&[two, three]);
    assert_eq!(told.remove(1), again[0]);
    assert_eq!(ids(&again), ["r-2", "r-3"]);
    assert_eq!(story.money(), "USDT 6 available");
    assert_eq!(story.deliver(&[one]).len(), 1);
    assert_eq!(story.money(), "USDT 6 available");
}

#[test]
fn a_message_received_too_often_is_poison_before_it_is_decided() {
    let mut story = Story::spot();
    let message = story.message("r-1", &deposit("1 USDT"));
    let last = Sent { receives: RECEIVES_MAX, ..message.clone() };
    assert_eq!(Story::spot().tell_sent(&last).status(), OutcomeStatus::Posted);
    let told = story.tell_sent(&Sent { receives: RECEIVES_MAX + 1, ..message });
    assert_eq!(told.detail(), "received 31 times without being finished, 30 is the most");
    assert_eq!(story.suspended(), [StageName::Clearing]);
}

// ── suspended ──────────────────────────────────────────────────────────────────────────────

#[test]
fn a_suspended_lane_parks_everything_behind_untried_in_order() {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    let poison = story.message("p-1", &deposit("0 USDT"));
    let behind =
        [story.message("p-2", &deposit("1 USDT")), story.message("p-3", &reserved("9999 USDT"))];
    let nonsense = story.sent("p-4", "nonsense".to_owned());
    let first = story.tell_sent(&poison);
    let told = story.deliver(&[behind[0].clone(), behind[1].clone(), nonsense]);
    assert_eq!(ids(&told), ["p-2", "p-3", "p-4"]);
    for told in &told {
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Parked, "lane_suspended")
        );
        assert_eq!(
            told.detail(),
            format!(
                "parked untried behind the message that suspended the lane: {}",
                first.detail()
            )
        );
    }
    let parked: Vec<_> =
        story.clearing.parked.iter().map(|p| (p.parked_seq, p.request_id.as_str())).collect();
    assert_eq!(parked, [(1, "p-1"), (2, "p-2"), (3, "p-3"), (4, "p-4")]);
    assert_eq!(story.clearing.lane.parked_seq, 4);
    assert_eq!((story.clearing.lane.seq, story.account.lane.seq), (1, 1), "nothing was decided");
    assert_eq!(story.money(), "USDT 100 available");
}

#[test]
fn what_follows_poison_in_its_batch_is_parked_behind_it() {
    let mut story = Story::spot();
    let events = [deposit("1 USDT"), deposit("0 USDT"), deposit("2 USDT"), reserved("1 USDT")];
    let batch: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(n, event)| story.message(&format!("b-{n}"), event))
        .collect();
    let told = story.deliver(&batch);
    let status: Vec<_> = told.iter().map(|told| (told.request_id(), told.status())).collect();
    let parked = OutcomeStatus::Parked;
    assert_eq!(
        status,
        [("b-0", OutcomeStatus::Posted), ("b-1", parked), ("b-2", parked), ("b-3", parked)]
    );
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_redelivered_parked_message_keeps_its_number_and_writes_nothing() {
    let mut story = Story::spot();
    let poison = story.message("p-1", &deposit("0 USDT"));
    let behind = story.message("p-2", &deposit("1 USDT"));
    let first = story.deliver(&[poison.clone(), behind.clone()]);
    story.now = story.now.plus_seconds(600);
    let arrivals: Vec<_> =
        [&poison, &behind].into_iter().flat_map(|sent| clearing_arrivals(&story, sent)).collect();
    let advance = story.clearing.propose(&arrivals, story.now).unwrap();
    assert!(advance.rows.is_empty() && advance.parked.is_empty());
    assert_eq!(advance.lane, story.clearing.lane);
    let letters: Vec<_> =
        advance.steps.iter().map(|step| step.dead_letter.as_ref().unwrap().parked_seq).collect();
    assert_eq!(letters, [1, 2]);
    let again = story.onwards(&advance.steps);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first.deduplication_id, again.deduplication_id, "one answer a message");
    }
}

#[test]
fn what_was_journaled_before_the_suspension_is_still_answered() {
    let mut story = Story::spot();
    let message = story.message("d-1", &deposit("100 USDT"));
    let first = story.tell_sent(&message);
    let poison = story.message("p-1", &deposit("0 USDT"));
    story.tell_sent(&poison);
    assert_eq!(story.tell_sent(&message), first, "a redelivery");
    assert_replayed(&first, &story.tell_sent(&message.again()));
    assert_eq!(story.clearing.lane.parked_seq, 1);
}

#[test]
fn poison_at_account_suspends_that_stage_alone_and_keeps_the_order() {
    let mut story = Story::perpetual().holding("USDT 1 available");
    let told = story.tell(&released("5 USDT"));
    assert_eq!(told.message.outcome.stage, StageName::Account);
    assert_eq!(story.suspended(), [StageName::Account]);
    let next = story.message("n-1", &deposit("1 USDT"));
    let told = story.tell_sent(&next);
    assert_eq!(
        (told.status(), told.message.outcome.stage),
        (OutcomeStatus::Parked, StageName::Account)
    );
    assert_eq!(
        (story.clearing.lane.seq, story.position.lane.seq, story.account.lane.seq),
        (2, 2, 0)
    );
    assert_eq!(story.account.lane.upstream_seq, 2, "what is parked has arrived");
    let again = story.tell_sent(&next.again());
    assert_eq!(again.status(), OutcomeStatus::Parked);
    assert!(again.message.outcome.replayed);
    assert_eq!(
        again.detail(),
        "the first message of this request is parked; its outcome follows when it is redriven"
    );
    assert_eq!(story.account.lane.parked_seq, 2, "a repetition is not parked again");
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn poison_at_position_changes_neither_position_nor_money() {
    let mut story = Story::perpetual().holding("USDT 100 available");
    let huge = perpetual("buy", "999999999999999", "999999999999999");
    let told = story.tell(&huge);
    assert_eq!(
        (told.status(), told.message.outcome.stage),
        (OutcomeStatus::Parked, StageName::Position)
    );
    assert!(told.detail().starts_with("a figure is out of range"), "{}", told.detail());
    assert!(story.position.state.positions.is_empty());
    assert_eq!(story.money(), "USDT 100 available");
}

// ── figures at the edge ────────────────────────────────────────────────────────────────────

/// What is decided has to be readable again, or the lane can neither go on nor be parked.
fn ends_in_an_outcome(mut story: Story, events: &[Value]) {
    for event in events {
        let id = format!("e-{}", story.clearing.lane.seq + 1);
        let message = story.message(&id, event);
        let arrivals = clearing_arrivals(&story, &message);
        if let Err(error) = story.clearing.propose(&arrivals, story.now) {
            panic!("clearing can neither decide nor park {event}: {error}");
        }
        let told = story.tell_sent(&message);
        assert!(
            matches!(told.status(), OutcomeStatus::Posted | OutcomeStatus::Parked),
            "{}",
            told.body
        );
    }
}

#[test]
fn a_fill_worth_more_than_any_amount_is_poison_and_not_the_end_of_the_service() {
    ends_in_an_outcome(Story::spot(), &[spot("buy", "10000000000", "1000000000")]);
}

#[test]
fn balances_that_outgrow_every_amount_are_poison_and_not_the_end_of_the_service() {
    let most = deposit("999999999999999.999999 USDT");
    ends_in_an_outcome(Story::spot(), &[most.clone(), most]);
}

#[test]
fn a_position_worth_more_than_any_amount_is_poison_and_not_the_end_of_the_service() {
    ends_in_an_outcome(Story::perpetual(), &[perpetual("buy", "10000000000", "10000000000")]);
}

// ── between the stages ─────────────────────────────────────────────────────────────────────

/// What clearing sends on of `events`, one unit each.
fn units(story: &mut Story, events: &[Value]) -> Vec<String> {
    let mut units = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let message = story.message(&format!("u-{n}"), event);
        let arrivals = clearing_arrivals(story, &message);
        for step in story.clearing.take(&arrivals, story.now) {
            let Output::Forward { unit, .. } = step.output else { panic!("clearing sends on") };
            units.push(unit);
        }
    }
    units
}

fn into_account(account: &mut LaneOf<Accounts>, key: &AccountKey, units: &[&str]) -> Vec<Value> {
    let mut told = Vec::new();
    for (id, body) in pack(key, units) {
        let message = RawMessage {
            message_id: &id[..32],
            deduplication_id: None,
            sent_at: noon(),
            receives: 1,
            body: &body,
        };
        for step in account.take(&Accounts::read(key, message), noon()) {
            let Output::Outcome { body, .. } = step.output else { panic!("account answers") };
            told.push(serde_json::from_str(&body).unwrap());
        }
    }
    told
}

#[test]
fn a_gap_in_what_comes_from_upstream_is_poison() {
    let mut story = Story::spot();
    let units = units(
        &mut story,
        &[deposit("1 USDT"), deposit("2 USDT"), deposit("3 USDT"), deposit("4 USDT")],
    );
    let key = story.account_key.clone();
    let told = into_account(&mut story.account, &key, &[&units[0], &units[2], &units[3]]);
    let status: Vec<_> =
        told.iter().map(|told| told["outcome"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["posted", "parked", "parked"]);
    assert_eq!(
        told[1]["outcome"]["reason"]["detail"],
        "upstream sequence 3 came where 2 was due: something before it is missing"
    );
    assert_eq!(story.account.lane.status, LaneStatus::Suspended);
    assert_eq!((story.account.lane.upstream_seq, story.account.lane.parked_seq), (1, 2));
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_whole_pack_redelivered_between_stages_posts_once() {
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT"), reserved("9 USDT"), deposit("3 USDT")]);
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    let key = story.account_key.clone();
    let first = into_account(&mut story.account, &key, &units);
    let again = into_account(&mut story.account, &key, &units);
    assert_eq!(first, again);
    assert_eq!((story.account.lane.seq, story.money().as_str()), (3, "USDT 4 available"));
}

#[test]
fn one_unreadable_unit_stops_the_lane_where_it_stands() {
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT"), deposit("2 USDT"), deposit("3 USDT")]);
    let broken = units[1].replace("\"upstream_seq\":2", "\"upstream_seq\":\"two\"");
    let key = story.account_key.clone();
    let told = into_account(&mut story.account, &key, &[&units[0], &broken, &units[2]]);
    let status: Vec<_> =
        told.iter().map(|told| told["outcome"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["posted", "parked", "parked"]);
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_pack_or_a_unit_of_another_account_is_poison() {
    let other: AccountKey = "acme_spot_retail_A-2002".parse().unwrap();
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT")]);
    let (_, body) = pack(&other, &[&units[0]]).remove(0);
    let message = RawMessage {
        message_id: "m",
        deduplication_id: None,
        sent_at: noon(),
        receives: 1,
        body: &body,
    };
    let arrivals = Accounts::read(&story.account_key, message);
    assert!(matches!(&arrivals[..], [Arrival { content: Content::Unreadable(_), .. }]));
    let arrivals = Accounts::read(&other, message);
    assert!(
        matches!(&arrivals[..], [Arrival { content: Content::Unreadable(_), .. }]),
        "the unit's header says whose it is"
    );
}

#[test]
fn what_travels_between_stages_keeps_the_messages_first_time_of_sending() {
    let mut story = Story::spot();
    let message = story.message("r-1", &deposit("1 USDT"));
    story.now = story.now.plus_seconds(900);
    story.tell_sent(&message);
    assert_eq!(story.account.journal[0].sent_at, noon());
    assert_eq!(story.account.journal[0].decided_at, noon().plus_seconds(900));
}

#[test]
fn a_large_batch_travels_in_several_packs_and_keeps_its_order() {
    let mut story = Story::perpetual();
    let batch: Vec<_> =
        (0..130).map(|n| story.message(&format!("b-{n}"), &deposit("1 USDT"))).collect();
    let told = story.deliver(&batch);
    let expected: Vec<String> = (0..130).map(|n| format!("b-{n}")).collect();
    assert_eq!(ids(&told), expected);
    assert_eq!(story.money(), "USDT 130 available");
}

#[test]
fn a_pack_is_read_by_what_it_says_and_nothing_else() {
    let read = serde_json::from_str::<Pack>(
        "{\"account\":\"acme_spot_retail_A-1\",\"units\":[],\"more\":1}",
    );
    assert!(read.is_err(), "unknown fields are invalid here too");
}

// ── the journal proves itself ──────────────────────────────────────────────────────────────

#[test]
fn a_row_that_was_altered_breaks_the_chain() {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    story.posted(&deposit("200 USDT"));
    let rows = &story.account.journal;
    let altered = |change: fn(&mut cap_domain::lane::Row)| {
        let mut row = rows[0].clone();
        change(&mut row);
        row.hash_after(&story.account_key, Default::default())
    };
    assert_eq!(altered(|_| {}), rows[0].hash);
    let changes: [fn(&mut cap_domain::lane::Row); 10] = [
        |row| row.seq += 1,
        |row| row.request_id = "other".parse().unwrap(),
        |row| row.fingerprint.0[0] ^= 1,
        |row| row.source_id.push('x'),
        |row| row.upstream_seq = None,
        |row| row.kind.push('x'),
        |row| row.decided_at = row.decided_at.plus_seconds(1),
        |row| row.rules_version += 1,
        |row| row.input.push(' '),
        |row| row.result = row.result.replace("100.000000", "900.000000"),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_ne!(altered(change), rows[0].hash, "change {n}");
    }
    let elsewhere: AccountKey = "acme_spot_retail_A-2".parse().unwrap();
    assert_ne!(rows[0].hash_after(&elsewhere, Default::default()), rows[0].hash);
}

/// What one message of a random story is.
#[derive(Debug, Clone)]
enum Act {
    Event(Value),
    Repeat(prop::sample::Index),
    Redeliver(prop::sample::Index),
    Conflict(prop::sample::Index),
    Stale(Value),
    Future(Value),
}

fn amount() -> impl Strategy<Value = String> {
    (1_i64..300_000, prop::sample::select(vec!["USDT", "BTC"]))
        .prop_map(|(units, code)| format!("{}.{:02} {code}", units / 100, units % 100))
}

fn either_side() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["buy", "sell"])
}

fn fills(perpetual_product: bool) -> BoxedStrategy<Value> {
    (either_side(), 1_i64..3_000, 1_i64..500_000, -300_i64..300, 0_i64..20)
        .prop_map(move |(side, quantity, price, fee, reserve)| {
            let (quantity, price) =
                (format!("0.{quantity:04}"), format!("{}.{:02}", price / 100 + 1, price % 100));
            let trade = if perpetual_product {
                perpetual(side, &quantity, &price)
            } else {
                spot(side, &quantity, &price)
            };
            let fee = format!("{}0.{:06} USDT", if fee < 0 { "-" } else { "" }, fee.abs());
            of_reserve(at_fee(trade, &fee), if reserve == 0 { "0.01" } else { "0" })
        })
        .boxed()
}

fn events(perpetual_product: bool) -> BoxedStrategy<Value> {
    let fill = fills(perpetual_product);
    let funded = if perpetual_product {
        (-50_i64..50, 1_i64..5_000)
            .prop_map(|(rate, mark)| {
                funding(
                    &format!("{}0.00{:02}", if rate < 0 { "-" } else { "" }, rate.abs()),
                    &mark.to_string(),
                )
            })
            .boxed()
    } else {
        Just(json!({ "type": "margin.changed" })).boxed()
    };
    prop_oneof![
        4 => amount().prop_map(|a| deposit(&a)),
        3 => amount().prop_map(|a| reserved(&a)),
        3 => amount().prop_map(|a| reserved_borrowing(&a)),
        6 => fill,
        2 => funded,
        1 => amount().prop_map(|a| fee(&a)),
        1 => amount().prop_map(|a| interest(&a)),
        2 => (0..4, amount()).prop_map(|(n, a)| withdrawal(&format!("w-{n}"), &a)),
        1 => amount().prop_map(|a| adjusted(&format!("-{a}"), "reject")),
        1 => amount().prop_map(|a| adjusted(&a, "force")),
        1 => amount().prop_map(|a| credit_changed(&a, true)),
        1 => Just(opened()),
        1 => Just(closed()),
        1 => Just(reserved("0 USDT")),
        1 => Just(liquidation_started()),
    ]
    .boxed()
}

fn acts(perpetual_product: bool) -> impl Strategy<Value = Vec<Act>> {
    let event = events(perpetual_product);
    let act = prop_oneof![
        20 => event.clone().prop_map(Act::Event),
        2 => any::<prop::sample::Index>().prop_map(Act::Repeat),
        2 => any::<prop::sample::Index>().prop_map(Act::Redeliver),
        1 => any::<prop::sample::Index>().prop_map(Act::Conflict),
        1 => event.clone().prop_map(Act::Stale),
        1 => event.prop_map(Act::Future),
    ];
    prop::collection::vec(act, 1..40)
}

/// The message of `act`, as the next of `before`.
fn message_of(story: &mut Story, act: &Act, before: &[Sent]) -> Sent {
    let id = format!("r-{}", before.len());
    let shifted = |story: &mut Story, event: &Value, seconds: i64| {
        let mut envelope = story.envelope(&id, event);
        envelope["header"]["initiated_at"] = json!(story.now.plus_seconds(seconds));
        story.sent(&id, envelope.to_string())
    };
    match act {
        Act::Event(event) => story.message(&id, event),
        Act::Stale(event) => shifted(story, event, -301),
        Act::Future(event) => shifted(story, event, 61),
        _ if before.is_empty() => story.message(&id, &deposit("1 USDT")),
        Act::Repeat(index) => {
            Sent { message_id: format!("again-{}", before.len()), ..index.get(before).clone() }
        }
        Act::Redeliver(index) => index.get(before).clone(),
        Act::Conflict(index) => {
            let id = index.get(before).deduplication_id.clone().unwrap();
            story.message(id.as_str(), &fee("0.01 ETH"))
        }
    }
}

/// Plays `acts` in batches of `batch`; every message has one outcome, in the order of the lane.
fn play(product: &str, credit: bool, acts: &[Act], batch: usize) -> Story {
    let mut story = Story::of(product);
    story.posted(&if credit { opened_with_credit("500 USDT") } else { opened() });
    let mut sent: Vec<Sent> = Vec::new();
    for acts in acts.chunks(batch) {
        let first = sent.len();
        for act in acts {
            let message = message_of(&mut story, act, &sent);
            sent.push(message);
        }
        let told = story.deliver(&sent[first..]);
        let told: Vec<_> = told.iter().map(Told::request_id).collect();
        let asked: Vec<_> = sent[first..]
            .iter()
            .map(|sent| sent.deduplication_id.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(told, asked, "one outcome a message, in the order of the lane");
    }
    story
}

fn assert_sound(story: &Story) {
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
    for balance in story.account.state.balances.values() {
        assert!(balance.available.is_zero() || balance.borrowed.is_zero(), "{balance:?}");
        for (name, share) in common::shares(balance) {
            assert!(!share.is_negative(), "{name} is below zero: {balance:?}");
        }
    }
    let margins = story.position.state.positions.values().map(|position| position.margin.units());
    let usdt = story.account.state.balances.get(&"USDT".parse().unwrap());
    if story.account.lane.status == LaneStatus::Active
        && story.position.lane.status == LaneStatus::Active
    {
        assert_eq!(
            margins.sum::<i128>(),
            usdt.map_or(0, |b| b.margin.units()),
            "positions' margins are the account's"
        );
    }
    let mut rows =
        story.account.journal.iter().map(|row| row.request_id.as_str()).collect::<Vec<_>>();
    rows.sort_unstable();
    let count = rows.len();
    rows.dedup();
    assert_eq!(rows.len(), count, "no request is journaled twice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spot_story_is_answered_in_order_and_proves_itself(
        credit: bool,
        acts in acts(false),
        batch in 1_usize..12,
    ) {
        assert_sound(&play("spot", credit, &acts, batch));
    }

    #[test]
    fn any_perpetual_story_is_answered_in_order_and_proves_itself(
        credit: bool,
        acts in acts(true),
        batch in 1_usize..12,
    ) {
        assert_sound(&play("perpetual", credit, &acts, batch));
    }

    #[test]
    fn how_messages_are_batched_changes_nothing(acts in acts(true), batch in 2_usize..12) {
        let one_by_one = play("perpetual", true, &acts, 1);
        let batched = play("perpetual", true, &acts, batch);
        prop_assert_eq!(&one_by_one.account.state, &batched.account.state);
        prop_assert_eq!(&one_by_one.position.state, &batched.position.state);
        prop_assert_eq!(one_by_one.account.lane.parked_seq, batched.account.lane.parked_seq);
    }
}
