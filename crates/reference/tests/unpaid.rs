//! Funding that an isolated position pays from available, then from its margin, then by force, by
//! hand (ADR 11).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::{Balance, Expected};
use cap_reference::script::Stage;
use page::{Page, about, fill, funding, hedge_account, position};
use serde_json::{Value, json};

fn isolated(symbol: &str, trade: &str) -> Value {
    fill(symbol, trade, json!({ "margin_mode": "isolated" }))
}

fn hedged(side: &str, trade: &str, mode: &str) -> Value {
    fill("BTC-USDT", trade, json!({ "margin_mode": mode, "position_side": side }))
}

/// 205 USDT, of which 200 are the margin of 0.1 bought at 20000, isolated.
fn poor() -> Page {
    let mut page = Page::with("perpetual", &["205 USDT"]);
    page.posted(isolated("BTC-USDT", "buy 0.1 @ 20000"));
    page
}

fn margin_of(expected: &Expected) -> String {
    position(expected.clone()).unwrap().margin
}

/// `available margin borrowed` of the one currency touched; none if none is.
fn touched(balances: &[Balance]) -> Option<String> {
    match balances {
        [] => None,
        [one] => Some(format!("{} {} {}", one.available, one.margin, one.borrowed)),
        more => panic!("{more:?}"),
    }
}

#[test]
fn what_available_cannot_pay_comes_out_of_the_margin_and_what_that_cannot_is_owed() {
    // The rate at 20000, and: what the request's own outcome shows of USDT, then what comes after.
    let cases = [
        ("0.0025", Some("0.000000 200.000000 0.000000"), None),
        (
            "0.0025000005",
            Some("0.000000 200.000000 0.000000"),
            Some("0.000000 199.999999 0.000000"),
        ),
        ("0.01", Some("0.000000 200.000000 0.000000"), Some("0.000000 185.000000 0.000000")),
        ("0.1025", Some("0.000000 200.000000 0.000000"), Some("0.000000 0.000000 0.000000")),
        ("0.1125", Some("0.000000 200.000000 0.000000"), Some("0.000000 0.000000 20.000000")),
        ("-0.01", Some("25.000000 200.000000 0.000000"), None),
        ("0", None, None),
    ];
    for (rate, at_once, then) in cases {
        let mut page = poor();
        let expected = page.posted(funding("BTC-USDT", rate, "20000"));
        let Expected::Posted { balances, .. } = &expected else { panic!() };
        assert_eq!(touched(balances).as_deref(), at_once, "{rate}");
        assert_eq!(margin_of(&expected), "200.000000", "{rate}: as it is");
        let follow_up = expected.follow_up();
        let shown = follow_up.and_then(|follow_up| touched(&follow_up.balances));
        assert_eq!(shown.as_deref(), then, "{rate}");
        let Some(follow_up) = follow_up else { continue };
        assert_eq!((follow_up.kind, follow_up.lane_seq), ("funding.unpaid", 5));
        let left = &page.model.positions()["BTC-USDT"].margin;
        assert_eq!((&follow_up.positions[0].margin, page.model.seq(Stage::Position)), (left, 5));
    }
}

#[test]
fn where_nothing_is_available_the_request_itself_touches_nothing() {
    let mut page = poor();
    page.posted(funding("BTC-USDT", "0.0025", "20000"));
    let expected = page.posted(funding("BTC-USDT", "0.01", "20000"));
    let Expected::Posted { balances, .. } = &expected else { panic!() };
    assert_eq!(touched(balances), None);
    assert_eq!(page.money("USDT"), "0.000000 0.000000 180.000000 0.000000 0.000000");
    let paid = &page.model.contra()[&("house:funding".to_owned(), "USDT".to_owned())];
    assert_eq!(paid, "25.000000");
    // What is left is released by shares, and is given its initial margin by a leverage.
    page.posted(isolated("BTC-USDT", "sell 0.05 @ 20000"));
    assert_eq!(page.money("USDT"), "90.000000 0.000000 90.000000 0.000000 0.000000");
    page.posted(json!({ "type": "leverage.changed", "symbol": "BTC-USDT", "leverage": "10" }));
    assert_eq!(page.money("USDT"), "80.000000 0.000000 100.000000 0.000000 0.000000");
}

#[test]
fn an_inverse_position_pays_in_the_base() {
    // 600/60000 is 0.01 BTC, its margin 0.001; a rate of 0.3 takes 0.003.
    let mut page = Page::with("perpetual", &["0.002 BTC"]);
    page.posted(isolated("BTC-USD", "sell 600 @ 60000"));
    page.posted(funding("BTC-USD", "-0.15", "60000"));
    assert_eq!(page.money("BTC"), "0.00000000 0.00000000 0.00050000 0.00000000 0.00000000");
    page.posted(funding("BTC-USD", "-0.15", "60000"));
    assert_eq!(page.money("BTC"), "0.00000000 0.00000000 0.00000000 0.00000000 0.00100000");
}

#[test]
fn a_cross_position_is_forced_at_once() {
    let mut page = Page::with("perpetual", &["205 USDT"]);
    page.posted(fill("BTC-USDT", "buy 0.1 @ 20000", json!({})));
    let expected = page.posted(funding("BTC-USDT", "0.01", "20000"));
    assert_eq!(expected.follow_up(), None);
    assert_eq!(page.money("USDT"), "0.000000 0.000000 200.000000 0.000000 15.000000");
}

#[test]
fn the_sides_of_a_hedge_account_are_netted_and_the_side_that_pays_decides() {
    // Long pays 20 and short receives 10, at 0.01 and 20000; the other way round at −0.01.
    let cases = [
        ("isolated", "cross", "0.01", "0.000000 0.000000 293.000000 0.000000 0.000000"),
        ("isolated", "isolated", "0.01", "0.000000 0.000000 293.000000 0.000000 0.000000"),
        ("cross", "isolated", "0.01", "0.000000 0.000000 300.000000 0.000000 7.000000"),
        ("cross", "isolated", "-0.01", "13.000000 0.000000 300.000000 0.000000 0.000000"),
    ];
    for (long, short, rate, left) in cases {
        let mut page = hedge_account("303 USDT");
        page.posted(hedged("long", "buy 0.1 @ 20000", long));
        page.posted(hedged("short", "sell 0.05 @ 20000", short));
        let expected = page.posted(funding("BTC-USDT", rate, "20000"));
        assert_eq!(page.money("USDT"), left, "{long} {short} {rate}");
        let drawn = expected.follow_up().map(|follow_up| {
            let [one] = follow_up.positions.as_slice() else { panic!("{follow_up:?}") };
            format!("{} {}", one.side, one.margin)
        });
        let paid_by_margin = left.contains("293");
        assert_eq!(drawn.as_deref(), paid_by_margin.then_some("long 193.000000"));
        let short = &page.model.positions()["BTC-USDT short"].margin;
        assert_eq!(short, "100.000000", "{long} {rate}");
    }
}

#[test]
fn beyond_the_margin_withdrawals_go_before_anything_is_owed_and_are_told_with_what_took_them() {
    let mut page = Page::with("perpetual", &["235 USDT"]);
    page.posted(isolated("BTC-USDT", "buy 0.1 @ 20000"));
    page.posted(json!({ "type": "liquidation.started" }));
    let asked = about("withdrawal.requested", "30 USDT", json!({ "withdrawal_id": "w-1" }));
    page.take_as("asked-w-1", asked, 0);
    // 5 of 215 from available, 200 from the margin, and 10 of the 30 on hold.
    let before = page.model.seq(Stage::Account);
    let expected = page.take_as("f-1", funding("BTC-USDT", "0.1075", "20000"), 0);
    assert_eq!(page.money("USDT"), "20.000000 0.000000 0.000000 0.000000 0.000000");
    let follow_up = expected.follow_up().unwrap();
    assert_eq!((expected.cancelled().len(), follow_up.cancelled.len()), (0, 1));
    assert_eq!(follow_up.cancelled[0].lane_seq, before + 2);
    let due: Vec<(&str, bool)> =
        expected.due("f-1").map(|due| (due.request_id, due.is_follow_up())).collect();
    assert_eq!(due, [("f-1", false), ("asked-w-1", false), ("f-1", true)]);
}

#[test]
fn what_cap_sends_itself_carries_the_rates_of_what_it_follows_from() {
    let card =
        json!({ "type": "credit.changed", "currency": "USD", "limit": "500", "enabled": true });
    let mut page = poor();
    page.posted(card);
    let with_rate = |rate: &str| {
        let mut event = funding("BTC-USDT", rate, "20000");
        event["rates"] = json!({ "USD/USDT": "2" });
        event
    };
    page.posted(with_rate("0.01"));
    assert_eq!(page.money("USDT"), "0.000000 0.000000 185.000000 0.000000 0.000000");
    // 200 are due, 185 is the margin: 15 USDT are 7.50 USD.
    page.posted(with_rate("0.1"));
    assert_eq!(page.money("USDT"), "0.000000 0.000000 0.000000 0.000000 0.000000");
    assert_eq!(page.money("USD"), "0.00 0.00 0.00 0.00 7.50");
    // Without the rate it needs it is poison, where position has applied it already.
    let mut page = poor();
    page.posted(
        json!({ "type": "credit.changed", "currency": "USD", "limit": "500", "enabled": true }),
    );
    let before = Stage::ALL.map(|stage| page.model.seq(stage));
    let expected = page.posted(funding("BTC-USDT", "0.11", "20000"));
    assert_eq!(expected.follow_up(), None);
    let seqs = Stage::ALL.map(|stage| page.model.seq(stage));
    assert_eq!(seqs, [before[0] + 2, before[1] + 2, before[2] + 1]);
}
