//! What CAP sends itself may come to a rulebook that has no word for it, while a push spreads: it and what
//! is behind it come again, and only what no rulebook ever has a word for is poison (ADR 11).

use std::sync::Arc;

use cap_domain::clearing::{Clearing, Submission};
use cap_domain::lane::{
    Advance, Arrival, LaneStatus, POISON_AFTER_RECEIVES, RULE_AWAITED_RECEIVES_MAX, StageName,
};
use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::clearing_arrivals;
use crate::common::events::*;
use crate::common::story::{Sent, Story};
use crate::common::{configuration, configuration_before};
use crate::margin::{isolated_long, margins_agree};

fn now() -> Clearing {
    Clearing::new(configuration())
}

fn before() -> Clearing {
    Clearing::new(configuration_before(1, "/events/margin.posted"))
}

/// A story whose margin is put aside, with the `margin.posted` that CAP sent, under the rules before.
fn overtaken_by_a_push() -> (Story, Sent) {
    let mut story = isolated_long(1000);
    story.posted(&margin_changed("600"));
    let (_, body) = story.followed.remove(0);
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let sent = story.sent(envelope["header"]["request_id"].as_str().unwrap(), body);
    story.clearing.stage = before();
    (story, sent)
}

fn proposed(story: &Story, messages: &[&Sent]) -> Advance<Clearing> {
    let arrivals: Vec<Arrival<Submission>> =
        messages.iter().flat_map(|sent| clearing_arrivals(story, sent)).collect();
    story.clearing.propose(&arrivals, story.now).unwrap()
}

#[test]
fn it_and_all_behind_it_are_left_and_what_is_before_it_is_decided() {
    let (mut story, posted) = overtaken_by_a_push();
    let first = story.message("d-1", &deposit("1 USDT"));
    let behind = story.message("d-2", &deposit("2 USDT"));
    let poison = story.message("p-1", &deposit("0 USDT"));
    let advance = proposed(&story, &[&first, &posted, &behind, &poison]);
    let rows: Vec<_> = advance.rows.iter().map(|row| row.request_id.as_str()).collect();
    assert_eq!((rows.as_slice(), advance.steps.len()), (["d-1"].as_slice(), 1));
    assert!(advance.parked.is_empty());
    assert_eq!(advance.lane.status, LaneStatus::Active);
    // Alone it changes nothing at all.
    let advance = proposed(&story, &[&posted, &behind]);
    assert_eq!((advance.steps.len(), &advance.lane), (0, &story.clearing.lane));

    // When the rule has come, all of it goes on in its order.
    story.clearing.stage = now();
    let again = |sent: &Sent| Sent { receives: 3, ..sent.clone() };
    let told = story.deliver(&[again(&first), again(&posted), again(&behind)]);
    assert_eq!(
        crate::ids(&told),
        ["d-1", posted.deduplication_id.as_ref().unwrap().as_str(), "d-2"]
    );
    assert!(told.iter().all(|told| told.status() == OutcomeStatus::Posted), "{told:?}");
    assert!(margins_agree(&story));
}

#[test]
fn it_waits_for_so_many_receives_and_then_it_is_poison() {
    let (mut story, posted) = overtaken_by_a_push();
    let behind = story.message("d-1", &deposit("1 USDT"));
    let last = Sent { receives: RULE_AWAITED_RECEIVES_MAX, ..posted.clone() };
    assert!(proposed(&story, &[&last, &behind]).steps.is_empty());
    let beyond = Sent { receives: RULE_AWAITED_RECEIVES_MAX + 1, ..posted };
    let told = story.deliver(&[beyond, behind]);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|told| told.status() == OutcomeStatus::Parked), "{told:?}");
    assert_eq!(
        told[0].detail(),
        "margin.posted is not valid: type: there is no rule for margin.posted"
    );
    assert_eq!(story.suspended(), [StageName::Clearing]);
}

/// A message behind it was received as often: a crash must not make that one poison.
#[test]
fn it_waits_for_fewer_receives_than_make_poison() {
    const { assert!(RULE_AWAITED_RECEIVES_MAX + 5 < POISON_AFTER_RECEIVES) }
}

#[test]
fn what_was_decided_before_is_answered_whatever_the_rules_are_now() {
    let (mut story, posted) = overtaken_by_a_push();
    story.clearing.stage = now();
    let first = story.tell_sent(&posted);
    story.clearing.stage = before();
    assert_eq!(story.tell_sent(&posted), first, "a redelivery");
    assert!(story.tell_sent(&posted.again()).message.outcome.replayed);
}

#[test]
fn a_lane_that_is_suspended_parks_it_behind() {
    let (mut story, posted) = overtaken_by_a_push();
    let poison = story.message("p-1", &deposit("0 USDT"));
    let told = story.deliver(&[poison, posted.clone()]);
    assert_eq!(told.len(), 2);
    assert_eq!(story.clearing.lane.parked_seq, 2);
    // Redelivered it has its letter again.
    assert_eq!(story.tell_sent(&posted).status(), OutcomeStatus::Parked);
    assert_eq!(story.clearing.lane.parked_seq, 2);
}

#[test]
fn what_a_rulebook_refuses_in_its_own_words_does_not_wait() {
    let refused = json!({ "refused": "this product changes no margin" });
    let mut document = crate::common::shipped();
    document["rulebooks"][1]["events"]["margin.posted"] = refused;
    let document = serde_json::from_value(document).unwrap();
    let configuration = cap_domain::configuration::Configuration::check(1, document).unwrap();
    let (mut story, posted) = overtaken_by_a_push();
    story.clearing.stage = Clearing::new(Arc::new(configuration));
    let told = story.tell_sent(&posted);
    assert_eq!(told.detail(), "margin.posted is not valid: type: this product changes no margin");
}

#[test]
fn what_upstream_sends_does_not_wait_nor_what_comes_to_a_product_that_there_is_not() {
    let mut story = Story::of("margin");
    let arrived = json!({
        "type": "transfer.arrived", "transfer_id": "t-1", "currency": "USDT", "amount": "1",
        "from": { "company": "acme", "product": "spot", "customer_group": "retail", "account": "A-2" },
    });
    assert_eq!(story.tell(&arrived).detail(), "product: there is no product margin");
    assert_eq!(story.followed.len(), 1, "it goes back");
    let told = story.tell(&deposit("1 USDT"));
    assert_eq!(told.status(), OutcomeStatus::Parked, "{}", told.body);
}
