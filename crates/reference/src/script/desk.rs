//! What every author has at hand: dice for amounts and prices, and orders that hold money.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::model::{Currency, written};

/// Decimals of prices.
pub(super) const PRICE_DECIMALS: u32 = 6;

/// An order that holds money.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: String,
    /// The base of a pair, or a symbol.
    pub(super) instrument: &'static str,
    pub(super) buys: bool,
    pub(super) currency: Currency,
    /// What it still holds, in units.
    pub(super) left: i128,
}

/// Whether something happens so often in a thousand.
pub(super) fn happens(dice: &mut StdRng, per_mille: u32) -> bool {
    dice.random_ratio(per_mille.min(1_000), 1_000)
}

/// Whether it happens in a share of cases that a shape may leave at nothing: then no dice are
/// thrown, so that scripts of older shapes stay what they are.
pub(super) fn share(dice: &mut StdRng, per_mille: u32) -> bool {
    per_mille > 0 && happens(dice, per_mille)
}

/// One of `choices`, which are not none.
pub(super) fn one_of<T: Copy>(dice: &mut StdRng, choices: &[T]) -> T {
    choices[dice.random_range(0..choices.len())]
}

/// `units`, more or less by up to so many thousandths.
pub(super) fn about(dice: &mut StdRng, units: i128, per_mille: i128) -> i128 {
    units * (1_000 + dice.random_range(-per_mille..=per_mille)) / 1_000
}

/// A share of `units`, at least 1: all of them, or any part.
pub(super) fn part(dice: &mut StdRng, units: i128) -> i128 {
    match dice.random_range(0..3) {
        0 => units.max(1),
        _ => dice.random_range(1..=units.max(1)),
    }
}

/// A price of `base` in USDT or USD at [`PRICE_DECIMALS`]: whole, to the cent, or to the last digit.
pub(super) fn price(dice: &mut StdRng, base: Currency) -> i128 {
    if base == Currency::EUR {
        let step = one_of(dice, &[10_000, 100, 1]);
        return about(dice, 1_100_000, 120) / step * step;
    }
    let usual = match base {
        Currency::BTC => 60_000_000_000,
        Currency::XAU => 2_400_000_000,
        _ => 3_000_000_000,
    };
    let step = one_of(dice, &[1_000_000, 10_000, 1]);
    let price = about(dice, usual, 120) + dice.random_range(0..1_000_000);
    price / step * step
}

/// A quantity of `base` at its decimals, or of its lots, worth some 100 to 50,000 dollars.
pub(super) fn quantity(dice: &mut StdRng, base: Currency) -> i128 {
    let most = match base {
        Currency::BTC => 30_000_000,
        Currency::EUR | Currency::XAU => 20_000_000,
        _ => 600_000_000,
    };
    let step = one_of(dice, &[100_000, 1_000, 1]);
    dice.random_range(most / 200..=most) / step * step
}

/// An amount of `currency`, worth some 100 to 50,000 USDT, in units.
pub(super) fn amount(dice: &mut StdRng, currency: Currency) -> i128 {
    if currency == Currency::BTC || currency == Currency::ETH {
        return quantity(dice, currency);
    }
    let one = 10_i128.pow(currency.decimals);
    let step = one_of(dice, &[one, one / 100, 1]);
    dice.random_range(100 * one..=50_000 * one) / step * step
}

/// Units as an event says them: sometimes with all decimals, sometimes without zeros at the end.
pub(super) fn text(dice: &mut StdRng, units: i128, decimals: u32) -> String {
    let text = written(units, decimals);
    if happens(dice, 500) && text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}
