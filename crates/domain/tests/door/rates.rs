//! Rates are read with the events that may borrow or repay in a card's currency, and with no other.

use std::collections::BTreeMap;

use cap_domain::event::EventKind;
use cap_domain::money::Rates;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::{currency, money};
use crate::{read, read_with_rates, refused};

/// One event of each kind, and the product that has it.
fn one_of_each() -> Vec<(&'static str, Value)> {
    vec![
        ("spot", opened()),
        ("spot", closed()),
        ("spot", credit_changed("5 USD", true)),
        ("spot", deposit("1 USDT")),
        ("spot", withdrawal("w-1", "1 USDT")),
        ("spot", settled("w-1")),
        ("spot", cancelled("w-1")),
        ("spot", reserved("1 USDT")),
        ("spot", released("1 USDT")),
        ("spot", spot("buy", "1", "1")),
        ("perpetual", perpetual("buy", "1", "1")),
        ("perpetual", funding("0.1", "1")),
        ("spot", fee("1 USDT")),
        ("spot", interest("1 USDT")),
        ("spot", liquidation_started()),
        ("spot", liquidation_ended()),
        ("spot", adjusted("1 USDT", "force")),
    ]
}

#[test]
fn the_events_that_may_owe_in_another_currency_carry_rates_and_no_other_does() {
    let carrying = [
        EventKind::DepositReceived,
        EventKind::WithdrawalCancelled,
        EventKind::OrderReserved,
        EventKind::OrderReleased,
        EventKind::TradeFilled,
        EventKind::FundingCharged,
        EventKind::FeeCharged,
        EventKind::InterestCharged,
        EventKind::AdjustmentPosted,
    ];
    for (product, event) in one_of_each() {
        let (bare, none) = read_with_rates(product, &event).unwrap();
        assert!(none.is_empty(), "{event}");
        let read = read_with_rates(product, &at_rates(event.clone(), "USD/USDT 0.9991"));
        if carrying.contains(&bare.kind()) {
            let (same, rates) = read.unwrap();
            assert_eq!(same, bare, "rates are beside the event, not of it");
            let exchange = rates.between(currency("USD"), currency("USDT")).unwrap();
            assert_eq!(exchange.of(money("100 USD")), Ok(money("99.91 USDT")), "{event}");
        } else {
            let refused = read.unwrap_err();
            assert!(refused.starts_with("rates: unknown field `rates`, "), "{refused}");
        }
    }
}

#[test]
fn a_rate_that_cannot_be_is_named_with_the_reason() {
    let rates = |pair: &str, rate: Value| json!({ "rates": { pair: rate } });
    let case = |fields, expected| (fee("1 USDT"), fields, expected);
    let many: BTreeMap<String, &str> = (0..17).map(|n| (format!("C{n}/USD"), "1")).collect();
    refused(
        "spot",
        &[
            case(rates("USD/USDT", json!("0")), "rates.USD/USDT: 0 is not above zero"),
            case(rates("USD/USDT", json!("-0.9")), "rates.USD/USDT: -0.9 is not above zero"),
            case(
                rates("USD/USDT", json!("1e3")),
                "rates.USD/USDT: \"1e3\" is not a decimal number",
            ),
            case(
                rates("USD/USDT", json!("0.0000000000001")),
                "rates.USD/USDT: 0.0000000000001 has more than 15 digits before the point or 12 after it",
            ),
            case(
                rates("USDUSDT", json!("1")),
                "rates.USDUSDT: is not two currencies, such as USD/USDT",
            ),
            case(
                rates("usd/USDT", json!("1")),
                "rates.usd/USDT: currency \"usd\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            case(
                rates("USD/USDT/HKD", json!("1")),
                "rates.USD/USDT/HKD: currency \"USDT/HKD\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            case(rates("USD/EUR", json!("1")), "rates.USD/EUR: there is no currency EUR"),
            case(rates("USD/USD", json!("1")), "rates.USD/USD: is of one currency"),
            case(json!({ "rates": many }), "rates: 17 rates, 16 is the most"),
            case(
                rates("USD/USDT", json!(0.9991)),
                "rates.USD/USDT: invalid type: floating point `0.9991`, expected a string",
            ),
            case(
                json!({ "rates": "0.9991" }),
                "rates: invalid type: string \"0.9991\", expected a map",
            ),
        ],
    );
}

#[test]
fn a_rate_may_be_of_a_currency_that_the_product_does_not_hold_and_of_both_ways() {
    let event = at_rates(fee("1 USDT"), "USD/USDT 0.9991, USDT/USD 1.0009, BTC/ETH 20");
    assert!(read("spot", &event).is_ok());
    assert!(read("spot", &with(fee("1 USDT"), json!({ "rates": {} }))).is_ok());
}

#[test]
fn rates_read_back_as_they_were_journaled() {
    let event = at_rates(fee("1 USDT"), "USDT/USD 1.00090, BTC/USD 61000");
    let (_, rates) = read_with_rates("spot", &event).unwrap();
    let written = serde_json::to_string(&rates).unwrap();
    assert_eq!(written, r#"{"BTC/USD":"61000","USDT/USD":"1.00090"}"#);
    let back: Rates = serde_json::from_str(&written).unwrap();
    assert_eq!((&back, serde_json::to_string(&back).unwrap()), (&rates, written));
    assert_eq!(rates.to_string(), "BTC/USD 61000, USDT/USD 1.00090");
    let twice = r#"{"BTC/USD":"1","BTC/USD":"2"}"#;
    assert!(serde_json::from_str::<Rates>(twice).is_err());
}
