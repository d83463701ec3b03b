//! Fills of contracts and funding: positions open, grow, shrink, flip and close.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::desk::{PRICE_DECIMALS, about, happens, one_of, part, price, quantity, share, text};
use super::draft::{Draft, Then};
use crate::model::{Contract, Currency, Holding, MarginMode, PositionSide, QUANTITY_DECIMALS};

/// Units of a quantity per whole contract.
const ONE: i128 = 10_i128.pow(QUANTITY_DECIMALS);

/// Units of a quantity per unit of a base currency.
const FINER: i128 = 10_i128.pow(QUANTITY_DECIMALS - Currency::BTC.decimals);

/// The least step of an inverse contract's quantities: what is left of a position still costs
/// something at twelve decimals.
const INVERSE_STEP: i128 = ONE / 1_000;

/// Leverages that customers choose.
pub(super) const LEVERAGES: [i128; 7] = [1, 2, 3, 7, 10, 25, 50];

/// Decimals of usual funding rates.
const RATE_DECIMALS: u32 = 8;

/// A trade of a contract before it is an event.
struct Trade {
    contract: Contract,
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
                let contract = contract(symbol);
                let (leverage, price) = (self.leverage(symbol, dice), price(dice, base_of(symbol)));
                let reserved = part(dice, order.left);
                let affordable = match contract.inverse {
                    true => reserved * leverage * price / 100,
                    false => {
                        let value = reserved * leverage * finer(&contract);
                        value * ONE / (price * contract.multiplier)
                    }
                };
                let quantity = about(dice, affordable, 40);
                let quantity = in_steps(&contract, quantity, dice);
                let trade = Trade { contract, buys: order.buys, quantity, price, leverage };
                let mut event = self.fill(number, trade, dice);
                event["order_id"] = json!(order.id);
                event["reserved"] = json!(text(dice, reserved, order.currency.decimals));
                Draft { event, then: Then::Used { order_id: order.id, units: reserved } }
            }
            None => {
                let (symbol, base) = self.instrument(dice);
                let contract = contract(symbol);
                let (leverage, price) = (self.leverage(symbol, dice), price(dice, base));
                let (buys, quantity) = self.change(&contract, base, dice);
                self.fill(number, Trade { contract, buys, quantity, price, leverage }, dice).into()
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

    fn holding(&self, symbol: &'static str, side: Option<PositionSide>) -> Option<&Holding> {
        self.model.book().positions.get(&(symbol, side)).filter(|held| held.quantity != 0)
    }

    fn quantity_held(&self, symbol: &'static str, side: Option<PositionSide>) -> i128 {
        self.holding(symbol, side).map_or(0, |held| held.quantity)
    }

    /// The leverage of what is open; of what is flat it may be another.
    fn leverage(&mut self, symbol: &'static str, dice: &mut StdRng) -> i128 {
        let mut sides = [None, Some(PositionSide::Long), Some(PositionSide::Short)].into_iter();
        if sides.all(|side| self.holding(symbol, side).is_none()) {
            self.leverages.insert(symbol, one_of(dice, &LEVERAGES));
        }
        self.leverages.get(symbol).copied().unwrap_or(1)
    }

    /// Side and quantity of a trade: a position is closed, reduced, flipped or added to.
    fn change(&self, contract: &Contract, base: Currency, dice: &mut StdRng) -> (bool, i128) {
        let held = self.quantity_held(contract.symbol, None);
        let against = held < 0;
        match dice.random_range(0..8) {
            0 | 1 if held != 0 => (against, held.abs()),
            2 | 3 if held != 0 => (against, whole_steps(contract, part(dice, held.abs()))),
            4 | 5 if held != 0 => (against, held.abs() + usual(contract, base, dice)),
            6 => {
                let quantity = usual(contract, base, dice) + dice.random_range(0..FINER);
                (!against, in_steps(contract, quantity, dice))
            }
            _ => (happens(dice, 500), usual(contract, base, dice)),
        }
    }

    /// Which position of a hedge account a trade is of: one that it opens or adds to, or one that
    /// it reduces or closes, and then by no more than there is.
    fn side_of(&self, trade: &mut Trade, dice: &mut StdRng) -> PositionSide {
        let opens = if trade.buys { PositionSide::Long } else { PositionSide::Short };
        let reduces = if trade.buys { PositionSide::Short } else { PositionSide::Long };
        let held = self.quantity_held(trade.contract.symbol, Some(reduces)).abs();
        if held == 0 || happens(dice, 500) {
            return opens;
        }
        let all = happens(dice, 300);
        trade.quantity = if all { held } else { trade.quantity.min(held) };
        reduces
    }

    fn margin_mode(&self, held: Option<&Holding>, dice: &mut StdRng) -> MarginMode {
        match held {
            Some(held) => held.margin_mode,
            None if share(dice, self.shape.isolated_per_mille) => MarginMode::Isolated,
            None => MarginMode::Cross,
        }
    }

    fn fill(&self, number: usize, mut trade: Trade, dice: &mut StdRng) -> Value {
        let side = self.model.book().hedge.then(|| self.side_of(&mut trade, dice));
        let mode = self.margin_mode(self.holding(trade.contract.symbol, side), dice);
        let mut event = fill(number, &trade, mode, dice);
        if let Some(side) = side {
            event["position_side"] = json!(side.name());
        }
        event
    }
}

fn contract(symbol: &str) -> Contract {
    Contract::of(symbol).unwrap_or(Contract::PERPETUAL[0])
}

pub(super) fn base_of(symbol: &str) -> Currency {
    match symbol.split_once('-') {
        Some(("BTC", _)) => Currency::BTC,
        Some(("EUR", _)) => Currency::EUR,
        Some(("XAU", _)) => Currency::XAU,
        _ => Currency::ETH,
    }
}

/// A quantity worth some 100 to 20,000 dollars.
fn usual(contract: &Contract, base: Currency, dice: &mut StdRng) -> i128 {
    if contract.inverse {
        let step = one_of(dice, &[100 * ONE, ONE, INVERSE_STEP]);
        return dice.random_range(100 * ONE..=20_000 * ONE) / step * step;
    }
    quantity(dice, base) * FINER
}

/// A quantity to three, eight or all decimals; at least one unit.
fn in_steps(contract: &Contract, quantity: i128, dice: &mut StdRng) -> i128 {
    let step = one_of(dice, &[ONE / 1_000, FINER, 1]);
    let quantity = if quantity < step { quantity.max(1) } else { quantity / step * step };
    whole_steps(contract, quantity)
}

/// Whole steps of an inverse contract, at least one.
fn whole_steps(contract: &Contract, quantity: i128) -> i128 {
    match contract.inverse {
        true => (quantity / INVERSE_STEP).max(1) * INVERSE_STEP,
        false => quantity,
    }
}

fn fill(number: usize, trade: &Trade, mode: MarginMode, dice: &mut StdRng) -> Value {
    let Trade { contract, buys, quantity, price, leverage } = trade;
    let value = value(contract, *quantity, *price);
    let fee = match dice.random_range(0..5) {
        0 => 0,
        1 => -(value / 5_000),
        _ => about(dice, value / 2_000, 300),
    };
    let settled_in = contract.settled_in;
    json!({
        "type": "trade.filled", "trade_id": format!("t-{number}"), "order_id": format!("m-{number}"),
        "symbol": contract.symbol, "side": if *buys { "buy" } else { "sell" },
        "quantity": text(dice, *quantity, QUANTITY_DECIMALS),
        "price": text(dice, *price, PRICE_DECIMALS),
        "leverage": leverage.to_string(), "margin_mode": mode.name(),
        "fee": { "currency": settled_in.code, "amount": text(dice, fee, settled_in.decimals) },
        "liquidity": one_of(dice, &["maker", "taker"]),
    })
}

/// What so much of a contract is worth at a price, in units of its settlement currency.
pub(super) fn value(contract: &Contract, quantity: i128, price: i128) -> i128 {
    if contract.inverse {
        return quantity * 100 / price;
    }
    quantity * price * contract.multiplier / ONE / finer(contract)
}

/// How many units of a price's decimals are one of the settlement currency's.
const fn finer(contract: &Contract) -> i128 {
    10_i128.pow(PRICE_DECIMALS - contract.settled_in.decimals)
}
