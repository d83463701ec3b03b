//! An event says its kind, and each kind is a request or a fact.

use cap_domain::event::{EventClass, EventKind};
use serde_json::{Value, json};

use crate::common::events::deposit;
use crate::{read, refused};

#[test]
fn a_type_that_cannot_be_read_says_so() {
    refused(
        "spot",
        &[
            (deposit("1 USDT"), json!({ "type": null }), "type: missing, or not a text"),
            (deposit("1 USDT"), json!({ "type": 7 }), "type: missing, or not a text"),
            (
                deposit("1 USDT"),
                json!({ "type": "deposit.Received" }),
                "type: \"deposit.Received\" is not the type of any event",
            ),
            (
                deposit("1 USDT"),
                json!({ "type": "trade.filled.pair" }),
                "type: \"trade.filled.pair\" is not the type of any event",
            ),
        ],
    );
    for event in [json!(5), json!("deposit.received"), json!([]), Value::Null] {
        assert_eq!(read("spot", &event), Err("type: missing, or not a text".to_owned()), "{event}");
    }
}

#[test]
fn requests_and_facts_are_told_apart_as_the_contract_does() {
    let requests: Vec<&str> = EventKind::ALL
        .iter()
        .filter(|kind| kind.class() == EventClass::Request)
        .map(|kind| kind.name())
        .collect();
    assert_eq!(
        requests,
        [
            "account.opened",
            "account.closed",
            "credit.changed",
            "withdrawal.requested",
            "transfer.requested",
            "transfer.arrived",
            "transfer.returned",
            "transfer.landed",
            "order.reserved",
            "margin.changed",
            "leverage.changed",
            "adjustment.posted",
        ]
    );
    assert_eq!(EventKind::ALL.len(), 24);
    let from_cap: Vec<&str> =
        EventKind::ALL.iter().filter(|kind| kind.is_from_cap()).map(|kind| kind.name()).collect();
    assert_eq!(
        from_cap,
        [
            "transfer.arrived",
            "transfer.returned",
            "transfer.landed",
            "funding.unpaid",
            "margin.posted"
        ],
        "the others are the contract's"
    );
}
