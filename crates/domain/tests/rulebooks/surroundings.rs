//! What the rules stand on is checked: subjects, path, version, currencies, instruments.

use serde_json::json;

use crate::Patch::{Append, Remove, Set};
use crate::common::shipped;
use crate::refused;

#[test]
fn the_chart_of_subjects_is_checked() {
    refused(vec![
        (
            "a subject of every account is missing",
            Remove("/rulebooks/0/subjects/withdrawing"),
            "rulebooks/spot.json: subjects: withdrawing is missing: every account has it",
        ),
        (
            "the other side of an exchange is missing",
            Remove("/rulebooks/0/subjects/house:exchange"),
            "rulebooks/spot.json: subjects: house:exchange is missing: borrowing in a card's currency goes through it",
        ),
        (
            "a loan is no liability of the platform",
            Set("/rulebooks/0/subjects/borrowed", json!("liability")),
            "rulebooks/spot.json: subjects.borrowed: borrowed is of the other kind",
        ),
        (
            "a customer's money is no asset of the platform",
            Set("/rulebooks/0/subjects/frozen", json!("asset")),
            "rulebooks/spot.json: subjects.frozen: frozen is of the other kind",
        ),
        (
            "a name that is no subject",
            Set("/rulebooks/0/subjects/Savings", json!("liability")),
            "rulebooks/spot.json: subjects.Savings: \"Savings\" is not a subject",
        ),
        (
            "a kind that there is not",
            Set("/rulebooks/0/subjects/frozen", json!("equity")),
            "not a document: unknown variant `equity`",
        ),
    ]);
}

#[test]
fn path_version_and_currencies_are_checked() {
    refused(vec![
        (
            "version 0",
            Set("/rulebooks/0/version", json!(0)),
            "rulebooks/spot.json: version: versions start at 1",
        ),
        (
            "the path is the wrong way round",
            Set("/rulebooks/0/path", json!(["account", "clearing"])),
            "rulebooks/spot.json: path: is neither [clearing, account] nor [clearing, position, account]",
        ),
        (
            "the path ends before account",
            Set("/rulebooks/1/path", json!(["clearing", "position"])),
            "rulebooks/perpetual.json: path: is neither [clearing, account] nor [clearing, position, account]",
        ),
        (
            "contracts without positions",
            Set("/rulebooks/1/path", json!(["clearing", "account"])),
            "rulebooks/perpetual.json: path: contracts make positions, but position is not in the path",
        ),
        (
            "pairs with positions",
            Set("/rulebooks/0/path", json!(["clearing", "position", "account"])),
            "rulebooks/spot.json: path: pairs make no positions, but position is in the path",
        ),
        (
            "hedge mode without positions",
            Set("/rulebooks/0/hedge_mode", json!(true)),
            "rulebooks/spot.json: hedge_mode: is allowed, but position is not in the path",
        ),
        (
            "follow-ups without positions",
            Set("/rulebooks/0/tracks_follow_ups", json!(true)),
            "rulebooks/spot.json: tracks_follow_ups: is said, but position is not in the path",
        ),
        (
            "liquidation prices without positions",
            Set("/rulebooks/0/cross_liquidation_prices", json!(true)),
            "rulebooks/spot.json: cross_liquidation_prices: are wanted, but position is not in the path",
        ),
        (
            "a stage that there is not",
            Set("/rulebooks/0/path", json!(["clearing", "risk", "account"])),
            "not a document: unknown variant `risk`",
        ),
        (
            "a currency that there is not",
            Append("/rulebooks/0/currencies", json!("DOGE")),
            "rulebooks/spot.json: currencies[5]: DOGE is not in currencies.json",
        ),
        (
            "a currency twice",
            Append("/rulebooks/0/currencies", json!("BTC")),
            "rulebooks/spot.json: currencies[5]: BTC is listed twice",
        ),
        (
            "accounts cannot hold what a pair pays",
            Remove("/rulebooks/0/currencies/2"),
            "rulebooks/spot.json: currencies: USDT is missing, which pair BTC/USDT needs",
        ),
        (
            "accounts cannot hold what a contract settles in",
            Remove("/rulebooks/1/currencies/0"),
            "rulebooks/perpetual.json: currencies: BTC is missing, which symbol BTC-USD needs",
        ),
        ("no version", Remove("/rulebooks/0/version"), "not a document: missing field `version`"),
        (
            "an unknown field",
            Set("/rulebooks/0/owner", json!("me")),
            "not a document: unknown field `owner`",
        ),
    ]);
}

#[test]
fn currencies_and_instruments_are_checked() {
    refused(vec![
        (
            "more decimals than any figure may have",
            Set("/currencies/BTC", json!(13)),
            "currencies.json: BTC: 13 decimals, 12 is the most",
        ),
        (
            "a code in small letters",
            Set("/currencies/btc", json!(8)),
            "not a document: currency \"btc\" is not 2 to 12",
        ),
        (
            "a product without instruments",
            Remove("/instruments/spot"),
            "instruments.json: product spot is missing",
        ),
        (
            "a product without rules",
            Remove("/rulebooks/0"),
            "instruments.json: product spot has no rulebook",
        ),
        (
            "pairs where contracts are traded",
            Set("/instruments/perpetual", json!({ "pairs": [] })),
            "instruments.json: perpetual: has pairs, its rulebook trades contracts",
        ),
        (
            "contracts where pairs are traded",
            Set("/instruments/spot", json!({ "symbols": {} })),
            "instruments.json: spot: has symbols, its rulebook trades pairs",
        ),
        (
            "a pair without a slash",
            Append("/instruments/spot/pairs", json!("BTC-USDT")),
            "instruments.json: spot: pair \"BTC-USDT\" is not BASE/QUOTE",
        ),
        (
            "a pair of three",
            Append("/instruments/spot/pairs", json!("BTC/USDT/USD")),
            "instruments.json: spot: pair BTC/USDT/USD: currency \"USDT/USD\" is not 2 to 12 characters of [A-Z0-9]",
        ),
        (
            "a pair in a currency that there is not",
            Append("/instruments/spot/pairs", json!("BTC/EUR")),
            "instruments.json: spot: BTC/EUR: EUR is not in currencies.json",
        ),
        (
            "a pair of one currency",
            Append("/instruments/spot/pairs", json!("BTC/BTC")),
            "instruments.json: spot: pair BTC/BTC is of one currency, or listed twice",
        ),
        (
            "a pair twice",
            Append("/instruments/spot/pairs", json!("BTC/USDT")),
            "instruments.json: spot: pair BTC/USDT is of one currency, or listed twice",
        ),
        (
            "a contract settled in a currency that there is not",
            Set("/instruments/perpetual/symbols/BTC-USDT/settled_in", json!("EUR")),
            "instruments.json: perpetual: BTC-USDT: EUR is not in currencies.json",
        ),
        (
            "a multiplier of nothing",
            Set("/instruments/perpetual/symbols/BTC-USDT/multiplier", json!("0")),
            "instruments.json: perpetual: BTC-USDT: multiplier \"0\" is not a decimal above zero",
        ),
        (
            "a multiplier below zero",
            Set("/instruments/perpetual/symbols/BTC-USDT/multiplier", json!("-1")),
            "instruments.json: perpetual: BTC-USDT: multiplier \"-1\" is not a decimal above zero",
        ),
        (
            "a rounding that there is not",
            Set("/instruments/perpetual/symbols/BTC-USDT/rounding", json!({ "margin": "nearest" })),
            "not a document: unknown variant `nearest`, expected one of `half_even`, `up`, `down`",
        ),
        (
            "a rounding of what is not rounded",
            Set("/instruments/perpetual/symbols/BTC-USDT/rounding", json!({ "price": "up" })),
            "not a document: unknown field `price`, expected one of `margin`, `profit`, `funding`",
        ),
        (
            "a kind of contract that there is not",
            Set("/instruments/perpetual/symbols/BTC-USDT/kind", json!("quanto")),
            "not a document: unknown variant `quanto`",
        ),
        (
            "a symbol in small letters",
            Set(
                "/instruments/perpetual/symbols/btc-usdt",
                json!({ "kind": "linear", "multiplier": "1", "settled_in": "USDT" }),
            ),
            "not a document: symbol \"btc-usdt\" is not 1 to 24 characters of [A-Z0-9-]",
        ),
    ]);
}

#[test]
fn maintenance_tiers_are_checked() {
    let tiers = |tiers: serde_json::Value| {
        Set("/instruments/perpetual/symbols/BTC-USDT/maintenance", tiers)
    };
    let many: Vec<_> = (1..40).map(|n| json!({ "up_to": n.to_string(), "rate": "0.1" })).collect();
    refused(vec![
        (
            "no tier",
            tiers(json!([])),
            "instruments.json: perpetual: BTC-USDT: maintenance: has no tier: leave it out where nothing is known",
        ),
        (
            "more tiers than anybody reads",
            tiers(json!(many)),
            "instruments.json: perpetual: BTC-USDT: maintenance: has 39 tiers, 32 is the most",
        ),
        (
            "a rate of nothing",
            tiers(json!([{ "rate": "0" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[0].rate: 0 is not above 0",
        ),
        (
            "a rate of everything",
            tiers(json!([{ "rate": "1" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[0].rate: 1 is not below 1",
        ),
        (
            "a rate that is no number",
            tiers(json!([{ "rate": "1%" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[0].rate: \"1%\" is not a decimal number",
        ),
        (
            "a rate that falls",
            tiers(json!([{ "up_to": "10", "rate": "0.02" }, { "rate": "0.01" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[1].rate: 0.01 is not above 0.02",
        ),
        (
            "a floor that does not rise",
            tiers(json!([
                { "up_to": "10", "rate": "0.01" }, { "up_to": "10", "rate": "0.02" }, { "rate": "0.03" }
            ])),
            "instruments.json: perpetual: BTC-USDT: maintenance[1].up_to: 10 is not above 10",
        ),
        (
            "an end before the end",
            tiers(json!([{ "rate": "0.01" }, { "rate": "0.02" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[0].up_to: is missing, only the last has no end",
        ),
        (
            "no end at the end",
            tiers(json!([{ "up_to": "10", "rate": "0.01" }])),
            "instruments.json: perpetual: BTC-USDT: maintenance[0].up_to: the last tier has no end",
        ),
    ]);
}

#[test]
fn two_rulebooks_for_one_product_are_refused_as_such() {
    let spot = shipped()["rulebooks"][0].clone();
    refused(vec![(
        "spot twice",
        Append("/rulebooks", spot),
        "rulebooks/spot.json: there are two rulebooks for this product",
    )]);
}
