//! The model by hand: examples that can be worked out on paper from the contract.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::Expected;
use cap_reference::script::Stage;
use page::{Page, about, rejected};
use serde_json::{Value, json};

/// What is changed in an outcome.
type Patch = fn(&mut Value);

fn reserved(money: &str, may_borrow: bool) -> Value {
    about("order.reserved", money, json!({ "order_id": "o-1", "may_borrow": may_borrow }))
}

fn spot(side: &str, quantity: &str, price: &str, reserved: &str, fee: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "base": "BTC",
        "quote": "USDT", "side": side, "quantity": quantity, "price": price, "reserved": reserved,
        "fee": { "currency": "USDT", "amount": fee }, "liquidity": "taker",
    })
}

fn trade(page: &mut Page, side: &str, quantity: &str, price: &str, leverage: &str) -> Expected {
    page.posted(json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "BTC-USDT",
        "side": side, "quantity": quantity, "price": price, "leverage": leverage,
        "margin_mode": "cross", "fee": { "currency": "USDT", "amount": "0" },
        "liquidity": "taker",
    }))
}

#[test]
fn a_buy_pays_from_its_reserve_and_gives_the_rest_back() {
    let mut page = Page::with("spot", &["1000 USDT"]);
    page.posted(reserved("300 USDT", false));
    assert_eq!(page.money("USDT"), "700.000000 300.000000 0.000000 0.000000 0.000000");
    // 0.01 · 25000.5 = 250.005 of 300 paid, 49.995 back, 0.25 fee: 700 + 49.995 − 0.25.
    let expected = page.posted(spot("buy", "0.01", "25000.5", "300", "0.25"));
    assert_eq!(page.money("USDT"), "749.745000 0.000000 0.000000 0.000000 0.000000");
    assert_eq!(page.money("BTC"), "0.01000000 0.00000000 0.00000000 0.00000000 0.00000000");
    let Expected::Posted { lane_seq, balances, position, .. } = expected else { panic!() };
    let touched: Vec<&str> = balances.iter().map(|balance| balance.currency.as_str()).collect();
    assert_eq!((lane_seq, touched, position), (4, vec!["BTC", "USDT"], None));
}

#[test]
fn a_value_between_two_units_goes_to_the_even_one() {
    // 0.00000001 · price, rounded to six decimals
    let cases = [("50", "0.000000"), ("150", "0.000002"), ("250", "0.000002"), ("251", "0.000003")];
    for (price, paid) in cases {
        let mut page = Page::with("spot", &[]);
        page.posted(spot("buy", "0.00000001", price, "0", "0"));
        let owed = page.model.balances().get("USDT").map(|balance| balance.borrowed.clone());
        assert_eq!(owed.unwrap_or("0.000000".to_owned()), paid, "{price}");
    }
}

#[test]
fn borrowing_is_up_to_the_line_and_what_comes_in_repays_first() {
    let mut page = Page::with("spot", &["100 USDT"]);
    assert_eq!(rejected(&page.take(reserved("300 USDT", true))), "insufficient_funds");
    page.posted(json!({
        "type": "credit.changed", "currency": "USDT", "limit": "250", "enabled": true,
    }));
    assert_eq!(rejected(&page.take(reserved("300 USDT", false))), "insufficient_funds");
    assert_eq!(rejected(&page.take(reserved("350.000001 USDT", true))), "credit_limit_exceeded");
    assert_eq!(rejected(&page.take(reserved("1 BTC", true))), "invalid_request");
    page.posted(reserved("300 USDT", true));
    assert_eq!(page.money("USDT"), "0.000000 300.000000 0.000000 0.000000 200.000000");
    page.posted(about("interest.charged", "0.5 USDT", json!({})));
    page.posted(about("deposit.received", "201 USDT", json!({ "reference": "tx-2" })));
    assert_eq!(page.money("USDT"), "0.500000 300.000000 0.000000 0.000000 0.000000");
}

#[test]
fn a_position_opens_flips_and_closes() {
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    trade(&mut page, "buy", "0.1", "20000", "10");
    assert_eq!(page.position_of("BTC-USDT"), "0.1 2000.000000000000 200.000000 0.000000");
    // 0.1 closed with (21000 − 20000) · 0.1 = 100 won, 0.05 opened short at 21000.
    let expected = trade(&mut page, "sell", "0.15", "21000", "10");
    let Expected::Posted { position: Some(position), .. } = expected else { panic!() };
    assert_eq!((position.side.as_str(), position.quantity.as_str()), ("short", "0.05"));
    assert_eq!(position.entry_price.as_deref(), Some("21000"));
    assert_eq!(position.realised_profit, "100.000000");
    assert_eq!(page.position_of("BTC-USDT"), "-0.05 1050.000000000000 105.000000 100.000000");
    trade(&mut page, "buy", "0.05", "20000", "10");
    assert_eq!(page.position_of("BTC-USDT"), "0 0.000000000000 0.000000 150.000000");
    assert_eq!(page.money("USDT"), "1150.000000 0.000000 0.000000 0.000000 0.000000");
}

#[test]
fn margin_rounds_up_and_cost_keeps_twelve_decimals() {
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    trade(&mut page, "buy", "1", "100", "3");
    assert_eq!(page.position_of("BTC-USDT"), "1 100.000000000000 33.333334 0.000000");
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    trade(&mut page, "buy", "3", "0.333333333333", "10");
    trade(&mut page, "buy", "4", "0.1", "10");
    assert_eq!(page.position_of("BTC-USDT"), "7 1.399999999999 0.140000 0.000000");
    // 1.399999999999 · 3/7 = 0.599999999999571… → 0.6; margin 0.14 · 3/7 = 0.06; 3 · 1 − 0.6.
    trade(&mut page, "sell", "3", "1", "10");
    assert_eq!(page.position_of("BTC-USDT"), "4 0.799999999999 0.080000 2.400000");
}

#[test]
fn longs_pay_positive_funding() {
    let mut page = Page::with("perpetual", &["20000 USDT"]);
    trade(&mut page, "buy", "2", "50000", "10");
    let funding = |rate: &str| json!({ "type": "funding.charged", "symbol": "BTC-USDT", "rate": rate, "mark_price": "60000" });
    // 2 · 60000 · 0.0001 = 12
    page.posted(funding("0.0001"));
    assert_eq!(page.money("USDT"), "9988.000000 0.000000 10000.000000 0.000000 0.000000");
    page.posted(funding("-0.0001"));
    assert_eq!(page.money("USDT"), "10000.000000 0.000000 10000.000000 0.000000 0.000000");
}

#[test]
fn a_withdrawal_during_a_liquidation_waits() {
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    trade(&mut page, "buy", "0.1", "20000", "10");
    page.posted(json!({ "type": "liquidation.started" }));
    let asked = about("withdrawal.requested", "5 USDT", json!({ "withdrawal_id": "w-1" }));
    let Expected::Posted { delayed, .. } = page.posted(asked) else { panic!() };
    assert!(delayed);
    let settled = json!({ "type": "withdrawal.settled", "withdrawal_id": "w-1" });
    assert_eq!(page.take(settled), Expected::Skipped);
    page.posted(json!({ "type": "withdrawal.cancelled", "withdrawal_id": "w-1" }));
    assert_eq!(page.money("USDT"), "800.000000 0.000000 200.000000 0.000000 0.000000");
}

#[test]
fn a_withdrawal_that_waits_is_settled_half_an_hour_later_even_if_the_liquidation_goes_on() {
    let mut page = Page::with("perpetual", &["1000 USDT"]);
    trade(&mut page, "buy", "0.1", "20000", "10");
    page.posted(json!({ "type": "liquidation.started" }));
    page.posted(about("withdrawal.requested", "5 USDT", json!({ "withdrawal_id": "w-1" })));
    let settled = || json!({ "type": "withdrawal.settled", "withdrawal_id": "w-1" });
    page.model.pass(30 * 60 - 1);
    assert_eq!(page.take(settled()), Expected::Skipped);
    page.model.pass(1);
    page.posted(settled());
    assert_eq!(page.money("USDT"), "795.000000 0.000000 200.000000 0.000000 0.000000");
}

#[test]
fn what_is_not_applied_changes_nothing_and_is_numbered_where_it_came_to() {
    let seqs = |page: &Page| Stage::ALL.map(|stage| page.model.seq(stage));
    let deposit = |amount: &str| about("deposit.received", amount, json!({ "reference": "tx" }));
    let mut page = Page::of("perpetual");
    assert_eq!(rejected(&page.take(reserved("1 USDT", false))), "account_not_found");
    assert_eq!(page.take(deposit("5 USDT")), Expected::Skipped, "found by position");
    assert_eq!(page.take(deposit("-5 USDT")), Expected::Skipped, "found by clearing");
    assert_eq!(seqs(&page), [2, 1, 1]);
    page.posted(json!({ "type": "account.opened", "customer": "C-1" }));
    let released = about("order.released", "1 USDT", json!({ "order_id": "o-1" }));
    assert_eq!(page.take(released), Expected::Skipped, "found by account");
    assert_eq!(seqs(&page), [4, 3, 2]);
    let first = page.take_as("once", deposit("5 USDT"), 0);
    assert_eq!(first.lane_seq(), Some(3));
    assert_eq!(page.take_as("once", deposit("6 USDT"), 0), Expected::Conflict);
    assert_eq!(page.take_as("once", deposit("5 USDT"), 0), Expected::Replayed(Box::new(first)));
    assert_eq!(page.take_as("old", deposit("5 USDT"), -301), Expected::Expired { lane_seq: 4 });
    let early = page.take_as("early", deposit("5 USDT"), 61);
    assert_eq!((rejected(&early), early.lane_seq()), ("initiated_in_the_future", Some(5)));
    assert_eq!(page.money("USDT"), "5.000000 0.000000 0.000000 0.000000 0.000000");
    assert_eq!(seqs(&page), [7, 6, 5]);
}

#[test]
fn only_an_empty_account_closes_and_it_stays_closed() {
    let mut page = Page::with("spot", &["5 USDT"]);
    let closed = || json!({ "type": "account.closed" });
    assert_eq!(rejected(&page.take(closed())), "account_not_empty");
    page.posted(about("withdrawal.requested", "5 USDT", json!({ "withdrawal_id": "w-1" })));
    assert_eq!(rejected(&page.take(closed())), "account_not_empty");
    page.posted(json!({ "type": "withdrawal.settled", "withdrawal_id": "w-1" }));
    page.posted(closed());
    let opened = json!({ "type": "account.opened", "customer": "C-1" });
    assert_eq!(rejected(&page.take(opened)), "account_closed");
}

#[test]
fn a_difference_is_one_sentence_with_both_figures() {
    let expected = Page::with("spot", &[]).posted(about(
        "deposit.received",
        "5 USDT",
        json!({ "reference": "tx" }),
    ));
    let outcome = |patch: Patch| {
        let mut outcome = json!({
            "status": "posted", "stage": "account", "lane_seq": 2,
            "decided_at": "2026-11-21T12:00:00.000Z",
            "balances": [{
                "currency": "USDT", "available": "5.000000", "frozen": "0.000000",
                "margin": "0.000000", "withdrawing": "0.000000", "borrowed": "0.000000",
            }],
        });
        patch(&mut outcome);
        outcome
    };
    assert_eq!(expected.matches(&outcome(|_| {})), Ok(()));
    let cases: [(Patch, &str); 6] = [
        (
            |o| o["balances"][0]["available"] = json!("6.000000"),
            "USDT available: expected 5.000000, found \"6.000000\"",
        ),
        (|o| o["lane_seq"] = json!(3), "lane_seq: expected Some(2), found Some(3)"),
        (|o| o["status"] = json!("parked"), "status: expected posted, found \"parked\""),
        (|o| o["replayed"] = json!(true), "replayed: expected false, found true"),
        (|o| o["balances"] = json!([]), "balances: expected [Some(\"USDT\")], found []"),
        (|o| o["position"] = json!({}), "position: expected none, found {}"),
    ];
    for (patch, sentence) in cases {
        assert_eq!(expected.matches(&outcome(patch)), Err(sentence.to_owned()));
    }
}
