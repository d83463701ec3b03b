//! Exchanges between two currencies at the rates an event carries (C1–C6).

use std::collections::BTreeMap;

use super::currency::Currency;
use super::event::Rate;
use super::fraction::Fraction;

/// The rates an event carries: one unit of the first currency buys so much of the second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates(BTreeMap<(Currency, Currency), Rate>);

impl Rates {
    pub(super) fn add(&mut self, from: Currency, to: Currency, rate: Rate) {
        self.0.insert((from, to), rate);
    }

    /// How `from` becomes `to`: by the entry for these two, else by the one the other way round.
    /// Nothing is chained.
    pub(super) fn between(&self, from: Currency, to: Currency) -> Option<Exchange> {
        let one = Fraction::new(1, 0);
        let price = match (self.0.get(&(from, to)), self.0.get(&(to, from))) {
            (Some(rate), _) => rate.exact(),
            (None, Some(rate)) => one.over(&rate.exact()),
            (None, None) => return None,
        };
        Some(Exchange { from, to, price })
    }
}

/// An exchange of one currency into another.
#[derive(Debug)]
pub(super) struct Exchange {
    from: Currency,
    to: Currency,
    /// What one of the first buys of the second.
    price: Fraction,
}

impl Exchange {
    /// What so many units buy, half-even to the other currency's decimals; none if that is longer
    /// than any amount.
    pub(super) fn buys(&self, units: i128) -> Option<i128> {
        let value = Fraction::new(units, self.from.decimals).times(&self.price);
        value.half_even(self.to.decimals)
    }

    /// The least number of units, above zero, that buys at least `wanted`; none if it is longer
    /// than any amount.
    pub(super) fn least_for(&self, wanted: i128) -> Option<i128> {
        let (mut short, mut enough) = (0, 1);
        while self.buys(enough)? < wanted {
            short = enough;
            enough = i128::checked_mul(enough, 2)?;
        }
        // What `short` buys is too little, what `enough` buys is not: they meet.
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if self.buys(middle)? < wanted { short = middle } else { enough = middle }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::super::currency::{Currency, in_units};
    use super::super::event::{RATE_DECIMALS, Rate};
    use super::Rates;

    fn rates(entries: &[(Currency, Currency, &str)]) -> Rates {
        let mut rates = Rates::default();
        for (from, to, rate) in entries {
            let units = in_units(rate, RATE_DECIMALS).unwrap();
            rates.add(*from, *to, Rate { units });
        }
        rates
    }

    #[test]
    fn the_least_amount_covers_and_one_unit_less_does_not() {
        let (usd, usdt, btc) = (Currency::USD, Currency::USDT, Currency::BTC);
        let cases = [
            (usd, usdt, usd, "0.9991", 200_000_000),
            (usdt, usd, usd, "1.0009", 200_000_000),
            (usd, btc, usd, "0.0000166", 1),
            (btc, usd, usd, "61234.56", 12_345_678),
            (btc, usd, btc, "61234.56", 1),
        ];
        for (a, b, from, rate, wanted) in cases {
            let to = if from == a { b } else { a };
            let exchange = rates(&[(a, b, rate)]).between(from, to).unwrap();
            let least = exchange.least_for(wanted).unwrap();
            assert!(least > 0 && exchange.buys(least).unwrap() >= wanted, "{rate}");
            assert!(exchange.buys(least - 1).unwrap() < wanted, "{rate}");
        }
        // 200 / 0.9991 = 200.1801…: 20018 cents buy 199.999838 USDT, 20019 buy 200.009829.
        let exchange = rates(&[(usd, usdt, "0.9991")]).between(usd, usdt).unwrap();
        assert_eq!(exchange.least_for(200_000_000), Some(20_019));
    }

    #[test]
    fn the_entry_for_the_two_serves_before_the_one_the_other_way_round_and_none_is_chained() {
        let (usd, usdt, hkd) = (Currency::USD, Currency::USDT, Currency::HKD);
        let both = rates(&[(usd, usdt, "2"), (usdt, usd, "4"), (usd, hkd, "8")]);
        assert_eq!(both.between(usd, usdt).unwrap().buys(100), Some(2_000_000));
        assert_eq!(both.between(usdt, usd).unwrap().buys(1_000_000), Some(400));
        // One HKD is an eighth of a USD: 12.5 cents, a tie to the even one.
        assert_eq!(both.between(hkd, usd).unwrap().buys(100), Some(12));
        assert!(both.between(hkd, usdt).is_none());
    }
}
