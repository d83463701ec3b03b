//! What is broken on purpose: poison, and requests that are not valid.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::author::Author;
use super::cash::of;
use super::desk::{amount, happens, one_of, text};
use crate::model::Currency;

/// A body that is no JSON.
pub(super) fn no_json(dice: &mut StdRng) -> &'static str {
    one_of(dice, &["nonsense", "{\"header\":{\"version\":1,", "<deposit amount=\"1\"/>", "[1, 2"])
}

/// A fact with a field that is not valid, or an event of no known type.
fn invalid_fact(dice: &mut StdRng) -> Value {
    let mut event = json!({
        "type": "deposit.received", "currency": "USDT", "amount": "5", "reference": "tx-broken",
    });
    let (field, wrong) = one_of(
        dice,
        &[
            ("amount", Some("-5")),
            ("amount", Some("0.000000")),
            ("amount", Some("1.0000001")),
            ("amount", Some("five")),
            ("currency", Some("DOGE")),
            ("type", Some("deposit.imagined")),
            ("type", Some("fee.charged")),
            ("colour", Some("red")),
            ("reference", None),
        ],
    );
    break_field(&mut event, field, wrong.map(|wrong| json!(wrong)));
    event
}

/// A request with a field that is not valid.
fn invalid_request(number: usize, dice: &mut StdRng) -> Value {
    let order = format!("o-{number}");
    let order =
        json!({ "type": "order.reserved", "order_id": order, "currency": "USDT", "amount": "5" });
    let withdrawal = json!({
        "type": "withdrawal.requested", "withdrawal_id": format!("w-{number}"), "currency": "BTC", "amount": "0.1",
    });
    let credit =
        json!({ "type": "credit.changed", "currency": "USDT", "limit": "5", "enabled": true });
    let adjustment = json!({
        "type": "adjustment.posted", "currency": "USDT", "amount": "5", "reason": "repair",
        "operator": "ops-1", "shortfall": "reject",
    });
    let opened = json!({ "type": "account.opened", "customer": "C-1" });
    let broken: [(&Value, &str, Option<Value>); 14] = [
        (&order, "amount", Some(json!("-5"))),
        (&order, "amount", Some(json!("0"))),
        (&order, "amount", Some(json!("1.0000001"))),
        (&order, "amount", Some(json!(5))),
        (&order, "currency", Some(json!("DOGE"))),
        (&order, "colour", Some(json!("red"))),
        (&order, "order_id", None),
        (&order, "may_borrow", Some(json!("perhaps"))),
        (&withdrawal, "withdrawal_id", None),
        (&withdrawal, "amount", Some(json!("0.000000001"))),
        (&credit, "limit", Some(json!("-1"))),
        (&adjustment, "amount", Some(json!("0.00"))),
        (&adjustment, "shortfall", Some(json!("perhaps"))),
        (&opened, "customer", None),
    ];
    let which: Vec<usize> = (0..broken.len()).collect();
    let (event, field, wrong) = &broken[one_of(dice, &which)];
    let mut event = (*event).clone();
    break_field(&mut event, field, wrong.clone());
    event
}

/// Puts something wrong into a field, or takes the field away.
pub(super) fn break_field(event: &mut Value, field: &str, wrong: Option<Value>) {
    match (wrong, event.as_object_mut()) {
        (Some(wrong), Some(fields)) => drop(fields.insert(field.to_owned(), wrong)),
        (None, Some(fields)) => drop(fields.remove(field)),
        (_, None) => {}
    }
}

/// Rates that are not valid.
fn invalid_rates(dice: &mut StdRng) -> Value {
    let rates = [
        json!({ "USD/USDT": "0" }),
        json!({ "USD/USDT": "-1" }),
        json!({ "USD/USDT": "one" }),
        json!({ "USD/USDT": 1 }),
        json!({ "USD/USD": "1" }),
        json!({ "USD/DOGE": "1" }),
        json!({ "USDUSDT": "1" }),
        json!("USD/USDT"),
    ];
    rates[dice.random_range(0..rates.len())].clone()
}

impl Author {
    /// Poison that clearing finds.
    pub(super) fn invalid_fact(&self, dice: &mut StdRng) -> Value {
        if self.card.is_none() || happens(dice, 600) {
            return invalid_fact(dice);
        }
        json!({
            "type": "deposit.received", "currency": "USDT", "amount": "5", "reference": "tx-broken",
            "rates": invalid_rates(dice),
        })
    }

    /// A request that is not valid.
    pub(super) fn invalid_request(&self, number: usize, dice: &mut StdRng) -> Value {
        if self.card.is_none() || happens(dice, 600) {
            return invalid_request(number, dice);
        }
        json!({
            "type": "order.reserved", "order_id": format!("o-{number}"), "currency": "USDT",
            "amount": "5", "rates": invalid_rates(dice),
        })
    }

    /// A fact for an account that was never opened. No fill: it would change a position before the
    /// account is found missing, if ever the stages noticed in another order.
    pub(super) fn unheard_of_fact(&self, number: usize, dice: &mut StdRng) -> Value {
        if happens(dice, 600) {
            return self.deposit(number, dice).event;
        }
        let units = amount(dice, Currency::USDT);
        let mut event = of("order.released", Currency::USDT, "amount", units, dice);
        event["order_id"] = json!(format!("o-{number}"));
        event
    }

    /// A fact that uses up more than is frozen. Of accounts with positions no fill: their position
    /// would change at its stage, and the skipped money would be missing.
    pub(super) fn too_much_reserved(&self, number: usize, dice: &mut StdRng) -> Value {
        let frozen = self.held(Currency::USDT).frozen;
        let units = frozen + if happens(dice, 300) { 1 } else { amount(dice, Currency::USDT) };
        if self.account.has_positions() || happens(dice, 500) {
            let mut event = of("order.released", Currency::USDT, "amount", units, dice);
            event["order_id"] = json!(format!("o-{number}"));
            return event;
        }
        json!({
            "type": "trade.filled", "trade_id": format!("t-{number}"), "order_id": format!("o-{number}"),
            "base": "BTC", "quote": "USDT", "side": "buy", "quantity": "0.001", "price": "60000",
            "reserved": text(dice, units, Currency::USDT.decimals),
            "fee": { "currency": "USDT", "amount": "0" }, "liquidity": "taker",
        })
    }
}
