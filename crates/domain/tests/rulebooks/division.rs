//! Declared subjects, splits and draws are checked, each with its place and the reason (A7, C9).

use serde_json::{Value, json};

use crate::Patch::{Append, Set};
use crate::common::shipped;
use crate::{check, refused};

fn splitting(parts: Value) -> Value {
    json!({ "from": "external:bank", "split": parts, "amount": "event.amount" })
}

fn drawing(from: Value) -> Value {
    json!({ "from": from, "to": "house:fees", "amount": "event.amount", "shortfall": "force" })
}

fn part(to: &str, share: &str) -> Value {
    json!({ "to": to, "share": share })
}

#[test]
fn declared_subjects_are_checked() {
    let mut many = shipped()["rulebooks"][2]["subjects"].clone();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        many[name] = json!("liability");
    }
    refused(vec![
        (
            "an account's money is no asset",
            Set("/rulebooks/2/subjects/cash", json!("asset")),
            "rulebooks/cfd.json: subjects.cash: cash is of the other kind: it is the account's money",
        ),
        (
            "more than anybody keeps apart",
            Set("/rulebooks/2/subjects", many),
            "rulebooks/cfd.json: subjects: declares 9 subjects of the account, 8 is the most",
        ),
        (
            "a name too long",
            Set("/rulebooks/2/subjects/abcdefghijklmnopqrstuvwxy", json!("liability")),
            "rulebooks/cfd.json: subjects.abcdefghijklmnopqrstuvwxy: \"abcdefghijklmnopqrstuvwxy\" is not a subject",
        ),
        (
            "a field that a balance has already",
            Set("/rulebooks/2/subjects/currency", json!("liability")),
            "rulebooks/cfd.json: subjects.currency: \"currency\" is not a subject",
        ),
        (
            "a word that the chart does not declare",
            Set("/rulebooks/2/events/transfer.arrived/legs/0/to", json!("chash")),
            "rulebooks/cfd.json: events.transfer.arrived.legs[0].to: \"chash\" is not a subject: an account's available",
        ),
    ]);
}

#[test]
fn what_goes_to_a_declared_subject_can_leave_it() {
    let mut document = shipped();
    document["rulebooks"][2]["subjects"]["points"] = json!("liability");
    assert!(check(document.clone()).is_ok(), "a subject that nothing moves yet is no harm");
    let deposit = &mut document["rulebooks"][2]["events"]["deposit.received"]["legs"][0];
    deposit["split"][0]["to"] = json!("points");
    assert_eq!(
        check(document).unwrap_err(),
        "rulebooks/cfd.json: subjects.points: deposit.received moves money to points, and no leg takes any from it: it could never leave"
    );
}

#[test]
fn a_split_is_checked() {
    let split = |parts: Value| Set("/rulebooks/2/events/deposit.received/legs/0", splitting(parts));
    let leg = |leg: Value| Set("/rulebooks/2/events/deposit.received/legs/0", leg);
    let (bonus, cash) = (part("bonus", "0.1"), part("cash", "remainder"));
    let many: Vec<Value> = (0..9).map(|n| part("cash", &format!("0.0{n}"))).collect();
    refused(vec![
        (
            "to one and into parts",
            leg(
                json!({ "from": "external:bank", "to": "cash", "split": [bonus, cash], "amount": "event.amount" }),
            ),
            "rulebooks/cfd.json: events.deposit.received.legs[0]: says both to and split: an amount goes one way",
        ),
        (
            "to nobody",
            leg(json!({ "from": "external:bank", "amount": "event.amount" })),
            "rulebooks/cfd.json: events.deposit.received.legs[0]: says neither to whom nor into which parts: to or split",
        ),
        (
            "no parts",
            split(json!([])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split: has 0 parts, an amount is split into 2 to 8",
        ),
        (
            "one part is no split",
            split(json!([cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split: has 1 parts",
        ),
        (
            "more parts than anybody reads",
            split(json!(many)),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split: has 9 parts, an amount is split into 2 to 8",
        ),
        (
            "nobody takes the remainder",
            split(json!([bonus, part("cash", "0.9")])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[1].share: \"0.9\" is not remainder: somebody takes what rounding leaves",
        ),
        (
            "the remainder is taken before the shares",
            split(json!([cash, bonus])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: the remainder is what all others leave: it stands last",
        ),
        (
            "two take the remainder",
            split(json!([part("bonus", "remainder"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: the remainder is what all others leave",
        ),
        (
            "a share that is no number",
            split(json!([part("bonus", "10%"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: \"10%\" is not a decimal number",
        ),
        (
            "a share of nothing",
            split(json!([part("bonus", "0.0"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: 0.0 is not between 0 and 1",
        ),
        (
            "a share below nothing",
            split(json!([part("bonus", "-0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: -0.1 is not between 0 and 1",
        ),
        (
            "a share of everything",
            split(json!([part("bonus", "1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].share: 1 is not between 0 and 1",
        ),
        (
            "shares that leave nothing",
            split(json!([part("bonus", "0.6"), part("available", "0.4"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[1].share: the shares up to here are 1.0 together, which leaves no remainder",
        ),
        (
            "two parts of one subject",
            split(json!([part("bonus", "0.1"), part("bonus", "0.2"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[1].to: bonus has a part already",
        ),
        (
            "the remainder goes where a share went",
            split(json!([part("cash", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[1].to: cash has a part already",
        ),
        (
            "a part to a subject that is not declared",
            split(json!([part("house:gifts", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].to: house:gifts is not declared in subjects",
        ),
        (
            "a part to what is owed",
            split(json!([part("borrowed", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].to: borrowed is moved by account itself",
        ),
        (
            "a part to what positions know to the last digit",
            split(json!([part("margin", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0].split[0].to: no part goes to margin: whatever it is held for knows its amount",
        ),
        (
            "a part that never touches the account",
            split(json!([part("house:fees", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0]: moves money from external:bank to house:fees without touching the account",
        ),
        (
            "a part back to where it comes from",
            split(json!([part("external:bank", "0.1"), cash])),
            "rulebooks/cfd.json: events.deposit.received.legs[0]: moves money from external:bank to itself",
        ),
        (
            "a field that no part has",
            split(json!([{ "to": "bonus", "share": "0.1", "round": "up" }, cash])),
            "not a document: unknown field `round`",
        ),
    ]);
}

#[test]
fn a_draw_is_checked() {
    let fee = |from: Value| Set("/rulebooks/2/events/fee.charged/legs/0", drawing(from));
    let withdrawal = "/rulebooks/2/events/withdrawal.requested/legs/0";
    let nine: Vec<&str> = vec!["cash"; 9];
    refused(vec![
        (
            "from nobody",
            fee(json!([])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from: lists 0 subjects, 2 to 8 can be drawn from in order",
        ),
        (
            "a list of one",
            fee(json!(["available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from: lists 1 subjects",
        ),
        (
            "from more than anybody reads",
            fee(json!(nine)),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from: lists 9 subjects, 2 to 8",
        ),
        (
            "twice from one",
            fee(json!(["cash", "bonus", "cash", "available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from[2]: cash is listed twice",
        ),
        (
            "from the house",
            fee(json!(["house:fees", "available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from[0]: only available and declared subjects are drawn from, not house:fees",
        ),
        (
            "from what orders hold",
            fee(json!(["frozen", "available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from[0]: only available and declared subjects are drawn from, not frozen",
        ),
        (
            "from what is owed",
            fee(json!(["borrowed", "available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from[0]: borrowed is moved by account itself",
        ),
        (
            "from what is not declared",
            fee(json!(["points", "available"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from[0]: \"points\" is not a subject",
        ),
        (
            "a fact that could run dry",
            fee(json!(["available", "cash"])),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from: fee.charged has happened and cannot be refused if cash is short: it is drawn from available in the end, by force",
        ),
        (
            "a fact from a declared subject alone",
            fee(json!("cash")),
            "rulebooks/cfd.json: events.fee.charged.legs[0].from: fee.charged has happened and cannot be refused if cash is short",
        ),
        (
            "a fact that may be refused in the end",
            Set("/rulebooks/2/events/fee.charged/legs/0/shortfall", json!("reject")),
            "rulebooks/cfd.json: events.fee.charged.legs[0].shortfall: fee.charged has happened and cannot be rejected: the shortfall is force",
        ),
        (
            "a draw from available in the end says nothing of a shortfall",
            Set(
                withdrawal,
                json!({ "from": ["cash", "available"], "to": "withdrawing", "amount": "event.amount" }),
            ),
            "rulebooks/cfd.json: events.withdrawal.requested.legs[0].shortfall: is missing: a leg from available says",
        ),
        (
            "a draw that ends elsewhere borrows",
            Set(
                withdrawal,
                json!({ "from": ["bonus", "cash"], "to": "withdrawing", "amount": "event.amount", "shortfall": "borrow" }),
            ),
            "rulebooks/cfd.json: events.withdrawal.requested.legs[0].shortfall: only available can fall short and be made good, not cash",
        ),
        (
            "drawn from where it goes",
            Set(
                withdrawal,
                json!({ "from": ["bonus", "cash"], "to": "cash", "amount": "event.amount" }),
            ),
            "rulebooks/cfd.json: events.withdrawal.requested.legs[0]: moves money from cash to itself",
        ),
        (
            "from a number",
            fee(json!(7)),
            "not a document: from is neither a subject nor a list of subjects",
        ),
        (
            "two amounts in one",
            Append("/rulebooks/2/events/fee.charged/legs", drawing(json!(["cash", "available"]))),
            "rulebooks/cfd.json: events.fee.charged.legs: event.amount is moved by 2 legs",
        ),
    ]);
}

#[test]
fn a_transfer_leaves_whole_and_lands_where_it_is_free() {
    let requested = "/rulebooks/2/events/transfer.requested/legs/0";
    let arrived = "/rulebooks/2/events/transfer.arrived/legs/0";
    let parts = |to: &str| {
        json!({ "from": ["cash", "available"], "split": [part(to, "0.1"), part("transit", "remainder")],
                "amount": "event.amount", "shortfall": "reject" })
    };
    refused(vec![
        (
            "a part of it is lost on the way out",
            Set(requested, parts("house:fees")),
            "rulebooks/cfd.json: events.transfer.requested: a transfer moves from available to transit here, or with declared subjects for available",
        ),
        (
            "a part of it is lost on the way in",
            Set(arrived, json!({ "from": "transit", "to": "frozen", "amount": "event.amount" })),
            "rulebooks/cfd.json: events.transfer.arrived: a transfer moves from transit to available here",
        ),
    ]);
}

#[test]
fn what_a_rulebook_may_say_loads() {
    let fine = [
        // A draw of a request may end in a declared subject, and have available within.
        (
            "/rulebooks/2/events/withdrawal.requested/legs/0",
            json!({ "from": ["available", "cash"], "to": "withdrawing", "amount": "event.amount" }),
        ),
        (
            "/rulebooks/2/events/withdrawal.requested/legs/0",
            json!({ "from": "cash", "to": "withdrawing", "amount": "event.amount" }),
        ),
        // A transfer may land in parts, as a deposit does.
        (
            "/rulebooks/2/events/transfer.arrived/legs/0",
            json!({ "from": "transit", "split": [part("bonus", "0.5"), part("cash", "remainder")], "amount": "event.amount" }),
        ),
        // What comes out of a hold may be split.
        (
            "/rulebooks/2/events/order.released/legs/0",
            json!({ "from": "frozen", "split": [part("bonus", "0.01"), part("cash", "remainder")], "amount": "event.amount" }),
        ),
    ];
    for (pointer, leg) in fine {
        let mut document = shipped();
        *document.pointer_mut(pointer).unwrap() = leg;
        check(document).unwrap_or_else(|error| panic!("{pointer}: {error}"));
    }
}
