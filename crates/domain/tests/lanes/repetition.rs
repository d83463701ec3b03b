//! The same again changes nothing: duplicates and redeliveries are answered from the journal, and
//! another content under the same id is a conflict.

use cap_domain::lane::{Content, POISON_AFTER_RECEIVES, StageName};
use cap_domain::outcome::OutcomeStatus;
use serde_json::json;

use crate::common::events::*;
use crate::common::money;
use crate::common::story::{Sent, Story};
use crate::{assert_replayed, clearing_arrivals, ids};

#[test]
fn a_duplicate_changes_nothing_and_gets_the_first_outcome_again() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        let cases =
            [deposit("100 USDT"), reserved("30 USDT"), reserved("500 USDT"), reserved("0 USDT")];
        for (n, event) in cases.iter().enumerate() {
            let message = story.message(&format!("d-{n}"), event);
            let first = story.tell_sent(&message);
            story.posted(&deposit("1 HKD"));
            story.now = story.now.plus_seconds(3_600);
            let before = (
                story.clearing.lane.clone(),
                story.position.lane.clone(),
                story.account.lane.clone(),
            );
            let again = story.tell_sent(&message.again());
            assert_replayed(&first, &again);
            let after = (
                story.clearing.lane.clone(),
                story.position.lane.clone(),
                story.account.lane.clone(),
            );
            assert_eq!(before, after, "{event}: nothing was journaled");
        }
        assert_eq!(story.account.state.balances[&"USDT".parse().unwrap()].frozen, money("30 USDT"));
    }
}

#[test]
fn a_duplicate_in_the_same_batch_is_one_request() {
    let mut story = Story::spot();
    let first = story.message("d-1", &deposit("100 USDT"));
    let told = story.deliver(&[first.clone(), first.again()]);
    assert_replayed(&told[0], &told[1]);
    assert_eq!(story.money(), "USDT 100 available");
}

#[test]
fn white_space_order_and_time_of_the_call_do_not_make_it_another_request() {
    let mut story = Story::spot();
    let first = story.message("d-1", &deposit("100 USDT"));
    let first_told = story.tell_sent(&first);
    story.now = story.now.plus_seconds(60);
    let body = story.envelope("d-1", &json!({ "reference": "tx-1", "amount": "100", "currency": "USDT", "type": "deposit.received" }));
    let again = story.sent("d-1", serde_json::to_string_pretty(&body).unwrap());
    let told = story.tell_sent(&again);
    assert_replayed(&first_told, &told);
}

#[test]
fn the_same_request_id_with_another_content_is_a_conflict() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        let message = story.message("d-1", &deposit("100 USDT"));
        let first = story.tell_sent(&message);
        let other = story.message("d-1", &deposit("100.000001 USDT"));
        let told = story.tell_sent(&other);
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Rejected, "request_id_conflict")
        );
        assert_eq!(
            told.detail(),
            "request id d-1 was used at 2026-11-21T12:00:00.000Z for another deposit.received (number 2 of this lane)"
        );
        assert!(!told.message.outcome.replayed);
        let again = story.tell_sent(&message.again());
        assert_replayed(&first, &again);
        assert_eq!((story.account.lane.seq, story.suspended()), (2, vec![]));
    }
}

#[test]
fn a_request_id_that_another_account_holds_is_a_conflict() {
    let holders = [
        ("acme_spot_retail_Z-9", "acme_spot_retail_Z-9"),
        // A company is not told another company's accounts.
        ("zenith_spot_retail_Z-9", "another account"),
    ];
    for (holder, named) in holders {
        let mut story = Story::spot().holding("USDT 5 available");
        let message = story.message("d-1", &reserved("1 USDT"));
        let mut arrivals = clearing_arrivals(&story, &message);
        let Content::Message(submitted) = &mut arrivals[0].content else { panic!("unreadable") };
        submitted.input.held_by = Some(holder.parse().unwrap());
        let steps = story.clearing.take(&arrivals, story.now);
        let told = story.onwards(&steps).remove(0);
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Rejected, "request_id_conflict")
        );
        let detail = format!(
            "request id d-1 was used by {named} in the last 8 minutes, for another request"
        );
        assert_eq!(told.detail(), detail);
        assert_eq!(story.money(), "USDT 5 available");
        let [row] = story.clearing.journal.as_slice() else { panic!("the no is journaled") };
        assert!(row.input.starts_with(&format!("{{\"held_by\":\"{holder}\",\"envelope\":{{")));
        story.clearing.prove();
    }
}

#[test]
fn a_redelivered_message_says_the_same_byte_for_byte_and_writes_nothing() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        story.posted(&opened());
        story.posted(&deposit("100 USDT"));
        for event in
            [reserved("30 USDT"), reserved("500 USDT"), reserved("0 USDT"), deposit("1 BTC")]
        {
            let id = format!("x-{}", story.clearing.lane.seq);
            let message = story.message(&id, &event);
            let arrivals = clearing_arrivals(&story, &message);
            let first_steps = story.clearing.take(&arrivals, story.now);
            let first = story.onwards(&first_steps);
            story.now = story.now.plus_seconds(7);
            let redelivered = Sent { receives: 2, ..message };
            let advance = story
                .clearing
                .propose(&clearing_arrivals(&story, &redelivered), story.now)
                .unwrap();
            assert!(advance.rows.is_empty() && advance.parked.is_empty());
            assert_eq!(advance.steps, first_steps, "{event}");
            assert_eq!(story.onwards(&advance.steps), first, "{event}");
        }
    }
}

#[test]
fn a_redelivery_packed_with_other_neighbours_is_still_recognised() {
    let mut story = Story::perpetual();
    let one = story.message("r-1", &deposit("1 USDT"));
    let two = story.message("r-2", &deposit("2 USDT"));
    let three = story.message("r-3", &deposit("3 USDT"));
    let mut told = story.deliver(&[one.clone(), two.clone()]);
    let again = story.deliver(&[two, three]);
    assert_eq!(told.remove(1), again[0]);
    assert_eq!(ids(&again), ["r-2", "r-3"]);
    assert_eq!(story.money(), "USDT 6 available");
    assert_eq!(story.deliver(&[one]).len(), 1);
    assert_eq!(story.money(), "USDT 6 available");
}

#[test]
fn a_message_received_too_often_is_poison_before_it_is_decided() {
    let mut story = Story::spot();
    let message = story.message("r-1", &deposit("1 USDT"));
    let last = Sent { receives: POISON_AFTER_RECEIVES, ..message.clone() };
    assert_eq!(Story::spot().tell_sent(&last).status(), OutcomeStatus::Posted);
    let told = story.tell_sent(&Sent { receives: POISON_AFTER_RECEIVES + 1, ..message });
    assert_eq!(told.detail(), "received 31 times without being finished, 30 is the most");
    assert_eq!(story.suspended(), [StageName::Clearing]);
}
