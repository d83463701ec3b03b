//! A trade is of an instrument of the product, and its figures are within their scales.

use serde_json::json;

use crate::common::events::*;
use crate::refused;

#[test]
fn a_spot_fill_is_of_a_pair_and_within_its_scales() {
    let fill = || spot("buy", "1", "1");
    refused(
        "spot",
        &[
            (fill(), json!({ "quote": "HKD" }), "base: BTC/HKD is not a pair of product spot"),
            (
                fill(),
                json!({ "base": "USDT", "quote": "BTC" }),
                "base: USDT/BTC is not a pair of product spot",
            ),
            (
                fill(),
                json!({ "base": "BTC", "quote": "BTC" }),
                "base: BTC/BTC is not a pair of product spot",
            ),
            (fill(), json!({ "quantity": "0" }), "quantity: 0.00000000 BTC is not above zero"),
            (
                fill(),
                json!({ "quantity": "0.000000001" }),
                "quantity: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (fill(), json!({ "price": "0" }), "price: 0 is not above zero"),
            (fill(), json!({ "price": "-1" }), "price: -1 is not above zero"),
            (fill(), json!({ "price": "1e3" }), "price: \"1e3\" is not a decimal number"),
            (
                fill(),
                json!({ "price": "0.0000000000001" }),
                "price: 0.0000000000001 has more than 15 digits before the point or 12 after it",
            ),
            (fill(), json!({ "reserved": "-1" }), "reserved: -1.000000 USDT is below zero"),
            (
                fill(),
                json!({ "reserved": "0.0000001" }),
                "reserved: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "side": "sell", "reserved": "0.000000001" }),
                "reserved: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                fill(),
                json!({ "fee": { "currency": "USDT", "amount": "0.0000001" } }),
                "fee.amount: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "trade_id": "t 1" }),
                "trade_id: identifier \"t 1\" is not 1 to 64 characters of printable ASCII without spaces",
            ),
            (
                fill(),
                json!({ "order_id": "" }),
                "order_id: identifier \"\" is not 1 to 64 characters of printable ASCII without spaces",
            ),
        ],
    );
}

#[test]
fn a_perpetual_fill_is_of_a_symbol_and_settled_in_its_currency() {
    let fill = || perpetual("buy", "1", "1");
    refused(
        "perpetual",
        &[
            (
                fill(),
                json!({ "symbol": "DOGE-USDT" }),
                "symbol: DOGE-USDT is not a symbol of product perpetual",
            ),
            (
                fill(),
                json!({ "symbol": "btc-usdt" }),
                "symbol: symbol \"btc-usdt\" is not 1 to 24 characters of [A-Z0-9-]",
            ),
            (
                fill(),
                json!({ "fee": { "currency": "BTC", "amount": "0" } }),
                "fee.currency: BTC is not USDT, in which BTC-USDT is settled",
            ),
            (fill(), json!({ "quantity": "0" }), "quantity: 0 is not above zero"),
            (fill(), json!({ "quantity": "-1" }), "quantity: -1 is not above zero"),
            (fill(), json!({ "price": "0.0" }), "price: 0.0 is not above zero"),
            (fill(), json!({ "leverage": "0" }), "leverage: 0 is not above zero"),
            (fill(), json!({ "leverage": "ten" }), "leverage: \"ten\" is not a decimal number"),
            (fill(), json!({ "leverage": null }), "event: missing field `leverage`"),
            (
                fill(),
                json!({ "margin_mode": "shared" }),
                "margin_mode: unknown variant `shared`, expected `cross` or `isolated`",
            ),
            (
                fill(),
                json!({ "position_side": "both" }),
                "position_side: unknown variant `both`, expected `long` or `short`",
            ),
            (
                fill(),
                json!({ "symbol": "BTC-USD" }),
                "fee.currency: USDT is not BTC, in which BTC-USD is settled",
            ),
            (
                inverse_perpetual("buy", "1", "1"),
                json!({ "reserved": "0.000000001" }),
                "reserved: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                fill(),
                json!({ "reserved": "0.0000001" }),
                "reserved: 0.0000001 has 7 decimals, USDT has 6",
            ),
            (
                fill(),
                json!({ "base": "BTC" }),
                "base: unknown field `base`, expected one of `trade_id`, `order_id`, `symbol`, `side`, `quantity`, `price`, `leverage`, `margin_mode`, `position_side`, `reserved`, `fee`, `liquidity`, `rates`",
            ),
            (funding("0.1", "1"), json!({ "mark_price": "0" }), "mark_price: 0 is not above zero"),
            (
                funding("0.1", "1"),
                json!({ "rate": "high" }),
                "rate: \"high\" is not a decimal number",
            ),
            (
                funding("0.1", "1"),
                json!({ "symbol": "BTC/USDT" }),
                "symbol: symbol \"BTC/USDT\" is not 1 to 24 characters of [A-Z0-9-]",
            ),
        ],
    );
}
