//! At which price an isolated position is liquidated (P8, P9), if its contract has maintenance
//! tiers. No shipped contract has; outcomes are not compared in it.

use super::contract::{Contract, QUANTITY_DECIMALS};
use super::currency::{in_units, shortest};
use super::event::RATE_DECIMALS;
use super::expected::Position;
use super::fill::COST_DECIMALS;
use super::fraction::Fraction;

/// Decimals to which outcomes show a liquidation price.
const LIQUIDATION_PRICE_DECIMALS: u32 = 8;

/// A tier of maintenance: up to which notional a rate applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The greatest entry notional in it, in the settlement currency; none of the last.
    pub up_to: Option<String>,
    /// The share of the notional that must be left.
    pub rate: String,
}

/// What maintenance a position needs: `rate` of its notional, less `cumulated`.
#[derive(Debug)]
struct Maintenance {
    rate: Fraction,
    cumulated: Fraction,
}

impl Position {
    /// Its liquidation price to eight decimals, without zeros at the end. None if it is flat or
    /// cross, if there are no tiers or they cannot be read, and if it comes out not above zero.
    pub fn liquidation_price(&self, tiers: &[Tier]) -> Option<String> {
        if self.side == "flat" || self.margin_mode != "isolated" {
            return None;
        }
        let contract = Contract::of(&self.symbol)?;
        let money = contract.settled_in.decimals;
        let quantity = in_units(&self.quantity, QUANTITY_DECIMALS)?;
        let cost = Fraction::new(in_units(&self.cost, COST_DECIMALS)?, COST_DECIMALS);
        let margin = Fraction::new(in_units(&self.margin, money)?, money);
        let notional = cost.times(&contract.multiplier());
        let maintenance = Maintenance::of(&notional, tiers)?;
        let backing = margin.plus(&maintenance.cumulated);
        let size = contract.multiplier().times(&Fraction::new(quantity.abs(), QUANTITY_DECIMALS));
        price(&contract, quantity.signum(), &size, &notional, &backing, &maintenance.rate)
    }
}

/// Linear `(backing − side·notional) / (size·(rate − side))`, inverse
/// `size·(rate + side) / (backing + side·notional)`: the price at which backing and what is won are
/// just the maintenance.
fn price(
    contract: &Contract,
    side: i128,
    size: &Fraction,
    notional: &Fraction,
    backing: &Fraction,
    rate: &Fraction,
) -> Option<String> {
    let side = Fraction::new(side, 0);
    let (above, below) = if contract.inverse {
        (size.times(&rate.plus(&side)), backing.plus(&side.times(notional)))
    } else {
        (backing.minus(&side.times(notional)), size.times(&rate.minus(&side)))
    };
    if below.is_zero() {
        return None;
    }
    let units = above.over(&below).half_even(LIQUIDATION_PRICE_DECIMALS)?;
    (units > 0).then(|| shortest(units, LIQUIDATION_PRICE_DECIMALS))
}

impl Maintenance {
    /// That of the first tier that reaches up to the notional, of the last one if none does.
    fn of(notional: &Fraction, tiers: &[Tier]) -> Option<Self> {
        let mut before: Option<(Self, Fraction)> = None;
        for tier in tiers {
            let rate = read(&tier.rate)?;
            let cumulated = match &before {
                None => Fraction::new(0, 0),
                Some((below, floor)) => {
                    floor.times(&rate.minus(&below.rate)).plus(&below.cumulated)
                }
            };
            let this = Self { rate, cumulated };
            let Some(up_to) = &tier.up_to else { return Some(this) };
            let up_to = read(up_to)?;
            if !up_to.minus(notional).is_negative() {
                return Some(this);
            }
            before = Some((this, up_to));
        }
        before.map(|(last, _)| last)
    }
}

fn read(decimal: &str) -> Option<Fraction> {
    Some(Fraction::new(in_units(decimal, RATE_DECIMALS)?, RATE_DECIMALS))
}

#[cfg(test)]
mod tests {
    use super::super::contract::Contract;
    use super::super::fraction::Fraction;
    use super::{Maintenance, Tier, price, read};

    fn tiers(of: &[(&str, &str)]) -> Vec<Tier> {
        let up_to = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        of.iter().map(|(to, rate)| Tier { up_to: up_to(to), rate: (*rate).to_owned() }).collect()
    }

    fn hundredths(figure: &Fraction) -> i128 {
        figure.half_even(2).unwrap()
    }

    #[test]
    fn prices_are_those_that_binance_publishes() {
        // Wallet, other maintenance, other unrealised, cum, quantity, entry, rate, published in
        // hundredths: vectors/positions.json, all long.
        let wallet = "1535443.01";
        let cases = [
            ("71200.81144", "-56354.57", "135365", "3683.979", "1456.84", "0.1", 115_326),
            ("356512.508", "-448192.89", "16300", "109.488", "32481.98", "0.025", 2_631_689),
            ("0", "0", "135365", "3683.979", "1456.84", "0.1", 111_478),
            ("0", "0", "16300", "109.488", "32481.98", "0.025", 1_877_873),
        ];
        let linear = Contract::of("BTC-USDT").unwrap();
        for (maintenance, unrealised, cumulated, quantity, entry, rate, published) in cases {
            let read = |text| read(text).unwrap();
            let backing = read(wallet).minus(&read(maintenance));
            let backing = backing.plus(&read(unrealised)).plus(&read(cumulated));
            let (size, rate) = (read(quantity), read(rate));
            let notional = size.times(&read(entry));
            let price = price(&linear, 1, &size, &notional, &backing, &rate).unwrap();
            assert_eq!(hundredths(&read(&price)), published);
        }
    }

    #[test]
    fn what_a_tier_cumulates_is_what_binance_publishes() {
        let tiers =
            tiers(&[("50000", "0.004"), ("250000", "0.005"), ("1000000", "0.01"), ("", "0.02")]);
        for (notional, rate, cumulated) in [
            ("50000", "0.004", "0"),
            ("50000.01", "0.005", "50"),
            ("250000", "0.005", "50"),
            ("250001", "0.01", "1300"),
            ("5000000", "0.02", "11300"),
        ] {
            let found = Maintenance::of(&read(notional).unwrap(), &tiers).unwrap();
            assert!(found.rate.minus(&read(rate).unwrap()).is_zero(), "{notional}");
            assert!(found.cumulated.minus(&read(cumulated).unwrap()).is_zero(), "{notional}");
        }
    }

    #[test]
    fn at_its_price_a_position_has_just_the_maintenance_left() {
        // Long 15000 at 750 with margin 2 and no maintenance: 20 + 2 BTC buy 15000 / 22 at worst.
        let inverse = Contract::of("BTC-USD").unwrap();
        let of = |side, rate| {
            let size = Fraction::new(15_000, 0);
            let (notional, margin) = (Fraction::new(20, 0), Fraction::new(2, 0));
            price(&inverse, side, &size, &notional, &margin, &read(rate).unwrap())
        };
        assert_eq!(of(1, "0").as_deref(), Some("681.81818182"));
        assert_eq!(of(-1, "0").as_deref(), Some("833.33333333"));
        // 15000 · 1.005 / 22 and 15000 · 0.995 / 18.
        assert_eq!(of(1, "0.005").as_deref(), Some("685.22727273"));
        assert_eq!(of(-1, "0.005").as_deref(), Some("829.16666667"));
    }
}
