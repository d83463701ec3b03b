//! Positions give the figures that exchanges publish, and lose no digit on the way.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod common;

use std::path::Path;

use cap_domain::event::{ContractFill, Liquidity, Side};
use cap_domain::ids::{ExternalId, Symbol};
use cap_domain::instrument::{Contract, ContractKind};
use cap_domain::money::Money;
use cap_domain::position::{Filled, Position, PositionChange, PositionSide, fill, funding};
use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

use common::{currency, money, short};

const VECTORS: &str = include_str!("vectors/positions.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn linear() -> Contract {
    Contract {
        symbol: Symbol::new("BTC-USDT").unwrap(),
        kind: ContractKind::Linear,
        multiplier: Decimal::ONE,
        settled_in: currency("USDT"),
    }
}

fn inverse() -> Contract {
    Contract {
        symbol: Symbol::new("BTC-USD").unwrap(),
        kind: ContractKind::Inverse,
        multiplier: Decimal::ONE,
        settled_in: currency("BTC"),
    }
}

fn contract_of(vector: &Value) -> Contract {
    if vector["contract"] == "inverse" { inverse() } else { linear() }
}

/// A fill without a fee, at ten times leverage.
fn fill_of(contract: &Contract, side: Side, quantity: Decimal, price: Decimal) -> ContractFill {
    ContractFill {
        trade_id: ExternalId::new("t-1").unwrap(),
        order_id: ExternalId::new("o-1").unwrap(),
        contract: contract.clone(),
        side,
        quantity,
        price,
        leverage: Decimal::TEN,
        reserved: Money::zero(contract.settled_in),
        fee: Money::zero(contract.settled_in),
        liquidity: Liquidity::Taker,
    }
}

/// A position under way.
struct Held {
    contract: Contract,
    position: Position,
}

impl Held {
    fn nothing_of(contract: Contract) -> Self {
        Self { position: Position::flat(contract.settled_in), contract }
    }

    fn take(&mut self, event: &ContractFill) -> Filled {
        let filled = fill(&self.position, event).unwrap();
        self.position = filled.position.clone();
        filled
    }

    fn trade(&mut self, side: Side, quantity: &str, price: &str) -> Filled {
        self.take(&fill_of(&self.contract, side, decimal(quantity), decimal(price)))
    }

    fn buy(&mut self, quantity: &str, price: &str) -> Filled {
        self.trade(Side::Buy, quantity, price)
    }

    fn sell(&mut self, quantity: &str, price: &str) -> Filled {
        self.trade(Side::Sell, quantity, price)
    }

    fn entry_price(&self) -> Option<Decimal> {
        self.position.entry_price(self.contract.kind).unwrap()
    }

    /// `long 0.8 at 5375, cost 4300, margin 430 USDT`.
    fn show(&self) -> String {
        let change = PositionChange::new(
            &self.contract,
            &self.position,
            Money::zero(self.contract.settled_in),
        )
        .unwrap();
        let side = match change.side {
            PositionSide::Long => "long",
            PositionSide::Short => "short",
            PositionSide::Flat => "flat",
        };
        let cost = Decimal::from_i128_with_scale(self.position.cost, 12).normalize();
        let price = change.entry_price.map_or_else(|| "none".to_owned(), |price| price.to_string());
        let margin = short(self.position.margin);
        format!("{side} {} at {price}, cost {cost}, margin {margin}", change.quantity)
    }
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

#[test]
fn a_position_opens_grows_shrinks_closes_and_turns() {
    // trade → realised, margin added, margin released; position afterwards
    let story = [
        ("buy 0.5 at 5000", "0 +250 -0", "long 0.5 at 5000, cost 2500, margin 250 USDT"),
        ("buy 0.3 at 6000", "0 +180 -0", "long 0.8 at 5375, cost 4300, margin 430 USDT"),
        ("sell 0.2 at 5500", "25 +0 -107.5", "long 0.6 at 5375, cost 3225, margin 322.5 USDT"),
        ("sell 0.6 at 5000", "-225 +0 -322.5", "flat 0 at none, cost 0, margin 0 USDT"),
        ("sell 1 at 5000", "0 +500 -0", "short 1 at 5000, cost 5000, margin 500 USDT"),
        ("sell 1 at 7000", "0 +700 -0", "short 2 at 6000, cost 12000, margin 1200 USDT"),
        ("buy 0.5 at 5000", "500 +0 -300", "short 1.5 at 6000, cost 9000, margin 900 USDT"),
        ("buy 2.5 at 6100", "-150 +610 -900", "long 1 at 6100, cost 6100, margin 610 USDT"),
        ("sell 3 at 6200", "100 +1240 -610", "short 2 at 6200, cost 12400, margin 1240 USDT"),
    ];
    let mut held = Held::nothing_of(linear());
    for (trade, moved, after) in story {
        let parts: Vec<&str> = trade.split(' ').collect();
        let side = if parts[0] == "buy" { Side::Buy } else { Side::Sell };
        let filled = held.trade(side, parts[1], parts[3]);
        let figure = |money: Money| short(money).trim_end_matches(" USDT").to_owned();
        let found = format!(
            "{} +{} -{}",
            figure(filled.realised),
            figure(filled.margin_added),
            figure(filled.margin_released)
        );
        assert_eq!((found.as_str(), held.show().as_str()), (moved, after), "{trade}");
    }
    assert_eq!(held.position.realised_profit, money("250 USDT"));
}

#[test]
fn initial_margin_is_never_short_of_its_rate() {
    // quantity, price, leverage → margin
    let cases = [
        ("1", "100", "3", "33.333334"),
        ("1", "100", "7", "14.285715"),
        ("0.000001", "0.000001", "125", "0.000001"),
        ("0.3", "61234.567891", "12.5", "1469.629630"),
        ("1", "100", "100", "1"),
        ("1", "100", "0.5", "200"),
    ];
    for (quantity, price, leverage, margin) in cases {
        let mut held = Held::nothing_of(linear());
        let mut event = fill_of(&linear(), Side::Sell, decimal(quantity), decimal(price));
        event.leverage = decimal(leverage);
        let added = held.take(&event).margin_added;
        let expected = Money::parse(currency("USDT"), margin).unwrap();
        assert_eq!(added, expected, "{quantity} at {price}, {leverage} times");
    }
}

#[test]
fn the_multiplier_scales_money_but_not_cost() {
    let contract = Contract { multiplier: decimal("0.001"), ..linear() };
    let mut held = Held::nothing_of(contract);
    let opened = held.buy("100", "60000");
    assert_eq!(short(opened.margin_added), "600 USDT");
    assert_eq!(held.show(), "long 100 at 60000, cost 6000000, margin 600 USDT");
    assert_eq!(short(held.sell("50", "61000").realised), "50 USDT");
    let received =
        funding(&held.position, &held.contract, decimal("0.0001"), decimal("60000")).unwrap();
    assert_eq!(short(received), "-0.3 USDT");
}

#[test]
fn a_profit_is_rounded_once_and_half_to_even() {
    // entry, exit, of one bought → realised
    let cases = [
        ("1", "1.0000005", "0"),
        ("1", "1.0000015", "0.000002"),
        ("1", "1.0000025", "0.000002"),
        ("1", "1.000002500001", "0.000003"),
        ("1.0000015", "1", "-0.000002"),
        ("1.0000005", "1", "0"),
    ];
    for (entry, exit, realised) in cases {
        let mut held = Held::nothing_of(linear());
        held.buy("1", entry);
        let expected = Money::parse(currency("USDT"), realised).unwrap();
        assert_eq!(held.sell("1", exit).realised, expected, "{entry} → {exit}");
    }
}

#[test]
fn cost_is_kept_to_twelve_decimals_and_the_last_part_takes_the_rest() {
    let mut held = Held::nothing_of(linear());
    held.buy("3", "0.333333333333");
    held.buy("4", "0.1");
    assert_eq!(held.show(), "long 7 at 0.2, cost 1.399999999999, margin 0.14 USDT");
    held.sell("3", "1");
    // 1.399999999999 · 3/7 = 0.599999999999571… → 0.6
    assert_eq!(held.show(), "long 4 at 0.2, cost 0.799999999999, margin 0.08 USDT");
    held.sell("4", "1");
    assert_eq!(held.show(), "flat 0 at none, cost 0, margin 0 USDT");
}

#[test]
fn a_flip_splits_the_fee_by_quantity_and_the_second_part_takes_the_remainder() {
    // held, sold, fee → closing share, opening share
    let cases = [
        ("1", "3", "1", "0.333333", "0.666667"),
        ("2", "3", "1", "0.666667", "0.333333"),
        ("1", "3", "-1", "-0.333333", "-0.666667"),
        ("1", "2", "0.000001", "0", "0.000001"),
        ("1", "2", "0.000003", "0.000002", "0.000001"),
        ("3", "3", "1", "1", "0"),
        ("5", "3", "1", "1", "0"),
    ];
    for (quantity, sold, fee, closing, opening) in cases {
        let mut held = Held::nothing_of(linear());
        held.buy(quantity, "100");
        let mut event = fill_of(&linear(), Side::Sell, decimal(sold), decimal("100"));
        event.fee = Money::parse(currency("USDT"), fee).unwrap();
        let filled = held.take(&event);
        let shares = (filled.closing_fee, filled.opening_fee);
        let expected = [closing, opening].map(|t| Money::parse(currency("USDT"), t).unwrap());
        assert_eq!(shares, (expected[0], expected[1]), "{quantity} held, {sold} sold, fee {fee}");
    }
    let mut flat = Held::nothing_of(linear());
    let mut event = fill_of(&linear(), Side::Sell, decimal("1"), decimal("100"));
    event.fee = money("1 USDT");
    let filled = flat.take(&event);
    assert_eq!((filled.closing_fee, filled.opening_fee), (money("0 USDT"), money("1 USDT")));
}

#[test]
fn longs_pay_positive_funding_and_shorts_receive_it() {
    // position, rate, mark → received
    let cases = [
        ("buy 2", "0.0001", "60000", "-12"),
        ("sell 2", "0.0001", "60000", "12"),
        ("buy 2", "-0.0001", "60000", "12"),
        ("sell 2", "-0.0001", "60000", "-12"),
        ("buy 1", "0.000001", "0.5", "0"),
        ("buy 1", "0.000001", "1.5", "-0.000002"),
        ("buy 1", "0", "60000", "0"),
    ];
    for (position, rate, mark, received) in cases {
        let mut held = Held::nothing_of(linear());
        match position.split_once(' ').unwrap() {
            ("buy", quantity) => held.buy(quantity, "50000"),
            (_, quantity) => held.sell(quantity, "50000"),
        };
        let found = funding(&held.position, &held.contract, decimal(rate), decimal(mark)).unwrap();
        let expected = Money::parse(currency("USDT"), received).unwrap();
        assert_eq!(found, expected, "{position} at {rate}");
    }
    let flat = Position::flat(currency("USDT"));
    assert!(funding(&flat, &linear(), decimal("1"), decimal("1")).unwrap().is_zero());
}

#[test]
fn a_position_as_outcomes_show_it() {
    let mut held = Held::nothing_of(linear());
    let mut event = fill_of(&linear(), Side::Sell, decimal("0.300"), decimal("60000.10"));
    event.leverage = decimal("20");
    let filled = held.take(&event);
    let change = PositionChange::new(&held.contract, &held.position, filled.realised).unwrap();
    assert_eq!(
        serde_json::to_value(change).unwrap(),
        serde_json::json!({
            "symbol": "BTC-USDT", "side": "short", "quantity": "0.3", "entry_price": "60000.1",
            "margin": "900.001500", "margin_mode": "cross", "realised_profit": "0.000000",
        })
    );
}

#[test]
fn what_does_not_fit_is_poison_and_never_a_wrong_figure() {
    let longest = decimal("999999999999999.999999999999");
    let mut held = Held::nothing_of(linear());
    let event = fill_of(&linear(), Side::Buy, longest, longest);
    assert!(fill(&held.position, &event).is_err(), "the value does not fit");
    held.buy("999999999999999", "0.000001");
    let one_more = fill_of(&linear(), Side::Buy, decimal("1"), decimal("0.000001"));
    assert!(fill(&held.position, &one_more).is_err(), "the quantity does not fit");
}

/// Quantities and prices as markets have them: whole steps of a tick, from tiny to large.
fn quantities() -> impl Strategy<Value = Decimal> {
    (1_i64..5_000_000, 0_u32..8).prop_map(|(units, scale)| Decimal::new(units, scale))
}

fn prices() -> impl Strategy<Value = Decimal> {
    (1_i64..100_000_000, 0_u32..6).prop_map(|(units, scale)| Decimal::new(units, scale))
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn contracts() -> impl Strategy<Value = Contract> {
    let multiplied = |contract: Contract| Contract { multiplier: decimal("0.01"), ..contract };
    prop_oneof![
        Just(linear()),
        Just(inverse()),
        Just(multiplied(linear())),
        Just(multiplied(inverse()))
    ]
}

const fn other(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

fn quickly() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(quickly())]

    #[test]
    fn closing_everything_leaves_nothing_behind(
        contract in contracts(),
        opening in sides(),
        opened in prop::collection::vec((quantities(), prices()), 1..6),
        cuts in prop::collection::vec(1_i64..100, 0..6),
        exit in prices(),
    ) {
        let mut held = Held::nothing_of(contract);
        let (mut added, mut released) = (0, 0);
        let mut realised = 0;
        for (quantity, price) in opened {
            added += held.take(&fill_of(&held.contract, opening, quantity, price)).margin_added.units();
        }
        for percent in cuts {
            let part = (held.position.quantity.abs() * Decimal::new(percent, 2)).round_dp(12);
            if part.is_zero() || part >= held.position.quantity.abs() {
                continue;
            }
            let filled = held.take(&fill_of(&held.contract, other(opening), part, exit));
            released += filled.margin_released.units();
            realised += filled.realised.units();
            prop_assert!(held.position.cost >= 0, "cost is never below zero");
            prop_assert!(!held.position.margin.is_negative(), "margin is never below zero");
        }
        let rest = held.position.quantity.abs();
        let filled = held.take(&fill_of(&held.contract, other(opening), rest, exit));
        released += filled.margin_released.units();
        realised += filled.realised.units();
        prop_assert_eq!(held.position.cost, 0);
        prop_assert_eq!(held.position.margin.units(), 0);
        prop_assert!(!held.position.is_open());
        prop_assert_eq!(added, released, "all margin that was added was released");
        prop_assert_eq!(held.position.realised_profit.units(), realised);
    }

    #[test]
    fn a_fill_in_parts_is_the_fill_as_a_whole(
        contract in contracts(),
        side in sides(),
        price in prices(),
        parts in prop::collection::vec(quantities(), 1..8),
    ) {
        let mut whole = Held::nothing_of(contract.clone());
        let mut in_parts = Held::nothing_of(contract);
        let together: Decimal = parts.iter().sum();
        whole.take(&fill_of(&whole.contract, side, together, price));
        for part in &parts {
            in_parts.take(&fill_of(&in_parts.contract, side, *part, price));
        }
        prop_assert_eq!(whole.position.quantity, in_parts.position.quantity);
        let apart = (whole.position.cost - in_parts.position.cost).unsigned_abs();
        prop_assert!(apart <= parts.len() as u128, "cost is {apart} · 10^-12 apart");
        let margins = in_parts.position.margin.units() - whole.position.margin.units();
        prop_assert!((0..=parts.len() as i128).contains(&margins), "each part rounds margin up once");
    }

    #[test]
    fn a_flip_is_a_close_and_an_open(
        contract in contracts(),
        side in sides(),
        held_quantity in quantities(),
        more in quantities(),
        entry in prices(),
        price in prices(),
        fee in -1_000_000_i128..1_000_000,
    ) {
        let mut flipped = Held::nothing_of(contract.clone());
        flipped.take(&fill_of(&flipped.contract, side, held_quantity, entry));
        let mut stepwise = Held { contract, position: flipped.position.clone() };
        let back = other(side);
        let mut event = fill_of(&flipped.contract, back, held_quantity + more, price);
        event.fee = Money::from_units(flipped.contract.settled_in, fee).unwrap();
        let flip = flipped.take(&event);
        let close = stepwise.take(&fill_of(&stepwise.contract, back, held_quantity, price));
        let open = stepwise.take(&fill_of(&stepwise.contract, back, more, price));
        prop_assert_eq!(&flipped.position, &stepwise.position);
        prop_assert_eq!(flip.realised, close.realised);
        prop_assert_eq!(flip.margin_released, close.margin_released);
        prop_assert_eq!(flip.margin_added, open.margin_added);
        prop_assert_eq!(flip.closing_fee.plus(flip.opening_fee).unwrap(), event.fee);
    }

    #[test]
    fn long_and_short_of_the_same_trades_win_what_the_other_loses(
        contract in contracts(),
        quantity in quantities(),
        entry in prices(),
        exit in prices(),
    ) {
        let profit = |side| {
            let mut held = Held::nothing_of(contract.clone());
            held.take(&fill_of(&held.contract, side, quantity, entry));
            held.take(&fill_of(&held.contract, other(side), quantity, exit)).realised
        };
        prop_assert_eq!(profit(Side::Buy), profit(Side::Sell).negated());
    }
}
