//! The liquidation price of cross positions: told by account, where all that stands behind one is known
//! (ADR 14).

use cap_domain::account::AccountRuling;
use cap_domain::lane::{Body, Unit};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::CrossExposure;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};
use crate::common::{decimal, money};

fn liquidation(told: &Told) -> Option<String> {
    let position = told.message.outcome.position.as_ref().unwrap();
    position.liquidation_price.map(|price| price.to_string())
}

/// What position sent to account last.
fn exposure(story: &Story) -> Option<Box<CrossExposure>> {
    let Unit::Item(item) =
        serde_json::from_str(&story.account.journal.last().unwrap().input).unwrap()
    else {
        panic!("no item")
    };
    match item.body {
        Body::Planned { cross, .. } => cross,
        Body::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn eth(trade: Value) -> Value {
    with(trade, json!({ "symbol": "ETH-USDT" }))
}

/// A look at the position: funding that moves nothing.
fn looked_at(story: &mut Story) -> Option<String> {
    liquidation(&story.posted(&funding("0", "20000")))
}

#[test]
fn a_cross_position_as_outcomes_show_it() {
    let mut story = Story::perpetual().holding("USDT 10000 available");
    let told = story.posted(&at_fee(perpetual("buy", "1", "20000"), "10 USDT"));
    // (9990 + 0 − 20000) / (1 · (0.004 − 1))
    let expected = json!({
        "symbol": "BTC-USDT", "side": "long", "quantity": "1", "entry_price": "20000",
        "margin": "2000.000000", "margin_mode": "cross", "realised_profit": "0.000000",
        "liquidation_price": "10050.20080321",
    });
    let outcome: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(outcome["outcome"]["position"], expected);

    let told = story.posted(&perpetual("sell", "1", "21000"));
    assert_eq!(liquidation(&told), None, "nothing is held");
}

#[test]
fn all_that_the_account_has_of_the_currency_stands_behind_it() {
    // what is there → the price of one bought at 20000 with ten times leverage
    let cases = [
        // (5000 − 20000) / (0.004 − 1)
        ("USDT 5000 available", Some("15060.24096386")),
        // What is held for orders is there, what is leaving is not.
        ("USDT 4000 available, 1000 frozen, 700 withdrawing", Some("15060.24096386")),
        // Other currencies are other money.
        ("USDT 5000 available; BTC 10 available; USD 1 borrowed", Some("15060.24096386")),
        // The margin is borrowed, by force: (−1000 − 20000) / (0.004 − 1).
        ("USDT 1000 borrowed", Some("21084.3373494")),
        // All it can lose is there.
        ("USDT 20000 available", None),
    ];
    for (held, expected) in cases {
        let mut story = Story::perpetual().holding(held);
        let told = story.posted(&perpetual("buy", "1", "20000"));
        assert_eq!(liquidation(&told).as_deref(), expected, "{held}");
    }
}

#[test]
fn the_price_is_of_the_side_the_kind_the_size_and_its_tier() {
    let cases = [
        // (5000 + 20000) / (0.004 + 1)
        (perpetual("sell", "1", "20000"), "24900.39840637"),
        // Tier 3, amount 1300: (5000 + 1300 − 300000) / (10 · (0.01 − 1))
        (perpetual("buy", "10", "30000"), "29666.66666667"),
        // 0.5 BTC behind 1 BTC: 10000 · 1.004 / (0.5 + 1), and 10000 · (0.004 − 1) / (0.5 − 1).
        (inverse_perpetual("buy", "10000", "10000"), "6693.33333333"),
        (inverse_perpetual("sell", "10000", "10000"), "19920"),
        // Tier 2, amount 0.005: 60000 · 1.005 / (0.5 + 0.005 + 6)
        (inverse_perpetual("buy", "60000", "10000"), "9269.79246733"),
    ];
    for (trade, expected) in cases {
        let mut story = Story::perpetual().holding("USDT 5000 available; BTC 0.5 available");
        assert_eq!(liquidation(&story.posted(&trade)).as_deref(), Some(expected), "{trade}");
    }
}

#[test]
fn money_that_comes_and_goes_moves_the_price_and_the_next_outcome_tells_it() {
    let mut story = Story::perpetual().holding("USDT 5000 available");
    story.posted(&perpetual("buy", "1", "20000"));
    story.posted(&deposit("1000 USDT"));
    // (6000 − 20000) / (0.004 − 1)
    assert_eq!(looked_at(&mut story).as_deref(), Some("14056.2248996"));
    story.posted(&withdrawal("w-1", "2000 USDT"));
    assert_eq!(looked_at(&mut story).as_deref(), Some("16064.25702811"));
    let told = story.posted(&funding("0.001", "20000"));
    // (4000 − 20 − 20000) / (0.004 − 1)
    assert_eq!(liquidation(&told).as_deref(), Some("16084.3373494"));
}

#[test]
fn isolated_positions_keep_their_margin_apart() {
    let mut story = Story::perpetual().holding("USDT 5300 available");
    // Nothing but its own margin stands behind it: (300 − 3000) / (1 · (0.005 − 1)).
    let told = story.posted(&isolated(eth(perpetual("buy", "1", "3000"))));
    assert_eq!(liquidation(&told).as_deref(), Some("2713.5678392"));
    // (5300 − 300 − 20000) / (0.004 − 1)
    let told = story.posted(&perpetual("buy", "1", "20000"));
    assert_eq!(liquidation(&told).as_deref(), Some("15060.24096386"));
    assert_eq!(exposure(&story).unwrap().isolated_margin, Some(money("300 USDT")));
}

#[test]
fn positions_that_share_their_money_have_no_price_until_one_is_alone_again() {
    let mut story = Story::perpetual().holding("USDT 10000 available; BTC 1 available");
    story.posted(&perpetual("buy", "0.5", "20000"));
    let told = story.posted(&eth(perpetual("buy", "1", "3000")));
    assert_eq!((liquidation(&told), looked_at(&mut story)), (None, None));
    assert_eq!(exposure(&story), None, "what would be of no use does not travel");
    // One that is settled in another currency shares nothing: 10000 · 1.004 / (1 + 1).
    let told = story.posted(&inverse_perpetual("buy", "10000", "10000"));
    assert_eq!(liquidation(&told).as_deref(), Some("5020"));
    let told = story.posted(&perpetual("sell", "0.5", "20000"));
    assert_eq!(liquidation(&told), None, "closed itself");
    // (10000 − 6000) / (2 · (0.005 − 1)) is below zero, (10000 + 6000) / (2 · 1.005) is not.
    let told = story.posted(&eth(perpetual("buy", "1", "3000")));
    assert_eq!(liquidation(&told), None);
    let told = story.posted(&eth(perpetual("sell", "4", "3000")));
    assert_eq!(liquidation(&told).as_deref(), Some("7960.19900498"));
}

#[test]
fn the_two_sides_of_a_hedge_account_share_their_money() {
    let mut story = Story::of("perpetual");
    story.posted(&opened_in_hedge_mode());
    story.posted(&deposit("5000 USDT"));
    let told = story.posted(&on_side(perpetual("buy", "1", "20000"), "long"));
    assert_eq!(liquidation(&told).as_deref(), Some("15060.24096386"));
    let told = story.posted(&on_side(perpetual("sell", "0.5", "20000"), "short"));
    assert_eq!(liquidation(&told), None);
    let told = story.posted(&on_side(perpetual("buy", "0.5", "20000"), "short"));
    assert_eq!(liquidation(&told), None);
    assert_eq!(looked_at(&mut story).as_deref(), Some("15060.24096386"));
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn another_leverage_moves_margin_and_not_the_price() {
    let mut story = Story::perpetual().holding("USDT 5000 available");
    story.posted(&perpetual("buy", "1", "20000"));
    let raised = story.posted(&leverage_changed("5"));
    assert_eq!(raised.message.outcome.position.as_ref().unwrap().margin, "4000.000000");
    assert_eq!(liquidation(&raised).as_deref(), Some("15060.24096386"));
    let [followed] = story.follow().try_into().unwrap();
    assert_eq!(liquidation(&followed).as_deref(), Some("15060.24096386"));
    let lowered = story.posted(&leverage_changed("20"));
    assert_eq!(liquidation(&lowered).as_deref(), Some("15060.24096386"));
}

#[test]
fn while_margin_is_under_way_to_a_position_nothing_is_told() {
    let mut story = Story::perpetual().holding("USDT 5300 available");
    story.posted(&perpetual("buy", "1", "20000"));
    story.posted(&isolated(eth(perpetual("buy", "1", "3000"))));
    story.posted(&with(margin_changed("100"), json!({ "symbol": "ETH-USDT" })));
    assert_eq!(looked_at(&mut story), None, "account put 100 aside that no position has");
    story.follow();
    // (5300 − 400 − 20000) / (0.004 − 1)
    assert_eq!(looked_at(&mut story).as_deref(), Some("15160.64257028"));
}

#[test]
fn declared_subjects_that_losses_are_drawn_from_stand_behind_it_too() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("10000 USD"));
    assert_eq!(story.money(), "USD 1000 bonus, 9000 cash");
    // 100000 EUR at 1.10, tier 1: (10000 − 110000) / (100000 · (0.0167 − 1))
    let told = story.posted(&cfd("buy", "1", "1.10"));
    assert_eq!(liquidation(&told).as_deref(), Some("1.01698363"));
    assert_eq!(exposure(&story).unwrap().losses_from.len(), 2);
    // Which those are, the plan of a fill says; that of funding does not.
    let told = story.posted(&with(funding("0", "1.10"), json!({ "symbol": "EUR-USD" })));
    assert_eq!(liquidation(&told), None);
    story.position.prove();
    story.account.prove();
}

#[test]
fn a_price_that_does_not_fit_is_not_told_and_stops_nothing() {
    let mut story = Story::perpetual().holding("USDT 999999999999999 available");
    let told = story.posted(&perpetual("sell", "0.000000000001", "1"));
    assert_eq!((told.status(), liquidation(&told)), (OutcomeStatus::Posted, None));
    assert!(exposure(&story).is_some());
}

#[test]
fn the_row_determines_what_is_told_and_a_copy_is_told_the_same() {
    let mut story = Story::of("perpetual");
    story.posted(&opened());
    story.posted(&deposit("5000 USDT"));
    let message = story.message("r-fill", &perpetual("buy", "1", "20000"));
    let told = story.tell_sent(&message);
    let AccountRuling::Posted { liquidation_price, .. } = story.last_ruling() else { panic!() };
    assert_eq!(liquidation_price, Some(decimal("15060.24096386")));
    story.posted(&deposit("1000 USDT"));
    let copy = story.tell_sent(&message);
    assert_eq!(
        (copy.body, copy.deduplication_id),
        (told.body.clone(), told.deduplication_id.clone())
    );
    let repeated = story.tell_sent(&message.again());
    assert_eq!(liquidation(&repeated), liquidation(&told), "the first outcome again");
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}
