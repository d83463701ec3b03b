//! A fill in parts is the fill as a whole: one account takes every fill at once, its twin takes it in
//! two to five parts at the same price, and after each the two are compared through all stages.
//!
//! They differ by what is rounded once here and once a part there, and by nothing else. Of a fill that
//! closes in k parts, or opens in k:
//!
//! - Cost of a linear contract is the same to the last of its 12 decimals when it opens: no part has
//!   more of them, unless price and quantity have more than 12 together. That of an inverse one is
//!   rounded half-even, k times against once: (k + 1) / 2 units of 10^-12. Not k / 2, for the whole is
//!   rounded as well. A partial close releases rounded shares, (k + 1) / 2, and of what was apart before
//!   its part. The last close releases all: zero.
//! - Margin is rounded when it is added, by default up: the parts have at most k − 1 smallest units
//!   more. Released it is half-even, (k + 1) / 2, and all of it on the last close: zero.
//! - Profit differs by what the released costs differ by, exactly, and by its own rounding: (k + 1) / 2
//!   smallest units half-even, less than k toward zero, less than k + 1 away from it, for next to
//!   nothing is then a unit on either side of zero. What a pair trades for is rounded half-even.
//! - Fees are upstream's and the same. Where a rulebook splits them, the share is rounded half-even a
//!   leg, and who takes the remainder has the exact opposite.
//!
//! Profit and loss meet `house:pnl`, pairs meet `house:trading`, and there lies the exact opposite of
//! what the accounts are apart. Margin is apart only against what is free.

mod fills;
mod twins;

use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::common::decimal;
use fills::{CFD, Fill, INVERSE, LINEAR, Market, ROUNDINGS, SPOT, shared};
use twins::Twins;

#[derive(Debug, Clone, Copy)]
enum Act {
    Grow,
    Reduce,
    Close,
    Flip,
}

/// What comes next, whatever is held.
#[derive(Debug, Clone)]
struct Turn {
    act: Act,
    /// Of what opens; the parts of what closes are in their proportion.
    sizes: Vec<i128>,
    /// How much of what is held a partial close takes.
    percent: i128,
    fill: Fill,
}

impl Turn {
    /// As a fill of what is `held`, none if there is nothing to close any more.
    fn fill(&self, held: i128) -> Option<Fill> {
        let opened: i128 = self.sizes.iter().sum();
        let (quantity, buys) = match (self.act, held) {
            (Act::Close, 0) => return None,
            (_, 0) => (opened, self.fill.buys),
            (Act::Grow, held) => (opened, held > 0),
            (Act::Reduce, held) => ((held.abs() * self.percent / 100).max(1), held < 0),
            (Act::Close, held) => (held.abs(), held < 0),
            (Act::Flip, held) => (held.abs() + opened, held < 0),
        };
        Some(Fill { buys, parts: portions(quantity, &self.sizes), ..self.fill.clone() })
    }
}

/// `quantity` in the proportion of `sizes`: no part is nothing, so there may be fewer.
fn portions(quantity: i128, sizes: &[i128]) -> Vec<i128> {
    let count = sizes.len().min(quantity as usize);
    let rest = shared(quantity - count as i128, &sizes[..count]);
    rest.into_iter().map(|part| part + 1).collect()
}

fn sizes() -> impl Strategy<Value = Vec<i128>> {
    let size = prop_oneof![1_i128..10, 1_i128..1_000, 1_i128..50_000];
    prop::collection::vec(size, 2..=5)
}

fn turn(market: &Market, act: Act) -> impl Strategy<Value = Turn> + use<> {
    let [least, most] = market.price_scales;
    let prices = (1..market.price_units_max, least..=most)
        .prop_map(|(units, scale)| Decimal::new(units, scale));
    let leverages = prop::sample::select(vec!["1", "3", "7", "10", "20", "125", "2.5", "0.5"]);
    let fees = prop_oneof![1 => Just(0_i128), 5 => -1_000_i128..20_000];
    let reserves = prop_oneof![2 => Just(0_i128), 1 => 1_i128..1_000_000_000];
    let flags = (any::<bool>(), prop::bool::weighted(0.75));
    (sizes(), 1_i128..100, prices, leverages, fees, reserves, flags).prop_map(
        move |(sizes, percent, price, leverage, fee, reserved, (buys, at_once))| {
            let (parts, scale, isolated) = (Vec::new(), 0, false);
            let fill =
                Fill { buys, parts, scale, price, leverage, isolated, fee, reserved, at_once };
            Turn { act, sizes, percent, fill }
        },
    )
}

/// The other acts in some order behind the opening, perhaps one more, and all is closed in the end.
fn turns(market: &'static Market) -> impl Strategy<Value = Vec<Turn>> {
    let each = Just(vec![Act::Reduce, Act::Flip, Act::Close]).prop_shuffle();
    let any = prop::sample::select(vec![Act::Grow, Act::Reduce, Act::Flip]);
    let more = prop::collection::vec(any, 0..2);
    (each, more).prop_flat_map(|(each, more)| {
        let acts = [vec![Act::Grow], each, more, vec![Act::Close]].concat();
        acts.into_iter().map(|act| turn(market, act)).collect::<Vec<_>>()
    })
}

#[derive(Debug, Clone)]
struct Case {
    turns: Vec<Turn>,
    scale: u32,
    isolated: bool,
    roundings: usize,
    /// Else all it pays is borrowed.
    is_rich: bool,
}

fn cases(market: &'static Market, isolated: &'static [bool]) -> impl Strategy<Value = Case> {
    let scales = 0..=market.quantity_scale_max;
    let isolated = prop::sample::select(isolated);
    let roundings = prop_oneof![Just(0), 0..ROUNDINGS.len()];
    let riches = prop::bool::weighted(0.75);
    (turns(market), scales, isolated, roundings, riches).prop_map(
        |(turns, scale, isolated, roundings, is_rich)| Case {
            turns,
            scale,
            isolated,
            roundings,
            is_rich,
        },
    )
}

fn play(market: &Market, case: &Case) {
    let mut twins = Twins::new(market, case.roundings, case.is_rich);
    for turn in &case.turns {
        let Some(mut fill) = turn.fill(twins.held) else { continue };
        (fill.scale, fill.isolated) = (case.scale, case.isolated);
        if !case.is_rich {
            fill.reserved = 0;
        }
        twins.take(&fill);
    }
    assert_eq!(twins.held, 0, "all is closed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pair_trades_in_parts_as_the_whole(case in cases(&SPOT, &[false])) {
        play(&SPOT, &case);
    }

    #[test]
    fn a_linear_cross_position_trades_in_parts_as_the_whole(case in cases(&LINEAR, &[false])) {
        play(&LINEAR, &case);
    }

    #[test]
    fn a_linear_isolated_position_trades_in_parts_as_the_whole(case in cases(&LINEAR, &[true])) {
        play(&LINEAR, &case);
    }

    #[test]
    fn an_inverse_position_trades_in_parts_as_the_whole(case in cases(&INVERSE, &[false, true])) {
        play(&INVERSE, &case);
    }

    #[test]
    fn a_position_of_lots_with_bonus_and_cash_trades_in_parts_as_the_whole(
        case in cases(&CFD, &[false, true]),
    ) {
        play(&CFD, &case);
    }
}

/// A purchase or sale in equal parts of `10^-scale · units`, at ten times leverage.
fn equal_parts(buys: bool, count: usize, units: i128, scale: u32, price: &str) -> Fill {
    Fill {
        buys,
        parts: vec![units; count],
        scale,
        price: decimal(price),
        leverage: "10",
        isolated: false,
        fee: 0,
        reserved: 0,
        at_once: false,
    }
}

#[test]
fn the_parts_can_be_as_far_from_the_whole_as_they_may() {
    // Five parts whose margin is a tenth of a unit each: five units against one.
    let mut twins = Twins::new(&LINEAR, 0, true);
    twins.take(&equal_parts(true, 5, 1, 6, "1"));
    let [whole, parts] = twins.purses("USDT");
    assert_eq!((parts.margin, whole.margin), (5, 1));
    assert_eq!(twins.apart.cost, 0);

    // Three parts that win half a unit each, rounded to none: none against two for one and a half.
    let mut twins = Twins::new(&LINEAR, 0, true);
    twins.take(&equal_parts(true, 1, 3, 6, "1"));
    twins.take(&equal_parts(false, 3, 1, 6, "1.5"));
    assert_eq!(twins.apart.won, -2);

    // The same of half units of cost, which closing all makes good again.
    let mut twins = Twins::new(&INVERSE, 0, true);
    twins.take(&equal_parts(true, 3, 5, 7, "1000000"));
    assert_eq!(twins.apart.cost, -2);
    twins.take(&equal_parts(false, 2, 5, 7, "1000000"));
    twins.take(&equal_parts(false, 1, 5, 7, "1000000"));
    assert_eq!((twins.apart.cost, twins.apart.won), (0, 0));

    // And of half units of what is paid.
    let mut twins = Twins::new(&SPOT, 0, true);
    twins.take(&equal_parts(true, 3, 1, 6, "0.5"));
    assert_eq!(twins.apart.won, 2);
}

#[test]
fn a_flip_whose_fee_has_no_half_pays_all_of_it_at_once_and_in_parts() {
    let mut twins = Twins::new(&LINEAR, 0, true);
    twins.take(&equal_parts(true, 1, 1, 0, "100"));
    // Three units: two to close and one to open, in parts one and two.
    twins.take(&Fill { fee: 3, ..equal_parts(false, 2, 1, 0, "100") });
    assert_eq!(twins.paid_to("house:fees"), [3, 3]);
}

#[test]
fn what_is_less_than_a_unit_of_cost_is_not_released_in_parts_either() {
    // A hundred units of quantity cost ten of 10^-12: a part of one releases a tenth, five a half.
    let mut twins = Twins::new(&LINEAR, 0, true);
    twins.take(&equal_parts(true, 1, 100, 7, "0.000001"));
    twins.take(&equal_parts(false, 5, 1, 7, "0.000001"));
    assert_eq!(twins.apart.cost, 0);
    twins.take(&equal_parts(false, 5, 19, 7, "0.000001"));
}
