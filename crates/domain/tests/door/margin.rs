//! Changes of margin and leverage name a symbol of the product, and say something.

use serde_json::json;

use crate::common::events::*;
use crate::refused;

#[test]
fn a_change_of_margin_is_of_a_symbol_and_not_of_nothing() {
    let change = || margin_changed("1");
    refused(
        "perpetual",
        &[
            (change(), json!({ "amount": "0" }), "amount: 0.000000 USDT changes nothing"),
            (
                change(),
                json!({ "amount": "0.0000001" }),
                "amount: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                change(),
                json!({ "symbol": "BTC-USD", "amount": "0.000000001" }),
                "amount: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                change(),
                json!({ "symbol": "DOGE-USDT" }),
                "symbol: DOGE-USDT is not a symbol of product perpetual",
            ),
            (
                change(),
                json!({ "position_side": "both" }),
                "position_side: unknown variant `both`, expected `long` or `short`",
            ),
            (change(), json!({ "amount": null }), "event: missing field `amount`"),
            (
                change(),
                json!({ "leverage": "5" }),
                "leverage: unknown field `leverage`, expected one of `symbol`, `position_side`, `amount`, `rates`",
            ),
        ],
    );
}

#[test]
fn a_leverage_is_above_zero() {
    let change = || leverage_changed("5");
    refused(
        "perpetual",
        &[
            (change(), json!({ "leverage": "0" }), "leverage: 0 is not above zero"),
            (change(), json!({ "leverage": "-5" }), "leverage: -5 is not above zero"),
            (change(), json!({ "leverage": "1x" }), "leverage: \"1x\" is not a decimal number"),
            (
                change(),
                json!({ "leverage": 5 }),
                "leverage: invalid type: integer `5`, expected a string",
            ),
            (
                change(),
                json!({ "symbol": "BTC" }),
                "symbol: BTC is not a symbol of product perpetual",
            ),
            (change(), json!({ "leverage": null }), "event: missing field `leverage`"),
        ],
    );
}
