//! A card in another currency lends through the exchange: the smallest amount of its currency that
//! covers what is short (C1, C2, C5, C6 of the decisions on credit).

use serde_json::json;

use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{money, vectors};
use crate::{came_of, check};

/// USD 1.00 buys 0.9991 USDT.
const DOWN: &str = "USD/USDT 0.9991";

#[test]
fn what_is_short_is_bought_with_the_smallest_amount_of_the_cards_currency() {
    check(
        Story::spot,
        &[
            // 200 short: 200 / 0.9991 = 200.180…, 200.18 · 0.9991 = 199.999838 is not enough,
            // 200.19 · 0.9991 = 200.009829 is: what is over stays available.
            (
                "USDT 100 available",
                Some("500 USD"),
                at_rates(reserved_borrowing("300 USDT"), DOWN),
                "posted",
                "USD 200.19 borrowed; USDT 0.009829 available, 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200.19 USD; house:exchange → available 200.009829 USDT; borrowed → available 200.19 USD",
            ),
            // The other direction: 200.18 / 1.0009 = 200 exactly.
            (
                "USDT 100 available",
                Some("500 USD"),
                at_rates(reserved_borrowing("300 USDT"), "USDT/USD 1.0009"),
                "posted",
                "USD 200.18 borrowed; USDT 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200.18 USD; house:exchange → available 200 USDT; borrowed → available 200.18 USD",
            ),
            // 0.00000001 BTC costs 0.005 USD; a cent buys two of them.
            (
                "",
                Some("500 USD"),
                at_rates(reserved_borrowing("0.00000001 BTC"), "BTC/USD 500000"),
                "posted",
                "BTC 0.00000001 available, 0.00000001 frozen; USD 0.01 borrowed",
                "available → frozen 0.00000001 BTC; available → house:exchange 0.01 USD; house:exchange → available 0.00000002 BTC; borrowed → available 0.01 USD",
            ),
            // Nothing is short: nothing is exchanged, and rates that are not needed are harmless.
            (
                "USDT 300 available",
                Some("500 USD"),
                at_rates(reserved_borrowing("300 USDT"), DOWN),
                "posted",
                "USDT 300 frozen",
                "available → frozen 300 USDT",
            ),
        ],
    );
}

#[test]
fn money_of_the_cards_currency_is_used_before_any_is_borrowed() {
    let reserve = || at_rates(reserved_borrowing("300 USDT"), "USD/USDT 1");
    check(
        Story::spot,
        &[
            (
                "USD 150 available; USDT 100 available",
                Some("500 USD"),
                reserve(),
                "posted",
                "USD 50 borrowed; USDT 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200 USD; house:exchange → available 200 USDT; borrowed → available 50 USD",
            ),
            // No limit is asked for what is not borrowed.
            (
                "USD 250 available; USDT 100 available",
                Some("0.01 USD"),
                reserve(),
                "posted",
                "USD 50 available; USDT 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200 USD; house:exchange → available 200 USDT",
            ),
            // What may not borrow takes nothing of another currency either.
            (
                "USD 250 available; USDT 100 available",
                Some("500 USD"),
                at_rates(reserved("300 USDT"), "USD/USDT 1"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 500.00 USD",
                "USD 250 available; USDT 100 available",
                "",
            ),
        ],
    );
}

#[test]
fn without_the_rate_it_needs_a_request_is_invalid_and_a_fact_is_poison() {
    let missing =
        "rates: USD/USDT is missing, 200.000000 USDT must be borrowed on the credit line in USD";
    let reserve = |rates: &str| at_rates(reserved_borrowing("300 USDT"), rates);
    let (no, poison) = (
        format!("invalid_request: {missing}"),
        format!("parked: fee.charged is not valid: {missing}"),
    );
    let before = "USDT 100 available";
    check(
        Story::spot,
        &[
            (before, Some("500 USD"), reserved_borrowing("300 USDT"), &no, before, ""),
            // Nothing is chained, and no other rate will do.
            (before, Some("500 USD"), reserve("USD/HKD 7.8, HKD/USDT 0.13"), &no, before, ""),
            (before, Some("500 USD"), at_rates(fee("300 USDT"), "BTC/USDT 9"), &poison, before, ""),
            (before, Some("500 USD"), fee("300 USDT"), &poison, before, ""),
            (before, Some("500 USD"), adjusted("-300 USDT", "force"), &no, before, ""),
        ],
    );
}

#[test]
fn a_request_without_its_rate_suspends_nothing() {
    let mut story = Story::spot().holding("USDT 1 available").with_credit("500 USD");
    let told = story.tell(&adjusted("-10 USDT", "force"));
    assert_eq!(
        came_of(&told),
        "invalid_request: rates: USD/USDT is missing, 9.000000 USDT must be borrowed on the credit line in USD"
    );
    assert_eq!(story.suspended(), []);
    story.posted(&at_rates(adjusted("-10 USDT", "force"), "USD/USDT 1"));
    assert_eq!(story.money(), "USD 9 borrowed");
}

#[test]
fn a_fact_borrows_on_the_card_whatever_its_limit() {
    check(
        Story::spot,
        &[
            (
                "USDT 1 available",
                Some("0.01 USD"),
                at_rates(fee("10 USDT"), "USD/USDT 1"),
                "posted",
                "USD 9 borrowed",
                "available → house:fees 10 USDT; available → house:exchange 9 USD; house:exchange → available 9 USDT; borrowed → available 9 USD",
            ),
            // Old debt in the currency itself stays as it is: 10 are newly short, not 15.
            (
                "USDT 5 borrowed",
                Some("500 USD"),
                at_rates(fee("10 USDT"), "USD/USDT 1"),
                "posted",
                "USD 10 borrowed; USDT 5 borrowed",
                "available → house:fees 10 USDT; available → house:exchange 10 USD; house:exchange → available 10 USDT; borrowed → available 10 USD",
            ),
            // Interest in the card's currency is owed there without any exchange.
            (
                "USD 10 borrowed",
                Some("500 USD"),
                interest("0.5 USD"),
                "posted",
                "USD 10.5 borrowed",
                "available → house:interest 0.5 USD; borrowed → available 0.5 USD",
            ),
            (
                "USD 10 borrowed",
                Some("500 USD"),
                at_rates(interest("0.5 USDT"), "USD/USDT 1"),
                "posted",
                "USD 10.5 borrowed",
                "available → house:interest 0.5 USDT; available → house:exchange 0.5 USD; house:exchange → available 0.5 USDT; borrowed → available 0.5 USD",
            ),
        ],
    );
}

#[test]
fn a_rate_that_buys_nothing_within_any_amount_is_refused_in_words() {
    let mut story = Story::spot().with_credit("500 USD");
    let told =
        story.tell(&at_rates(reserved_borrowing("999999999999 USDT"), "USD/USDT 0.000000000001"));
    assert_eq!(
        came_of(&told),
        "invalid_request: a figure is out of range: the result of the calculation is too large"
    );
    assert_eq!(story.suspended(), []);
}

#[test]
fn the_outcome_shows_the_cards_currency_among_those_touched() {
    let mut story = Story::spot().holding("USDT 100 available").with_credit("500 USD");
    let told = story.posted(&at_rates(reserved_borrowing("300 USDT"), DOWN));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&told.body).unwrap()["outcome"]["balances"],
        json!([
            { "currency": "USD", "available": "0.00", "frozen": "0.00", "margin": "0.00", "withdrawing": "0.00", "borrowed": "200.19" },
            { "currency": "USDT", "available": "0.009829", "frozen": "300.000000", "margin": "0.000000", "withdrawing": "0.000000", "borrowed": "0.000000" },
        ])
    );
    // Looking at the card does not touch it.
    let told = story.posted(&at_rates(deposit("1 HKD"), "USD/USDT 1"));
    assert_eq!(told.message.outcome.balances.len(), 1);
}

#[test]
fn borrowing_examples_are_as_published_through_a_card_at_par() {
    for vector in vectors()["borrowing"].as_array().unwrap() {
        let text = |field: &str| vector[field].as_str().unwrap();
        let debit = format!("{} USDT", text("debit"));
        let available = format!("USDT {} available", text("available"));
        let borrowed = money(&format!("{} USD", text("published_borrowed")));
        for event in [fee(&debit), reserved_borrowing(&debit)] {
            let mut story = Story::spot().holding(&available).with_credit("1000 USD");
            story.posted(&at_rates(event, "USD/USDT 1"));
            let usd = &story.account.state.balances[&"USD".parse().unwrap()];
            assert_eq!(usd.borrowed, borrowed, "{}", vector["name"]);
        }
    }
}
