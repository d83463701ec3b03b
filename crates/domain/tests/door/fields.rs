//! A field that is missing, unknown, of the wrong type or too long is named.

use serde_json::json;

use crate::common::events::*;
use crate::{read, refused};

#[test]
fn missing_and_unknown_fields_are_named() {
    refused(
        "spot",
        &[
            (deposit("1 USDT"), json!({ "amount": null }), "event: missing field `amount`"),
            (deposit("1 USDT"), json!({ "reference": null }), "event: missing field `reference`"),
            (
                deposit("1 USDT"),
                json!({ "note": "x" }),
                "note: unknown field `note`, expected one of `currency`, `amount`, `reference`, `rates`",
            ),
            (
                closed(),
                json!({ "reason": "x" }),
                "reason: unknown field `reason`, there are no fields",
            ),
            (
                liquidation_started(),
                json!({ "at": "now" }),
                "at: unknown field `at`, there are no fields",
            ),
            (opened(), json!({ "customer": null }), "event: missing field `customer`"),
            (
                opened_with_credit("5 USD"),
                json!({ "credit": { "currency": "USD" } }),
                "credit: missing field `limit`",
            ),
            (
                opened_with_credit("5 USD"),
                json!({ "credit": { "currency": "USD", "limit": "5", "enabled": true } }),
                "credit.enabled: unknown field `enabled`, expected `currency` or `limit`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "symbol": "BTC-USDT" }),
                "symbol: unknown field `symbol`, expected one of `trade_id`, `order_id`, `base`, `quote`, `side`, `quantity`, `price`, `reserved`, `fee`, `liquidity`, `rates`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "fee": { "currency": "USDT" } }),
                "fee: missing field `amount`",
            ),
            (
                withdrawal("w-1", "1 USDT"),
                json!({ "may_borrow": true }),
                "may_borrow: unknown field `may_borrow`, expected one of `withdrawal_id`, `currency`, `amount`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "operator": null }),
                "event: missing field `operator`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "shortfall": null }),
                "event: missing field `shortfall`",
            ),
        ],
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "amount": 1 }),
                "amount: invalid type: integer `1`, expected a string",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": 1.5 }),
                "amount: invalid type: floating point `1.5`, expected a string",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": ["1"] }),
                "amount: invalid type: sequence, expected a string",
            ),
            (
                reserved("1 USDT"),
                json!({ "may_borrow": "yes" }),
                "may_borrow: invalid type: string \"yes\", expected a boolean",
            ),
            (
                credit_changed("1 USDT", true),
                json!({ "enabled": 1 }),
                "enabled: invalid type: integer `1`, expected a boolean",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "side": "long" }),
                "side: unknown variant `long`, expected `buy` or `sell`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "side": "Buy" }),
                "side: unknown variant `Buy`, expected `buy` or `sell`",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "liquidity": "none" }),
                "liquidity: unknown variant `none`, expected `maker` or `taker`",
            ),
            (
                adjusted("1 USD", "reject"),
                json!({ "shortfall": "borrow" }),
                "shortfall: unknown variant `borrow`, expected `reject` or `force`",
            ),
            (
                opened(),
                json!({ "position_mode": "netting" }),
                "position_mode: unknown variant `netting`, expected `one_way` or `hedge`",
            ),
        ],
    );
}

#[test]
fn free_text_is_bounded() {
    let long = "x".repeat(201);
    refused(
        "spot",
        &[
            (
                fee("1 USDT"),
                json!({ "reason": "" }),
                "reason: has 0 characters, 1 to 200 are allowed",
            ),
            (
                fee("1 USDT"),
                json!({ "reason": long }),
                "reason: has 201 characters, 1 to 200 are allowed",
            ),
            (
                adjusted("1 USDT", "force"),
                json!({ "reason": "" }),
                "reason: has 0 characters, 1 to 200 are allowed",
            ),
        ],
    );
    let chinese = with(fee("1 USDT"), json!({ "reason": "费".repeat(200) }));
    assert!(read("spot", &chinese).is_ok(), "characters, not bytes, are counted");
}
