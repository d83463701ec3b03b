//! Trades and funding move what they say, out of what their orders froze and never out of more.

use cap_domain::account::AccountRuling;
use serde_json::Value;

use crate::check;
use crate::common::events::*;
use crate::common::show_legs;
use crate::common::story::Story;

#[test]
fn a_spot_fill_pays_receives_gives_back_and_pays_its_fee() {
    let buy = || spot("buy", "0.5", "40000");
    let sell = || spot("sell", "0.5", "40000");
    check(
        Story::spot,
        &[
            (
                "USDT 20000 frozen",
                None,
                of_reserve(buy(), "20000"),
                "posted",
                "BTC 0.5 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC",
            ),
            (
                "USDT 21000 frozen",
                None,
                of_reserve(buy(), "21000"),
                "posted",
                "BTC 0.5 available; USDT 1000 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT",
            ),
            (
                "USDT 21000 frozen",
                None,
                at_fee(of_reserve(buy(), "21000"), "10 USDT"),
                "posted",
                "BTC 0.5 available; USDT 990 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT; available → house:fees 10 USDT",
            ),
            (
                "USDT 30000 frozen",
                None,
                of_reserve(buy(), "21000"),
                "posted",
                "BTC 0.5 available; USDT 1000 available, 9000 frozen",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT",
            ),
            (
                "USDT 500 available, 19000 frozen",
                None,
                of_reserve(buy(), "19000"),
                "posted",
                "BTC 0.5 available; USDT 500 borrowed",
                "frozen → house:trading 19000 USDT; available → house:trading 1000 USDT; house:trading → available 0.5 BTC; borrowed → available 500 USDT",
            ),
            (
                "USDT 25000 available",
                None,
                buy(),
                "posted",
                "BTC 0.5 available; USDT 5000 available",
                "available → house:trading 20000 USDT; house:trading → available 0.5 BTC",
            ),
            (
                "USDT 20000 frozen",
                None,
                at_fee(of_reserve(buy(), "20000"), "0.001 BTC"),
                "posted",
                "BTC 0.499 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; available → house:fees 0.001 BTC",
            ),
            (
                "USDT 20000 frozen",
                None,
                at_fee(of_reserve(buy(), "20000"), "-3 HKD"),
                "posted",
                "BTC 0.5 available; HKD 3 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; house:fees → available 3 HKD",
            ),
            (
                "USDT 20000 frozen; BTC 0.2 borrowed",
                None,
                of_reserve(buy(), "20000"),
                "posted",
                "BTC 0.3 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; available → borrowed 0.2 BTC",
            ),
            (
                "USDT 20050 frozen",
                None,
                at_fee(of_reserve(buy(), "20050"), "60 USDT"),
                "posted",
                "BTC 0.5 available; USDT 10 borrowed",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 50 USDT; available → house:fees 60 USDT; borrowed → available 10 USDT",
            ),
            (
                "BTC 0.5 frozen",
                None,
                at_fee(of_reserve(sell(), "0.5"), "10 USDT"),
                "posted",
                "USDT 19990 available",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; available → house:fees 10 USDT",
            ),
            (
                "BTC 0.5 frozen; USDT 30000 borrowed",
                None,
                of_reserve(sell(), "0.5"),
                "posted",
                "USDT 10000 borrowed",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; available → borrowed 20000 USDT",
            ),
            (
                "BTC 0.5 frozen; USDT 0.4 borrowed",
                None,
                at_fee(of_reserve(sell(), "0.5"), "-1 USDT"),
                "posted",
                "USDT 20000.6 available",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; house:fees → available 1 USDT; available → borrowed 0.4 USDT",
            ),
            (
                "BTC 0.1 available",
                None,
                sell(),
                "posted",
                "BTC 0.4 borrowed; USDT 20000 available",
                "available → house:trading 0.5 BTC; house:trading → available 20000 USDT; borrowed → available 0.4 BTC",
            ),
            (
                "USDT 5 available",
                None,
                spot("buy", "0.00000001", "0.01"),
                "posted",
                "BTC 0.00000001 available; USDT 5 available",
                "house:trading → available 0.00000001 BTC",
            ),
        ],
    );
}

#[test]
fn a_position_is_margined_settled_and_charged() {
    let mut story = Story::perpetual().holding("USDT 500 available, 120 frozen");
    let steps = [
        (
            at_fee(of_reserve(perpetual("buy", "1", "1000"), "120"), "0.5 USDT"),
            "USDT 519.5 available, 100 margin",
            "frozen → margin 100 USDT; frozen → available 20 USDT; available → house:fees 0.5 USDT",
        ),
        (
            at_fee(perpetual("sell", "3", "1100"), "0.3 USDT"),
            "USDT 499.2 available, 220 margin",
            "margin → available 100 USDT; house:pnl → available 100 USDT; available → house:fees 0.1 USDT; available → margin 220 USDT; available → house:fees 0.2 USDT",
        ),
        (
            funding("0.01", "1000"),
            "USDT 519.2 available, 220 margin",
            "house:funding → available 20 USDT",
        ),
        (
            funding("-0.005", "1000"),
            "USDT 509.2 available, 220 margin",
            "available → house:funding 10 USDT",
        ),
        (
            at_fee(perpetual("buy", "1", "1200"), "-0.1 USDT"),
            "USDT 519.3 available, 110 margin",
            "margin → available 110 USDT; available → house:pnl 100 USDT; house:fees → available 0.1 USDT",
        ),
        (
            perpetual("buy", "1", "2000"),
            "USDT 270.7 borrowed",
            "margin → available 110 USDT; available → house:pnl 900 USDT; borrowed → available 270.7 USDT",
        ),
        (funding("0.01", "1000"), "USDT 270.7 borrowed", ""),
        (
            perpetual("buy", "1", "1000"),
            "USDT 100 margin, 370.7 borrowed",
            "available → margin 100 USDT; borrowed → available 100 USDT",
        ),
        (
            perpetual("sell", "1", "1300"),
            "USDT 29.3 available",
            "margin → available 100 USDT; house:pnl → available 300 USDT; available → borrowed 370.7 USDT",
        ),
    ];
    for (event, after, moved) in steps {
        story.posted(&event);
        let AccountRuling::Posted { legs, .. } = story.last_ruling() else { panic!("not posted") };
        assert_eq!((story.money().as_str(), show_legs(&legs).as_str()), (after, moved), "{event}");
    }
}

#[test]
fn a_fact_that_needs_more_than_is_frozen_is_poison() {
    check(
        Story::spot,
        &[
            (
                "USDT 50 frozen",
                None,
                released("100 USDT"),
                "parked: order.released cannot be applied: needs 100.000000 USDT frozen, has 50.000000 USDT frozen",
                "USDT 50 frozen",
                "",
            ),
            (
                "USDT 500 available",
                None,
                released("0.000001 USDT"),
                "parked: order.released cannot be applied: needs 0.000001 USDT frozen, has 0.000000 USDT frozen",
                "USDT 500 available",
                "",
            ),
            (
                "USDT 19000 frozen, 5000 available",
                None,
                of_reserve(spot("buy", "0.5", "40000"), "20000"),
                "parked: trade.filled cannot be applied: needs 20000.000000 USDT frozen, has 19000.000000 USDT frozen",
                "USDT 5000 available, 19000 frozen",
                "",
            ),
            (
                "USDT 20000 frozen",
                None,
                of_reserve(spot("buy", "0.5", "40000"), "20500"),
                "parked: trade.filled cannot be applied: needs 500.000000 USDT frozen, has 0.000000 USDT frozen",
                "USDT 20000 frozen",
                "",
            ),
            (
                "BTC 0.4 frozen, 1 available",
                None,
                of_reserve(spot("sell", "0.5", "40000"), "0.5"),
                "parked: trade.filled cannot be applied: needs 0.50000000 BTC frozen, has 0.40000000 BTC frozen",
                "BTC 1 available, 0.4 frozen",
                "",
            ),
        ],
    );
}

#[test]
fn a_contract_fill_that_uses_more_than_is_frozen_is_poison() {
    check(
        Story::perpetual,
        &[(
            "USDT 500 available, 99 frozen",
            None,
            of_reserve(perpetual("buy", "1", "1000"), "100"),
            "parked: trade.filled cannot be applied: needs 100.000000 USDT frozen, has 99.000000 USDT frozen",
            "USDT 500 available, 99 frozen",
            "",
        )],
    );
}

#[test]
fn the_outcome_shows_the_currencies_touched_afterwards() {
    let mut story = Story::spot().holding("USDT 20000 frozen; HKD 5 available");
    let told = story.posted(&at_fee(of_reserve(spot("buy", "0.5", "40000"), "20000"), "0.1 USDT"));
    let outcome: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        outcome["outcome"]["balances"],
        serde_json::json!([
            { "currency": "BTC", "available": "0.50000000", "frozen": "0.00000000", "margin": "0.00000000", "withdrawing": "0.00000000", "borrowed": "0.00000000" },
            { "currency": "USDT", "available": "0.000000", "frozen": "0.000000", "margin": "0.000000", "withdrawing": "0.000000", "borrowed": "0.100000" },
        ])
    );
}
