//! Losses during a liquidation, which take withdrawals on hold before anything is borrowed.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[allow(dead_code, reason = "every set of examples uses another part of it")]
mod page;

use cap_reference::model::{CancelledWithdrawal, Expected};
use page::{Page, about, rejected};
use serde_json::{Value, json};

fn withdrawal(id: &str, money: &str) -> Value {
    about("withdrawal.requested", money, json!({ "withdrawal_id": id }))
}

fn fee(money: &str) -> Value {
    about("fee.charged", money, json!({ "reason": "liquidation" }))
}

/// An account that is being liquidated with a margin of 1 USDT, with 10 USDT available and 30, 20 and 10
/// on hold, and 1 BTC on hold too, all not payable yet.
fn liquidated() -> Page {
    let mut page = Page::with("perpetual", &["71 USDT", "1 BTC"]);
    page.posted(json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-9", "symbol": "BTC-USDT",
        "side": "buy", "quantity": "0.1", "price": "100", "leverage": "10", "margin_mode": "cross",
        "fee": { "currency": "USDT", "amount": "0" }, "liquidity": "taker",
    }));
    page.posted(json!({ "type": "liquidation.started" }));
    for (id, money) in
        [("w-9", "30 USDT"), ("w-1", "20 USDT"), ("w-b", "1 BTC"), ("w-5", "10 USDT")]
    {
        page.take_as(&format!("asked-{id}"), withdrawal(id, money), 0);
    }
    page
}

fn cancelled(expected: &Expected) -> String {
    expected.cancelled().iter().map(|one| one.withdrawal_id.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_withdrawal_asked_for_last_goes_first_and_whole_until_the_loss_is_covered() {
    let cases = [
        ("10 USDT", "", "0.000000 0.000000 1.000000 60.000000 0.000000"),
        ("10.000001 USDT", "w-5", "9.999999 0.000000 1.000000 50.000000 0.000000"),
        ("20 USDT", "w-5", "0.000000 0.000000 1.000000 50.000000 0.000000"),
        ("20.000001 USDT", "w-5 w-1", "19.999999 0.000000 1.000000 30.000000 0.000000"),
        ("70 USDT", "w-5 w-1 w-9", "0.000000 0.000000 1.000000 0.000000 0.000000"),
        ("75 USDT", "w-5 w-1 w-9", "0.000000 0.000000 1.000000 0.000000 5.000000"),
    ];
    for (loss, gone, left) in cases {
        let mut page = liquidated();
        let posted = page.posted(fee(loss));
        assert_eq!(
            (cancelled(&posted).as_str(), page.money("USDT").as_str()),
            (gone, left),
            "{loss}"
        );
        assert_eq!(page.money("BTC"), "0.00000000 0.00000000 0.00000000 1.00000000 0.00000000");
    }
}

#[test]
fn what_has_become_payable_meanwhile_stays_on_hold() {
    let mut page = liquidated();
    page.model.pass(30 * 60);
    page.take_as("asked-w-7", withdrawal("w-7", "4 USDT"), 0);
    assert_eq!(cancelled(&page.posted(fee("13 USDT"))), "w-7");
    assert_eq!(page.money("USDT"), "0.000000 0.000000 1.000000 60.000000 3.000000");
}

#[test]
fn without_a_liquidation_and_for_what_may_be_refused_none_goes() {
    let mut page = liquidated();
    let reserved = about("order.reserved", "11 USDT", json!({ "order_id": "o-1" }));
    assert_eq!(rejected(&page.take(reserved)), "insufficient_funds");
    page.posted(json!({ "type": "liquidation.ended" }));
    assert_eq!(cancelled(&page.posted(fee("11 USDT"))), "");
    assert_eq!(page.money("USDT"), "0.000000 0.000000 1.000000 60.000000 1.000000");
    // Old debt is no shortage of this event, and what comes back repays it.
    page.posted(json!({ "type": "liquidation.started" }));
    assert_eq!(cancelled(&page.posted(fee("5 USDT"))), "w-5");
    assert_eq!(page.money("USDT"), "4.000000 0.000000 1.000000 50.000000 0.000000");
}

#[test]
fn only_what_withdrawals_do_not_cover_is_borrowed_on_the_card() {
    let mut page = liquidated();
    page.posted(json!({
        "type": "credit.changed", "currency": "USD", "limit": "1", "enabled": true,
    }));
    // Covered by withdrawals: no rate is needed.
    assert_eq!(cancelled(&page.posted(fee("20 USDT"))), "w-5");
    // 5 short after the last one: without a rate nothing happens, and nothing is cancelled.
    assert_eq!(page.take(fee("55 USDT")), Expected::Skipped);
    assert_eq!(page.money("USDT"), "0.000000 0.000000 1.000000 50.000000 0.000000");
    let mut with_rate = fee("55 USDT");
    with_rate["rates"] = json!({ "USDT/USD": "2" });
    assert_eq!(cancelled(&page.posted(with_rate)), "w-1 w-9");
    assert_eq!(page.money("USD"), "0.00 0.00 0.00 0.00 10.00");
}

#[test]
fn a_withdrawal_that_only_fills_up_what_was_taken_repays_no_card() {
    let mut page = liquidated();
    page.posted(json!({
        "type": "credit.changed", "currency": "USD", "limit": "100", "enabled": true,
    }));
    page.posted(fee("40 USD"));
    let mut with_rate = fee("11 USDT");
    with_rate["rates"] = json!({ "USDT/USD": "1" });
    assert_eq!(cancelled(&page.posted(with_rate)), "w-5");
    assert_eq!(page.money("USDT"), "9.000000 0.000000 1.000000 50.000000 0.000000");
    assert_eq!(page.money("USD"), "0.00 0.00 0.00 0.00 40.00");
}

#[test]
fn what_is_borrowed_on_the_card_takes_no_withdrawals_in_its_currency() {
    let mut page = liquidated();
    page.posted(json!({
        "type": "credit.changed", "currency": "BTC", "limit": "1", "enabled": true,
    }));
    let mut loss = fee("170 USDT");
    loss["rates"] = json!({ "BTC/USDT": "50000" });
    assert_eq!(cancelled(&page.posted(loss)), "w-5 w-1 w-9");
    assert_eq!(page.money("BTC"), "0.00000000 0.00000000 0.00000000 1.00000000 0.00200000");
    // A loss in the card's own currency does.
    assert_eq!(cancelled(&page.posted(fee("0.5 BTC"))), "w-b");
    assert_eq!(page.money("BTC"), "0.49800000 0.00000000 0.00000000 0.00000000 0.00000000");
}

#[test]
fn a_forced_adjustment_takes_them_too_and_a_refused_one_none() {
    let adjusted = |shortfall: &str| {
        let more = json!({ "reason": "loss", "operator": "ops-1", "shortfall": shortfall });
        about("adjustment.posted", "-15 USDT", more)
    };
    let mut page = liquidated();
    assert_eq!(rejected(&page.take(adjusted("reject"))), "insufficient_funds");
    assert_eq!(cancelled(&page.posted(adjusted("force"))), "w-5");
    assert_eq!(page.money("USDT"), "5.000000 0.000000 1.000000 50.000000 0.000000");
}

#[test]
fn each_has_an_outcome_of_its_own_and_is_gone() {
    let mut page = liquidated();
    let posted = page.posted(fee("11 USDT"));
    let seq = posted.lane_seq().unwrap();
    let one = CancelledWithdrawal {
        request_id: "asked-w-5".into(),
        lane_seq: seq,
        withdrawal_id: "w-5".into(),
        amount: "10.000000".into(),
        currency: "USDT".into(),
    };
    assert_eq!(posted.cancelled(), std::slice::from_ref(&one));
    let mut outcome = json!({
        "status": "rejected", "stage": "account", "lane_seq": seq,
        "decided_at": "2026-11-21T12:00:00.000Z", "balances": [], "cancelled": "w-5",
        "reason": {
            "code": "insufficient_funds",
            "detail": "withdrawal w-5 of 10.000000 USDT was cancelled: \
                       the money was needed for losses during liquidation",
        },
    });
    assert_eq!(one.matches(&outcome), Ok(()));
    let due: Vec<_> = posted.due("r-7").collect();
    assert_eq!(due.iter().map(|due| due.request_id).collect::<Vec<_>>(), ["asked-w-5", "r-7"]);
    assert_eq!(due[0].matches(&outcome), Ok(()));
    assert!(due[1].matches(&outcome).is_err());
    outcome["cancelled"] = json!("w-1");
    assert_eq!(one.matches(&outcome), Err("cancelled: expected w-5, found \"w-1\"".to_owned()));
    for kind in ["withdrawal.settled", "withdrawal.cancelled"] {
        let ended = json!({ "type": kind, "withdrawal_id": "w-5" });
        assert_eq!(page.take(ended), Expected::Skipped, "there is none any more");
    }
    // Its own request is answered as at first.
    let again = page.take_as("asked-w-5", withdrawal("w-5", "10 USDT"), 0);
    assert!(matches!(again, Expected::Replayed(_)) && again.cancelled().is_empty());
}

#[test]
fn what_was_payable_before_the_liquidation_stays_on_hold() {
    let mut page = Page::with("perpetual", &["30 USDT"]);
    page.posted(withdrawal("w-1", "20 USDT"));
    page.posted(json!({ "type": "liquidation.started" }));
    assert_eq!(cancelled(&page.posted(fee("11 USDT"))), "");
    assert_eq!(page.money("USDT"), "0.000000 0.000000 0.000000 20.000000 1.000000");
    page.posted(json!({ "type": "withdrawal.settled", "withdrawal_id": "w-1" }));
}
