//! A rulebook that loads can be carried out; one that cannot is refused with the place and the
//! reason (C3, C9).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod common;

use cap_domain::configuration::{Configuration, ConfigurationDocument};
use cap_domain::event::EventKind;
use cap_domain::rulebook::{Rule, RulebookDocument};
use serde_json::{Value, json};

use common::shipped;

/// One change to the shipped configuration, at a JSON pointer.
enum Patch {
    Set(&'static str, Value),
    Remove(&'static str),
    Append(&'static str, Value),
}
use Patch::{Append, Remove, Set};

fn patched(patch: &Patch) -> Value {
    let mut document = shipped();
    let place = |pointer: &'static str| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        (parent, name.replace("~1", "/"))
    };
    match patch {
        Set(pointer, value) => {
            let (parent, name) = place(pointer);
            match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
                parent => parent[name] = value.clone(),
            }
        }
        Remove(pointer) => {
            let (parent, name) = place(pointer);
            let removed = match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => Some(items.remove(name.parse().unwrap())),
                parent => parent.as_object_mut().unwrap().remove(&name),
            };
            assert!(removed.is_some(), "{pointer} is there to be removed");
        }
        Append(pointer, value) => {
            document.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value.clone());
        }
    }
    document
}

fn check(document: Value) -> Result<Configuration, String> {
    let document: ConfigurationDocument =
        serde_json::from_value(document).map_err(|error| format!("not a document: {error}"))?;
    Configuration::check(1, document).map_err(|error| error.to_string())
}

/// Each patch on the shipped configuration is refused, and the error starts so.
fn refused(cases: Vec<(&str, Patch, &str)>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, patch, expected)| match check(patched(&patch)) {
            Ok(_) => Some(format!("{name}: was taken, expected: {expected}")),
            Err(error) if error.starts_with(expected) => None,
            Err(error) => Some(format!("{name}:\n  expected {expected}\n  got      {error}")),
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn leg(from: &str, to: &str, amount: &str) -> Value {
    json!({ "from": from, "to": to, "amount": amount })
}

fn leg_or(from: &str, to: &str, amount: &str, shortfall: &str) -> Value {
    json!({ "from": from, "to": to, "amount": amount, "shortfall": shortfall })
}

#[test]
fn the_shipped_configuration_loads() {
    let configuration = check(shipped()).unwrap();
    let products: Vec<_> = configuration.rulebooks().map(|r| r.product.to_string()).collect();
    assert_eq!(products, ["perpetual", "spot"]);
    let decimals = |code: &str| configuration.currency(code.parse().unwrap()).map(|c| c.decimals);
    let found = ["BTC", "ETH", "USDT", "USD", "HKD", "DOGE"].map(decimals);
    assert_eq!(found, [Some(8), Some(8), Some(6), Some(2), Some(2), None]);
}

#[test]
fn every_product_says_what_every_kind_of_event_does() {
    let configuration = check(shipped()).unwrap();
    for rulebook in configuration.rulebooks() {
        for kind in EventKind::ALL {
            assert!(rulebook.rule(*kind).is_some(), "{} {kind}", rulebook.product);
        }
    }
}

#[test]
fn what_a_shipped_rulebook_refuses_says_why() {
    let configuration = check(shipped()).unwrap();
    let reasons: Vec<String> = configuration
        .rulebooks()
        .flat_map(|rulebook| EventKind::ALL.iter().map(move |kind| (rulebook, *kind)))
        .filter_map(|(rulebook, kind)| match rulebook.rule(kind) {
            Some(Rule::Refused(reason)) => Some(format!("{} {kind}: {reason}", rulebook.product)),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "perpetual transfer.requested: transfers are not supported yet",
            "perpetual margin.changed: isolated margin is not supported yet",
            "perpetual leverage.changed: changing leverage is not supported yet",
            "spot transfer.requested: transfers are not supported yet",
            "spot funding.charged: spot has no positions to charge funding on",
            "spot margin.changed: spot has no positions to margin",
            "spot leverage.changed: spot has no positions to leverage",
        ]
    );
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
fn the_chart_of_subjects_is_checked() {
    refused(vec![
        (
            "a subject of every account is missing",
            Remove("/rulebooks/0/subjects/withdrawing"),
            "rulebooks/spot.json: subjects: withdrawing is missing: every account has it",
        ),
        (
            "a loan is no liability of the platform",
            Set("/rulebooks/0/subjects/borrowed", json!("liability")),
            "rulebooks/spot.json: subjects.borrowed: borrowed is of the other kind",
        ),
        (
            "a customer's money is no asset of the platform",
            Set("/rulebooks/0/subjects/frozen", json!("asset")),
            "rulebooks/spot.json: subjects.frozen: frozen is of the other kind",
        ),
        (
            "a name that is no subject",
            Set("/rulebooks/0/subjects/savings", json!("liability")),
            "rulebooks/spot.json: subjects.savings: \"savings\" is not a subject",
        ),
        (
            "a kind that there is not",
            Set("/rulebooks/0/subjects/frozen", json!("equity")),
            "not a document: unknown variant `equity`",
        ),
    ]);
}

#[test]
fn path_version_and_currencies_are_checked() {
    refused(vec![
        (
            "version 0",
            Set("/rulebooks/0/version", json!(0)),
            "rulebooks/spot.json: version: versions start at 1",
        ),
        (
            "the path is the wrong way round",
            Set("/rulebooks/0/path", json!(["account", "clearing"])),
            "rulebooks/spot.json: path: is neither [clearing, account] nor [clearing, position, account]",
        ),
        (
            "the path ends before account",
            Set("/rulebooks/1/path", json!(["clearing", "position"])),
            "rulebooks/perpetual.json: path: is neither [clearing, account] nor [clearing, position, account]",
        ),
        (
            "contracts without positions",
            Set("/rulebooks/1/path", json!(["clearing", "account"])),
            "rulebooks/perpetual.json: path: contracts make positions, but position is not in the path",
        ),
        (
            "pairs with positions",
            Set("/rulebooks/0/path", json!(["clearing", "position", "account"])),
            "rulebooks/spot.json: path: pairs make no positions, but position is in the path",
        ),
        (
            "a stage that there is not",
            Set("/rulebooks/0/path", json!(["clearing", "risk", "account"])),
            "not a document: unknown variant `risk`",
        ),
        (
            "a currency that there is not",
            Append("/rulebooks/0/currencies", json!("DOGE")),
            "rulebooks/spot.json: currencies[5]: DOGE is not in currencies.json",
        ),
        (
            "a currency twice",
            Append("/rulebooks/0/currencies", json!("BTC")),
            "rulebooks/spot.json: currencies[5]: BTC is listed twice",
        ),
        (
            "accounts cannot hold what a pair pays",
            Remove("/rulebooks/0/currencies/2"),
            "rulebooks/spot.json: currencies: USDT is missing, which pair BTC/USDT needs",
        ),
        (
            "accounts cannot hold what a contract settles in",
            Remove("/rulebooks/1/currencies/0"),
            "rulebooks/perpetual.json: currencies: BTC is missing, which symbol BTC-USD needs",
        ),
        ("no version", Remove("/rulebooks/0/version"), "not a document: missing field `version`"),
        (
            "an unknown field",
            Set("/rulebooks/0/owner", json!("me")),
            "not a document: unknown field `owner`",
        ),
    ]);
}

#[test]
fn currencies_and_instruments_are_checked() {
    refused(vec![
        (
            "more decimals than any figure may have",
            Set("/currencies/BTC", json!(13)),
            "currencies.json: BTC: 13 decimals, 12 is the most",
        ),
        (
            "a code in small letters",
            Set("/currencies/btc", json!(8)),
            "not a document: currency \"btc\" is not 2 to 12",
        ),
        (
            "a product without instruments",
            Remove("/instruments/spot"),
            "instruments.json: product spot is missing",
        ),
        (
            "a product without rules",
            Remove("/rulebooks/0"),
            "instruments.json: product spot has no rulebook",
        ),
        (
            "pairs where contracts are traded",
            Set("/instruments/perpetual", json!({ "pairs": [] })),
            "instruments.json: perpetual: has pairs, its rulebook trades contracts",
        ),
        (
            "contracts where pairs are traded",
            Set("/instruments/spot", json!({ "symbols": {} })),
            "instruments.json: spot: has symbols, its rulebook trades pairs",
        ),
        (
            "a pair without a slash",
            Append("/instruments/spot/pairs", json!("BTC-USDT")),
            "instruments.json: spot: pair \"BTC-USDT\" is not BASE/QUOTE",
        ),
        (
            "a pair of three",
            Append("/instruments/spot/pairs", json!("BTC/USDT/USD")),
            "instruments.json: spot: pair BTC/USDT/USD: currency \"USDT/USD\" is not 2 to 12 characters of [A-Z0-9]",
        ),
        (
            "a pair in a currency that there is not",
            Append("/instruments/spot/pairs", json!("BTC/EUR")),
            "instruments.json: spot: BTC/EUR: EUR is not in currencies.json",
        ),
        (
            "a pair of one currency",
            Append("/instruments/spot/pairs", json!("BTC/BTC")),
            "instruments.json: spot: pair BTC/BTC is of one currency, or listed twice",
        ),
        (
            "a pair twice",
            Append("/instruments/spot/pairs", json!("BTC/USDT")),
            "instruments.json: spot: pair BTC/USDT is of one currency, or listed twice",
        ),
        (
            "a contract settled in a currency that there is not",
            Set("/instruments/perpetual/symbols/BTC-USDT/settled_in", json!("EUR")),
            "instruments.json: perpetual: BTC-USDT: EUR is not in currencies.json",
        ),
        (
            "a multiplier of nothing",
            Set("/instruments/perpetual/symbols/BTC-USDT/multiplier", json!("0")),
            "instruments.json: perpetual: BTC-USDT: multiplier \"0\" is not a decimal above zero",
        ),
        (
            "a multiplier below zero",
            Set("/instruments/perpetual/symbols/BTC-USDT/multiplier", json!("-1")),
            "instruments.json: perpetual: BTC-USDT: multiplier \"-1\" is not a decimal above zero",
        ),
        (
            "a kind of contract that there is not",
            Set("/instruments/perpetual/symbols/BTC-USDT/kind", json!("quanto")),
            "not a document: unknown variant `quanto`",
        ),
        (
            "a symbol in small letters",
            Set(
                "/instruments/perpetual/symbols/btc-usdt",
                json!({ "kind": "linear", "multiplier": "1", "settled_in": "USDT" }),
            ),
            "not a document: symbol \"btc-usdt\" is not 1 to 24 characters of [A-Z0-9-]",
        ),
    ]);
}

#[test]
fn two_rulebooks_for_one_product_are_refused_as_such() {
    let spot = shipped()["rulebooks"][0].clone();
    refused(vec![(
        "spot twice",
        Append("/rulebooks", spot),
        "rulebooks/spot.json: there are two rulebooks for this product",
    )]);
}

#[test]
fn a_document_that_cannot_be_read_says_the_line() {
    let text = serde_json::to_string_pretty(&shipped()["rulebooks"][0]).unwrap();
    let broken = text.replace("\"from\": \"external:bank\"", "\"form\": \"external:bank\"");
    let error = serde_json::from_str::<RulebookDocument>(&broken).unwrap_err();
    assert!(error.to_string().starts_with("unknown field `form`, expected one of"), "{error}");
    let line = broken.lines().position(|line| line.contains("\"form\"")).unwrap() + 1;
    assert_eq!(error.line(), line);
}

#[test]
fn a_kind_written_twice_is_refused_rather_than_half_ignored() {
    let text = shipped()["rulebooks"][0].to_string();
    let twice = text.replace("\"events\":{", "\"events\":{\"fee.charged\":{\"legs\":[]},");
    let read = serde_json::from_str::<RulebookDocument>(&twice);
    assert!(read.is_err(), "the first fee.charged was dropped without a word");
}
