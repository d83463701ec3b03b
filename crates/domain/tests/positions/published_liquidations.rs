//! Liquidation prices published beside those of `vectors/positions.json`: of shorts, of inverse
//! contracts, and on margin that was added, shared or taken.

use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::event::Side;
use cap_domain::instrument::{Contract, Maintenance};
use cap_domain::money::{Exact, Money};
use cap_domain::position::{Backing, Exposure, Position, liquidation_price};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};
use crate::common::{decimal, inverse, linear, money, shipped, tiered};
use crate::published::as_published;
use crate::{Held, fill_of};

/// An account with so much USDT.
fn holding(amount: &str) -> Story {
    Story::perpetual().holding(&format!("USDT {amount} available"))
}

/// The same, where BTC-USDT is maintained by `tiers`.
fn maintained_by(tiers: &Value, amount: &str) -> Story {
    let mut document = shipped();
    document["instruments"]["perpetual"]["symbols"]["BTC-USDT"]["maintenance"] = tiers.clone();
    let configuration = Configuration::check(1, serde_json::from_value(document).unwrap());
    let story = Story::under("perpetual", Arc::new(configuration.unwrap())).opened();
    story.holding(&format!("USDT {amount} available"))
}

fn at_leverage(trade: Value, leverage: &str) -> Value {
    isolated(with(trade, json!({ "leverage": leverage })))
}

fn told_price(told: &Told) -> Decimal {
    told.message.outcome.position.as_ref().unwrap().liquidation_price.unwrap()
}

fn position(story: &Story) -> &Position {
    &story.position.state.positions[&"BTC-USDT".parse().unwrap()]
}

/// `test_get_liquidation_price` of freqtrade,
/// https://github.com/freqtrade/freqtrade/blob/develop/tests/exchange/test_exchange.py: Binance with a
/// maintenance rate of 0.01 and an amount of 0.01; Gate and OKX with the same rate and, for the fee to
/// close, 0.0006 more. Published with the digits of a float, told with eight decimals.
#[test]
fn prices_of_isolated_longs_and_shorts_come_through_the_stages_as_published() {
    // 2 · (0.01 − 0.005) is the amount.
    let binance = json!([{ "up_to": "2", "rate": "0.005" }, { "rate": "0.01" }]);
    let gate = json!([{ "rate": "0.0106" }]);
    // side, quantity, entry → published, all at five times leverage
    let cases = [
        (&binance, "sell", "1", "10", "11.89108910891089"),
        (&binance, "sell", "1", "8", "9.514851485148514"),
        (&binance, "sell", "0.6", "10", "11.897689768976898"),
        (&binance, "buy", "1", "10", "8.070707070707071"),
        (&binance, "buy", "1", "8", "6.454545454545454"),
        (&binance, "buy", "0.6", "10", "8.063973063973064"),
        (&gate, "sell", "1", "10", "11.87413417771621"),
        (&gate, "sell", "2", "10", "11.87413417771621"),
        (&gate, "sell", "1", "8", "9.499307342172967"),
        (&gate, "buy", "1", "10", "8.085708510208207"),
    ];
    for (tiers, side, quantity, entry, published) in cases {
        let mut story = maintained_by(tiers, "100");
        let told = story.posted(&at_leverage(perpetual(side, quantity, entry), "5"));
        let published = decimal(published).round_dp(8);
        assert_eq!(told_price(&told), published, "{side} {quantity} at {entry}, {tiers}");
    }
}

/// BTCEX, https://support.btcex.com/hc/en-us/articles/13502841505815: a long of 1.5 BTC at 25,000 and
/// ten times leverage, to which its maintenance margin is added once more. (The page cuts the first
/// price after its digit; it does not round.)
#[test]
fn the_price_of_a_long_with_added_margin_comes_through_the_stages_as_published() {
    let mut story = holding("3950");
    let told = story.posted(&at_leverage(perpetual("buy", "1.5", "25000"), "10"));
    let first = told_price(&told).round_dp_with_strategy(1, RoundingStrategy::ToZero);
    assert_eq!(first, decimal("22590.3"));
    assert_eq!(story.money(), "USDT 200 available, 3750 margin");

    let tiers = tiered("BTC-USDT").maintenance.unwrap();
    let notional = Exact::from(first).times(decimal("1.5")).unwrap();
    let added = tiers.of_notional(notional).unwrap().margin_of(notional).unwrap();
    assert_eq!(added.decimal().unwrap(), decimal("135.5418"));

    story.posted(&margin_changed("135.5418"));
    let told = story.follow();
    assert_eq!(as_published(told_price(&told[0]), "22499.6"), decimal("22499.6"));
}

/// Where so much `margin` no longer covers what a position of a contract with multiplier 1 needs, if
/// that is `rate` of its value at entry: an amount that does not follow the price.
fn price_at_entry_rate(
    position: &Position,
    contract: &Contract,
    margin: Money,
    rate: &str,
) -> Decimal {
    let entry_value = Exact::new(position.cost, 12);
    let exposure = Exposure {
        kind: contract.kind,
        sign: position.sign(),
        quantity: position.quantity.abs().into(),
        entry_value,
    };
    let nothing = Exact::new(0, 0);
    let needed = entry_value.times(decimal(rate)).unwrap();
    let fixed = Maintenance { rate: nothing, amount: nothing.minus(needed).unwrap() };
    liquidation_price(exposure, Backing::alone(margin), fixed).unwrap().unwrap()
}

#[test]
fn prices_whose_maintenance_is_reckoned_at_entry_are_as_published() {
    let (buy, sell) = (Side::Buy, Side::Sell);
    // trade, leverage, rate → published
    let cases = [
        // Bybit, https://help.bybit.com/hc/en-us/articles/900000181046-Liquidation-Price-USDT-Contract-
        (linear(), buy, "1", "10000", "50", "0.005", "9850"),
        (linear(), sell, "1", "8000", "40", "0.005", "8160"),
        // MoonXBT, https://support.moonxbt.com/hc/ja/articles/5532119155343
        (linear(), sell, "1", "20000", "40", "0.005", "20400"),
        // Bybit in the test of freqtrade named above, but for a third, which is no margin of whole units
        (linear(), buy, "1", "10", "1", "0.01", "0.1"),
        (linear(), buy, "1", "10", "5", "0.01", "8.1"),
        (linear(), buy, "1", "10", "10", "0.01", "9.1"),
        (linear(), sell, "1", "10", "1", "0.01", "19.9"),
        (linear(), sell, "1", "10", "5", "0.01", "11.9"),
        (linear(), sell, "1", "10", "10", "0.01", "10.9"),
        // MyCoinStory, https://help.mcs.io/hc/en-us/articles/360041008371-Isolated-Margin, for any quantity
        (inverse(), buy, "2000", "2000", "10", "0.005", "1826.48"),
        (inverse(), sell, "2000", "2000", "10", "0.005", "2209.94"),
        // The same, https://blog.mycoinstory.com/find-the-liquidation-price/
        (inverse(), buy, "10000", "10000", "10", "0.005", "9132.42"),
    ];
    for (contract, side, quantity, entry, leverage, rate, published) in cases {
        let mut held = Held::nothing_of(contract);
        let mut event = fill_of(&held.contract, side, decimal(quantity), decimal(entry));
        event.leverage = decimal(leverage);
        held.take(&event);
        let margin = held.position.margin;
        let found = price_at_entry_rate(&held.position, &held.contract, margin, rate);
        let found = as_published(found, published);
        assert_eq!(found, decimal(published), "{side:?} {quantity} at {entry} by {leverage}");
    }
}

/// MoonXBT, the page named above: a cross long of 1 BTC at 20,000 with 200 of margin and 2,000
/// available.
#[test]
fn the_price_of_a_cross_position_whose_maintenance_is_reckoned_at_entry_is_as_published() {
    let mut held = Held::nothing_of(linear());
    let mut event = fill_of(&linear(), Side::Buy, decimal("1"), decimal("20000"));
    event.leverage = decimal("100");
    assert_eq!(held.take(&event).margin_added, money("200 USDT"));
    let found = price_at_entry_rate(&held.position, &linear(), money("2200 USDT"), "0.005");
    assert_eq!(found, decimal("17900"));
}

/// Bybit, "Liquidation Price (USDT Contract)", examples 2 and 3,
/// https://testnet.bybit.com/en-US/help-center/s/article/Liquidation-Price-USDT-Contract, whose figures
/// https://wuyelx.com/4039.html repeats.
#[test]
fn margin_that_was_added_or_taken_by_funding_moves_the_price_as_published() {
    let price = |story: &Story| {
        let position = position(story);
        price_at_entry_rate(position, &linear(), position.margin, "0.005")
    };
    let mut story = holding("3400");
    story.posted(&at_leverage(perpetual("sell", "1", "20000"), "50"));
    story.posted(&margin_changed("3000"));
    story.follow();
    assert_eq!(position(&story).margin, money("3400 USDT"));
    assert_eq!(price(&story), decimal("23300"));

    // 200 of funding, and nothing available that could pay it.
    let mut story = holding("400");
    story.posted(&at_leverage(perpetual("buy", "1", "20000"), "50"));
    assert_eq!(price(&story), decimal("19700"));
    story.posted(&funding("0.01", "20000"));
    story.follow();
    assert_eq!(position(&story).margin, money("200 USDT"));
    assert_eq!(price(&story), decimal("19900"));
}

/// Bybit, "Adjust Margin on position (USDT Contract)", scenarios 2 and 3,
/// https://help.bybit.com/hc/en-us/articles/900000294083-Adjust-Margin-on-position-USDT-Contract-, and
/// https://cryptoarmy.io/faq/how-to-increase-decrease-position-margin-on-bybit/, which says of a partial
/// close that the price stays. Of the 500 that separate the first price from the entry they do not say
/// what is margin and what is needed: here all of it is margin.
#[test]
fn added_margin_is_shared_by_what_is_bought_later_and_by_what_a_partial_close_leaves() {
    let price = |story: &Story| {
        let position = position(story);
        price_at_entry_rate(position, &linear(), position.margin, "0")
    };
    let bought = at_leverage(perpetual("buy", "1", "10000"), "20");
    let mut story = holding("5000");
    story.posted(&bought);
    assert_eq!(price(&story), decimal("9500"));
    story.posted(&margin_changed("1000"));
    story.follow();
    assert_eq!(price(&story), decimal("8500"));
    story.posted(&at_leverage(perpetual("sell", "0.5", "10000"), "20"));
    assert_eq!(price(&story), decimal("8500"), "of what is left");

    let mut story = holding("5000");
    story.posted(&bought);
    story.posted(&margin_changed("1000"));
    story.follow();
    story.posted(&bought);
    assert_eq!(price(&story), decimal("9000"));
}
