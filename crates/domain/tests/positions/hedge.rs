//! A hedge account holds a long and a short position of one symbol, apart from each other.

use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};

/// A hedge account with enough money, its opening journaled.
fn hedged() -> Story {
    let mut story = Story::of("perpetual");
    story.posted(&opened_in_hedge_mode());
    story.posted(&deposit("1000000 USDT"));
    story.posted(&deposit("10 BTC"));
    story
}

/// The account with what `fills` left, each `side quantity price position_side`.
fn after(fills: &[&str]) -> Story {
    let mut story = hedged();
    for fill in fills {
        story.posted(&fill_of(fill));
    }
    story
}

fn fill_of(text: &str) -> Value {
    let parts: Vec<&str> = text.split(' ').collect();
    let [side, quantity, price, position] = parts.as_slice() else { panic!("{text}") };
    on_side(perpetual(side, quantity, price), position)
}

/// `long 0.5, short 0.2` as the position stage has it.
fn held(story: &Story) -> String {
    let each = story.position.state.positions.iter().map(|(key, position)| {
        format!("{key} {} margin {}", position.quantity.normalize(), position.margin.amount())
    });
    each.collect::<Vec<_>>().join("; ")
}

fn position(told: &Told) -> Value {
    serde_json::from_str::<Value>(&told.body).unwrap()["outcome"]["position"].clone()
}

fn prove(story: &Story) {
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn each_side_opens_grows_and_closes_by_itself() {
    // trade → position told, positions afterwards
    let mut story = hedged();
    let steps = [
        ("buy 1 10000 long", "long long 1 0.000000", "BTC-USDT:long 1 margin 1000.000000"),
        (
            "sell 2 11000 short",
            "short short 2 0.000000",
            "BTC-USDT:long 1 margin 1000.000000; BTC-USDT:short -2 margin 2200.000000",
        ),
        (
            "sell 0.5 11000 long",
            "long long 0.5 500.000000",
            "BTC-USDT:long 0.5 margin 500.000000; BTC-USDT:short -2 margin 2200.000000",
        ),
        (
            "buy 2 12000 short",
            "short flat 0 -2000.000000",
            "BTC-USDT:long 0.5 margin 500.000000; BTC-USDT:short 0 margin 0.000000",
        ),
        (
            "sell 0.5 9000 long",
            "long flat 0 -500.000000",
            "BTC-USDT:long 0 margin 0.000000; BTC-USDT:short 0 margin 0.000000",
        ),
    ];
    for (trade, told, after) in steps {
        let position = position(&story.posted(&fill_of(trade)));
        let word = |field: &str| position[field].as_str().unwrap().to_owned();
        let found = ["position_side", "side", "quantity", "realised_profit"].map(word).join(" ");
        assert_eq!((found.as_str(), held(&story).as_str()), (told, after), "{trade}");
    }
    assert_eq!(story.money(), "BTC 10 available; USDT 998000 available");
    prove(&story);
}

#[test]
fn a_hedge_position_as_outcomes_show_it() {
    let told = hedged().posted(&fill_of("sell 0.5 40000 short"));
    // (1000000 + 20000) / (0.5 · (0.004 + 1))
    let expected = json!({
        "symbol": "BTC-USDT", "side": "short", "quantity": "0.5", "entry_price": "40000",
        "margin": "2000.000000", "margin_mode": "cross", "realised_profit": "0.000000",
        "position_side": "short", "liquidation_price": "2031872.50996016",
    });
    assert_eq!(position(&told), expected);
}

#[test]
fn a_fill_that_does_not_fit_the_account_is_poison_with_one_sentence() {
    let one_way = || {
        let mut story = Story::of("perpetual");
        story.posted(&opened());
        story
    };
    let cases: Vec<(Story, Value, &str)> = vec![
        (
            one_way(),
            fill_of("buy 1 10000 long"),
            "position_side is long, and the account holds one position of BTC-USDT",
        ),
        (
            hedged(),
            perpetual("buy", "1", "10000"),
            "position_side is missing, and the account holds two positions of BTC-USDT",
        ),
        (
            after(&["buy 0.30 10000 long"]),
            fill_of("sell 0.5 10000 long"),
            "it reduces BTC-USDT:long by 0.5, and 0.3 is held",
        ),
        (
            after(&["sell 0.3 10000 short"]),
            fill_of("sell 0.5 10000 long"),
            "it reduces BTC-USDT:long by 0.5, and 0 is held",
        ),
        (
            after(&["sell 0.3 10000 short"]),
            fill_of("buy 0.300001 10000 short"),
            "it reduces BTC-USDT:short by 0.300001, and 0.3 is held",
        ),
    ];
    for (mut story, event, reason) in cases {
        let before = story.position.state.clone();
        let told = story.tell(&event);
        assert_eq!(told.status(), OutcomeStatus::Parked, "{event}");
        assert_eq!(told.detail(), format!("trade.filled cannot be applied: {reason}"));
        assert_eq!(story.position.state, before, "nothing moved");
    }
}

#[test]
fn the_mode_is_that_of_the_first_opening() {
    let mut story = hedged();
    let again = story.tell(&opened());
    assert_eq!(again.code(), "account_already_open");
    story.posted(&fill_of("buy 1 10000 long"));
    prove(&story);
}

#[test]
fn funding_is_charged_on_both_sides_each_rounded_by_itself() {
    // fills, rate, mark → money, told side
    let cases = [
        (vec!["buy 2 10000 long"], "0.0001", "60000", "-12", Some("long")),
        (vec!["sell 2 10000 short"], "0.0001", "60000", "12", Some("short")),
        (vec!["buy 2 10000 long", "sell 0.5 10000 short"], "0.0001", "60000", "-9", None),
        (vec!["buy 2 10000 long", "sell 2 10000 short"], "0.0001", "60000", "0", None),
        (vec![], "0.0001", "60000", "0", None),
        (vec!["buy 2 10000 long", "sell 2 10000 long"], "0.0001", "60000", "0", None),
        // Each is 0.0000015 and goes to the even digit: together they are not 0.000003.
        (vec!["buy 3 10000 long", "sell 1 10000 short"], "0.000001", "0.5", "-0.000002", None),
        (vec!["buy 1 10000 long", "sell 3 10000 short"], "0.000001", "0.5", "0.000002", None),
    ];
    for (fills, rate, mark, moved, side) in cases {
        let mut story = after(&fills);
        let available = |story: &Story| {
            story.account.state.balances.values().map(|b| b.available.units()).sum::<i128>()
        };
        let before = available(&story);
        let told = story.posted(&funding(rate, mark));
        let moved =
            (crate::common::decimal(moved) * rust_decimal::Decimal::from(1_000_000)).normalize();
        assert_eq!((available(&story) - before).to_string(), moved.to_string(), "{fills:?}");
        let shown = position(&told);
        assert_eq!(shown["position_side"].as_str(), side, "{fills:?}");
        assert_eq!(shown.is_null(), side.is_none(), "{fills:?}");
        prove(&story);
    }
}

#[test]
fn an_account_with_a_hedge_position_does_not_close() {
    let mut story = after(&["buy 1 10000 long", "sell 0.5 10000 short"]);
    let told = story.tell(&closed());
    assert_eq!(told.code(), "account_not_empty");
    assert_eq!(told.detail(), "2 open positions: BTC-USDT:long 1, BTC-USDT:short -0.5");
}
