//! Fills of contracts and funding: positions open, grow, shrink, flip and close.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::desk::{PRICE_DECIMALS, about, happens, one_of, part, price, quantity, text};
use super::draft::{Draft, Then};
use crate::model::{Currency, QUANTITY_DECIMALS};

/// Units of a quantity per whole contract.
const ONE: i128 = 10_i128.pow(QUANTITY_DECIMALS);

/// Units of a quantity per unit of a base currency.
const FINER: i128 = 10_i128.pow(QUANTITY_DECIMALS - Currency::BTC.decimals);

/// Leverages that customers choose.
const LEVERAGES: [i128; 7] = [1, 2, 3, 7, 10, 25, 50];

/// Decimals of funding rates.
const RATE_DECIMALS: u32 = 8;

/// A trade of a contract before it is an event.
struct Trade {
    symbol: &'static str,
    buys: bool,
    /// At [`QUANTITY_DECIMALS`], above zero.
    quantity: i128,
    /// At [`PRICE_DECIMALS`].
    price: i128,
    leverage: i128,
}

impl Author {
    pub(super) fn contract_filled(&mut self, number: usize, dice: &mut StdRng) -> Draft {
        let order = self.orders.get(dice.random_range(0..self.orders.len().max(1))).cloned();
        match order.filter(|_| happens(dice, 700)) {
            Some(order) => {
                let symbol = order.instrument;
                let (leverage, price) = (self.leverage(symbol, dice), price(dice, base_of(symbol)));
                let reserved = part(dice, order.left);
                let quantity = about(dice, reserved * leverage * ONE / price, 40);
                let quantity = in_steps(quantity, dice);
                let trade = Trade { symbol, buys: order.buys, quantity, price, leverage };
                let mut event = fill(number, &trade, dice);
                event["order_id"] = json!(order.id);
                event["reserved"] = json!(text(dice, reserved, Currency::USDT.decimals));
                Draft { event, then: Then::Used { order_id: order.id, units: reserved } }
            }
            None => {
                let (symbol, base) = self.instrument(dice);
                let (leverage, price) = (self.leverage(symbol, dice), price(dice, base));
                let (buys, quantity) = self.change(symbol, base, dice);
                fill(number, &Trade { symbol, buys, quantity, price, leverage }, dice).into()
            }
        }
    }

    /// Funding of a symbol, held or not.
    pub(super) fn funded(&self, dice: &mut StdRng) -> Draft {
        let (symbol, base) = self.instrument(dice);
        let (rate, mark) = (dice.random_range(-300_000..=300_000), price(dice, base));
        json!({
            "type": "funding.charged", "symbol": symbol, "rate": text(dice, rate, RATE_DECIMALS),
            "mark_price": text(dice, mark, PRICE_DECIMALS),
        })
        .into()
    }

    fn quantity_held(&self, symbol: &str) -> i128 {
        self.model.book().positions.get(symbol).map_or(0, |held| held.quantity)
    }

    /// The leverage of the open position; a flat one may have another.
    fn leverage(&mut self, symbol: &'static str, dice: &mut StdRng) -> i128 {
        if self.quantity_held(symbol) == 0 {
            self.leverages.insert(symbol, one_of(dice, &LEVERAGES));
        }
        self.leverages.get(symbol).copied().unwrap_or(1)
    }

    /// Side and quantity of a trade: a position is closed, reduced, flipped or added to.
    fn change(&self, symbol: &str, base: Currency, dice: &mut StdRng) -> (bool, i128) {
        let held = self.quantity_held(symbol);
        let against = held < 0;
        match dice.random_range(0..8) {
            0 | 1 if held != 0 => (against, held.abs()),
            2 | 3 if held != 0 => (against, part(dice, held.abs())),
            4 | 5 if held != 0 => (against, held.abs() + quantity(dice, base) * FINER),
            6 => (
                !against,
                in_steps(quantity(dice, base) * FINER + dice.random_range(0..FINER), dice),
            ),
            _ => (happens(dice, 500), quantity(dice, base) * FINER),
        }
    }
}

fn base_of(symbol: &str) -> Currency {
    if symbol == "BTC-USDT" { Currency::BTC } else { Currency::ETH }
}

/// A quantity to three, eight or all decimals; at least one unit.
fn in_steps(quantity: i128, dice: &mut StdRng) -> i128 {
    let step = one_of(dice, &[ONE / 1_000, FINER, 1]);
    if quantity < step { quantity.max(1) } else { quantity / step * step }
}

fn fill(number: usize, trade: &Trade, dice: &mut StdRng) -> Value {
    let Trade { symbol, buys, quantity, price, leverage } = trade;
    let value = quantity * price / ONE;
    let fee = match dice.random_range(0..5) {
        0 => 0,
        1 => -(value / 5_000),
        _ => about(dice, value / 2_000, 300),
    };
    json!({
        "type": "trade.filled", "trade_id": format!("t-{number}"), "order_id": format!("m-{number}"),
        "symbol": symbol, "side": if *buys { "buy" } else { "sell" },
        "quantity": text(dice, *quantity, QUANTITY_DECIMALS),
        "price": text(dice, *price, PRICE_DECIMALS),
        "leverage": leverage.to_string(), "margin_mode": "cross",
        "fee": { "currency": "USDT", "amount": text(dice, fee, Currency::USDT.decimals) },
        "liquidity": one_of(dice, &["maker", "taker"]),
    })
}
