//! Positions by hand: published examples, both sides of a hedge account, isolated and inverse.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::Expected;
use cap_reference::script::Stage;
use page::{Page, about, fill, funding, hedge_account, position};
use serde_json::{Value, json};

fn hedged(trade: &str, side: &str) -> Value {
    fill("BTC-USDT", trade, json!({ "position_side": side }))
}

#[test]
fn entry_prices_and_profits_are_those_that_exchanges_publish() {
    let cases: [(&str, &str, &str); 2] = [
        ("BTC-USDT", "buy 0.5 @ 5000, buy 0.3 @ 6000", "5375"),
        ("BTC-USD", "buy 1000 @ 5000, buy 2000 @ 6000", "5625"),
    ];
    for (symbol, trades, published) in cases {
        let mut page = Page::with("perpetual", &["10 BTC", "10000 USDT"]);
        for trade in trades.split(", ") {
            page.posted(fill(symbol, trade, json!({})));
        }
        let entry_price = page.model.positions()[symbol].entry_price.clone();
        assert_eq!(entry_price.as_deref(), Some(published), "{symbol}");
    }
    let cases = [
        ("BTC-USDT", "buy 0.2 @ 7000, sell 0.2 @ 7500", "100.000000"),
        ("BTC-USDT", "sell 0.4 @ 6000, buy 0.4 @ 5000", "400.000000"),
        ("BTC-USD", "buy 15000 @ 750, sell 15000 @ 800", "1.25000000"),
    ];
    for (symbol, trades, published) in cases {
        let mut page = Page::with("perpetual", &["10 BTC", "10000 USDT"]);
        for trade in trades.split(", ") {
            page.posted(fill(symbol, trade, json!({})));
        }
        assert_eq!(page.model.positions()[symbol].realised_profit, published, "{trades}");
    }
}

#[test]
fn profit_net_of_fees_and_funding_is_what_exchanges_publish() {
    // 400 − 1.32 − 1.10 − 2.10: funding of 0.4 at 6000 and −0.000875 is 2.10, paid by the short.
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    let fee = |amount: &str| json!({ "fee": { "currency": "USDT", "amount": amount } });
    page.posted(fill("BTC-USDT", "sell 0.4 @ 6000", fee("1.32")));
    page.posted(funding("BTC-USDT", "-0.000875", "6000"));
    page.posted(fill("BTC-USDT", "buy 0.4 @ 5000", fee("1.10")));
    assert_eq!(page.money("USDT"), "1395.480000 0.000000 0.000000 0.000000 0.000000");
    // BitMEX: 20 BTC of contracts pay 0.05 at 0.25 %; 1.25 − 0.05.
    let mut page = Page::with("perpetual", &["10 BTC"]);
    page.posted(fill("BTC-USD", "buy 15000 @ 750", json!({})));
    assert_eq!(page.position_of("BTC-USD"), "15000 20.000000000000 2.00000000 0.00000000");
    page.posted(funding("BTC-USD", "0.0025", "750"));
    assert_eq!(page.money("BTC"), "7.95000000 0.00000000 2.00000000 0.00000000 0.00000000");
    page.posted(fill("BTC-USD", "sell 15000 @ 800", json!({})));
    assert_eq!(page.money("BTC"), "11.20000000 0.00000000 0.00000000 0.00000000 0.00000000");
}

#[test]
fn an_inverse_margin_comes_of_the_exact_value_and_its_reserve_is_in_the_base() {
    let mut page = Page::with("perpetual", &["1 BTC"]);
    page.posted(about("order.reserved", "0.5 BTC", json!({ "order_id": "o-1" })));
    // 1 / 3 to twelve decimals; a third of that, up: 0.1111… → 0.11111112; 0.5 − that comes back.
    let more = json!({ "leverage": "3", "reserved": "0.5" });
    let opened = position(page.posted(fill("BTC-USD", "sell 1 @ 3", more))).unwrap();
    assert_eq!((opened.side.as_str(), opened.margin.as_str()), ("short", "0.11111112"));
    assert_eq!(page.position_of("BTC-USD"), "-1 0.333333333333 0.11111112 0.00000000");
    assert_eq!(page.money("BTC"), "0.88888888 0.00000000 0.11111112 0.00000000 0.00000000");
    let flipped = page.posted(fill("BTC-USD", "buy 3 @ 4", json!({ "leverage": "1" })));
    // Closing −1: −(0.333333333333 − 0.25) = −0.083333333333 → −0.08333333; opening 2 / 4.
    let flipped = position(flipped).unwrap();
    assert_eq!((flipped.realised_profit.as_str(), flipped.quantity.as_str()), ("-0.08333333", "2"));
    assert_eq!(page.position_of("BTC-USD"), "2 0.500000000000 0.50000000 -0.08333333");
}

#[test]
fn an_inverse_margin_is_not_rounded_by_way_of_the_cost() {
    // 1 / 49.99999999975 is 0.0200000000001: the cost keeps 0.02 of it, the margin rounds up.
    let mut page = Page::with("perpetual", &["1 BTC"]);
    page.posted(fill("BTC-USD", "buy 1 @ 49.99999999975", json!({ "leverage": "1" })));
    assert_eq!(page.position_of("BTC-USD"), "1 0.020000000000 0.02000001 0.00000000");
}

#[test]
fn a_hedge_account_has_two_positions_of_a_symbol() {
    let mut page = hedge_account("1000 USDT");
    let long = position(page.posted(hedged("buy 0.1 @ 20000", "long"))).unwrap();
    assert_eq!((long.side.as_str(), long.position_side.as_deref()), ("long", Some("long")));
    page.posted(hedged("sell 0.05 @ 21000", "short"));
    assert_eq!(page.position_of("BTC-USDT long"), "0.1 2000.000000000000 200.000000 0.000000");
    assert_eq!(page.position_of("BTC-USDT short"), "-0.05 1050.000000000000 105.000000 0.000000");
    assert_eq!(page.money("USDT"), "695.000000 0.000000 305.000000 0.000000 0.000000");
    // Both are open: −0.1 · 20000 · 0.0001 + 0.05 · 20000 · 0.0001, and no position is told.
    assert_eq!(position(page.posted(funding("BTC-USDT", "0.0001", "20000"))), None);
    assert_eq!(page.money("USDT"), "694.900000 0.000000 305.000000 0.000000 0.000000");
    let closed = position(page.posted(hedged("sell 0.1 @ 21000", "long"))).unwrap();
    assert_eq!((closed.side.as_str(), closed.position_side.as_deref()), ("flat", Some("long")));
    assert_eq!(closed.realised_profit, "100.000000");
    let funded = position(page.posted(funding("BTC-USDT", "0", "20000"))).unwrap();
    assert_eq!((funded.side.as_str(), funded.quantity.as_str()), ("short", "0.05"));
    page.posted(hedged("buy 0.05 @ 20000", "short"));
    assert_eq!(position(page.posted(funding("BTC-USDT", "0.0001", "20000"))), None);
    assert_eq!(page.money("USDT"), "1149.900000 0.000000 0.000000 0.000000 0.000000");
}

#[test]
fn funding_of_a_hedge_account_is_rounded_side_by_side() {
    let mut page = hedge_account("1000 USDT");
    page.posted(hedged("buy 0.5 @ 1", "long"));
    page.posted(hedged("sell 1.5 @ 1", "short"));
    // −0.0000005 → 0 and 0.0000015 → 0.000002; together it would be 0.000001.
    page.posted(funding("BTC-USDT", "0.000001", "1"));
    assert_eq!(page.money("USDT"), "999.800002 0.000000 0.200000 0.000000 0.000000");
}

#[test]
fn what_contradicts_the_account_or_its_position_stops_at_the_position_stage() {
    let isolated = json!({ "margin_mode": "isolated", "position_side": "long" });
    let mut page = hedge_account("1000 USDT");
    page.posted(hedged("buy 0.1 @ 20000", "long"));
    let before = Stage::ALL.map(|stage| page.model.seq(stage));
    let contradictions = [
        fill("BTC-USDT", "buy 0.1 @ 20000", json!({})),
        hedged("sell 0.100000000001 @ 20000", "long"),
        hedged("buy 0.1 @ 20000", "short"),
        fill("BTC-USDT", "sell 0.1 @ 20000", isolated),
    ];
    let count = u64::try_from(contradictions.len()).unwrap();
    for event in contradictions {
        assert_eq!(page.take(event.clone()), Expected::Skipped, "{event}");
    }
    let seqs = Stage::ALL.map(|stage| page.model.seq(stage));
    assert_eq!(seqs, [before[0] + count, before[1], before[2]]);
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    assert_eq!(page.take(hedged("buy 0.1 @ 20000", "long")), Expected::Skipped);
}

#[test]
fn an_isolated_position_moves_money_like_a_cross_one_and_keeps_its_mode_while_it_is_open() {
    let isolated = || json!({ "margin_mode": "isolated" });
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    let opened = page.posted(fill("BTC-USDT", "buy 0.1 @ 20000", isolated()));
    assert_eq!(position(opened).unwrap().margin_mode, "isolated");
    assert_eq!(page.money("USDT"), "800.000000 0.000000 200.000000 0.000000 0.000000");
    assert_eq!(page.take(fill("BTC-USDT", "sell 0.2 @ 20000", json!({}))), Expected::Skipped);
    page.posted(fill("BTC-USDT", "sell 0.2 @ 21000", isolated()));
    assert_eq!(page.position_of("BTC-USDT"), "-0.1 2100.000000000000 210.000000 100.000000");
    let flat = page.posted(fill("BTC-USDT", "buy 0.1 @ 21000", isolated()));
    assert_eq!(position(flat).unwrap().margin_mode, "isolated");
    let opened = page.posted(fill("BTC-USDT", "buy 0.1 @ 20000", json!({})));
    assert_eq!(position(opened).unwrap().margin_mode, "cross");
}

fn liquidation(expected: Expected) -> Option<String> {
    position(expected).unwrap().liquidation_price
}

#[test]
fn an_isolated_position_is_liquidated_where_its_own_margin_ends() {
    let price = |trade: &str| {
        let mut page = Page::with("perpetual", &["100000 USDT"]);
        liquidation(page.posted(fill("BTC-USDT", trade, json!({ "margin_mode": "isolated" }))))
    };
    // (2000 − 20000) / (0.004 − 1) and (2000 + 20000) / (0.004 + 1).
    assert_eq!(price("buy 1 @ 20000").as_deref(), Some("18072.28915663"));
    assert_eq!(price("sell 1 @ 20000").as_deref(), Some("21912.35059761"));
    // (6000 + 50 − 60000) / (3 · (0.005 − 1))
    assert_eq!(price("buy 3 @ 20000").as_deref(), Some("18073.70184255"));
}

#[test]
fn a_cross_position_is_liquidated_where_all_the_account_has_of_the_currency_ends() {
    let mut page = Page::with("perpetual", &["10000 USDT", "1 BTC"]);
    let fee = json!({ "fee": { "currency": "USDT", "amount": "10" } });
    // (9990 − 20000) / (0.004 − 1)
    let price = liquidation(page.posted(fill("BTC-USDT", "buy 1 @ 20000", fee)));
    assert_eq!(price.as_deref(), Some("10050.20080321"));
    // What is frozen is still there, what is withdrawing is not: (8990 − 20000) / (0.004 − 1).
    page.posted(about("order.reserved", "500 USDT", json!({ "order_id": "o-1" })));
    page.posted(about("withdrawal.requested", "1000 USDT", json!({ "withdrawal_id": "w-1" })));
    let price = liquidation(page.posted(funding("BTC-USDT", "0", "20000")));
    assert_eq!(price.as_deref(), Some("11054.21686747"));
    // An isolated one beside it keeps its 300 apart: (8690 − 20000) / (0.004 − 1).
    page.posted(fill("ETH-USDT", "buy 1 @ 3000", json!({ "margin_mode": "isolated" })));
    let price = liquidation(page.posted(funding("BTC-USDT", "0", "20000")));
    assert_eq!(price.as_deref(), Some("11355.42168675"));
    // One of another currency leans on other money: 10000 · 1.004 / (1 + 1).
    let price = liquidation(page.posted(fill("BTC-USD", "buy 10000 @ 10000", json!({}))));
    assert_eq!(price.as_deref(), Some("5020"));
}

#[test]
fn cross_positions_that_share_their_money_have_no_liquidation_price() {
    let mut page = Page::with("perpetual", &["10000 USDT"]);
    page.posted(fill("BTC-USDT", "buy 0.1 @ 20000", json!({})));
    assert_eq!(liquidation(page.posted(fill("ETH-USDT", "buy 1 @ 3000", json!({})))), None);
    assert_eq!(liquidation(page.posted(funding("BTC-USDT", "0", "20000"))), None);
    assert_eq!(liquidation(page.posted(fill("ETH-USDT", "sell 1 @ 3000", json!({})))), None);
    // Alone again: (10000 + 2000) / (0.1 · 1.004), for a short of as much.
    let price = liquidation(page.posted(fill("BTC-USDT", "sell 0.2 @ 20000", json!({}))));
    assert_eq!(price.as_deref(), Some("119521.9123506"));
    let mut page = hedge_account("10000 USDT");
    assert!(liquidation(page.posted(hedged("buy 1 @ 20000", "long"))).is_some());
    assert_eq!(liquidation(page.posted(hedged("sell 0.5 @ 20000", "short"))), None);
}
