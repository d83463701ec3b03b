//! What holds of any trades at any prices: nothing is left behind, and nothing is won that nobody
//! lost.

use cap_domain::event::{ContractFill, Side};
use cap_domain::instrument::{Contract, ContractKind};
use cap_domain::money::Money;
use cap_domain::position::{HedgeSide, MarginMode, PositionKey};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::common::events::{inverse_perpetual, on_side, opened, opened_in_hedge_mode, perpetual};
use crate::common::story::Story;
use crate::common::{decimal, inverse, linear, tiered};
use crate::{Held, fill_of};

/// Quantities and prices as markets have them: whole steps of a tick, from tiny to large.
fn quantities() -> impl Strategy<Value = Decimal> {
    (1_i64..5_000_000, 0_u32..8).prop_map(|(units, scale)| Decimal::new(units, scale))
}

fn prices() -> impl Strategy<Value = Decimal> {
    // Together with the largest quantities still within the fifteen digits a cost may have.
    (1_i64..20_000_000, 0_u32..6).prop_map(|(units, scale)| Decimal::new(units, scale))
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn contracts() -> impl Strategy<Value = Contract> {
    let multiplied = |contract: Contract| Contract { multiplier: decimal("0.01"), ..contract };
    prop_oneof![
        Just(linear()),
        Just(inverse()),
        Just(tiered("BTC-USDT")),
        Just(tiered("BTC-USD")),
        Just(multiplied(linear())),
        Just(multiplied(inverse()))
    ]
}

fn margin_modes() -> impl Strategy<Value = MarginMode> {
    prop_oneof![Just(MarginMode::Cross), Just(MarginMode::Isolated)]
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
        mode in margin_modes(),
        opening in sides(),
        opened in prop::collection::vec((quantities(), prices()), 1..6),
        cuts in prop::collection::vec(1_i64..100, 0..6),
        exit in prices(),
    ) {
        let mut held = Held::nothing_of(contract);
        let (mut added, mut released) = (0, 0);
        let mut realised = 0;
        for (quantity, price) in opened {
            let event = fill_of(&held.contract, opening, quantity, price);
            let event = ContractFill { margin_mode: mode, ..event };
            added += held.take(&event).margin_added.units();
            prop_assert_eq!(held.position.margin_mode, mode);
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
        let apart = (whole.position.cost - in_parts.position.cost).abs();
        let count = parts.len() as i128;
        match whole.contract.kind {
            ContractKind::Linear => prop_assert_eq!(apart, 0, "no part has more than 12 decimals"),
            ContractKind::Inverse => {
                prop_assert!(2 * apart <= count + 1, "cost is {apart} · 10^-12 apart");
            }
        }
        let margins = in_parts.position.margin.units() - whole.position.margin.units();
        prop_assert!((0..count).contains(&margins), "each part rounds margin up once");
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

/// An opening of so much at so much, or a closing of so many hundredths of what is held.
type HedgeTrade = (HedgeSide, i64, i64, Option<u32>);

fn hedge_trades() -> impl Strategy<Value = Vec<HedgeTrade>> {
    let side = prop_oneof![Just(HedgeSide::Long), Just(HedgeSide::Short)];
    let closing = prop::option::of(1_u32..=100);
    prop::collection::vec((side, 1_i64..1_000, 1_i64..100_000, closing), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..quickly() })]

    #[test]
    fn the_sides_of_a_hedge_account_are_what_two_one_way_accounts_would_hold(
        trades in hedge_trades(),
        is_inverse: bool,
    ) {
        let trade = if is_inverse { inverse_perpetual } else { perpetual };
        let symbol = if is_inverse { inverse().symbol } else { linear().symbol };
        let mut hedge = Story::of("perpetual");
        hedge.posted(&opened_in_hedge_mode());
        let mut apart = HedgeSide::ALL.map(|side| (side, Story::of("perpetual")));
        for (_, one_way) in &mut apart {
            one_way.posted(&opened());
        }
        for (side, quantity, price, closing) in trades {
            let key = PositionKey::hedge(symbol.clone(), side);
            let held = hedge.position.state.positions.get(&key);
            let held = held.map(|position| position.quantity.abs()).unwrap_or_default();
            let closing = closing.map(|percent| (held * Decimal::new(percent.into(), 2)).round_dp(8));
            let (opens, quantity) = match closing.filter(|closing| !closing.is_zero()) {
                Some(closing) => (false, closing),
                None => (true, Decimal::new(quantity, 3)),
            };
            let bought = opens == (side == HedgeSide::Long);
            let event = trade(
                if bought { "buy" } else { "sell" },
                &quantity.to_string(),
                &price.to_string(),
            );
            hedge.posted(&on_side(event.clone(), side.as_str()));
            let (_, one_way) = apart.iter_mut().find(|(of, _)| *of == side).unwrap();
            one_way.posted(&event);
        }
        for (side, one_way) in &apart {
            let (net, key) =
                (PositionKey::net(symbol.clone()), PositionKey::hedge(symbol.clone(), *side));
            let theirs = one_way.position.state.positions.get(&net);
            prop_assert_eq!(hedge.position.state.positions.get(&key), theirs);
        }
        hedge.position.prove();
        hedge.account.prove();
    }
}
