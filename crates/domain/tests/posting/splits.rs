//! An incoming amount is split over several subjects by formula (A7): the parts are the amount, to the
//! last unit, whatever the shares.

use cap_domain::division::{Share, Source, Split, Target};
use cap_domain::money::{Currency, Money};
use cap_domain::plan::{PlannedAmount, PlannedLeg, Shortfall, resolve};
use cap_domain::subject::Subject;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::check;
use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{currency, decimal, money};

fn split(shares: &[&str]) -> Split {
    let names = ["bonus", "partner", "points", "savings"];
    let shares = shares.iter().zip(names);
    Split {
        shares: shares
            .map(|(share, name)| Share { to: name.parse().unwrap(), share: decimal(share) })
            .collect(),
        remainder: "cash".parse().unwrap(),
    }
}

/// The parts' amounts as text, the remainder's last.
fn parts(shares: &[&str], amount: &str) -> String {
    let parts = split(shares).parts(money(amount)).unwrap();
    let amounts: Vec<String> = parts.iter().map(|(_, money)| money.amount()).collect();
    amounts.join(" ")
}

#[test]
fn shares_are_rounded_half_even_and_the_named_remainder_takes_what_is_left() {
    let cases: [(&[&str], &str, &str); 9] = [
        (&["0.1"], "100 USD", "10.00 90.00"),
        // Half a cent goes to the even one: 10.005 and 10.015.
        (&["0.1"], "100.05 USD", "10.00 90.05"),
        (&["0.1"], "100.15 USD", "10.02 90.13"),
        (&["0.1"], "0.04 USD", "0.00 0.04"),
        // Two halves of a cent that both round up: the second takes what is left.
        (&["0.5", "0.49"], "0.01 USD", "0.00 0.00 0.01"),
        (&["0.6", "0.39"], "0.01 USD", "0.01 0.00 0.00"),
        (&["0.33", "0.33", "0.33"], "0.02 USD", "0.01 0.01 0.00 0.00"),
        (&["0.333333333333"], "1 BTC", "0.33333333 0.66666667"),
        (&["0.000000000001"], "999999999999999.99 USD", "1000.00 999999999998999.99"),
    ];
    for (shares, amount, expected) in cases {
        assert_eq!(parts(shares, amount), expected, "{shares:?} of {amount}");
    }
}

#[test]
fn a_deposit_is_split_and_the_parts_that_are_nothing_do_not_move() {
    check(
        || Story::of("cfd").opened(),
        &[
            (
                "",
                None,
                deposit("100.05 USD"),
                "posted",
                "USD 10 bonus, 90.05 cash",
                "external:bank → bonus 10 USD; external:bank → cash 90.05 USD",
            ),
            (
                "",
                None,
                deposit("0.05 USD"),
                "posted",
                "USD 0.05 cash",
                "external:bank → cash 0.05 USD",
            ),
            (
                "USDT 1 cash",
                None,
                deposit("0.000015 USDT"),
                "posted",
                "USDT 0.000002 bonus, 1.000013 cash",
                "external:bank → bonus 0.000002 USDT; external:bank → cash 0.000013 USDT",
            ),
        ],
    );
}

#[test]
fn a_split_waits_until_its_amount_is_known_and_each_part_is_drawn_alike() {
    let from = Source::InOrder(vec!["bonus".parse().unwrap(), Subject::Available]);
    let leg = PlannedLeg {
        from: from.clone(),
        to: Target::Split(split(&["0.25"])),
        amount: PlannedAmount::Named("position.closing_fee".parse().unwrap()),
        shortfall: Shortfall::Force,
    };
    let waiting = resolve(vec![leg.clone()], |_| None).unwrap();
    assert_eq!(waiting, [leg], "the stage that does not know the amount passes it on");
    let json = serde_json::to_string(&waiting).unwrap();
    assert_eq!(
        json,
        r#"[{"from":["bonus","available"],"to":{"shares":[{"to":"bonus","share":"0.25"}],"remainder":"cash"},"amount":"position.closing_fee","shortfall":"force"}]"#
    );
    let read: Vec<PlannedLeg> = serde_json::from_str(&json).unwrap();
    let known = resolve(read, |_| Some(money("0.05 USD"))).unwrap();
    let to_and_amount: Vec<_> = known.iter().map(|leg| (leg.to.to_string(), &leg.amount)).collect();
    let of = |amount| PlannedAmount::Known(money(amount));
    assert_eq!(
        to_and_amount,
        [("bonus".to_owned(), &of("0.01 USD")), ("cash".to_owned(), &of("0.04 USD"))]
    );
    assert!(known.iter().all(|leg| leg.from == from && leg.shortfall == Shortfall::Force));
}

#[test]
fn a_leg_between_two_subjects_is_written_as_before_there_were_splits() {
    let json = r#"{"from":"available","to":"house:fees","amount":{"currency":"USD","amount":"1.00"},"shortfall":"force"}"#;
    let leg: PlannedLeg = serde_json::from_str(json).unwrap();
    assert!(leg.from == Subject::Available && leg.to == "house:fees".parse::<Subject>().unwrap());
    assert_eq!(serde_json::to_string(&leg).unwrap(), json);
}

/// Up to four shares of up to six decimals, together below one.
fn shares() -> impl Strategy<Value = Vec<Decimal>> {
    let cuts = prop::collection::btree_set(1_i64..1_000_000, 1..5);
    cuts.prop_map(|cuts| {
        let starts = std::iter::once(0).chain(cuts.clone());
        let sizes = cuts.iter().zip(starts).map(|(end, start)| Decimal::new(end - start, 6));
        sizes.collect()
    })
}

fn amounts() -> impl Strategy<Value = Money> {
    let units = prop_oneof![0_i128..50, 0_i128..100_000, 0_i128..10_i128.pow(17)];
    (prop::sample::select(vec!["USD", "USDT", "BTC"]), units)
        .prop_map(|(code, units)| Money::from_units(currency(code), units).unwrap())
}

/// `units × millionths / 1,000,000`, half-even, by counting.
fn rounded(units: i128, millionths: i128) -> i128 {
    let (whole, rest) = (units * millionths / 1_000_000, units * millionths % 1_000_000);
    let up = rest > 500_000 || (rest == 500_000 && whole % 2 == 1);
    whole + i128::from(up)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_any_amount_are_the_amount_and_none_is_below_zero(
        amount in amounts(),
        shares in shares(),
    ) {
        let named = ["bonus", "partner", "points", "savings"];
        let split = Split {
            shares: shares
                .iter()
                .zip(named)
                .map(|(share, name)| Share { to: name.parse().unwrap(), share: *share })
                .collect(),
            remainder: "cash".parse().unwrap(),
        };
        let parts = split.parts(amount).unwrap();
        prop_assert_eq!(parts.len(), shares.len() + 1);
        let currencies: Vec<Currency> = parts.iter().map(|(_, money)| money.currency()).collect();
        prop_assert!(currencies.iter().all(|currency| *currency == amount.currency()));
        let sum: i128 = parts.iter().map(|(_, money)| money.units()).sum();
        prop_assert_eq!(sum, amount.units(), "not a unit more or less");
        let mut left = amount.units();
        for ((_, part), share) in parts.iter().zip(&shares) {
            prop_assert!(!part.is_negative());
            let millionths = (*share * Decimal::new(1_000_000, 0)).try_into().unwrap();
            prop_assert_eq!(part.units(), rounded(amount.units(), millionths).min(left));
            left -= part.units();
        }
        prop_assert!(!parts.last().unwrap().1.is_negative(), "the remainder is what is left");
    }
}
