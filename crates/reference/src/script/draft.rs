//! What an author means to send, and what the author remembers if it is posted.

use serde_json::{Value, json};

use super::desk::Order;
use super::{Account, Content};

/// An event before it is a message.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) event: Value,
    pub(super) then: Then,
}

/// What is to be remembered of an event, once it is posted.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Nothing,
    /// An order holds money.
    Ordered(Order),
    /// An order has used up so many units of what it held.
    Used {
        order_id: String,
        units: i128,
    },
    /// Positions of a symbol have another leverage.
    Leveraged {
        symbol: &'static str,
        leverage: i128,
    },
}

impl From<Value> for Draft {
    fn from(event: Value) -> Self {
        Self { event, then: Then::Nothing }
    }
}

/// An envelope's content for `account`.
pub(super) fn envelope(account: &Account, request_id: &str, event: Value) -> Content {
    let header = json!({
        "version": 1, "request_id": request_id, "company": account.company,
        "product": account.product, "customer_group": account.customer_group,
        "account": account.name,
    });
    Content::Envelope { header, event }
}
