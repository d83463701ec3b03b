//! Isolated margin: money moves as with cross margin, and outcomes tell where it would end.

use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::{MarginMode, Position, isolated_liquidation_price};
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};
use crate::common::{decimal, money, tiered};
use crate::{Held, fill_of};

fn position(told: &Told) -> Value {
    serde_json::from_str::<Value>(&told.body).unwrap()["outcome"]["position"].clone()
}

#[test]
fn an_isolated_position_as_outcomes_show_it() {
    let mut story = Story::perpetual().holding("USDT 10000 available");
    let told = story.posted(&isolated(perpetual("buy", "1", "20000")));
    // (2000 + 0 − 20000) / (1 · (0.004 − 1))
    let expected = json!({
        "symbol": "BTC-USDT", "side": "long", "quantity": "1", "entry_price": "20000",
        "margin": "2000.000000", "margin_mode": "isolated", "realised_profit": "0.000000",
        "liquidation_price": "18072.28915663",
    });
    assert_eq!(position(&told), expected);
    assert_eq!(story.money(), "USDT 8000 available, 2000 margin");

    let told = story.posted(&isolated(perpetual("sell", "1", "21000")));
    let expected = json!({
        "symbol": "BTC-USDT", "side": "flat", "quantity": "0", "entry_price": null,
        "margin": "0.000000", "margin_mode": "isolated", "realised_profit": "1000.000000",
    });
    assert_eq!(position(&told), expected);
    assert_eq!(story.money(), "USDT 11000 available");
}

#[test]
fn isolated_and_cross_fills_move_money_alike() {
    let trades = [("buy", "2", "20000"), ("sell", "0.5", "19000"), ("sell", "3", "18000")];
    let play = |event: fn(Value) -> Value| {
        let mut story = Story::perpetual().holding("USDT 100 available");
        for (side, quantity, price) in trades {
            story.posted(&event(at_fee(perpetual(side, quantity, price), "1.5 USDT")));
        }
        story.money()
    };
    assert_eq!(play(isolated), play(|event| event));
}

#[test]
fn the_liquidation_price_is_where_the_margin_no_longer_covers_the_maintenance() {
    // contract, trade, leverage → liquidation price
    let cases = [
        // (400 − 20000) / (0.004 − 1)
        ("BTC-USDT", "buy 1 20000", "50", Some("19678.71485944")),
        // (400 + 20000) / (1.004)
        ("BTC-USDT", "sell 1 20000", "50", Some("20318.72509960")),
        // Tier 3, amount 1300: (30000 + 1300 − 300000) / (10 · (0.01 − 1))
        ("BTC-USDT", "buy 10 30000", "10", Some("27141.41414141")),
        // At once the margin covers all the long can lose.
        ("BTC-USDT", "buy 1 20000", "1", None),
        ("BTC-USDT", "buy 1 20000", "0.5", None),
        // 0.1 BTC margin of 1 BTC: 10000 · 1.004 / (0.1 + 1)
        ("BTC-USD", "buy 10000 10000", "10", Some("9127.27272727")),
        // 10000 · (0.004 − 1) / (0.1 − 1)
        ("BTC-USD", "sell 10000 10000", "10", Some("11066.66666667")),
        // Nothing a short of an inverse contract can lose exceeds its value in BTC.
        ("BTC-USD", "sell 10000 10000", "1", None),
        // Tier 2, amount 0.005: 60000 · 1.005 / (0.6 + 0.005 + 6)
        ("BTC-USD", "buy 60000 10000", "10", Some("9129.44738834")),
    ];
    for (symbol, trade, leverage, expected) in cases {
        let contract = tiered(symbol);
        let mut held = Held::nothing_of(contract.clone());
        let parts: Vec<&str> = trade.split(' ').collect();
        let side = serde_json::from_value(json!(parts[0])).unwrap();
        let mut event = fill_of(&contract, side, decimal(parts[1]), decimal(parts[2]));
        event.leverage = decimal(leverage);
        held.take(&event);
        let found = isolated_liquidation_price(&held.position, &contract);
        assert_eq!(found, expected.map(|price| decimal(price).normalize()), "{trade} {leverage}");
    }
}

#[test]
fn a_liquidation_price_is_not_told_of_flat_positions_and_without_tiers() {
    let contract = tiered("BTC-USDT");
    let flat = Position::flat(contract.settled_in);
    assert_eq!(isolated_liquidation_price(&flat, &contract), None);
    let mut held = Held::nothing_of(contract.clone());
    held.buy("1", "20000");
    assert_eq!(isolated_liquidation_price(&held.position, &contract.without_maintenance()), None);
}

#[test]
fn a_liquidation_price_follows_the_margin_that_is_left() {
    let contract = tiered("BTC-USDT");
    let mut held = Held::nothing_of(contract.clone());
    held.buy("1", "20000");
    held.position.margin = money("3000 USDT");
    let price = isolated_liquidation_price(&held.position, &contract);
    assert_eq!(price, Some(decimal("17068.2730923695").round_dp(8).normalize()));
}

#[test]
fn a_fill_of_another_margin_mode_than_the_open_position_is_poison() {
    let cases = [
        ("0.5", "sell", "0.2", "0.5"),
        ("0.5", "buy", "0.2", "0.5"),
        // A flip closes the old one first, so its mode is still the open position's.
        ("0.50", "sell", "3", "0.5"),
    ];
    for (opened, side, quantity, held) in cases {
        let both = [
            (
                perpetual("buy", opened, "20000"),
                isolated(perpetual(side, quantity, "20000")),
                "isolated",
                "cross",
            ),
            (
                isolated(perpetual("buy", opened, "20000")),
                perpetual(side, quantity, "20000"),
                "cross",
                "isolated",
            ),
        ];
        for (first, second, fill, position) in both {
            let mut story = Story::perpetual().holding("USDT 100000 available");
            story.posted(&first);
            let told = story.tell(&second);
            assert_eq!(told.status(), OutcomeStatus::Parked);
            let sentence = format!(
                "trade.filled cannot be applied: the fill is {fill}, and the open position of {held} BTC-USDT is {position}"
            );
            assert_eq!(told.detail(), sentence);
        }
    }
}

#[test]
fn a_position_that_opens_from_flat_takes_the_mode_of_its_fill() {
    let mut story = Story::perpetual().holding("USDT 100000 available");
    story.posted(&perpetual("buy", "1", "20000"));
    story.posted(&perpetual("sell", "1", "20000"));
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    let position = story.position.state.positions.values().next().unwrap();
    assert_eq!((position.margin_mode, position.sign()), (MarginMode::Isolated, -1));
    let told = story.posted(&isolated(perpetual("buy", "2", "20000")));
    assert_eq!(told.message.outcome.position.unwrap().margin_mode, MarginMode::Isolated);
}

#[test]
fn a_hedge_account_may_hold_one_side_isolated_and_the_other_cross() {
    let mut story = Story::of("perpetual");
    story.posted(&opened_in_hedge_mode());
    story.posted(&deposit("100000 USDT"));
    story.posted(&on_side(isolated(perpetual("buy", "1", "20000")), "long"));
    story.posted(&on_side(perpetual("sell", "1", "20000"), "short"));
    let modes = story.position.state.positions.values().map(|position| position.margin_mode);
    assert_eq!(modes.collect::<Vec<_>>(), [MarginMode::Isolated, MarginMode::Cross]);
}
