//! The rule of each kind of event is checked: its legs, its amounts, its shortfalls.

use serde_json::{Value, json};

use crate::Patch::{Append, Remove, Set};
use crate::refused;

fn leg(from: &str, to: &str, amount: &str) -> Value {
    json!({ "from": from, "to": to, "amount": amount })
}

fn leg_or(from: &str, to: &str, amount: &str, shortfall: &str) -> Value {
    json!({ "from": from, "to": to, "amount": amount, "shortfall": shortfall })
}

#[test]
fn what_a_rulebook_says_of_a_whole_kind_is_checked() {
    refused(vec![
        (
            "a kind is missing",
            Remove("/rulebooks/0/events/fee.charged"),
            "rulebooks/spot.json: events: fee.charged is missing: every kind of event has its legs, or a reason to refuse it",
        ),
        (
            "a kind that is no event",
            Set("/rulebooks/0/events/fee.waived", json!({ "legs": [] })),
            "rulebooks/spot.json: events.fee.waived: is not the type of any event",
        ),
        (
            "refused for no reason",
            Set("/rulebooks/0/events/transfer.requested", json!({ "refused": "  " })),
            "rulebooks/spot.json: events.transfer.requested.refused: says no reason",
        ),
        (
            "neither legs nor a reason",
            Set("/rulebooks/0/events/fee.charged", json!({})),
            "not a document: ",
        ),
        (
            "legs and a reason",
            Set("/rulebooks/0/events/fee.charged", json!({ "legs": [], "refused": "no" })),
            "not a document: ",
        ),
        (
            "no amount moves",
            Set("/rulebooks/0/events/fee.charged", json!({ "legs": [] })),
            "rulebooks/spot.json: events.fee.charged.legs: event.amount is moved by no leg: the money would be lost from sight",
        ),
        (
            "one of six amounts does not move",
            Remove("/rulebooks/0/events/trade.filled/legs/3"),
            "rulebooks/spot.json: events.trade.filled.legs: event.reserve_returned is moved by no leg",
        ),
        (
            "an amount moves twice",
            Append(
                "/rulebooks/0/events/deposit.received/legs",
                leg("external:bank", "frozen", "event.amount"),
            ),
            "rulebooks/spot.json: events.deposit.received.legs: event.amount is moved by 2 legs",
        ),
        (
            "an event that brings no amount moves one",
            Append(
                "/rulebooks/0/events/account.opened/legs",
                leg("external:bank", "available", "event.amount"),
            ),
            "rulebooks/spot.json: events.account.opened.legs[0].amount: \"event.amount\" is not an amount of account.opened, which brings no amount at all",
        ),
        (
            "more legs than a rule may have",
            Set(
                "/rulebooks/0/events/deposit.received/legs",
                json!(vec![leg("external:bank", "available", "event.amount"); 33]),
            ),
            "rulebooks/spot.json: events.deposit.received.legs: has 33 legs, 32 is the most",
        ),
    ]);
}

#[test]
fn every_leg_is_checked() {
    let fee = "/rulebooks/0/events/fee.charged/legs/0";
    let deposit = "/rulebooks/0/events/deposit.received/legs/0";
    refused(vec![
        (
            "from no subject",
            Set(deposit, leg("bank", "available", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0].from: \"bank\" is not a subject: an account's available, frozen",
        ),
        (
            "to no subject",
            Set(deposit, leg("external:bank", "Available", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0].to: \"Available\" is not a subject",
        ),
        (
            "a subject that the chart does not have",
            Set(deposit, leg("external:card", "available", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0].from: external:card is not declared in subjects",
        ),
        (
            "borrowed taken by hand",
            Set(deposit, leg("borrowed", "available", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0].from: borrowed is moved by account itself: move available, and state the shortfall",
        ),
        (
            "borrowed given by hand",
            Set(deposit, leg("external:bank", "borrowed", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0].to: borrowed is moved by account itself",
        ),
        (
            "to itself",
            Set(fee, leg_or("available", "available", "event.amount", "force")),
            "rulebooks/spot.json: events.fee.charged.legs[0]: moves money from available to itself",
        ),
        (
            "contra to contra",
            Set(deposit, leg("external:bank", "house:fees", "event.amount")),
            "rulebooks/spot.json: events.deposit.received.legs[0]: moves money from external:bank to house:fees without touching the account",
        ),
        (
            "an amount that nothing is called",
            Set(deposit, leg("external:bank", "available", "event.sum")),
            "rulebooks/spot.json: events.deposit.received.legs[0].amount: \"event.sum\" is not an amount of deposit.received, which brings event.amount",
        ),
        (
            "another event's amount",
            Set(deposit, leg("external:bank", "available", "event.credit")),
            "rulebooks/spot.json: events.deposit.received.legs[0].amount: \"event.credit\" is not an amount of deposit.received, which brings event.amount",
        ),
        (
            "a position's figure where there are no positions",
            Set(
                "/rulebooks/0/events/trade.filled/legs/2",
                leg("house:trading", "available", "position.realised_profit"),
            ),
            "rulebooks/spot.json: events.trade.filled.legs[2].amount: \"position.realised_profit\" is not an amount of trade.filled, which brings event.paid_from_reserve, ",
        ),
        (
            "a field that no leg has",
            Set(
                deposit,
                json!({ "from": "external:bank", "to": "available", "amount": "event.amount", "note": "x" }),
            ),
            "not a document: unknown field `note`",
        ),
    ]);
}

#[test]
fn a_shortfall_is_stated_where_one_can_be_and_nowhere_else() {
    let fee = "/rulebooks/0/events/fee.charged/legs/0";
    let withdrawal = "/rulebooks/0/events/withdrawal.requested/legs/0";
    refused(vec![
        (
            "a leg from available says nothing",
            Set(withdrawal, leg("available", "withdrawing", "event.amount")),
            "rulebooks/spot.json: events.withdrawal.requested.legs[0].shortfall: is missing: a leg from available says reject, borrow, force or event",
        ),
        (
            "a fact rejects",
            Set(fee, leg_or("available", "house:fees", "event.amount", "reject")),
            "rulebooks/spot.json: events.fee.charged.legs[0].shortfall: fee.charged has happened and cannot be rejected: the shortfall is force",
        ),
        (
            "a fact borrows within a limit",
            Set(fee, leg_or("available", "house:fees", "event.amount", "borrow")),
            "rulebooks/spot.json: events.fee.charged.legs[0].shortfall: fee.charged has happened and cannot be rejected",
        ),
        (
            "a fact that decides by itself",
            Set(fee, leg_or("available", "house:fees", "event.amount", "event")),
            "rulebooks/spot.json: events.fee.charged.legs[0].shortfall: fee.charged has happened and cannot be rejected",
        ),
        (
            "an event that says nothing of it",
            Set(withdrawal, leg_or("available", "withdrawing", "event.amount", "event")),
            "rulebooks/spot.json: events.withdrawal.requested.legs[0].shortfall: withdrawal.requested does not say what to do on shortfall",
        ),
        (
            "frozen falls short",
            Set(
                "/rulebooks/0/events/order.released/legs/0",
                leg_or("frozen", "available", "event.amount", "force"),
            ),
            "rulebooks/spot.json: events.order.released.legs[0].shortfall: only available can fall short and be made good, not frozen",
        ),
        (
            "the bank falls short",
            Set(
                "/rulebooks/0/events/deposit.received/legs/0",
                leg_or("external:bank", "available", "event.amount", "force"),
            ),
            "rulebooks/spot.json: events.deposit.received.legs[0].shortfall: only available can fall short and be made good, not external:bank",
        ),
        (
            "a policy that there is not",
            Set(fee, leg_or("available", "house:fees", "event.amount", "forgive")),
            "not a document: unknown variant `forgive`",
        ),
    ]);
}

#[test]
fn a_transfer_moves_through_transit_and_no_other_way() {
    let requested = "/rulebooks/0/events/transfer.requested/legs/0";
    refused(vec![
        (
            "made twice",
            Set(requested, leg("transit", "available", "event.amount")),
            "rulebooks/spot.json: events.transfer.requested: a transfer moves from available to transit here",
        ),
        (
            "it could not come back",
            Set("/rulebooks/0/events/transfer.returned", json!({ "refused": "no" })),
            "rulebooks/spot.json: events.transfer.returned: a transfer moves from transit to available here",
        ),
        (
            "nobody would be told that it has landed",
            Remove("/rulebooks/0/events/transfer.landed"),
            "rulebooks/spot.json: events: transfer.landed is missing: a transfer would stay under way",
        ),
        (
            "nobody could be told that it has landed",
            Set("/rulebooks/0/events/transfer.landed", json!({ "refused": "no" })),
            "rulebooks/spot.json: events: transfer.landed is missing: a transfer would stay under way",
        ),
    ]);
}
