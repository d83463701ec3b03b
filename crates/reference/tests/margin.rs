//! Margin put to positions and taken out of them, and leverage, by hand (ADR 11).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::{Expected, FollowUp};
use page::{Page, about, fill, hedge_account, position, rejected};
use serde_json::{Value, json};

fn margin(symbol: &str, amount: &str) -> Value {
    json!({ "type": "margin.changed", "symbol": symbol, "amount": amount })
}

fn margin_on(side: &str, amount: &str) -> Value {
    let mut event = margin("BTC-USDT", amount);
    event["position_side"] = json!(side);
    event
}

fn leverage(symbol: &str, leverage: &str) -> Value {
    json!({ "type": "leverage.changed", "symbol": symbol, "leverage": leverage })
}

fn isolated(symbol: &str, trade: &str, leverage: &str) -> Value {
    fill(symbol, trade, json!({ "margin_mode": "isolated", "leverage": leverage }))
}

/// A fill of a hedge account, isolated or cross.
fn hedged(side: &str, trade: &str, mode: &str, leverage: &str) -> Value {
    let more = json!({ "margin_mode": mode, "leverage": leverage, "position_side": side });
    fill("BTC-USDT", trade, more)
}

/// 1000 USDT, of which 200 are the margin of 0.1 bought at 20000 with leverage 10, isolated.
fn margined() -> Page {
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    page.posted(isolated("BTC-USDT", "buy 0.1 @ 20000", "10"));
    page
}

fn follow_up(expected: &Expected) -> &FollowUp {
    expected.follow_up().unwrap()
}

/// Available and margin of a currency.
fn money(page: &Page, currency: &str) -> String {
    let balance = &page.model.balances()[currency];
    format!("{} {}", balance.available, balance.margin)
}

/// Margin of a position.
fn margin_of(page: &Page, name: &str) -> String {
    page.model.positions()[name].margin.clone()
}

#[test]
fn margin_added_is_paid_and_then_comes_to_the_position_under_a_number_of_its_own() {
    let mut page = margined();
    let expected = page.posted(margin("BTC-USDT", "100"));
    assert_eq!(money(&page, "USDT"), "700.000000 300.000000");
    let follow_up = follow_up(&expected);
    assert_eq!((expected.lane_seq(), follow_up.lane_seq), (Some(4), 5));
    assert_eq!((follow_up.kind, follow_up.balances.len()), ("margin.posted", 0));
    let shown = position(expected.clone()).unwrap();
    assert_eq!((shown.margin.as_str(), shown.quantity.as_str()), ("300.000000", "0.1"));
    assert_eq!(shown.realised_profit, "0.000000");
    assert_eq!(follow_up.positions, [shown]);
    assert_eq!(page.posted(margin("BTC-USDT", "1")).lane_seq(), Some(6));
}

#[test]
fn a_reduction_releases_its_share_of_all_the_margin_there_is_and_the_last_one_all() {
    let mut page = margined();
    page.posted(margin("BTC-USDT", "100.000001"));
    // 300.000001 · 3/10 = 90.0000003.
    page.posted(isolated("BTC-USDT", "sell 0.03 @ 20000", "10"));
    assert_eq!(margin_of(&page, "BTC-USDT"), "210.000001");
    page.posted(isolated("BTC-USDT", "sell 0.07 @ 20000", "10"));
    assert_eq!(money(&page, "USDT"), "1000.000000 0.000000");
}

#[test]
fn margin_is_taken_out_down_to_the_initial_margin_and_not_a_unit_more() {
    let mut page = margined();
    page.posted(margin("BTC-USDT", "100"));
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "-100.000001"))), "insufficient_funds");
    let expected = page.posted(margin("BTC-USDT", "-100"));
    assert_eq!(expected.follow_up(), None);
    assert_eq!(position(expected).unwrap().margin, "200.000000");
    assert_eq!(money(&page, "USDT"), "800.000000 200.000000");
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "-0.000001"))), "insufficient_funds");
}

#[test]
fn the_initial_margin_is_that_under_the_leverage_it_was_last_added_to_with_or_given() {
    let mut page = margined();
    // 200 + 2000/20 = 300 of cost 4000: under 20, 200 are enough.
    page.posted(isolated("BTC-USDT", "buy 0.1 @ 20000", "20"));
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "-100.000001"))), "insufficient_funds");
    page.posted(margin("BTC-USDT", "-40"));
    // A fill that only reduces says a leverage too, which counts for nothing: 130 of cost 2000, under
    // 20 it is 100.
    page.posted(isolated("BTC-USDT", "sell 0.1 @ 20000", "25"));
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "-30.000001"))), "insufficient_funds");
    page.posted(margin("BTC-USDT", "-30"));
    // Under 16 it is 125, and 100 put to that can be taken out again.
    page.posted(leverage("BTC-USDT", "16"));
    page.posted(margin("BTC-USDT", "100"));
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "-100.000001"))), "insufficient_funds");
    page.posted(margin("BTC-USDT", "-100"));
    assert_eq!(money(&page, "USDT"), "875.000000 125.000000");
}

#[test]
fn what_repays_first_is_margin_taken_out_too() {
    let mut page = margined();
    page.posted(margin("BTC-USDT", "800"));
    page.posted(about("fee.charged", "50 USDT", json!({ "reason": "custody" })));
    page.posted(margin("BTC-USDT", "-80"));
    assert_eq!(page.money("USDT"), "30.000000 0.000000 920.000000 0.000000 0.000000");
}

#[test]
fn what_raises_margin_never_borrows() {
    let mut page = margined();
    page.posted(json!({
        "type": "credit.changed", "currency": "USDT", "limit": "5000", "enabled": true,
    }));
    assert_eq!(rejected(&page.take(margin("BTC-USDT", "800.000001"))), "insufficient_funds");
    // Under 1 it is 2000: 1800 more than there are, of 800.
    assert_eq!(rejected(&page.take(leverage("BTC-USDT", "1"))), "insufficient_funds");
    assert_eq!(money(&page, "USDT"), "800.000000 200.000000");
    // Under 2 it is 1000: to the last unit.
    page.posted(leverage("BTC-USDT", "2"));
    assert_eq!(money(&page, "USDT"), "0.000000 1000.000000");
}

#[test]
fn a_leverage_gives_a_position_its_initial_margin_whatever_it_had() {
    let mut page = margined();
    page.posted(margin("BTC-USDT", "300"));
    // 2000/3 is 666.666666…, up.
    let raised = page.posted(leverage("BTC-USDT", "3"));
    let then = follow_up(&raised);
    assert_eq!((then.kind, then.lane_seq, then.balances.len()), ("margin.posted", 7, 0));
    assert_eq!(position(raised.clone()).unwrap().margin, "666.666667");
    assert_eq!(money(&page, "USDT"), "333.333333 666.666667");
    let same = page.posted(leverage("BTC-USDT", "3.0"));
    let Expected::Posted { balances, follow_up: None, .. } = &same else { panic!("{same:?}") };
    assert_eq!(
        (balances.len(), position(same.clone()).unwrap().margin.as_str()),
        (0, "666.666667")
    );
    let lowered = page.posted(leverage("BTC-USDT", "12.5"));
    assert_eq!(lowered.follow_up(), None);
    assert_eq!(money(&page, "USDT"), "840.000000 160.000000");
    // Cross as well.
    page.posted(fill("ETH-USDT", "sell 1 @ 2000", json!({})));
    page.posted(leverage("ETH-USDT", "4"));
    assert_eq!(money(&page, "USDT"), "340.000000 660.000000");
}

#[test]
fn an_inverse_initial_margin_comes_of_the_cost_in_the_base() {
    let mut page = Page::with("perpetual", &["1 BTC"]);
    // 1000/60000 is 0.016666666667 kept; over 10 it is 0.0016666666667, up.
    page.posted(isolated("BTC-USD", "sell 1000 @ 60000", "10"));
    assert_eq!(money(&page, "BTC"), "0.99833333 0.00166667");
    page.posted(leverage("BTC-USD", "3"));
    assert_eq!(money(&page, "BTC"), "0.99444444 0.00555556");
    page.posted(margin("BTC-USD", "0.00000002"));
    assert_eq!(rejected(&page.take(margin("BTC-USD", "-0.00000003"))), "insufficient_funds");
    page.posted(margin("BTC-USD", "-0.00000002"));
    page.posted(leverage("BTC-USD", "7"));
    // 0.016666666667/7 = 0.002380952381.
    assert_eq!(page.position_of("BTC-USD"), "-1000 0.016666666667 0.00238096 0.00000000");
}

#[test]
fn the_initial_margin_comes_of_the_cost_that_is_kept() {
    // The exact cost is 0.0200000000001, and its margin one unit more than that of the 0.02 kept.
    let mut page = Page::with("perpetual", &["1 BTC"]);
    page.posted(isolated("BTC-USD", "buy 1 @ 49.99999999975", "1"));
    assert_eq!(margin_of(&page, "BTC-USD"), "0.02000001");
    page.posted(margin("BTC-USD", "-0.00000001"));
    assert_eq!(money(&page, "BTC"), "0.98000000 0.02000000");
}

#[test]
fn in_a_hedge_account_margin_is_of_one_side_and_leverage_of_both() {
    let mut page = hedge_account("1000 USDT");
    page.posted(hedged("long", "buy 0.1 @ 20000", "isolated", "10"));
    let one = position(page.posted(leverage("BTC-USDT", "10"))).unwrap();
    assert_eq!(one.position_side.as_deref(), Some("long"));
    page.posted(hedged("short", "sell 0.05 @ 21000", "cross", "2"));
    let sides = |page: &Page| {
        ["BTC-USDT long", "BTC-USDT short"].map(|name| margin_of(page, name)).join(" ")
    };
    assert_eq!(sides(&page), "200.000000 525.000000");
    // Under 5 the long one needs 200 more and the short one 315 less.
    let lowered = page.posted(leverage("BTC-USDT", "5"));
    assert_eq!((lowered.follow_up(), position(lowered.clone())), (None, None));
    assert_eq!(sides(&page), "400.000000 210.000000");
    assert_eq!(money(&page, "USDT"), "390.000000 610.000000");
    // Under 3.125 it is 640 and 336: 366 more, of 390.
    let raised = page.posted(leverage("BTC-USDT", "3.125"));
    let margins = follow_up(&raised).positions.iter().map(|after| after.margin.as_str());
    assert_eq!(margins.collect::<Vec<_>>(), ["640.000000", "336.000000"]);
    assert_eq!(sides(&page), "640.000000 336.000000");
    assert_eq!(money(&page, "USDT"), "24.000000 976.000000");
    assert_eq!(rejected(&page.take(leverage("BTC-USDT", "3"))), "insufficient_funds");
    let long = position(page.posted(margin_on("long", "24"))).unwrap();
    assert_eq!((long.side.as_str(), long.margin.as_str()), ("long", "664.000000"));
    assert_eq!(rejected(&page.take(margin_on("short", "1"))), "invalid_request");
    page.posted(hedged("short", "buy 0.05 @ 21000", "cross", "2"));
    assert_eq!(rejected(&page.take(margin_on("short", "1"))), "no_open_position");
}

#[test]
fn what_is_wrong_is_found_in_the_form_then_in_the_account_then_in_the_position_then_in_the_money() {
    let (valid, invalid) = (margin("BTC-USDT", "1"), margin("BTC-USDT", "0"));
    let mut page = Page::of("perpetual");
    assert_eq!(rejected(&page.take(invalid.clone())), "invalid_request");
    assert_eq!(rejected(&page.take(margin_on("long", "1"))), "account_not_found");
    assert_eq!(rejected(&page.take(leverage("BTC-USDT", "5"))), "account_not_found");
    let mut page = Page::with("perpetual", &[]);
    for (event, code) in [
        (invalid.clone(), "invalid_request"),
        (margin("BTC-USDT", "-0.0"), "invalid_request"),
        (margin("BTC-USDT", "1.0000001"), "invalid_request"),
        (margin("BTC-USD", "0.000000001"), "invalid_request"),
        (margin("DOGE-USDT", "1"), "invalid_request"),
        (leverage("DOGE-USDT", "1"), "invalid_request"),
        (leverage("BTC-USDT", "0"), "invalid_request"),
        (leverage("BTC-USDT", "-1"), "invalid_request"),
        (margin_on("both", "1"), "invalid_request"),
        (margin_on("long", "1"), "invalid_request"),
        (valid.clone(), "no_open_position"),
        (margin("BTC-USDT", "-1"), "no_open_position"),
        (leverage("BTC-USDT", "5"), "no_open_position"),
    ] {
        assert_eq!(rejected(&page.take(event.clone())), code, "{event}");
    }
    page.posted(fill("BTC-USDT", "buy 0.1 @ 20000", json!({})));
    assert_eq!(rejected(&page.take(valid.clone())), "invalid_request", "it is cross");
    assert_eq!(rejected(&page.take(margin("ETH-USDT", "1"))), "no_open_position");
    page.posted(fill("BTC-USDT", "sell 0.1 @ 20000", json!({})));
    page.posted(json!({ "type": "account.closed" }));
    assert_eq!(rejected(&page.take(valid.clone())), "no_open_position", "position looks first");
    assert_eq!(rejected(&page.take(leverage("BTC-USDT", "5"))), "no_open_position");
    let mut page = hedge_account("1000 USDT");
    assert_eq!(rejected(&page.take(valid.clone())), "invalid_request");
    assert_eq!(rejected(&page.take(margin_on("long", "1"))), "no_open_position");
    let mut page = Page::with("spot", &["1000 USDT"]);
    assert_eq!(rejected(&page.take(valid)), "invalid_request");
    assert_eq!(rejected(&page.take(leverage("BTC-USDT", "5"))), "invalid_request");
}

#[test]
fn a_repetition_is_answered_and_not_followed_up_again() {
    let mut page = margined();
    let first = page.take_as("m-1", margin("BTC-USDT", "100"), 0);
    let due: Vec<_> = first.due("m-1").collect();
    let [request, posted] = due.as_slice() else { panic!("{due:?}") };
    assert!(request.is_told_under("m-1") && !request.is_told_under("derived"));
    assert!(!posted.is_told_under("m-1") && posted.is_told_under("derived"));
    let again = page.take_as("m-1", margin("BTC-USDT", "100"), 0);
    assert_eq!((again.follow_up(), again.due("m-1").count()), (None, 1));
    assert_eq!(money(&page, "USDT"), "700.000000 300.000000");
}
