//! One exchange: rounded half-even, and the smallest amount that buys what is needed.

use std::collections::BTreeMap;

use cap_domain::money::{Currency, Exchange, Money, Rates};
use proptest::prelude::*;

use crate::common::{currency, money};

fn exchange(from: Currency, to: Currency, entry: &str, rate: &str) -> Exchange {
    let entries = BTreeMap::from([(entry.to_owned(), rate.to_owned())]);
    Rates::read(&entries, |_| true).unwrap().between(from, to).unwrap()
}

#[test]
fn an_exchange_is_rounded_half_even_in_either_direction_of_its_rate() {
    let cases = [
        // 100 · 0.9991 = 99.91
        ("100 USD", "USDT", "USD/USDT", "0.9991", "99.91 USDT"),
        // 100 / 1.0009 = 99.910080927…
        ("100 USD", "USDT", "USDT/USD", "1.0009", "99.910081 USDT"),
        // 0.125 and 0.135 are as near to either cent: the even one
        ("1 USDT", "USD", "USDT/USD", "0.125", "0.12 USD"),
        ("1 USDT", "USD", "USDT/USD", "0.135", "0.14 USD"),
        // 1 / 8 = 0.125
        ("1 USDT", "USD", "USD/USDT", "8", "0.12 USD"),
        ("0.000001 USDT", "USD", "USDT/USD", "1", "0 USD"),
    ];
    for (given, to, entry, rate, received) in cases {
        let given = money(given);
        let exchange = exchange(given.currency(), currency(to), entry, rate);
        assert_eq!(exchange.of(given), Ok(money(received)), "{given} at {entry} {rate}");
    }
}

#[test]
fn the_entry_in_the_direction_of_the_exchange_goes_first_and_nothing_is_chained() {
    let entries = [("USD/USDT", "2"), ("USDT/USD", "4"), ("BTC/USDT", "100")];
    let entries = entries.map(|(pair, rate)| (pair.to_owned(), rate.to_owned())).into();
    let rates = Rates::read(&entries, |_| true).unwrap();
    let (usd, usdt, btc) = (currency("USD"), currency("USDT"), currency("BTC"));
    let of = |from, to, amount| rates.between(from, to).unwrap().of(money(amount)).unwrap();
    assert_eq!(of(usd, usdt, "1 USD"), money("2 USDT"));
    assert_eq!(of(usdt, usd, "1 USDT"), money("4 USD"));
    assert_eq!(of(usdt, btc, "1 USDT"), money("0.01 BTC"));
    assert!(
        rates.between(usd, btc).is_none(),
        "USD buys USDT, and USDT buys BTC, but nobody said so"
    );
}

#[test]
fn the_smallest_amount_is_found_at_the_very_tie() {
    let cases = [
        // One cent is half a unit, which is rounded to none: it takes two.
        ("0.000001 USDT", "0.02 USD"),
        // Three cents are one unit and a half, which is rounded to two.
        ("0.000002 USDT", "0.03 USD"),
        // Five are two and a half, which is rounded to two as well: it takes six.
        ("0.000003 USDT", "0.06 USD"),
    ];
    for (needed, smallest) in cases {
        // 0.01 USD · 0.00005 = 0.0000005 USDT; 0.01 USD / 20000 is the same.
        for (entry, rate) in [("USD/USDT", "0.00005"), ("USDT/USD", "20000")] {
            let exchange = exchange(currency("USD"), currency("USDT"), entry, rate);
            assert_eq!(
                exchange.smallest_for(money(needed)),
                Ok(money(smallest)),
                "{needed} {entry}"
            );
        }
    }
}

#[test]
fn what_no_amount_can_buy_is_too_large_and_not_the_end_of_the_service() {
    let exchange = exchange(currency("USD"), currency("USDT"), "USD/USDT", "0.000000000001");
    assert!(exchange.smallest_for(money("999999999999999 USDT")).is_err());
    assert_eq!(exchange.smallest_for(money("0.000001 USDT")), Ok(money("500000.01 USD")));
}

/// `numerator / denominator`, to the nearest, a tie to the even one: the rule by hand.
fn half_even(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_smallest_amount_is_what_counting_up_finds(
        from_decimals in 0_u8..4,
        to_decimals in 0_u8..4,
        rate in 1_i128..400,
        rate_decimals in 0_u32..4,
        needed in 1_i128..150,
        is_inverse in any::<bool>(),
    ) {
        let of = |code: &str, decimals| Currency { code: code.parse().unwrap(), decimals };
        let (from, to) = (of("KK", from_decimals), of("XX", to_decimals));
        let digits = format!("{rate:04}");
        let (whole, fraction) = digits.split_at(digits.len() - rate_decimals as usize);
        let text = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        let text = if text.starts_with('.') { format!("0{text}") } else { text };
        let exchange = exchange(from, to, if is_inverse { "XX/KK" } else { "KK/XX" }, &text);
        // units of `to` for one unit of `from`: rate · 10^(to − from), or its inverse, as a fraction
        let (rate_top, rate_bottom) = (rate, 10_i128.pow(rate_decimals));
        let (top, bottom) =
            if is_inverse { (rate_bottom, rate_top) } else { (rate_top, rate_bottom) };
        let (top, bottom) =
            (top * 10_i128.pow(to_decimals.into()), bottom * 10_i128.pow(from_decimals.into()));
        let bought = |units: i128| half_even(units * top, bottom);
        // Counting up from a little below what it must be, so that counting ends.
        let start = ((needed - 1) * bottom / top).max(1);
        prop_assert!(start == 1 || bought(start - 1) < needed);
        let counted = (start..).find(|units| bought(*units) >= needed).unwrap();
        let smallest = exchange.smallest_for(Money::from_units(to, needed).unwrap()).unwrap();
        prop_assert_eq!(smallest.units(), counted);
        prop_assert_eq!(exchange.of(smallest).unwrap().units(), bought(counted));
        prop_assert!(counted == 1 || bought(counted - 1) < needed);
    }
}
