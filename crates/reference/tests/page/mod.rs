//! An account and its messages, for worked examples.

use cap_reference::model::{Expected, Model, PositionChange};
use cap_reference::script::{Account, Content, Message, Nature, Script, Shape};
use serde_json::{Value, json};

/// An account and its messages so far.
pub(crate) struct Page {
    pub(crate) model: Model,
    messages: usize,
}

impl Page {
    pub(crate) fn of(product: &str) -> Self {
        let script = Script::generate(1, &Shape::default(), "p").unwrap();
        let mut accounts = script.accounts.into_iter();
        let account: Account = accounts.find(|account| account.product == product).unwrap();
        Self { model: Model::new(&account), messages: 0 }
    }

    /// An open account that got these amounts, such as `1000 USDT`.
    pub(crate) fn with(product: &str, deposits: &[&str]) -> Self {
        let mut page = Self::of(product);
        page.posted(json!({ "type": "account.opened", "customer": "C-1" }));
        for money in deposits {
            page.posted(about("deposit.received", money, json!({ "reference": "tx-1" })));
        }
        page
    }

    pub(crate) fn take_as(
        &mut self,
        id: &str,
        event: Value,
        initiated_at_offset_secs: i64,
    ) -> Expected {
        self.model.take(&Message {
            account: 0,
            request_id: id.to_owned(),
            deduplication_id: id.to_owned(),
            nature: Nature::Sound,
            initiated_at_offset_secs,
            content: Content::Envelope { header: json!({}), event },
        })
    }

    pub(crate) fn take(&mut self, event: Value) -> Expected {
        self.messages += 1;
        self.take_as(&format!("r-{}", self.messages), event, 0)
    }

    pub(crate) fn posted(&mut self, event: Value) -> Expected {
        let expected = self.take(event);
        assert!(matches!(expected, Expected::Posted { .. }), "{expected:?}");
        expected
    }

    /// `available frozen margin withdrawing borrowed` of a currency.
    pub(crate) fn money(&self, currency: &str) -> String {
        let balance = &self.model.balances()[currency];
        balance.amounts().map(|(_, amount)| amount).join(" ")
    }

    /// `quantity cost margin realised` of a position, such as `BTC-USDT`.
    pub(crate) fn position_of(&self, name: &str) -> String {
        let position = &self.model.positions()[name];
        [&position.quantity, &position.cost, &position.margin, &position.realised_profit]
            .map(String::as_str)
            .join(" ")
    }
}

/// An event about `money`, with `more` fields.
pub(crate) fn about(kind: &str, money: &str, more: Value) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    let mut event = json!({ "type": kind, "currency": currency, "amount": amount });
    for (name, value) in more.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

/// Why it is refused.
pub(crate) fn rejected(expected: &Expected) -> &str {
    match expected {
        Expected::Rejected { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

/// `side quantity @ price` of a symbol, with more fields.
pub(crate) fn fill(symbol: &str, trade: &str, more: Value) -> Value {
    let currency = if symbol == "BTC-USD" { "BTC" } else { "USDT" };
    let parts: Vec<&str> = trade.split(' ').collect();
    let mut event = json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": symbol,
        "side": parts[0], "quantity": parts[1], "price": parts[3], "leverage": "10",
        "margin_mode": "cross", "fee": { "currency": currency, "amount": "0" },
        "liquidity": "taker",
    });
    for (name, value) in more.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

pub(crate) fn funding(symbol: &str, rate: &str, mark_price: &str) -> Value {
    json!({ "type": "funding.charged", "symbol": symbol, "rate": rate, "mark_price": mark_price })
}

pub(crate) fn hedge_account(money: &str) -> Page {
    let mut page = Page::of("perpetual");
    page.posted(json!({ "type": "account.opened", "customer": "C-1", "position_mode": "hedge" }));
    page.posted(about("deposit.received", money, json!({ "reference": "tx-1" })));
    page
}

pub(crate) fn position(expected: Expected) -> Option<PositionChange> {
    let Expected::Posted { position, .. } = expected else { panic!("{expected:?}") };
    position.map(|position| *position)
}
