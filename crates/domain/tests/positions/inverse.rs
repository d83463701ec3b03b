//! Inverse contracts from the door to the money: quantity in quote units, money in base.

use cap_domain::event::Side;
use serde_json::json;

use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{decimal, inverse, money, short};
use crate::{Held, fill_of};

#[test]
fn an_inverse_position_opens_grows_flips_and_closes() {
    // trade → realised, margin added, margin released; position afterwards
    let story = [
        ("buy 1000 at 5000", "0 +0.02 -0", "long 1000 at 5000, cost 0.2, margin 0.02 BTC"),
        (
            "buy 2000 at 6000",
            "0 +0.03333334 -0",
            "long 3000 at 5625, cost 0.533333333333, margin 0.05333334 BTC",
        ),
        (
            "sell 1500 at 6000",
            "0.01666667 +0 -0.02666667",
            "long 1500 at 5624.99999999, cost 0.266666666667, margin 0.02666667 BTC",
        ),
        (
            "sell 4000 at 5000",
            "-0.03333333 +0.05 -0.02666667",
            "short 2500 at 5000, cost 0.5, margin 0.05 BTC",
        ),
        ("buy 2500 at 4000", "0.125 +0 -0.05", "flat 0 at none, cost 0, margin 0 BTC"),
    ];
    let mut held = Held::nothing_of(inverse());
    for (trade, moved, after) in story {
        let parts: Vec<&str> = trade.split(' ').collect();
        let side = if parts[0] == "buy" { Side::Buy } else { Side::Sell };
        let filled = held.trade(side, parts[1], parts[3]);
        let figure = |money| short(money).trim_end_matches(" BTC").to_owned();
        let found = format!(
            "{} +{} -{}",
            figure(filled.realised),
            figure(filled.margin_added),
            figure(filled.margin_released)
        );
        assert_eq!((found.as_str(), held.show().as_str()), (moved, after), "{trade}");
    }
}

#[test]
fn a_flip_of_an_inverse_position_splits_its_fee_by_quantity() {
    let mut held = Held::nothing_of(inverse());
    held.buy("1000", "10000");
    let mut event = fill_of(&inverse(), Side::Sell, decimal("3000"), decimal("8000"));
    event.fee = money("0.0001 BTC");
    let filled = held.take(&event);
    // 1000 · (1/10000 − 1/8000)
    assert_eq!(filled.realised, money("-0.025 BTC"));
    assert_eq!(
        (filled.margin_released, filled.margin_added),
        (money("0.01 BTC"), money("0.025 BTC"))
    );
    assert_eq!(filled.closing_fee, money("0.00003333 BTC"));
    assert_eq!(filled.opening_fee, money("0.00006667 BTC"));
    assert_eq!(held.show(), "short 2000 at 8000, cost 0.25, margin 0.025 BTC");
}

#[test]
fn an_inverse_fill_moves_the_settlement_currency_and_uses_up_its_reserve() {
    let mut story = Story::perpetual().holding("BTC 1 available, 0.05 frozen; USDT 5 available");
    let buy = at_fee(of_reserve(inverse_perpetual("buy", "1000", "5000"), "0.05"), "0.0001 BTC");
    let told = story.posted(&buy);
    assert_eq!(story.money(), "BTC 1.0299 available, 0.02 margin; USDT 5 available");
    let position = serde_json::to_value(told.message.outcome.position.unwrap()).unwrap();
    // 1000 · (0.004 + 1) / (1.0499 + 0.2)
    let expected = json!({
        "symbol": "BTC-USD", "side": "long", "quantity": "1000", "entry_price": "5000",
        "margin": "0.02000000", "margin_mode": "cross", "realised_profit": "0.00000000",
        "liquidation_price": "803.26426114",
    });
    assert_eq!(position, expected);

    // −(1000/4000) · 0.001
    story.posted(&with(funding("0.001", "4000"), json!({ "symbol": "BTC-USD" })));
    assert_eq!(story.money(), "BTC 1.02965 available, 0.02 margin; USDT 5 available");
    // 1000 · (1/5000 − 1/4000) = −0.05
    story.posted(&inverse_perpetual("sell", "1000", "4000"));
    assert_eq!(story.money(), "BTC 0.99965 available; USDT 5 available");
}

#[test]
fn a_loss_beyond_what_is_available_is_borrowed_in_the_settlement_currency() {
    let mut story = Story::perpetual().holding("BTC 0.02 available");
    story.posted(&inverse_perpetual("buy", "1000", "5000"));
    story.posted(&inverse_perpetual("sell", "1000", "4000"));
    assert_eq!(story.money(), "BTC 0.03 borrowed");
}
