//! What the demo's traders do: open, deposit, and for every trade of the tape reserve and fill,
//! the buyer and the seller.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::tape::{Dice, Trade};

/// Accounts in each of the demo's markets.
const ACCOUNTS_PER_MARKET: usize = 75;

/// One order in so many asks for more than anybody has, and is rejected.
const HOPELESS_ORDER_EVERY: usize = 50;

/// Fee of who took and rebate of who rested, in millionths of the value.
const TAKER_FEE_MILLIONTHS: i64 = 500;
const MAKER_REBATE_MILLIONTHS: i64 = 100;

/// Leverage of every contract order.
const LEVERAGE: i64 = 10;

/// A message to be published.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) request_id: String,
    pub(super) account: AccountAddress,
    pub(super) event: Value,
}

/// Whom a message is for.
#[derive(Debug, Clone)]
pub(super) struct AccountAddress {
    pub(super) company: &'static str,
    pub(super) product: &'static str,
    pub(super) customer_group: &'static str,
    pub(super) account: String,
}

/// A company's product, and one of its customer groups: trades happen within one market.
struct Market {
    company: &'static str,
    product: &'static str,
    customer_group: &'static str,
}

const MARKETS: [Market; 5] = [
    Market { company: "acme", product: "spot", customer_group: "retail" },
    Market { company: "acme", product: "perpetual", customer_group: "retail" },
    Market { company: "acme", product: "perpetual", customer_group: "vip" },
    Market { company: "zenith", product: "spot", customer_group: "retail" },
    Market { company: "zenith", product: "perpetual", customer_group: "retail" },
];

/// How many accounts take part.
pub(super) const fn accounts() -> usize {
    MARKETS.len() * ACCOUNTS_PER_MARKET
}

/// Everything that is published, in order.
pub(super) fn write(trades: &[Trade]) -> Vec<Step> {
    let mut script = Vec::with_capacity(accounts() * 3 + trades.len() * 4);
    for market in &MARKETS {
        for index in 0..ACCOUNTS_PER_MARKET {
            open(&mut script, market, index);
        }
    }
    let mut dice = Dice::new(7);
    for (index, trade) in trades.iter().enumerate() {
        let market = &MARKETS[index % MARKETS.len()];
        let buyer = dice.below(ACCOUNTS_PER_MARKET as u64) as usize;
        let seller =
            (buyer + 1 + dice.below(ACCOUNTS_PER_MARKET as u64 - 1) as usize) % ACCOUNTS_PER_MARKET;
        for (side, account) in [("buy", buyer), ("sell", seller)] {
            if index % HOPELESS_ORDER_EVERY == HOPELESS_ORDER_EVERY - 1 {
                script.push(hopeless(market, account, trade, side));
            }
            trade_side(&mut script, market, account, trade, side);
        }
    }
    script
}

fn address(market: &Market, index: usize) -> AccountAddress {
    let Market { company, product, customer_group } = *market;
    AccountAddress { company, product, customer_group, account: format!("A-{}", 1001 + index) }
}

fn step(market: &Market, index: usize, request_id: String, event: Value) -> Step {
    Step { request_id, account: address(market, index), event }
}

fn open(script: &mut Vec<Step>, market: &Market, index: usize) {
    let Market { company, product, customer_group } = market;
    let name = format!("{company}-{product}-{customer_group}-{}", 1001 + index);
    let mut add =
        |what: &str, event| script.push(step(market, index, format!("{what}-{name}"), event));
    add("open", json!({ "type": "account.opened", "customer": format!("C-{}", 1001 + index) }));
    let deposit = |currency: &str, amount: &str| json!({ "type": "deposit.received", "currency": currency, "amount": amount, "reference": format!("bank-{name}-{currency}") });
    add("deposit-usdt", deposit("USDT", "1000000.00"));
    if *product == "spot" {
        add("deposit-btc", deposit("BTC", "50"));
    }
}

fn hopeless(market: &Market, account: usize, trade: &Trade, side: &str) -> Step {
    let order_id = format!("h-{}-{side}", trade.id);
    let event = json!({ "type": "order.reserved", "order_id": order_id, "currency": "USDT", "amount": "900000000.00" });
    step(market, account, order_id, event)
}

fn trade_side(script: &mut Vec<Step>, market: &Market, account: usize, trade: &Trade, side: &str) {
    let value = trade.price * trade.quantity;
    let maker = trade.buyer_is_maker == (side == "buy");
    let millionths = if maker { -MAKER_REBATE_MILLIONTHS } else { TAKER_FEE_MILLIONTHS };
    let fee = round(value * Decimal::new(millionths, 6), 6);
    let spot = market.product == "spot";
    let (currency, reserved) = match (spot, side) {
        (true, "buy") => ("USDT", up(value, 2)),
        (true, _) => ("BTC", trade.quantity),
        (false, _) => ("USDT", up(value / Decimal::from(LEVERAGE), 2)),
    };
    let order_id = format!("o-{}-{side}", trade.id);
    let reserve = json!({ "type": "order.reserved", "order_id": order_id, "currency": currency, "amount": reserved.to_string() });
    script.push(step(market, account, order_id.clone(), reserve));
    let mut fill = json!({
        "type": "trade.filled", "trade_id": trade.id, "order_id": order_id, "side": side,
        "quantity": trade.quantity.to_string(), "price": trade.price.to_string(), "reserved": reserved.to_string(),
        "fee": { "currency": "USDT", "amount": fee.to_string() }, "liquidity": if maker { "maker" } else { "taker" },
    });
    if spot {
        fill["base"] = json!("BTC");
        fill["quote"] = json!("USDT");
    } else {
        fill["symbol"] = json!("BTC-USDT");
        fill["leverage"] = json!(LEVERAGE.to_string());
        fill["margin_mode"] = json!("cross");
    }
    script.push(step(market, account, format!("f-{}-{side}", trade.id), fill));
}

fn round(value: Decimal, decimals: u32) -> Decimal {
    value.round_dp(decimals)
}

/// The next figure with so many decimals: an order holds a little more than the trade will need.
fn up(value: Decimal, decimals: u32) -> Decimal {
    value.round_dp_with_strategy(decimals, RoundingStrategy::AwayFromZero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tape;

    #[test]
    fn every_trade_is_reserved_and_filled_on_both_sides_under_its_own_request_ids() {
        let trades = tape::generated();
        let script = write(&trades);
        let ids: std::collections::HashSet<_> =
            script.iter().map(|step| &step.request_id).collect();
        assert_eq!(ids.len(), script.len());
        let fills = script.iter().filter(|step| step.event["type"] == "trade.filled").count();
        assert_eq!(fills, trades.len() * 2);
    }
}
