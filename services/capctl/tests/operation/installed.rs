//! An installation with all stages running, and envelopes for any account of it.

use cap_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::Tool;
use crate::world::{Stages, World, configuration};

/// An installation of acme's spot and perpetual, which runs.
pub(crate) async fn running(name: &str) -> (World, Stages) {
    let world = World::start(name).await;
    world.tool.text("migrate").await;
    world.tool.text("queue create acme_spot acme_perpetual").await;
    world.tool.text(&format!("config push {}", configuration().display())).await;
    let stages = world.run_stages().await;
    (world, stages)
}

/// An envelope for `account` (`acme/spot/retail/A-1`), made now.
pub(crate) fn envelope(account: &str, request_id: &str, event: &Value) -> String {
    let parts: Vec<&str> = account.split('/').collect();
    let [company, product, customer_group, account] = parts.as_slice() else {
        panic!("{account} is not company/product/group/account");
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let initiated_at = Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap());
    let header = json!({
        "version": 1, "request_id": request_id, "initiated_at": initiated_at, "company": company,
        "product": product, "customer_group": customer_group, "account": account,
    });
    json!({ "header": header, "event": event }).to_string()
}

/// Publishes events for `account`, in order, each under its request id.
pub(crate) async fn publish(tool: &Tool, account: &str, events: &[(&str, Value)]) {
    let lines = events.iter().map(|(request_id, event)| envelope(account, request_id, event));
    let published = tool.run_with("publish -", &lines.collect::<Vec<_>>().join("\n")).await;
    assert_eq!(published.code, 0, "{published:?}");
}

pub(crate) fn opened() -> Value {
    json!({ "type": "account.opened", "customer": "C-1" })
}

pub(crate) fn deposit(amount: &str) -> Value {
    json!({ "type": "deposit.received", "currency": "USDT", "amount": amount, "reference": "tx-1" })
}

/// A fill of 0.1 BTC-USDT at ten times leverage, without a fee.
pub(crate) fn fill(margin_mode: &str, side: &str, price: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "BTC-USDT",
        "side": side, "quantity": "0.1", "price": price, "leverage": "10",
        "margin_mode": margin_mode, "fee": { "currency": "USDT", "amount": "0" },
        "liquidity": "taker",
    })
}
