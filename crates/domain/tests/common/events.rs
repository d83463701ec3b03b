//! Events as upstream writes them.

use serde_json::{Value, json};

/// `event` with `fields` over it; a field set to null goes.
pub(crate) fn with(mut event: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().remove(name)),
            value => event[name.as_str()] = value.clone(),
        }
    }
    event
}

fn amount_of(kind: &str, money: &str, more: Value) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    with(json!({ "type": kind, "currency": currency, "amount": amount }), more)
}

pub(crate) fn opened() -> Value {
    json!({ "type": "account.opened", "customer": "C-1" })
}

pub(crate) fn opened_in_hedge_mode() -> Value {
    with(opened(), json!({ "position_mode": "hedge" }))
}

pub(crate) fn opened_with_credit(limit: &str) -> Value {
    let (limit, currency) = limit.split_once(' ').unwrap();
    with(opened(), json!({ "credit": { "currency": currency, "limit": limit } }))
}

pub(crate) fn closed() -> Value {
    json!({ "type": "account.closed" })
}

pub(crate) fn credit_changed(limit: &str, enabled: bool) -> Value {
    let (limit, currency) = limit.split_once(' ').unwrap();
    json!({ "type": "credit.changed", "currency": currency, "limit": limit, "enabled": enabled })
}

pub(crate) fn deposit(money: &str) -> Value {
    amount_of("deposit.received", money, json!({ "reference": "tx-1" }))
}

pub(crate) fn withdrawal(id: &str, money: &str) -> Value {
    amount_of("withdrawal.requested", money, json!({ "withdrawal_id": id }))
}

pub(crate) fn settled(id: &str) -> Value {
    json!({ "type": "withdrawal.settled", "withdrawal_id": id })
}

pub(crate) fn cancelled(id: &str) -> Value {
    json!({ "type": "withdrawal.cancelled", "withdrawal_id": id })
}

pub(crate) fn reserved(money: &str) -> Value {
    amount_of("order.reserved", money, json!({ "order_id": "o-1" }))
}

pub(crate) fn reserved_borrowing(money: &str) -> Value {
    with(reserved(money), json!({ "may_borrow": true }))
}

pub(crate) fn released(money: &str) -> Value {
    amount_of("order.released", money, json!({ "order_id": "o-1" }))
}

pub(crate) fn fee(money: &str) -> Value {
    amount_of("fee.charged", money, json!({ "reason": "custody" }))
}

pub(crate) fn interest(money: &str) -> Value {
    amount_of("interest.charged", money, json!({}))
}

pub(crate) fn adjusted(money: &str, shortfall: &str) -> Value {
    let more = json!({ "reason": "repair", "operator": "ops-1", "shortfall": shortfall });
    amount_of("adjustment.posted", money, more)
}

pub(crate) fn liquidation_started() -> Value {
    json!({ "type": "liquidation.started" })
}

pub(crate) fn liquidation_ended() -> Value {
    json!({ "type": "liquidation.ended" })
}

/// A trade of BTC for USDT without reserve and without a fee.
pub(crate) fn spot(side: &str, quantity: &str, price: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1",
        "base": "BTC", "quote": "USDT", "side": side, "quantity": quantity, "price": price,
        "fee": { "currency": "USDT", "amount": "0" }, "liquidity": "taker",
    })
}

/// A trade of BTC-USDT at ten times leverage, without reserve and without a fee.
pub(crate) fn perpetual(side: &str, quantity: &str, price: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1",
        "symbol": "BTC-USDT", "side": side, "quantity": quantity, "price": price,
        "leverage": "10", "margin_mode": "cross",
        "fee": { "currency": "USDT", "amount": "0" }, "liquidity": "taker",
    })
}

/// A trade of BTC-USD, which is settled in BTC, otherwise alike.
pub(crate) fn inverse_perpetual(side: &str, quantity: &str, price: &str) -> Value {
    let trade = with(perpetual(side, quantity, price), json!({ "symbol": "BTC-USD" }));
    at_fee(trade, "0 BTC")
}

/// A trade of lots of EUR-USD at twenty times leverage, without reserve and without a fee.
pub(crate) fn cfd(side: &str, quantity: &str, price: &str) -> Value {
    let more = json!({ "symbol": "EUR-USD", "leverage": "20" });
    at_fee(with(perpetual(side, quantity, price), more), "0 USD")
}

/// `trade` on isolated margin.
pub(crate) fn isolated(trade: Value) -> Value {
    with(trade, json!({ "margin_mode": "isolated" }))
}

/// `trade` of a hedge account's position on `side`.
pub(crate) fn on_side(trade: Value, side: &str) -> Value {
    with(trade, json!({ "position_side": side }))
}

/// `trade` with a fee, below zero a rebate.
pub(crate) fn at_fee(trade: Value, money: &str) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    with(trade, json!({ "fee": { "currency": currency, "amount": amount } }))
}

/// `trade` using up `amount` of what its order froze.
pub(crate) fn of_reserve(trade: Value, amount: &str) -> Value {
    with(trade, json!({ "reserved": amount }))
}

/// `event` carrying exchange rates: `USD/USDT 0.9991, USD/HKD 7.8`.
pub(crate) fn at_rates(event: Value, rates: &str) -> Value {
    let entry = |rate: &str| {
        let (pair, rate) = rate.trim().split_once(' ').unwrap();
        (pair.to_owned(), json!(rate))
    };
    let rates: serde_json::Map<_, _> = rates.split(',').map(entry).collect();
    with(event, json!({ "rates": rates }))
}

/// A change of isolated margin of BTC-USDT.
pub(crate) fn margin_changed(amount: &str) -> Value {
    json!({ "type": "margin.changed", "symbol": "BTC-USDT", "amount": amount })
}

/// Another leverage for BTC-USDT.
pub(crate) fn leverage_changed(leverage: &str) -> Value {
    json!({ "type": "leverage.changed", "symbol": "BTC-USDT", "leverage": leverage })
}

pub(crate) fn funding(rate: &str, mark_price: &str) -> Value {
    json!({ "type": "funding.charged", "symbol": "BTC-USDT", "rate": rate, "mark_price": mark_price })
}
