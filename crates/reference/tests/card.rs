//! Credit on a card in another currency, by hand.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::Expected;
use page::{Page, about, rejected};
use serde_json::{Value, json};

/// An account with a card in USD and some money.
fn with_card(limit: &str, deposits: &[&str]) -> Page {
    let mut page = Page::with("spot", deposits);
    page.posted(card("USD", limit, true));
    page
}

fn card(currency: &str, limit: &str, enabled: bool) -> Value {
    json!({ "type": "credit.changed", "currency": currency, "limit": limit, "enabled": enabled })
}

fn reserved(money: &str, rates: Value) -> Value {
    let more = json!({ "order_id": "o-1", "may_borrow": true, "rates": rates });
    about("order.reserved", money, more)
}

fn deposit(money: &str, rates: Value) -> Value {
    about("deposit.received", money, json!({ "reference": "tx-2", "rates": rates }))
}

fn fee(money: &str, rates: Value) -> Value {
    about("fee.charged", money, json!({ "reason": "custody", "rates": rates }))
}

/// `available borrowed` of a currency.
fn free(page: &Page, currency: &str) -> String {
    let balance = &page.model.balances()[currency];
    format!("{} {}", balance.available, balance.borrowed)
}

#[test]
fn the_smallest_amount_on_the_card_that_covers_the_shortfall_is_borrowed() {
    let mut page = with_card("1000", &["100 USDT"]);
    let posted = page.posted(reserved("300 USDT", json!({ "USD/USDT": "0.9991" })));
    // 200.18 USD buy 199.999838 USDT, 200.19 buy 200.009829: what is over stays.
    assert_eq!(page.money("USDT"), "0.009829 300.000000 0.000000 0.000000 0.000000");
    assert_eq!(page.money("USD"), "0.00 0.00 0.00 0.00 200.19");
    let Expected::Posted { balances, .. } = posted else { panic!() };
    let touched: Vec<&str> = balances.iter().map(|balance| balance.currency.as_str()).collect();
    assert_eq!(touched, ["USD", "USDT"]);
    let contra = page.model.contra();
    let exchange = |currency: &str| &contra[&("house:exchange".to_owned(), currency.to_owned())];
    assert_eq!((exchange("USD").as_str(), exchange("USDT").as_str()), ("200.19", "-200.009829"));
}

#[test]
fn money_of_the_cards_currency_goes_first_and_what_is_all_there_needs_no_limit() {
    let rates = || json!({ "USDT/USD": "1.0009" });
    let mut page = with_card("1", &["100 USDT", "150 USD"]);
    assert_eq!(rejected(&page.take(reserved("300 USDT", rates()))), "credit_limit_exceeded");
    // 200 · 1.0009 = 200.18, of which 150 are there; 200.18 USD buy exactly 200 USDT.
    page.posted(card("USD", "50.18", true));
    page.posted(reserved("300 USDT", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 50.18".into(), "0.000000 0.000000".into())
    );
    let mut page = with_card("1", &["100 USDT", "250 USD"]);
    page.posted(reserved("300 USDT", rates()));
    assert_eq!(free(&page, "USD"), "49.82 0.00");
}

#[test]
fn what_may_not_or_cannot_be_borrowed_is_refused_or_poison() {
    let rates = || json!({ "USD/USDT": "1" });
    let mut page = with_card("100", &[]);
    assert_eq!(rejected(&page.take(reserved("50 USDT", json!({})))), "invalid_request");
    assert_eq!(
        rejected(&page.take(reserved("50 USDT", json!({ "USD/HKD": "1" })))),
        "invalid_request"
    );
    assert_eq!(rejected(&page.take(reserved("100.01 USDT", rates()))), "credit_limit_exceeded");
    let hopeless =
        about("order.reserved", "50 USDT", json!({ "order_id": "o-1", "rates": rates() }));
    assert_eq!(rejected(&page.take(hopeless)), "insufficient_funds");
    assert_eq!(page.take(fee("50 USDT", json!({}))), Expected::Skipped);
    // A loss is not bound by the limit.
    page.posted(fee("500 USDT", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 500.00".into(), "0.000000 0.000000".into())
    );
    for no_card in [card("USD", "100", false), card("USD", "0", true)] {
        page.posted(no_card);
        assert_eq!(rejected(&page.take(reserved("50 USDT", rates()))), "insufficient_funds");
    }
    page.posted(fee("5 USDT", json!({})));
    assert_eq!(free(&page, "USDT"), "0.000000 5.000000");
}

#[test]
fn all_that_is_owed_counts_in_the_cards_currency() {
    let rates = || json!({ "USD/USDT": "1", "USD/BTC": "0.00002" });
    let mut page = Page::with("spot", &[]);
    page.posted(fee("0.001 BTC", json!({})));
    page.posted(card("USD", "150", true));
    // 0.001 BTC are 50 USD: 100 are left.
    assert_eq!(rejected(&page.take(reserved("100.01 USDT", rates()))), "credit_limit_exceeded");
    let without = json!({ "USD/USDT": "1" });
    assert_eq!(rejected(&page.take(reserved("10 USDT", without))), "invalid_request");
    page.posted(reserved("100 USDT", rates()));
    // Old debt in another currency stays what it is, and only what is newly short is exchanged.
    page.posted(fee("0.002 BTC", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "BTC")),
        ("0.00 200.00".into(), "0.00000000 0.00100000".into())
    );
}

#[test]
fn what_comes_in_repays_through_the_exchange_if_its_event_carries_the_rate() {
    let rates = || json!({ "USD/USDT": "0.9991" });
    let mut page = with_card("1000", &[]);
    page.posted(fee("200 USDT", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 200.19".into(), "0.009829 0.000000".into())
    );
    // 100 / 0.9991 = 100.0900…
    page.posted(deposit("100 USDT", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 100.10".into(), "0.009829 0.000000".into())
    );
    page.posted(deposit("7 USDT", json!({})));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 100.10".into(), "7.009829 0.000000".into())
    );
    // Less than half a cent repays nothing.
    page.posted(deposit("0.004 USDT", rates()));
    assert_eq!(free(&page, "USDT"), "7.013829 0.000000");
    // 100.004915 / 0.9991 = 100.0950005… → 100.10, one unit less only 100.09; off or on.
    page.posted(card("USD", "0", false));
    page.posted(deposit("500 USDT", rates()));
    assert_eq!(
        (free(&page, "USD"), free(&page, "USDT")),
        ("0.00 0.00".into(), "407.008914 0.000000".into())
    );
}

#[test]
fn old_debt_in_its_own_currency_is_repaid_before_the_card() {
    let mut page = Page::with("spot", &[]);
    page.posted(fee("50 USDT", json!({})));
    page.posted(card("USD", "1000", true));
    page.posted(fee("40 USD", json!({})));
    // 80 come in: 50 are owed in USDT, the other 30 go to the card.
    page.posted(deposit("80 USDT", json!({ "USDT/USD": "1" })));
    assert_eq!(free(&page, "USDT"), "0.000000 0.000000");
    assert_eq!(free(&page, "USD"), "0.00 10.00");
    // 20 short of old debt: nothing is left for the card.
    page.posted(card("USD", "1000", false));
    page.posted(fee("20 USDT", json!({})));
    page.posted(card("USD", "1000", true));
    page.posted(deposit("15 USDT", json!({ "USDT/USD": "1" })));
    assert_eq!(free(&page, "USDT"), "0.000000 5.000000");
    assert_eq!(free(&page, "USD"), "0.00 10.00");
}

#[test]
fn a_fill_borrows_what_it_pays_and_repays_with_what_it_receives() {
    let rates = json!({ "USD/USDT": "1", "BTC/USD": "50000" });
    let mut page = with_card("1", &[]);
    page.posted(json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "base": "BTC",
        "quote": "USDT", "side": "buy", "quantity": "0.01", "price": "60000", "rates": rates,
        "fee": { "currency": "USDT", "amount": "0" }, "liquidity": "taker",
    }));
    // 600 USD are owed at once, all 0.01 BTC pay 500 of them back.
    assert_eq!(free(&page, "USDT"), "0.000000 0.000000");
    assert_eq!(
        (free(&page, "USD"), free(&page, "BTC")),
        ("0.00 100.00".into(), "0.00000000 0.00000000".into())
    );
}

#[test]
fn rates_that_are_not_valid_make_the_event_invalid() {
    let mut page = with_card("1000", &["10 USDT"]);
    let broken = [
        json!({ "USD/USDT": "0" }),
        json!({ "USD/USDT": "-1" }),
        json!({ "USD/USDT": 1 }),
        json!({ "USD/USD": "1" }),
        json!({ "USD/DOGE": "1" }),
        json!({ "USDUSDT": "1" }),
        json!("1"),
    ];
    for rates in broken {
        let request = page.take(reserved("1 USDT", rates.clone()));
        assert_eq!(rejected(&request), "invalid_request", "{rates}");
        assert_eq!(page.take(deposit("1 USDT", rates.clone())), Expected::Skipped, "{rates}");
    }
    let never =
        about("withdrawal.requested", "1 USDT", json!({ "withdrawal_id": "w-1", "rates": {} }));
    assert_eq!(rejected(&page.take(never)), "invalid_request");
    page.posted(reserved("1 USDT", json!({ "ETH/HKD": "20000" })));
}
