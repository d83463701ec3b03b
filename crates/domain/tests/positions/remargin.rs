//! The margin that a position would need under another leverage.

use cap_domain::instrument::Contract;
use cap_domain::position::remargin;

use crate::Held;
use crate::common::{decimal, inverse, linear, money};

#[test]
fn remargining_is_the_initial_margin_of_the_exact_cost() {
    let tenth = Contract { multiplier: decimal("0.1"), ..linear() };
    // contract, fills, leverage → margin
    let cases = [
        (linear(), vec![("1", "20000")], "10", "2000 USDT"),
        (linear(), vec![("1", "20000")], "3", "6666.666667 USDT"),
        (linear(), vec![("3", "0.333333333333"), ("4", "0.1")], "1", "1.4 USDT"),
        (tenth, vec![("1", "20000")], "20", "100 USDT"),
        (inverse(), vec![("1000", "5000"), ("2000", "6000")], "10", "0.05333334 BTC"),
        (inverse(), vec![("1000", "5000")], "100", "0.002 BTC"),
    ];
    for (contract, fills, leverage, expected) in cases {
        let mut held = Held::nothing_of(contract);
        for (quantity, price) in &fills {
            held.sell(quantity, price);
        }
        let found = remargin(&held.position, &held.contract, decimal(leverage)).unwrap();
        assert_eq!(found, money(expected), "{fills:?} at {leverage}");
    }
}

#[test]
fn a_flat_position_needs_no_margin() {
    let held = Held::nothing_of(linear());
    assert!(remargin(&held.position, &held.contract, decimal("10")).unwrap().is_zero());
}
