//! The examples that exchanges publish, figure by figure.

use std::path::Path;

use cap_domain::event::Side;
use cap_domain::instrument::Contract;
use cap_domain::money::Money;
use cap_domain::position::funding;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

use crate::common::{VECTORS, decimal, inverse, linear, vectors};
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
fn as_published(found: Decimal, published: &str) -> Decimal {
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
        let published = |field: &str, found: Decimal| {
            if let Some(published) = vector[field].as_str() {
                let found = as_published(found, published);
                assert_eq!(found, decimal(published), "{} {field}", vector["name"]);
            }
        };
        published("published", realised);
        published("published_profit", realised);
        published("published_net", net);
        assert!(!held.position.is_open(), "{}", vector["name"]);
        assert_eq!((held.position.cost, held.position.margin.units()), (0, 0));
    }
}

#[test]
fn initial_margin_is_as_published() {
    let vectors = vectors();
    let published = |vector: &&Value| vector["published"]["initial_margin"].is_string();
    let vectors: Vec<_> = vectors["margin"].as_array().unwrap().iter().filter(published).collect();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |field: &str| decimal(vector[field].as_str().unwrap());
        let mut held = Held::nothing_of(contract_of(vector));
        let mut event = fill_of(&held.contract, Side::Buy, text("quantity"), text("price"));
        event.leverage = text("leverage");
        let margin = held.take(&event).margin_added;
        let published = vector["published"]["initial_margin"].as_str().unwrap();
        assert_eq!(decimal(&margin.amount()), decimal(published), "{}", vector["name"]);
    }
}
