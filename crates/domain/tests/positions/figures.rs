//! The figures of a position: cost, margin, profit, shares of a fee, funding, each rounded once.

use cap_domain::event::Side;
use cap_domain::instrument::Contract;
use cap_domain::money::Money;
use cap_domain::position::{Position, PositionChange, PositionKey, fill, funding};

use crate::common::{currency, decimal, linear, money, short};
use crate::{Held, fill_of};

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
    let key = PositionKey::net(held.contract.symbol.clone());
    let change =
        PositionChange::new(&key, &held.contract, &held.position, filled.realised).unwrap();
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
