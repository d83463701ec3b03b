//! The examples that exchanges publish, figure by figure.

use std::path::Path;
use std::sync::Arc;

use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::event::Side;
use cap_domain::instrument::{
    Contract, ContractKind, Maintenance, MaintenanceTier, MaintenanceTiers, maintenance_amount,
};
use cap_domain::money::{Exact, Money, Rounding};
use cap_domain::position::{Backing, Exposure, funding, liquidation_price};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::common::events::{perpetual, with};
use crate::common::story::{Story, Told};
use crate::common::{VECTORS, decimal, inverse, linear, money, shipped, tiered, vectors};
use crate::{Held, fill_of};

fn contract_of(vector: &Value) -> Contract {
    if vector["contract"] == "inverse" { inverse() } else { linear() }
}

/// Plays a vector's fills; what they realised, and what was paid in fees.
fn play(vector: &Value) -> (Held, Decimal, Decimal) {
    let mut held = Held::nothing_of(contract_of(vector));
    let (mut realised, mut fees) = (Decimal::ZERO, Decimal::ZERO);
    for trade in vector["fills"].as_array().unwrap() {
        let text = |field: &str| trade[field].as_str().unwrap();
        let side = if text("side") == "buy" { Side::Buy } else { Side::Sell };
        let mut event =
            fill_of(&held.contract, side, decimal(text("quantity")), decimal(text("price")));
        if let Some(fee) = trade["fee"].as_str() {
            event.fee = Money::parse(held.contract.settled_in, fee).unwrap();
        }
        let filled = held.take(&event);
        realised += decimal(&filled.realised.amount());
        fees += decimal(&filled.closing_fee.amount()) + decimal(&filled.opening_fee.amount());
    }
    (held, realised, fees)
}

/// `found` to the digits that `published` shows, rounded half up.
pub(crate) fn as_published(found: Decimal, published: &str) -> Decimal {
    let digits = decimal(published).scale();
    found.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

#[test]
fn the_copy_of_the_published_examples_is_the_shared_one() {
    let shared =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/positions.json");
    if let Ok(shared) = std::fs::read_to_string(shared) {
        assert_eq!(shared, VECTORS);
    }
}

#[test]
fn every_family_of_published_examples_is_known_and_whole() {
    let vectors = vectors();
    let count = |family: &Value| family.as_array().or(family["cases"].as_array()).map(Vec::len);
    let families = vectors.as_object().unwrap().iter();
    let mut counted: Vec<_> =
        families.filter_map(|(name, family)| Some((name.as_str(), count(family)?))).collect();
    counted.sort_unstable();
    let known = [
        ("average_entry_price", 2),
        ("borrowing", 2),
        ("liquidation_price", 4),
        ("margin", 2),
        ("realised_profit", 4),
    ];
    assert_eq!(counted, known);
    assert_eq!(vectors.as_object().unwrap().len(), known.len() + 1, "and what they are about");
}

#[test]
fn average_entry_prices_are_as_published() {
    for vector in vectors()["average_entry_price"].as_array().unwrap() {
        let (held, ..) = play(vector);
        let published = vector["published"].as_str().unwrap();
        let found = as_published(held.entry_price().unwrap(), published);
        assert_eq!(found, decimal(published), "{}", vector["name"]);
    }
}

#[test]
fn realised_profits_are_as_published() {
    for vector in vectors()["realised_profit"].as_array().unwrap() {
        let (held, realised, fees) = play(vector);
        let mut net = realised - fees;
        if let Some(paid) = vector["funding_paid"].as_str() {
            net -= decimal(paid);
        }
        if let Some(charged) = vector.get("funding") {
            let mut open = Held::nothing_of(held.contract.clone());
            let first = &vector["fills"][0];
            open.buy(first["quantity"].as_str().unwrap(), first["price"].as_str().unwrap());
            let text = |field: &str| decimal(charged[field].as_str().unwrap());
            let received =
                funding(&open.position, &open.contract, text("rate"), text("mark")).unwrap();
            assert_eq!(decimal(&received.amount()), -text("paid"), "{}", vector["name"]);
            net += decimal(&received.amount());
        }
        let figures = vector.as_object().unwrap().iter();
        let figures: Vec<_> = figures.filter(|(field, _)| field.starts_with("published")).collect();
        assert!(!figures.is_empty(), "{} publishes nothing", vector["name"]);
        for (field, published) in figures {
            let found = match field.as_str() {
                "published" | "published_profit" => realised,
                "published_net" => net,
                other => panic!("{}: nothing is {other}", vector["name"]),
            };
            let published = published.as_str().unwrap();
            let found = as_published(found, published);
            assert_eq!(found, decimal(published), "{} {field}", vector["name"]);
        }
        assert!(!held.position.is_open(), "{}", vector["name"]);
        assert_eq!((held.position.cost, held.position.margin.units()), (0, 0));
    }
}

/// A figure of an example.
fn figure(vector: &Value, field: &str) -> Exact {
    Exact::from(decimal(vector[field].as_str().unwrap()))
}

/// A figure of the code at twelve decimals.
fn shown(found: Exact) -> Decimal {
    Decimal::from_i128_with_scale(found.rounded(12, Rounding::HalfEven).unwrap(), 12)
}

#[test]
fn maintenance_amounts_and_margins_are_as_published() {
    let vectors = vectors();
    let [amount, isolated] = vectors["margin"].as_array().unwrap().as_slice() else {
        panic!("there are other examples of margin: {}", vectors["margin"]);
    };
    let text = |field: &str| decimal(amount[field].as_str().unwrap());
    let before = text("cum_before").into();
    let found = maintenance_amount(text("floor"), text("mmr"), text("mmr_before"), before).unwrap();
    assert_eq!(shown(found), text("published"), "{}", amount["name"]);

    let text = |field: &str| decimal(isolated[field].as_str().unwrap());
    let published = |field: &str| decimal(isolated["published"][field].as_str().unwrap());
    let mut held = Held::nothing_of(contract_of(isolated));
    let mut event = fill_of(&held.contract, Side::Buy, text("quantity"), text("price"));
    event.leverage = text("leverage");
    let margin = held.take(&event).margin_added;
    assert_eq!(decimal(&margin.amount()), published("initial_margin"), "{}", isolated["name"]);

    // Bybit reckons maintenance on the entry notional: an amount that no longer follows the price.
    assert_eq!(isolated["maintenance_basis"], "entry");
    let entry_value = Exact::from(text("quantity")).times(text("price")).unwrap();
    let nothing = Exact::new(0, 0);
    let at_entry = Maintenance { rate: text("maintenance_rate").into(), amount: nothing };
    let needed = at_entry.margin_of(entry_value).unwrap();
    assert_eq!(shown(needed), published("maintenance_margin"), "{}", isolated["name"]);
    let exposure = Exposure {
        kind: held.contract.kind,
        sign: 1,
        quantity: text("quantity").into(),
        entry_value,
    };
    let fixed = Maintenance { rate: nothing, amount: nothing.minus(needed).unwrap() };
    let found = liquidation_price(exposure, Backing::alone(margin), fixed).unwrap();
    assert_eq!(found, Some(published("liquidation_price")), "{}", isolated["name"]);
}

#[test]
fn liquidation_prices_are_as_published() {
    let vectors = vectors();
    let cases = vectors["liquidation_price"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let exposure = Exposure {
            kind: ContractKind::Linear,
            sign: case["side"].as_i64().unwrap().into(),
            quantity: figure(case, "quantity"),
            entry_value: figure(case, "quantity").times(figure(case, "entry")).unwrap(),
        };
        let backing = Backing {
            wallet: figure(case, "wallet"),
            other_maintenance: figure(case, "other_maintenance"),
            other_unrealised: figure(case, "other_unrealised"),
        };
        let maintenance = Maintenance { rate: figure(case, "mmr"), amount: figure(case, "cum") };
        let found = liquidation_price(exposure, backing, maintenance).unwrap().unwrap();
        let published = case["published"].as_str().unwrap();
        assert_eq!(as_published(found, published), decimal(published), "{}", case["name"]);
    }
}

/// An account with the wallet of the examples, under the shipped tiers. Binance finds the tier by the mark
/// price, at which the ETH of the examples was worth less than 5 million; CAP by the entry price.
fn examples_story(wallet: &str) -> Story {
    let mut document = shipped();
    let symbols = &mut document["instruments"]["perpetual"]["symbols"];
    assert_eq!(symbols["ETH-USDT"]["maintenance"][5], json!({ "up_to": "5000000", "rate": "0.1" }));
    symbols["ETH-USDT"]["maintenance"][5]["up_to"] = json!("6000000");
    let document = serde_json::from_value(document).unwrap();
    let mut story = Story::perpetual().holding(&format!("USDT {wallet} available"));
    story.clearing.stage = Clearing::new(Arc::new(Configuration::check(1, document).unwrap()));
    story
}

/// The case's position opened by one cross fill.
fn open(story: &mut Story, case: &Value) -> Told {
    let text = |field: &str| case[field].as_str().unwrap();
    let symbol = if text("name").contains("ETH") { "ETH-USDT" } else { "BTC-USDT" };
    let trade = perpetual("buy", text("quantity"), text("entry"));
    story.posted(&with(trade, json!({ "symbol": symbol })))
}

#[test]
fn liquidation_prices_of_single_positions_come_through_the_stages_as_published() {
    let vectors = vectors();
    let cases = vectors["liquidation_price"]["cases"].as_array().unwrap();
    let alone = |case: &&Value| case["other_maintenance"] == "0" && case["other_unrealised"] == "0";
    assert_eq!(cases.iter().filter(alone).count(), 2);
    for case in cases.iter().filter(alone) {
        let mut story = examples_story(case["wallet"].as_str().unwrap());
        let told = open(&mut story, case);
        let found = told.message.outcome.position.unwrap().liquidation_price.unwrap();
        let published = case["published"].as_str().unwrap();
        assert_eq!(as_published(found, published), decimal(published), "{}", case["name"]);
    }
}

#[test]
fn of_two_positions_on_one_wallet_no_liquidation_price_is_told() {
    let vectors = vectors();
    let cases = vectors["liquidation_price"]["cases"].as_array().unwrap();
    let together: Vec<&Value> =
        cases.iter().filter(|case| case["other_maintenance"] != "0").collect();
    let mut story = examples_story(together[0]["wallet"].as_str().unwrap());
    open(&mut story, together[0]);
    let told = open(&mut story, together[1]);
    assert_eq!(told.message.outcome.position.unwrap().liquidation_price, None);
}

/// BTCUSDT as Binance's `GET /fapi/v1/leverageBracket` answered it in 2022, recorded in
/// `boolean404/heikin-ashi-trading-bot`, `json/fapiPrivate_get_leverage_bracket.py`.
#[test]
fn a_whole_table_of_maintenance_amounts_follows_from_its_rates_and_floors() {
    // cap, rate → amount
    let published = [
        ("50000", "0.004", "0"),
        ("250000", "0.005", "50"),
        ("3000000", "0.01", "1300"),
        ("20000000", "0.025", "46300"),
        ("40000000", "0.05", "546300"),
        ("100000000", "0.1", "2546300"),
        ("120000000", "0.125", "5046300"),
        ("200000000", "0.15", "8046300"),
        ("300000000", "0.25", "28046300"),
    ];
    let last = MaintenanceTier { up_to: None, rate: decimal("0.5") };
    let tier = |(cap, rate, _): &(&str, &str, &str)| MaintenanceTier {
        up_to: Some(decimal(cap)),
        rate: decimal(rate),
    };
    let tiers: Vec<_> = published.iter().map(tier).chain([last]).collect();
    let tiers = MaintenanceTiers::try_from(tiers).unwrap();
    for (cap, rate, amount) in published {
        let found = tiers.of_notional(decimal(cap).into()).unwrap();
        assert_eq!((shown(found.rate), shown(found.amount)), (decimal(rate), decimal(amount)));
    }
}

#[test]
fn more_published_examples_of_inverse_contracts_hold() {
    // BitMEX, inverse futures guide: 10 XBT at 10,000 are 100,000 contracts, and 100 times leverage
    // needs 0.1 XBT.
    let mut held = Held::nothing_of(inverse());
    let mut event = fill_of(&inverse(), Side::Buy, decimal("100000"), decimal("10000"));
    event.leverage = decimal("100");
    assert_eq!(held.take(&event).margin_added, money("0.1 BTC"));
    assert_eq!(held.position.cost, 10_000_000_000_000, "10 BTC");

    // Kraken, https://support.kraken.com/hc/en-us/articles/360022835911: short 100,000 contracts while
    // BTC is at 7,000 and the rate for the hour is 0.01785 %.
    let mut held = Held::nothing_of(inverse());
    held.sell("100000", "7000");
    let received =
        funding(&held.position, &inverse(), decimal("0.0001785"), decimal("7000")).unwrap();
    assert_eq!(received, money("0.00255 BTC"));

    // Binance, https://www.binance.com/en/support/faq/ceccfcfb4e3a45e3b48b0b1bb1a8ae46: the amount of
    // level 5 of BTCUSD, and what 100 contracts of 100 USD each need at 25,000.
    let before = decimal("0.56").into();
    let amount = maintenance_amount(decimal("50"), decimal("0.05"), decimal("0.025"), before);
    assert_eq!(shown(amount.unwrap()), decimal("1.81"));
    let hundreds = Contract { multiplier: decimal("100"), ..inverse() };
    let mut held = Held::nothing_of(hundreds);
    let mut event = fill_of(&held.contract, Side::Buy, decimal("100"), decimal("25000"));
    event.leverage = Decimal::ONE;
    let notional = decimal(&held.take(&event).margin_added.amount());
    assert_eq!(notional, decimal("0.4"));
    let tiers = tiered("BTC-USD").maintenance.unwrap();
    let needed = tiers.of_notional(notional.into()).unwrap().margin_of(notional.into()).unwrap();
    assert_eq!(shown(needed), decimal("0.0016"));

    // "Trading bitcoin inverse futures contracts" (romanornr.medium.com): long 60,000 at 600.
    for (exit, published) in [("700", "14.286"), ("500", "-20")] {
        let mut held = Held::nothing_of(inverse());
        held.buy("60000", "600");
        let realised = decimal(&held.sell("60000", exit).realised.amount());
        assert_eq!(as_published(realised, published), decimal(published), "sold at {exit}");
    }
}
