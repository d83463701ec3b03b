//! What upstream makes up of what CAP sends itself: it pays nobody, takes nobody's money away, and
//! suspends nobody's account but the one it is sent to.

use cap_domain::lane::StageName;
use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Story, Told};
use crate::transfers::{HERE, THERE, in_transit, pass_on, transfer, under_way};

const FOREIGN: &str = "zenith_spot_retail_Z-1";

fn named(account: &str) -> Value {
    let parts: Vec<&str> = account.split('_').collect();
    json!({
        "company": parts[0], "product": parts[1], "customer_group": parts[2], "account": parts[3],
    })
}

fn arrived(from: &str, money: &str) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    json!({
        "type": "transfer.arrived", "transfer_id": "t-1", "from": named(from),
        "currency": currency, "amount": amount, "acknowledge": true,
    })
}

fn returned(to: &str, money: &str, arrival: &str) -> Value {
    let (amount, currency) = money.split_once(' ').unwrap();
    json!({
        "type": "transfer.returned", "transfer_id": "t-1", "to": named(to),
        "currency": currency, "amount": amount, "reason": "made up", "arrival": arrival,
    })
}

fn landed(to: &str, money: &str, arrival: &str) -> Value {
    let mut event = returned(to, money, arrival);
    event["type"] = json!("transfer.landed");
    with(event, json!({ "reason": null }))
}

/// The id under which what the account sent last arrives.
fn arrival_id(story: &Story) -> String {
    let (_, body) = story.followed.last().unwrap();
    let envelope: Value = serde_json::from_str(body).unwrap();
    envelope["header"]["request_id"].as_str().unwrap().to_owned()
}

fn is_refused(told: &Told, detail: &str) {
    assert_eq!((told.status(), told.detail()), (OutcomeStatus::Rejected, detail), "{}", told.body);
}

#[test]
fn a_return_that_names_no_transfer_under_way_pays_nobody() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let told = here.tell(&returned(THERE, "1000000 USDT", "transfer:0"));
    is_refused(&told, "arrival: no transfer is under way that arrives as transfer:0");
    let told = here.tell(&with(returned(THERE, "1 USDT", "x"), json!({ "arrival": null })));
    is_refused(&told, "arrival: missing, so nobody can tell what came back");
    let told = here.tell(&returned(THERE, "1 XYZ", "x"));
    is_refused(&told, "currency: there is no currency XYZ");
    assert_eq!(here.money(), "USDT 100 available");
    assert!(here.suspended().is_empty() && here.followed.is_empty());
}

#[test]
fn a_return_is_what_left_and_from_where_it_went() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    here.posted(&transfer(THERE, "30 USDT"));
    let arrival = arrival_id(&here);
    for made_up in [
        returned(THERE, "31 USDT", &arrival),
        returned(FOREIGN, "30 USDT", &arrival),
        with(returned(THERE, "30 USDT", &arrival), json!({ "transfer_id": "t-2" })),
        landed(FOREIGN, "30 USDT", &arrival),
    ] {
        let told = here.tell(&made_up);
        let detail = told.detail();
        let kept = format!("arrival: {arrival} is transfer t-1 of 30.000000 USDT to {THERE}, not ");
        assert!(detail.starts_with(&kept), "{detail}");
    }
    assert_eq!((here.money().as_str(), under_way(&here).len()), ("USDT 70 available", 1));
    // It comes back once, whoever says so a second time.
    here.posted(&returned(THERE, "30 USDT", &arrival));
    let told = here.tell(&returned(THERE, "30 USDT", &arrival));
    is_refused(&told, &format!("arrival: no transfer is under way that arrives as {arrival}"));
    assert_eq!(here.money(), "USDT 100 available");
}

#[test]
fn an_arrival_made_up_in_one_company_moves_nothing_in_another() {
    // Refused where it is made up, so that CAP sends it back to where it never came from.
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut foreign = Story::account(FOREIGN);
    for money in ["1000000 USDT", "1 XYZ", "0.0000000001 USDT"] {
        let told = foreign.tell(&arrived(HERE, money));
        assert_eq!(told.status(), OutcomeStatus::Rejected, "{}", told.body);
        let told = pass_on(&mut foreign, &mut here);
        assert_eq!(told.status(), OutcomeStatus::Rejected, "{}", told.body);
    }
    // Posted there, which is no more than a deposit; its landing takes nothing off the list here.
    let mut foreign = Story::account(FOREIGN).opened();
    here.posted(&transfer(FOREIGN, "1 USDT"));
    here.followed.clear();
    foreign.posted(&arrived(HERE, "1 USDT"));
    let told = pass_on(&mut foreign, &mut here);
    assert_eq!(told.status(), OutcomeStatus::Rejected, "{}", told.body);
    assert_eq!(under_way(&here), ["t-1 of 1.000000 USDT"]);
    assert_eq!(here.money(), "USDT 99 available");
    assert!(here.suspended().is_empty(), "and nobody is suspended for it");
    // Without a promise to be told it is refused, and nothing goes back.
    let told = foreign.tell(&with(arrived(HERE, "1 USDT"), json!({ "acknowledge": null })));
    is_refused(&told, &format!("from: {HERE} is of another company, which is not supported yet"));
    assert!(foreign.followed.is_empty());
}

#[test]
fn an_arrival_made_up_under_the_id_of_the_real_one_lets_it_land_once_or_stops_where_it_is_seen() {
    // The very content: it has landed, and the real one is a repetition.
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut there = Story::account(THERE).opened();
    here.posted(&transfer(THERE, "30 USDT"));
    let id = arrival_id(&here);
    let made_up = there.message(&id, &arrived(HERE, "30.000000 USDT"));
    assert_eq!(there.tell_sent(&made_up).status(), OutcomeStatus::Posted);
    assert!(pass_on(&mut here, &mut there).message.outcome.replayed);
    assert_eq!(pass_on(&mut there, &mut here).status(), OutcomeStatus::Posted);
    assert_eq!((there.money().as_str(), under_way(&here).len()), ("USDT 30 available", 0));
    assert_eq!(in_transit(&here) + in_transit(&there), 0);

    // Another content, or another event: answered as a conflict, the real one would be lost.
    for made_up in [arrived(HERE, "31 USDT"), deposit("5 USDT")] {
        let mut here = Story::account(HERE).opened().holding("USDT 100 available");
        let mut there = Story::account(THERE).opened();
        here.posted(&transfer(THERE, "30 USDT"));
        let made_up = there.message(&arrival_id(&here), &made_up);
        assert_eq!(there.tell_sent(&made_up).status(), OutcomeStatus::Posted);
        there.followed.clear();
        let parked = pass_on(&mut here, &mut there);
        assert_eq!(parked.status(), OutcomeStatus::Parked, "{}", parked.body);
        assert!(parked.detail().contains("was used at"), "{}", parked.detail());
        assert_eq!(there.suspended(), [StageName::Clearing], "support sees it");
        assert_eq!(under_way(&here), ["t-1 of 30.000000 USDT"], "and it is not lost");
    }
}
