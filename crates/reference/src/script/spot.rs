//! Fills of pairs: out of what an order holds, or of what is available.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::desk::{PRICE_DECIMALS, about, happens, one_of, part, price, quantity, share, text};
use super::draft::{Draft, Then};
use crate::model::Currency;

/// Units of a base currency per whole one: BTC and ETH have the same decimals.
const BASE_ONE: i128 = 10_i128.pow(Currency::BTC.decimals);

impl Author {
    /// What is traded: a pair's base, or a symbol, and the currency it is about.
    pub(super) fn instrument(&self, dice: &mut StdRng) -> (&'static str, Currency) {
        if self.is_cfd() {
            return one_of(dice, &[("EUR-USD", Currency::EUR), ("XAU-USD", Currency::XAU)]);
        }
        let perpetual = self.account.has_positions();
        if perpetual && share(dice, self.shape.inverse_per_mille) {
            return ("BTC-USD", Currency::BTC);
        }
        match (happens(dice, 600), perpetual) {
            (true, false) => ("BTC", Currency::BTC),
            (false, false) => ("ETH", Currency::ETH),
            (true, true) => ("BTC-USDT", Currency::BTC),
            (false, true) => ("ETH-USDT", Currency::ETH),
        }
    }

    pub(super) fn pair_filled(&self, number: usize, dice: &mut StdRng) -> Draft {
        let order = self.orders.get(dice.random_range(0..self.orders.len().max(1)));
        match order.filter(|_| happens(dice, 850)) {
            Some(order) => {
                let base = if order.instrument == "BTC" { Currency::BTC } else { Currency::ETH };
                let reserved = part(dice, order.left);
                let price = price(dice, base);
                let filled = if order.buys { reserved * BASE_ONE / price } else { reserved };
                let filled = about(dice, filled, 30).max(1);
                let filled =
                    if order.buys { filled } else { self.sellable(base, reserved, filled) };
                let mut event = fill(number, base, order.buys, filled, price, dice);
                event["order_id"] = json!(order.id);
                event["reserved"] = json!(text(dice, reserved, order.currency.decimals));
                let then = Then::Used { order_id: order.id.clone(), units: reserved };
                Draft { event, then }
            }
            None => {
                let (_, base) = self.instrument(dice);
                let (filled, price) = (quantity(dice, base), price(dice, base));
                let sold = self.sellable(base, 0, filled);
                let buys = sold == 0 || happens(dice, 500);
                let filled = if buys { filled } else { sold };
                fill(number, base, buys, filled, price, dice).into()
            }
        }
    }

    /// How much of `wanted` can be sold: all of it if the base can be owed, else what is held.
    fn sellable(&self, base: Currency, reserved: i128, wanted: i128) -> i128 {
        if self.may_owe(base) { wanted } else { wanted.min(reserved + self.held(base).available()) }
    }
}

/// A fill with a fee that a seller pays in USDT, and a buyer in either currency; below zero, in any.
fn fill(
    number: usize,
    base: Currency,
    buys: bool,
    quantity: i128,
    price: i128,
    dice: &mut StdRng,
) -> Value {
    let value = quantity * price / BASE_ONE;
    let (currency, fee) = match dice.random_range(0..6) {
        0 => (Currency::USDT, 0),
        1 => (Currency::USDT, -(value / 4_000)),
        2 => (one_of(dice, &[Currency::HKD, base]), -dice.random_range(1..=300)),
        3 if buys => (base, quantity / 1_000),
        _ => (Currency::USDT, about(dice, value / 1_000, 300)),
    };
    json!({
        "type": "trade.filled", "trade_id": format!("t-{number}"), "order_id": format!("m-{number}"),
        "base": base.code, "quote": "USDT", "side": if buys { "buy" } else { "sell" },
        "quantity": text(dice, quantity, base.decimals), "price": text(dice, price, PRICE_DECIMALS),
        "fee": { "currency": currency.code, "amount": text(dice, fee, currency.decimals) },
        "liquidity": one_of(dice, &["maker", "taker"]),
    })
}
