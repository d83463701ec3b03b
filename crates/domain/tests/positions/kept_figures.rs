//! A position keeps the contract's figures it was opened under (C6): a new configuration changes no
//! open position.

use std::sync::Arc;

use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::event::Side;
use cap_domain::instrument::{Contract, ContractKind, Roundings};
use cap_domain::money::Rounding;
use cap_domain::position::{PositionChange, PositionKey};
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};
use crate::common::{currency, decimal, linear, money, shipped, tiered};
use crate::{Held, fill_of};

fn configured(change: impl FnOnce(&mut Value)) -> Clearing {
    let mut document = shipped();
    change(&mut document["instruments"]["perpetual"]["symbols"]["BTC-USDT"]);
    let document = serde_json::from_value(document).unwrap();
    Clearing::new(Arc::new(Configuration::check(2, document).unwrap()))
}

fn position(told: &Told) -> Value {
    serde_json::from_str::<Value>(&told.body).unwrap()["outcome"]["position"].clone()
}

#[test]
fn an_open_position_grows_pays_funding_and_closes_under_the_figures_it_was_opened_with() {
    let mut story = Story::perpetual().holding("USDT 100000 available");
    story.posted(&perpetual("buy", "1", "10000"));
    story.clearing.stage = configured(|symbol| symbol["multiplier"] = json!("0.1"));
    story.posted(&perpetual("buy", "1", "12000"));
    assert_eq!(story.money(), "USDT 97800 available, 2200 margin");
    story.posted(&funding("0.001", "11000"));
    assert_eq!(story.money(), "USDT 97778 available, 2200 margin");
    story.posted(&perpetual("sell", "2", "12000"));
    assert_eq!(story.money(), "USDT 101978 available");

    story.posted(&perpetual("buy", "1", "10000"));
    assert_eq!(story.money(), "USDT 101878 available, 100 margin", "opened again, under the new");
}

#[test]
fn a_flip_closes_under_the_old_figures_and_opens_under_the_new() {
    let mut held = Held::nothing_of(linear());
    held.buy("1", "10000");
    let tenth = Contract { multiplier: decimal("0.1"), ..linear() };
    let filled = held.take(&fill_of(&tenth, Side::Sell, decimal("3"), decimal("11000")));
    assert_eq!(filled.realised, money("1000 USDT"));
    assert_eq!(
        (filled.margin_released, filled.margin_added),
        (money("1000 USDT"), money("220 USDT"))
    );
    assert_eq!(held.position.opened_under, Some(tenth.clone()));
    held.take(&fill_of(&linear(), Side::Buy, decimal("2"), decimal("11000")));
    assert_eq!(held.position.opened_under, None, "nothing is held: nothing is kept");
    assert_eq!(held.position.realised_profit, money("1000 USDT"));
}

#[test]
fn a_liquidation_price_is_reckoned_by_the_tiers_the_position_was_opened_under() {
    let mut story = Story::perpetual().holding("USDT 100000 available");
    let told = story.posted(&isolated(perpetual("buy", "1", "20000")));
    assert_eq!(position(&told)["liquidation_price"], "18072.28915663");
    story.clearing.stage = configured(|symbol| symbol["maintenance"] = json!([{ "rate": "0.5" }]));
    let told = story.posted(&funding("0", "20000"));
    assert_eq!(position(&told)["liquidation_price"], "18072.28915663");
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    let told = story.posted(&isolated(perpetual("buy", "1", "20000")));
    assert_eq!(position(&told)["liquidation_price"], "36000");
}

#[test]
fn a_position_is_closed_in_the_currency_it_was_opened_in() {
    let mut story = Story::perpetual().holding("USDT 100000 available; BTC 1 available, 1 frozen");
    story.posted(&perpetual("buy", "1", "10000"));
    story.clearing.stage = configured(|symbol| {
        symbol["settled_in"] = json!("BTC");
        symbol["kind"] = json!("inverse");
    });
    let fill = |side, quantity| at_fee(perpetual(side, quantity, "10000"), "0.01 BTC");
    story.posted(&of_reserve(fill("buy", "1"), "0.5"));
    assert_eq!(
        story.money(),
        "BTC 1.49 available, 0.5 frozen; USDT 98000 available, 2000 margin",
        "the reserve is of no use to the margin, and the fee is in the currency the event says"
    );
    story.posted(&fill("sell", "10002"));
    assert_eq!(story.money(), "BTC 1.38 available, 0.5 frozen, 0.1 margin; USDT 100000 available");
    let position = story.position.state.positions.values().next().unwrap();
    assert_eq!(position.opened_under.as_ref().unwrap().kind, ContractKind::Inverse);
    assert_eq!(position.realised_profit.currency(), currency("BTC"));
}

#[test]
fn a_position_of_an_earlier_release_goes_by_what_that_release_knew() {
    let mut held = Held::nothing_of(linear());
    held.buy("1", "10000");
    held.position.opened_under = None;
    let rounding = Roundings { margin: Rounding::Down, ..Roundings::default() };
    let other = Contract { kind: ContractKind::Inverse, rounding, ..tiered("BTC-USDT") };
    assert_eq!(*held.position.contract(&other), linear());
    let key = PositionKey::net(linear().symbol);
    let change = PositionChange::new(&key, &other, &held.position, money("0 USDT")).unwrap();
    assert_eq!(change.entry_price, Some(decimal("10000")));

    held.take(&fill_of(&other, Side::Sell, decimal("0.5"), decimal("11000")));
    assert_eq!(held.position.opened_under, None, "closing a part tells nothing new");
    assert_eq!(held.position.realised_profit, money("500 USDT"));
    held.take(&fill_of(&other, Side::Buy, decimal("0.5"), decimal("10000")));
    assert_eq!(held.position.opened_under, Some(linear()));
}

#[test]
fn each_figure_is_rounded_as_its_symbol_says() {
    use Rounding::{Down, HalfEven, Up};
    let rounded = |margin, profit, funding| {
        let contract = tiered("BTC-USDT").without_maintenance();
        let mut held = Held::nothing_of(Contract {
            rounding: Roundings { margin, profit, funding },
            ..contract
        });
        let mut event = fill_of(&held.contract, Side::Buy, decimal("1"), decimal("1.0000005"));
        event.leverage = decimal("1");
        let added = held.take(&event).margin_added;
        let received = cap_domain::position::funding(
            &held.position,
            &held.contract,
            decimal("1"),
            decimal("0.0000015"),
        );
        let lost = held.sell("1", "0.999999").realised;
        [added.units(), received.unwrap().units(), lost.units()]
    };
    // 1.0000005 margin, −0.0000015 funding, −0.0000015 profit, in millionths
    assert_eq!(rounded(Up, HalfEven, HalfEven), [1_000_001, -2, -2]);
    assert_eq!(rounded(Down, Down, Down), [1_000_000, -1, -1]);
    assert_eq!(rounded(HalfEven, Up, Up), [1_000_000, -2, -2]);
    assert_eq!(rounded(Up, Down, Up), [1_000_001, -2, -1]);
}
