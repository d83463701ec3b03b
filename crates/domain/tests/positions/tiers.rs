//! The shipped maintenance tiers, and which of them a notional lies in.

use cap_domain::instrument::{MaintenanceTier, MaintenanceTiers};
use cap_domain::money::{Exact, Rounding};
use rust_decimal::Decimal;

use crate::common::{decimal, tiered};

/// Rate and amount of the tier that `notional` lies in.
fn found(tiers: &MaintenanceTiers, notional: &str) -> (Decimal, Decimal) {
    let tier = tiers.of_notional(decimal(notional).into()).unwrap();
    let shown = |figure: Exact| {
        let units = figure.rounded(12, Rounding::HalfEven).unwrap();
        Decimal::from_i128_with_scale(units, 12).normalize()
    };
    (shown(tier.rate), shown(tier.amount))
}

#[test]
fn a_notional_lies_in_the_first_tier_that_reaches_it_and_in_the_last_if_none_does() {
    // symbol, notional → rate, amount; 1300, 16300 and 135365 are the published amounts of the vectors
    let cases = [
        ("BTC-USDT", "0", "0.004", "0"),
        ("BTC-USDT", "50000", "0.004", "0"),
        ("BTC-USDT", "50000.000000000001", "0.005", "50"),
        ("BTC-USDT", "250000", "0.005", "50"),
        ("BTC-USDT", "250001", "0.01", "1300"),
        ("BTC-USDT", "4999999", "0.025", "16300"),
        ("BTC-USDT", "300000000.000001", "0.5", "99891300"),
        ("ETH-USDT", "5000000", "0.1", "135365"),
        ("ETH-USDT", "999999999999999", "0.25", "2510365"),
        ("BTC-USD", "5", "0.004", "0"),
        ("BTC-USD", "5.00000001", "0.005", "0.005"),
        ("BTC-USD", "1000000", "0.25", "121.605"),
    ];
    for (symbol, notional, rate, amount) in cases {
        let tiers = tiered(symbol).maintenance.unwrap();
        let expected = (decimal(rate), decimal(amount));
        assert_eq!(found(&tiers, notional), expected, "{notional} of {symbol}");
    }
}

#[test]
fn the_margin_of_a_tier_goes_on_where_the_tier_before_ends() {
    for symbol in ["BTC-USDT", "ETH-USDT", "BTC-USD"] {
        let tiers = tiered(symbol).maintenance.unwrap();
        let listed: Vec<MaintenanceTier> = tiers.clone().into();
        for (tier, next) in listed.iter().zip(&listed[1..]) {
            let floor = tier.up_to.unwrap();
            let (_, amount) = found(&tiers, &floor.to_string());
            let (_, next_amount) = found(&tiers, &(floor + decimal("0.000001")).to_string());
            let (below, above) = (floor * tier.rate - amount, floor * next.rate - next_amount);
            assert_eq!(below.normalize(), above.normalize(), "{symbol} at {floor}");
        }
    }
}
