//! At which price a position is liquidated (P8, P9).
//!
//! Binance, "How to calculate liquidation price of USDⓈ-M futures contracts": where what stands behind
//! the position, with what it has won or lost, is just its maintenance margin. Behind an isolated one
//! stands its own margin. Behind a cross one stands all the account has in the currency, but for what
//! isolated positions keep to themselves; and if another cross position leans on the same money, the
//! price depends on where that one's market is, which nobody tells CAP: then there is none.

use super::book::Book;
use super::contract::{Contract, QUANTITY_DECIMALS};
use super::currency::{in_units, shortest};
use super::declared::Declared;
use super::event::{MarginMode, RATE_DECIMALS};
use super::expected::PositionChange;
use super::fill::{COST_DECIMALS, Holding};
use super::fraction::Fraction;

/// Decimals to which outcomes show a liquidation price.
const LIQUIDATION_PRICE_DECIMALS: u32 = 8;

/// The greatest price that is told, in units of its last decimal: it is for display, and a longer one
/// is left out.
const LIQUIDATION_PRICE_UNITS_MAX: i128 = (1 << 96) - 1;

/// A tier of maintenance: up to which notional a rate applies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tier {
    /// The greatest entry notional in it, in the settlement currency; none of the last.
    up_to: Option<&'static str>,
    /// The share of the notional that must be left.
    rate: &'static str,
}

impl Tier {
    pub(super) const fn up_to(notional: &'static str, rate: &'static str) -> Self {
        Self { up_to: Some(notional), rate }
    }

    /// The last one.
    pub(super) const fn beyond(rate: &'static str) -> Self {
        Self { up_to: None, rate }
    }
}

/// A position as an event left it, for its outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) held: Holding,
    /// What the event realised, in units of the settlement currency.
    pub(super) realised: i128,
    /// Whether the event was a fill: nothing else says from where losses are drawn (ADR 14).
    is_fill: bool,
}

impl Seen {
    /// By a fill.
    pub(super) const fn filled(held: Holding, realised: i128) -> Self {
        Self { held, realised, is_fill: true }
    }

    /// By an event that realised nothing.
    pub(super) const fn unchanged(held: Holding) -> Self {
        Self { held, realised: 0, is_fill: false }
    }
}

/// What maintenance a position needs: `rate` of its notional, less `cumulated`.
#[derive(Debug)]
struct Maintenance {
    rate: Fraction,
    cumulated: Fraction,
}

impl Book {
    /// A position as an outcome shows it, by the money there is now.
    pub(super) fn told(&self, seen: &Seen) -> PositionChange {
        let Seen { held, realised, .. } = seen;
        let liquidation_price = self.liquidation_price(seen);
        PositionChange { liquidation_price, ..held.changed(*realised) }
    }

    /// To eight decimals, without zeros at the end. None if nothing is held, if it comes out not above
    /// zero, or if not all is known that stands behind the position.
    fn liquidation_price(&self, seen: &Seen) -> Option<String> {
        let held = &seen.held;
        let Contract { settled_in, tiers, .. } = held.contract;
        if held.quantity == 0 {
            return None;
        }
        let behind = match held.margin_mode {
            MarginMode::Isolated => held.margin,
            MarginMode::Cross => self.behind_cross(seen)?,
        };
        let multiplier = held.contract.multiplier();
        let notional = Fraction::new(held.cost, COST_DECIMALS).times(&multiplier);
        let size = Fraction::new(held.quantity.abs(), QUANTITY_DECIMALS).times(&multiplier);
        let maintenance = Maintenance::of(&notional, tiers)?;
        let backing = Fraction::new(behind, settled_in.decimals).plus(&maintenance.cumulated);
        let side = held.quantity.signum();
        price(&held.contract, side, &size, &notional, &backing, &maintenance.rate)
    }

    /// The money that a cross position has to itself, in units: none if it shares it with another.
    fn behind_cross(&self, seen: &Seen) -> Option<i128> {
        let held = &seen.held;
        let beside = self.positions.values().filter(|other| {
            other.place() != held.place()
                && other.quantity != 0
                && other.settled_in() == held.settled_in()
        });
        let mut kept_apart = 0;
        for other in beside {
            match other.margin_mode {
                MarginMode::Cross => return None,
                MarginMode::Isolated => kept_apart += other.margin,
            }
        }
        let money = self.funds.of(held.settled_in());
        // Margin that is posted and has not come to its position yet: nobody can say whose it is.
        if money.margin != held.margin + kept_apart {
            return None;
        }
        // All that a product declares pays the losses of fills: `config/rulebooks/cfd.json`.
        let declared: i128 =
            Declared::ALL.iter().filter_map(|subject| money.declared(*subject)).sum();
        if declared != 0 && !seen.is_fill {
            return None;
        }
        Some(money.net + money.frozen + held.margin + declared)
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
    let told = (1..=LIQUIDATION_PRICE_UNITS_MAX).contains(&units);
    told.then(|| shortest(units, LIQUIDATION_PRICE_DECIMALS))
}

impl Maintenance {
    /// That of the first tier that reaches up to the notional, of the last one if none does.
    fn of(notional: &Fraction, tiers: &[Tier]) -> Option<Self> {
        let mut before: Option<(Self, Fraction)> = None;
        for tier in tiers {
            let rate = read(tier.rate)?;
            let cumulated = match &before {
                None => Fraction::new(0, 0),
                Some((below, floor)) => {
                    floor.times(&rate.minus(&below.rate)).plus(&below.cumulated)
                }
            };
            let this = Self { rate, cumulated };
            let Some(up_to) = tier.up_to else { return Some(this) };
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
        let tiers = [
            Tier::up_to("50000", "0.004"),
            Tier::up_to("250000", "0.005"),
            Tier::up_to("1000000", "0.01"),
            Tier::beyond("0.02"),
        ];
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
