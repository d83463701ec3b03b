//! Events as a trade service writes them.

use cap_tests::{Upstream, envelope};
use serde_json::{Value, json};

pub(crate) const SPOT: &str = "acme/spot/retail/A-1";
pub(crate) const PERPETUAL: &str = "acme/perpetual/retail/A-1";

pub(crate) fn opened() -> Value {
    json!({ "type": "account.opened", "customer": "C-1" })
}

pub(crate) fn deposit(currency: &str, amount: &str) -> Value {
    json!({ "type": "deposit.received", "currency": currency, "amount": amount, "reference": "tx-1" })
}

pub(crate) fn reserve(order: &str, currency: &str, amount: &str) -> Value {
    json!({ "type": "order.reserved", "order_id": order, "currency": currency, "amount": amount })
}

pub(crate) fn spot_buy(
    order: &str,
    quantity: &str,
    price: &str,
    reserved: &str,
    fee: &str,
) -> Value {
    json!({
        "type": "trade.filled", "trade_id": format!("t-{order}"), "order_id": order, "base": "BTC", "quote": "USDT",
        "side": "buy", "quantity": quantity, "price": price, "reserved": reserved,
        "fee": { "currency": "USDT", "amount": fee }, "liquidity": "taker",
    })
}

pub(crate) fn perpetual_fill(
    order: &str,
    side: &str,
    quantity: &str,
    price: &str,
    fee: &str,
) -> Value {
    json!({
        "type": "trade.filled", "trade_id": format!("t-{order}"), "order_id": order, "symbol": "BTC-USDT", "side": side,
        "quantity": quantity, "price": price, "leverage": "10", "margin_mode": "cross",
        "fee": { "currency": "USDT", "amount": fee }, "liquidity": "taker",
    })
}

/// Opens `account` with 1,000 USDT and reads the two outcomes.
pub(crate) async fn funded(upstream: &Upstream, account: &str, scope: &str) {
    upstream.publish(&envelope(account, "open", opened())).await;
    upstream.publish(&envelope(account, "fund", deposit("USDT", "1000"))).await;
    let outcomes = upstream.outcomes(scope, 2).await;
    assert!(
        outcomes.iter().all(|outcome| outcome["outcome"]["status"] == "posted"),
        "{outcomes:#?}"
    );
}

/// One currency's balance in an outcome.
pub(crate) fn balance<'a>(outcome: &'a Value, currency: &str) -> &'a Value {
    let balances = outcome["outcome"]["balances"].as_array().expect("an outcome has balances");
    balances
        .iter()
        .find(|balance| balance["currency"] == currency)
        .expect("the currency was touched")
}
