//! Transfers between accounts (A1, C10): debited here, in transit, credited there, and back again
//! if they cannot land.

use std::sync::Arc;

use cap_domain::account::AccountRuling;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::lane::StageName;
use cap_domain::money::Money;
use cap_domain::outcome::OutcomeStatus;
use cap_domain::subject::Subject;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::shipped;
use crate::common::story::{Story, Told};

pub(crate) const HERE: &str = "acme_spot_retail_A-1";
pub(crate) const THERE: &str = "acme_perpetual_vip_Z-9";

pub(crate) fn transfer(to: &str, money: &str) -> Value {
    let parts: Vec<&str> = to.split('_').collect();
    let (amount, currency) = money.split_once(' ').unwrap();
    json!({
        "type": "transfer.requested", "transfer_id": "t-1", "currency": currency, "amount": amount,
        "to": { "company": parts[0], "product": parts[1], "customer_group": parts[2],
                "account": parts[3] },
    })
}

/// What one account's lane sent to the other, and nothing besides, comes there.
pub(crate) fn pass_on(from: &mut Story, to: &mut Story) -> Told {
    assert_eq!(from.followed.len(), 1, "one event follows");
    pass_first(from, to)
}

/// The first event that one account's lane sent to the other comes there.
fn pass_first(from: &mut Story, to: &mut Story) -> Told {
    let (account, body) = from.followed.remove(0);
    assert_eq!(account, to.account_key);
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let message = to.sent(envelope["header"]["request_id"].as_str().unwrap(), body);
    to.tell_sent(&message)
}

/// What the account keeps under way.
pub(crate) fn under_way(story: &Story) -> Vec<String> {
    let kept = story.account.state.under_way.values();
    kept.map(|kept| format!("{} of {}", kept.transfer_id, kept.amount)).collect()
}

/// What the account's journal says is in transit: positive if more went in than came out.
pub(crate) fn in_transit(story: &Story) -> i128 {
    let of = |row: &cap_domain::lane::Row| -> AccountRuling {
        serde_json::from_str(&row.result).unwrap()
    };
    let legs = story.account.journal.iter().flat_map(|row| match of(row) {
        AccountRuling::Posted { legs, .. } => legs,
        AccountRuling::Refused(_) => Vec::new(),
    });
    let transit: Subject = "transit".parse().unwrap();
    let signed = |money: Money, sign: i128| money.units() * sign;
    legs.map(|leg| match (leg.from == transit, leg.to == transit) {
        (true, _) => signed(leg.money, -1),
        (_, true) => signed(leg.money, 1),
        _ => 0,
    })
    .sum()
}

#[test]
fn money_goes_to_an_account_of_another_product_or_company() {
    for far in [THERE, "zenith_spot_retail_A-1"] {
        let mut here = Story::account(HERE).opened().holding("USDT 100 available");
        let mut there = Story::account(far).opened();
        let sent = here.posted(&transfer(far, "30 USDT"));
        assert_eq!(here.money(), "USDT 70 available");
        assert_eq!(in_transit(&here), 30_000_000, "debited here, not yet credited there");
        assert_eq!(under_way(&here), ["t-1 of 30.000000 USDT"]);
        let landed = pass_on(&mut here, &mut there);
        assert_eq!(landed.status(), OutcomeStatus::Posted, "{}", landed.body);
        assert_eq!(
            (here.money(), there.money()),
            ("USDT 70 available".to_owned(), "USDT 30 available".to_owned())
        );
        assert_eq!(in_transit(&here) + in_transit(&there), 0);
        let told = pass_on(&mut there, &mut here);
        assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
        assert!(under_way(&here).is_empty(), "its landing was told, and moved nothing");
        assert_eq!(here.money(), "USDT 70 available");
        assert!(here.followed.is_empty() && there.followed.is_empty(), "and that is the end of it");
        for outcome in [&sent, &landed, &told] {
            let transfer_id = outcome.message.outcome.transfer_id.as_ref().unwrap();
            assert_eq!(transfer_id.as_str(), "t-1", "{}", outcome.body);
            let trace = &outcome.message.header.traceparent;
            assert_eq!(trace, &sent.message.header.traceparent, "one trace");
        }
        here.clearing.prove();
        there.clearing.prove();
    }
}

#[test]
fn a_transfer_repays_what_is_owed_where_it_lands() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut there = Story::account(THERE).opened().holding("USDT 20 borrowed");
    here.posted(&transfer(THERE, "30 USDT"));
    pass_on(&mut here, &mut there);
    assert_eq!(there.money(), "USDT 10 available");
}

#[test]
fn what_cannot_land_comes_back() {
    // Never opened, closed, and a currency that nobody over there can hold.
    let closed_account = || {
        let mut story = Story::account(THERE).opened();
        story.posted(&closed());
        story
    };
    for (mut there, code) in [
        (Story::account(THERE), "account_not_found"),
        (Story::account("zenith_perpetual_vip_Z-9"), "account_not_found"),
        (closed_account(), "account_closed"),
        (Story::account("acme_nowhere_retail_A-2"), "invalid_request"),
    ] {
        let mut here = Story::account(HERE).opened().holding("USDT 100 available");
        here.posted(&transfer(there.account_key.as_str(), "30 USDT"));
        let refused = pass_on(&mut here, &mut there);
        assert_eq!(refused.code(), code, "{}", refused.body);
        assert_eq!(in_transit(&here) + in_transit(&there), 30_000_000, "on its way back");
        let (_, body) = &there.followed[0];
        let event: Value = serde_json::from_str(body).unwrap();
        let reason = event["event"]["reason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with(&format!("{code}: ")), "{reason}");
        let back = pass_on(&mut there, &mut here);
        assert_eq!(back.status(), OutcomeStatus::Posted, "{}", back.body);
        assert_eq!(here.money(), "USDT 100 available");
        assert!(under_way(&here).is_empty() && here.followed.is_empty());
        let told = [&refused, &back].map(|told| told.message.outcome.transfer_id.clone().unwrap());
        assert!(told.iter().all(|id| id.as_str() == "t-1"), "told on both sides");
        assert_eq!(in_transit(&here) + in_transit(&there), 0);
        assert!(here.suspended().is_empty() && there.suspended().is_empty());
    }
}

#[test]
fn what_is_sent_again_after_a_crash_lands_once() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut there = Story::account(THERE).opened();
    here.posted(&transfer(THERE, "30 USDT"));
    let again = here.followed[0].clone();
    pass_on(&mut here, &mut there);
    here.followed.push(again);
    let told = pass_on(&mut here, &mut there);
    assert!(told.message.outcome.replayed, "recognised by its request id: {}", told.body);
    assert_eq!(there.money(), "USDT 30 available");
}

#[test]
fn a_transfer_has_no_age_once_cap_has_it() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut there = Story::account(THERE).opened();
    here.posted(&transfer(THERE, "30 USDT"));
    // An hour goes by before the queue takes it.
    there.now = there.now.plus_seconds(3_600);
    assert_eq!(pass_on(&mut here, &mut there).status(), OutcomeStatus::Posted);
}

#[test]
fn a_suspended_account_holds_arrivals_parked() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    let mut there = Story::account(THERE).opened();
    let broken = there.sent("r-broken", "no json".to_owned());
    there.tell_sent(&broken);
    assert_eq!(there.suspended(), [StageName::Clearing]);
    here.posted(&transfer(THERE, "30 USDT"));
    let parked = pass_on(&mut here, &mut there);
    assert_eq!(parked.status(), OutcomeStatus::Parked);
    assert_eq!(there.clearing.parked.len(), 2, "behind what suspended the account, not lost");
    assert!(there.followed.is_empty(), "and not sent back");
}

#[test]
fn a_transfer_that_makes_no_sense_is_refused_with_the_figures() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available");
    for (event, code, detail) in [
        (
            transfer(THERE, "300 USDT"),
            "insufficient_funds",
            "needs 300.000000 USDT, has 100.000000 available, credit left 0.000000",
        ),
        (
            transfer(HERE, "30 USDT"),
            "invalid_request",
            "to: acme_spot_retail_A-1 is the account itself",
        ),
        (transfer(THERE, "0 USDT"), "invalid_request", "amount: 0.000000 USDT is not above zero"),
        (
            with(transfer(THERE, "1 USDT"), json!({ "to": { "company": "Z" } })),
            "invalid_request",
            "to.company: company \"Z\" is not 1 to 16 characters of [a-z0-9-]",
        ),
    ] {
        let told = here.tell(&event);
        assert_eq!((told.code().as_str(), told.detail()), (code, detail));
    }
    assert!(here.followed.is_empty());
    assert_eq!(here.money(), "USDT 100 available");
}

#[test]
fn nothing_is_transferred_out_of_a_liquidation_with_margin_in_use() {
    let mut here = Story::account(HERE).opened().holding("USDT 100 available, 5 margin");
    here.posted(&json!({ "type": "liquidation.started" }));
    let told = here.tell(&transfer(THERE, "1 USDT"));
    assert_eq!(told.code(), "invalid_request");
    here.posted(&json!({ "type": "liquidation.ended" }));
    here.posted(&transfer(THERE, "1 USDT"));
}

#[test]
fn an_account_with_a_transfer_under_way_does_not_close() {
    let mut here = Story::account(HERE).opened().holding("USDT 50 available");
    let mut there = Story::account(THERE).opened();
    here.posted(&transfer(THERE, "30 USDT"));
    here.posted(&transfer(THERE, "20 USDT"));
    let told = here.tell(&closed());
    assert_eq!(told.code(), "account_not_empty");
    let told = told.detail().to_owned();
    assert!(told.starts_with("still has 2 transfers under way, one of them t-1 of "), "{told}");
    assert!(told.ends_with(&format!(" to {THERE}")), "{told}");
    pass_first(&mut here, &mut there);
    pass_on(&mut there, &mut here);
    assert_eq!(
        here.tell(&closed()).detail(),
        format!("still has transfer t-1 of 20.000000 USDT to {THERE} under way")
    );
    pass_on(&mut here, &mut there);
    pass_on(&mut there, &mut here);
    here.posted(&closed());
}

#[test]
fn so_many_transfers_are_under_way_and_no_more() {
    let mut here = Story::account(HERE).opened().holding("USDT 200 available");
    let mut there = Story::account(THERE).opened();
    for _ in 0..100 {
        here.posted(&transfer(THERE, "1 USDT"));
    }
    let told = here.tell(&transfer(THERE, "1 USDT"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        ("invalid_request", "transfer_id: 100 transfers are under way, more are not allowed")
    );
    pass_first(&mut here, &mut there);
    pass_on(&mut there, &mut here);
    here.posted(&transfer(THERE, "1 USDT"));
}

/// The shipped configuration as it was before `transfer.landed`.
fn configuration_before() -> Arc<Configuration> {
    let mut document = shipped();
    for rulebook in document["rulebooks"].as_array_mut().unwrap() {
        rulebook["events"].as_object_mut().unwrap().remove("transfer.landed").unwrap();
    }
    Arc::new(Configuration::check(1, serde_json::from_value(document).unwrap()).unwrap())
}

#[test]
fn under_a_rulebook_without_landings_all_is_as_it_was() {
    let before = |key: &str| Story::account_under(key, configuration_before());
    let mut here = before(HERE).opened().holding("USDT 100 available");
    let mut there = before(THERE).opened();
    let foreign = "zenith_spot_retail_A-1";
    assert_eq!(
        here.tell(&transfer(foreign, "1 USDT")).detail(),
        format!("to: {foreign} is of another company, which is not supported yet")
    );
    here.posted(&transfer(THERE, "30 USDT"));
    assert!(!here.followed[0].1.contains("acknowledge"), "{}", here.followed[0].1);
    assert_eq!(pass_on(&mut here, &mut there).status(), OutcomeStatus::Posted);
    assert!(under_way(&here).is_empty() && there.followed.is_empty());
    let mut nobody = before("acme_spot_retail_N-1");
    here.posted(&transfer("acme_spot_retail_N-1", "5 USDT"));
    pass_on(&mut here, &mut nobody);
    assert!(!nobody.followed[0].1.contains("arrival"), "{}", nobody.followed[0].1);
    assert_eq!(pass_on(&mut nobody, &mut here).status(), OutcomeStatus::Posted);
    assert_eq!(here.money(), "USDT 70 available");
    for text in [&here, &there].map(|story| format!("{:?}", story.clearing.journal)) {
        assert!(!text.contains("acknowledge") && !text.contains("arrival"), "{text}");
    }
    // Landings of what left under a newer one are taken all the same.
    let mut newer = Story::account(HERE).opened().holding("USDT 100 available");
    newer.posted(&transfer(THERE, "30 USDT"));
    pass_on(&mut newer, &mut there);
    newer.clearing.stage = Clearing::new(configuration_before());
    assert_eq!(pass_on(&mut there, &mut newer).status(), OutcomeStatus::Posted);
    assert!(under_way(&newer).is_empty());
}
