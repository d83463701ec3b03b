//! Messages that no script has.

use cap_reference::model::Position;
use cap_reference::script::{Account, Content, Message, Nature};
use serde_json::{Value, json};

/// An event that nothing is the matter with.
pub(crate) fn sound(request_id: &str, event: Value) -> Message {
    Message {
        account: 0,
        request_id: request_id.to_owned(),
        deduplication_id: request_id.to_owned(),
        nature: Nature::Sound,
        initiated_at_offset_secs: 0,
        content: Content::Envelope { header: json!({}), event },
    }
}

/// The same, from an account, under a request id of its own.
pub(crate) fn envelope(account: &Account, message: Message) -> Message {
    let Content::Envelope { event, .. } = message.content else { return message };
    let request_id = format!("{}-{}", account.name, message.request_id);
    let header = json!({
        "version": 1, "request_id": request_id, "company": account.company,
        "product": account.product, "customer_group": account.customer_group,
        "account": account.name,
    });
    let content = Content::Envelope { header, event };
    Message { deduplication_id: request_id.clone(), request_id, content, ..message }
}

/// The currency of a contract's money.
pub(crate) fn settled_in(symbol: &str, product: &str) -> &'static str {
    match (symbol, product) {
        ("BTC-USD", _) => "BTC",
        (_, "cfd") => "USD",
        _ => "USDT",
    }
}

/// The fill that closes a position, at a price where much is gained or lost.
pub(crate) fn closing(position: &Position, product: &str) -> Value {
    let settled_in = settled_in(&position.symbol, product);
    let price = if product == "cfd" { "123.456789" } else { "12345.678901" };
    let currencies: &[&str] = if product == "cfd" {
        &["HKD", "USD", "USDT"]
    } else {
        &["BTC", "ETH", "HKD", "USD", "USDT"]
    };
    let pairs = currencies.iter().flat_map(|from| currencies.iter().map(move |to| (from, to)));
    let rates = pairs.filter(|(from, to)| from < to);
    let rates: serde_json::Map<String, Value> =
        rates.map(|(from, to)| (format!("{from}/{to}"), json!("1"))).collect();
    let mut event = json!({
        "type": "trade.filled", "trade_id": "t-end", "order_id": "o-end",
        "symbol": position.symbol, "side": if position.side == "long" { "sell" } else { "buy" },
        "quantity": position.quantity.trim_start_matches('-'), "price": price,
        "leverage": "7", "margin_mode": position.margin_mode,
        "fee": { "currency": settled_in, "amount": "0" }, "liquidity": "taker", "rates": rates,
    });
    if let Some(side) = &position.position_side {
        event["position_side"] = json!(side);
    }
    event
}
