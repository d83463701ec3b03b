//! Amounts are decimals that fit their currency, which is one of the product.

use serde_json::json;

use crate::common::events::*;
use crate::refused;

#[test]
fn amounts_fit_their_currency_and_are_above_zero() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "amount": "1.0000001" }),
                "amount: 1.0000001 has 7 decimals, USDT has 6",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1.0000000" }),
                "amount: 1.0000000 has 7 decimals, USDT has 6",
            ),
            (
                deposit("1 USD"),
                json!({ "amount": "0.001" }),
                "amount: 0.001 has 3 decimals, USD has 2",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "0" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "-5" }),
                "amount: -5.000000 USDT is not above zero",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1e3" }),
                "amount: \"1e3\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "+1" }),
                "amount: \"+1\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": " 1" }),
                "amount: \" 1\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1,000" }),
                "amount: \"1,000\" is not a decimal number",
            ),
            (deposit("1 USDT"), json!({ "amount": "" }), "amount: \"\" is not a decimal number"),
            (
                deposit("1 USDT"),
                json!({ "amount": "1." }),
                "amount: \"1.\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": ".5" }),
                "amount: \".5\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "1.2.3" }),
                "amount: \"1.2.3\" is not a decimal number",
            ),
            (
                deposit("1 USDT"),
                json!({ "amount": "--1" }),
                "amount: \"--1\" is not a decimal number",
            ),
            (deposit("1 USDT"), json!({ "amount": "١" }), "amount: \"١\" is not a decimal number"),
            (
                deposit("1 USDT"),
                json!({ "amount": "1000000000000000" }),
                "amount: an amount of USDT has more than 15 digits before the point",
            ),
            (
                withdrawal("w-1", "1 USDT"),
                json!({ "amount": "0.000000" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                reserved("1 BTC"),
                json!({ "amount": "0.000000001" }),
                "amount: 0.000000001 has 9 decimals, BTC has 8",
            ),
            (
                released("1 BTC"),
                json!({ "amount": "-0.1" }),
                "amount: -0.10000000 BTC is not above zero",
            ),
            (fee("1 USDT"), json!({ "amount": "-1" }), "amount: -1.000000 USDT is not above zero"),
            (
                interest("1 USDT"),
                json!({ "amount": "0" }),
                "amount: 0.000000 USDT is not above zero",
            ),
            (
                adjusted("1 USDT", "force"),
                json!({ "amount": "0.00" }),
                "amount: an adjustment of nothing",
            ),
            (
                credit_changed("1 USDT", true),
                json!({ "limit": "-1" }),
                "limit: -1.000000 USDT is below zero",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "USD", "limit": "-0.01" } }),
                "credit.limit: -0.01 USD is below zero",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "USD", "limit": "0.001" } }),
                "credit.limit: 0.001 has 3 decimals, USD has 2",
            ),
        ],
    );
}

#[test]
fn currencies_are_the_products_own() {
    refused(
        "spot",
        &[
            (
                deposit("1 USDT"),
                json!({ "currency": "DOGE" }),
                "currency: DOGE is not a currency of product spot",
            ),
            (
                deposit("1 USDT"),
                json!({ "currency": "usdt" }),
                "currency: currency \"usdt\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            (
                deposit("1 USDT"),
                json!({ "currency": "" }),
                "currency: currency \"\" is not 2 to 12 characters of [A-Z0-9]",
            ),
            (
                opened_with_credit("1 USD"),
                json!({ "credit": { "currency": "EUR", "limit": "1" } }),
                "credit.currency: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "fee": { "currency": "EUR", "amount": "0" } }),
                "fee.currency: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "base": "EUR" }),
                "base: EUR is not a currency of product spot",
            ),
            (
                spot("buy", "1", "1"),
                json!({ "quote": "EUR" }),
                "quote: EUR is not a currency of product spot",
            ),
        ],
    );
}
