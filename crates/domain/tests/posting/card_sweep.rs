//! A card, charge by charge around every cent: what is borrowed is the least that covers it.

use serde_json::Value;

use crate::common::events::*;
use crate::common::story::Story;

/// Charges, interest and adjustments through all stages, unit by unit around every cent, in both
/// directions of the rate: what is borrowed is what counting up finds.
#[test]
fn charges_interest_and_adjustments_borrow_the_least_that_covers_them() {
    type Event = fn(&str) -> Value;
    let charges: [Event; 4] =
        [fee, interest, |money| adjusted(&format!("-{money}"), "force"), reserved_borrowing];
    // A rate, and how many units (0.000001 USDT) so many cents buy, rounded half-even by hand.
    type Bought = fn(i128) -> i128;
    let rates: [(&str, Bought); 3] = [
        ("USD/USDT 0.9991", |cents| cents * 9_991),
        ("USDT/USD 1.25", |cents| cents * 8_000),
        // A cent buys two units and a half: 1 → 2, 2 → 5, 3 → 7.5 → 8, …
        ("USD/USDT 0.00025", |cents| {
            let (whole, half) = (cents * 5 / 2, cents * 5 % 2);
            whole + half * (whole % 2)
        }),
    ];
    for (rate, bought) in rates {
        for cents in 1..6 {
            for off in -2..=2 {
                let units = bought(cents) + off;
                if units < 1 {
                    continue;
                }
                let least = (1..).find(|cents| bought(*cents) >= units).unwrap();
                for charge in charges {
                    let amount = format!("0.{units:06} USDT");
                    let mut story = Story::spot().with_credit("500 USD");
                    story.posted(&at_rates(charge(&amount), rate));
                    let of = |code: &str| &story.account.state.balances[&code.parse().unwrap()];
                    assert_eq!(of("USD").borrowed.units(), least, "{amount} at {rate}");
                    assert_eq!(of("USDT").available.units(), bought(least) - units);
                    assert!(of("USDT").borrowed.is_zero());
                }
            }
        }
    }
}
