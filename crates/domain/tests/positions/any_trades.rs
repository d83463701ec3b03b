//! What holds of any trades at any prices: nothing is left behind, and nothing is won that nobody
//! lost.

use cap_domain::event::Side;
use cap_domain::instrument::Contract;
use cap_domain::money::Money;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::common::{decimal, inverse, linear};
use crate::{Held, fill_of};

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
