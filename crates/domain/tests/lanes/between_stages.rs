//! Between the stages: packs keep the order, and a gap, a stranger or an unreadable unit stops the
//! lane where it stands.

use cap_domain::account::Accounts;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Arrival, Content, LaneStatus, Output, Pack, Stage, pack};
use serde_json::Value;

use crate::common::events::*;
use crate::common::story::{LaneOf, Story, noon, packed};
use crate::{clearing_arrivals, ids};

/// What clearing sends on of `events`, one unit each.
fn units(story: &mut Story, events: &[Value]) -> Vec<String> {
    let mut units = Vec::new();
    for (n, event) in events.iter().enumerate() {
        let message = story.message(&format!("u-{n}"), event);
        let arrivals = clearing_arrivals(story, &message);
        for step in story.clearing.take(&arrivals, story.now) {
            let [Output::Forward { unit, .. }] = step.outputs.as_slice() else {
                panic!("clearing sends on")
            };
            units.push(unit.clone());
        }
    }
    units
}

fn into_account(account: &mut LaneOf<Accounts>, key: &AccountKey, units: &[&str]) -> Vec<Value> {
    let mut told = Vec::new();
    for (id, body) in pack(key, units) {
        let message = packed(&id, &body, noon());
        for step in account.take(&Accounts::read(key, message), noon()) {
            let [Output::Outcome { body, .. }] = step.outputs.as_slice() else {
                panic!("account answers")
            };
            told.push(serde_json::from_str(body).unwrap());
        }
    }
    told
}

#[test]
fn a_gap_in_what_comes_from_upstream_is_poison() {
    let mut story = Story::spot();
    let units = units(
        &mut story,
        &[deposit("1 USDT"), deposit("2 USDT"), deposit("3 USDT"), deposit("4 USDT")],
    );
    let key = story.account_key.clone();
    let told = into_account(&mut story.account, &key, &[&units[0], &units[2], &units[3]]);
    let status: Vec<_> =
        told.iter().map(|told| told["outcome"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["posted", "parked", "parked"]);
    assert_eq!(
        told[1]["outcome"]["reason"]["detail"],
        "upstream sequence 3 came where 2 was due: something before it is missing"
    );
    assert_eq!(story.account.lane.status, LaneStatus::Suspended);
    assert_eq!((story.account.lane.upstream_seq, story.account.lane.parked_seq), (1, 2));
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_whole_pack_redelivered_between_stages_posts_once() {
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT"), reserved("9 USDT"), deposit("3 USDT")]);
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    let key = story.account_key.clone();
    let first = into_account(&mut story.account, &key, &units);
    let again = into_account(&mut story.account, &key, &units);
    assert_eq!(first, again);
    assert_eq!((story.account.lane.seq, story.money().as_str()), (3, "USDT 4 available"));
}

#[test]
fn one_unreadable_unit_stops_the_lane_where_it_stands() {
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT"), deposit("2 USDT"), deposit("3 USDT")]);
    let broken = units[1].replace("\"upstream_seq\":2", "\"upstream_seq\":\"two\"");
    let key = story.account_key.clone();
    let told = into_account(&mut story.account, &key, &[&units[0], &broken, &units[2]]);
    let status: Vec<_> =
        told.iter().map(|told| told["outcome"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["posted", "parked", "parked"]);
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_pack_or_a_unit_of_another_account_is_poison() {
    let other: AccountKey = "acme_spot_retail_A-2002".parse().unwrap();
    let mut story = Story::spot();
    let units = units(&mut story, &[deposit("1 USDT")]);
    let (id, body) = pack(&other, &[&units[0]]).remove(0);
    let message = packed(&id, &body, noon());
    let arrivals = Accounts::read(&story.account_key, message);
    assert!(matches!(&arrivals[..], [Arrival { content: Content::Unreadable(_), .. }]));
    let arrivals = Accounts::read(&other, message);
    assert!(
        matches!(&arrivals[..], [Arrival { content: Content::Unreadable(_), .. }]),
        "the unit's header says whose it is"
    );
}

#[test]
fn what_travels_between_stages_keeps_the_messages_first_time_of_sending() {
    let mut story = Story::spot();
    let message = story.message("r-1", &deposit("1 USDT"));
    story.now = story.now.plus_seconds(900);
    story.tell_sent(&message);
    assert_eq!(story.account.journal[0].sent_at, noon());
    assert_eq!(story.account.journal[0].decided_at, noon().plus_seconds(900));
}

#[test]
fn a_large_batch_travels_in_several_packs_and_keeps_its_order() {
    let mut story = Story::perpetual();
    let batch: Vec<_> =
        (0..130).map(|n| story.message(&format!("b-{n}"), &deposit("1 USDT"))).collect();
    let told = story.deliver(&batch);
    let expected: Vec<String> = (0..130).map(|n| format!("b-{n}")).collect();
    assert_eq!(ids(&told), expected);
    assert_eq!(story.money(), "USDT 130 available");
}

#[test]
fn a_pack_is_read_by_what_it_says_and_nothing_else() {
    let read = serde_json::from_str::<Pack>(
        "{\"account\":\"acme_spot_retail_A-1\",\"units\":[],\"more\":1}",
    );
    assert!(read.is_err(), "unknown fields are invalid here too");
}
