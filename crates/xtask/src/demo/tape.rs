//! A tape of trades: read from a CSV of real ones, or generated.

use std::path::Path;

use anyhow::{Context, bail};
use rust_decimal::Decimal;

/// Trades of a generated tape.
pub(super) const GENERATED_TRADES: usize = 2_000;

/// One trade of the tape.
#[derive(Debug, Clone)]
pub(super) struct Trade {
    pub(super) id: String,
    pub(super) price: Decimal,
    pub(super) quantity: Decimal,
    /// Whether the buyer's order rested in the book.
    pub(super) buyer_is_maker: bool,
}

/// Reads `trade_id,price,quantity,time_ms,is_buyer_maker`, the form in which exchanges publish
/// their trades.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Trade>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading trades from {}", path.display()))?;
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, "trade_id,price,quantity,time_ms,is_buyer_maker")) => {}
        _ => bail!(
            "{}: the first line is not trade_id,price,quantity,time_ms,is_buyer_maker",
            path.display()
        ),
    }
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            read_line(line).with_context(|| format!("{}:{}: {line:?}", path.display(), index + 1))
        })
        .collect()
}

fn read_line(line: &str) -> anyhow::Result<Trade> {
    let fields: Vec<&str> = line.split(',').collect();
    let [id, price, quantity, _time, buyer_is_maker] = fields.as_slice() else {
        bail!("has {} fields, not 5", fields.len());
    };
    Ok(Trade {
        id: (*id).to_owned(),
        price: price.parse().context("price is not a decimal")?,
        quantity: quantity.parse().context("quantity is not a decimal")?,
        buyer_is_maker: buyer_is_maker.parse().context("is_buyer_maker is not true or false")?,
    })
}

/// A walk of the price around 40,000, always the same one.
pub(super) fn generated() -> Vec<Trade> {
    let mut dice = Dice::new(40_000);
    let mut cents: i64 = 4_000_000;
    (0..GENERATED_TRADES)
        .map(|index| {
            cents = (cents + dice.below(2_001) as i64 - 1_000).clamp(3_000_000, 5_000_000);
            Trade {
                id: format!("g{index}"),
                price: Decimal::new(cents, 2),
                quantity: Decimal::new(1 + dice.below(200_000) as i64, 6),
                buyer_is_maker: dice.below(2) == 0,
            }
        })
        .collect()
}

/// Numbers that look random and are the same in every run (a 64-bit linear congruence).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_trade_says_why() {
        assert!(read_line("1,2.5,0.1,0,true").is_ok());
        assert_eq!(read_line("1,2.5").unwrap_err().to_string(), "has 2 fields, not 5");
        assert_eq!(read_line("1,x,0.1,0,true").unwrap_err().to_string(), "price is not a decimal");
    }
}
