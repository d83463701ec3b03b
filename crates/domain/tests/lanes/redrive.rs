//! Redrive takes every parked number once, in its turn, whoever sends it back (C5, DESIGN §3).

use cap_domain::clearing::{Clearing, REPAIR_KIND, Submission};
use cap_domain::lane::{
    Arrival, Content, LaneStatus, RUN_MAX, RedriveRefused, Redriven, Redriver, Stage, StageName,
    Step, Ticket, recall,
};
use cap_domain::outcome::OutcomeStatus;
use serde_json::json;

use crate::common::events::*;
use crate::common::story::Story;
use crate::{clearing_arrivals, ids};

/// An account suspended at clearing by a deposit that was refused by the database, once, with a
/// deposit and a reservation behind it.
fn suspended() -> Story {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    let refused = story.message("p-1", &deposit("1 USDT"));
    let mut arrivals = clearing_arrivals(&story, &refused);
    arrivals[0].refused =
        Some(cap_domain::refusal::Poison::RefusedByDatabase("no room".to_owned()));
    let steps = story.clearing.take(&arrivals, story.now);
    story.onwards(&steps);
    let behind =
        [story.message("p-2", &deposit("2 USDT")), story.message("p-3", &reserved("103 USDT"))];
    story.deliver(&behind);
    assert_eq!(story.clearing.lane.waiting(), 3);
    story
}

/// How parked messages are called for in these stories.
#[derive(Clone, Copy)]
enum By {
    /// By a copy of the redrive the lane is in.
    Copy,
    /// By one of the redrive before that.
    OldCopy,
    /// By one that takes a single message.
    Single,
    /// By the letter.
    Letter,
}

/// What comes back of `parked_seq`.
fn call(story: &Story, parked_seq: u64, by: By) -> Arrival<Submission> {
    let anything = story.sent_aside("x-1", "whatever the copy says");
    let mut arrivals = clearing_arrivals(story, &anything);
    let redrive_seq = story.clearing.lane.redrive_seq;
    let (redriver, run_max) = match by {
        By::Copy => (Redriver::Copy { redrive_seq }, RUN_MAX),
        By::OldCopy => (Redriver::Copy { redrive_seq: redrive_seq - 1 }, RUN_MAX),
        By::Single => (Redriver::Copy { redrive_seq }, 1),
        By::Letter => (Redriver::Letter, RUN_MAX),
    };
    let message_id = format!("copy-{parked_seq}");
    arrivals[0].redriven = Some(Redriven { parked_seq, by: redriver, message_id, run_max });
    arrivals.remove(0)
}

fn redrive(story: &mut Story, numbers: &[u64], by: By) -> Vec<Step> {
    let mut arrivals: Vec<_> = numbers.iter().map(|number| call(story, *number, by)).collect();
    let memory = story.clearing.memory(&arrivals);
    recall::<Clearing>(&story.account_key, &mut arrivals, &memory);
    story.clearing.take(&arrivals, story.now)
}

fn begin(story: &mut Story, through: Option<u64>) {
    story.clearing.lane = story.clearing.lane.begin_redrive(through).unwrap();
}

#[test]
fn one_copy_takes_the_parked_set_in_order_and_its_last_number_opens_the_lane() {
    let mut story = suspended();
    begin(&mut story, None);
    let steps = redrive(&mut story, &[1], By::Copy);
    assert_eq!(steps[0].next, None, "nothing is left to call for");
    let told = story.onwards(&steps);
    assert_eq!(ids(&told), ["p-1", "p-2", "p-3"]);
    assert!(told.iter().all(|told| told.status() == OutcomeStatus::Posted));
    let lane = &story.clearing.lane;
    assert_eq!((lane.status, lane.redriven_seq, &lane.suspension), (LaneStatus::Active, 3, &None));
    assert_eq!(story.money(), "USDT 103 frozen");
    story.clearing.prove();
}

#[test]
fn a_copy_calls_for_the_next_until_the_lane_is_open() {
    let mut story = suspended();
    begin(&mut story, None);
    let redrive_seq = story.clearing.lane.redrive_seq;
    for number in 1..=3 {
        let steps = redrive(&mut story, &[number], By::Single);
        let next = (number < 3).then_some(Ticket { parked_seq: number + 1, redrive_seq });
        assert_eq!((steps[0].outputs.len(), steps[0].next), (1, next));
    }
    assert_eq!(story.clearing.lane.status, LaneStatus::Active);
}

#[test]
fn a_number_is_taken_once_and_only_in_its_turn() {
    let mut story = suspended();
    begin(&mut story, None);
    for out_of_turn in [[2], [3]] {
        let steps = redrive(&mut story, &out_of_turn, By::Copy);
        assert_eq!(steps, [Step::default()], "its letter lies in the DLQ");
    }
    let first = redrive(&mut story, &[1], By::Single);
    let again = redrive(&mut story, &[1], By::Single);
    assert_eq!(first, again, "the copy that took it leads to the same again");
    let mut other = call(&story, 1, By::Copy);
    other.redriven.as_mut().unwrap().message_id = "another".to_owned();
    let memory = story.clearing.memory(std::slice::from_ref(&other));
    recall::<Clearing>(&story.account_key, std::slice::from_mut(&mut other), &memory);
    assert_eq!(story.clearing.take(&[other], story.now), [Step::default()], "another to nothing");
    assert_eq!(
        redrive(&mut story, &[1], By::Letter),
        [Step::default()],
        "its letter is not needed"
    );
    assert_eq!(story.clearing.lane.seq, 2, "and nothing is applied again");
}

#[test]
fn a_copy_catches_up_with_the_live_messages_in_front_of_it() {
    let mut story = suspended();
    begin(&mut story, None);
    let live = story.message("live-1", &deposit("4 USDT"));
    let mut arrivals = clearing_arrivals(&story, &live);
    arrivals.push(call(&story, 1, By::Copy));
    let memory = story.clearing.memory(&arrivals);
    recall::<Clearing>(&story.account_key, &mut arrivals, &memory);
    let steps = story.clearing.take(&arrivals, story.now);
    assert_eq!(steps[0].dead_letter.as_ref().unwrap().parked_seq, 4, "parked behind, for a moment");
    let told = story.onwards(&steps);
    assert_eq!(ids(&told), ["live-1", "p-1", "p-2", "p-3", "live-1"]);
    assert_eq!(told[0].status(), OutcomeStatus::Parked);
    assert_eq!(story.clearing.lane.status, LaneStatus::Active, "however fast they come");
    assert_eq!(story.clearing.lane.redriven_seq, 4);
}

#[test]
fn a_message_that_fails_again_suspends_the_lane_at_its_number() {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    let poison = story.message("p-1", &deposit("0 USDT"));
    let behind = story.message("p-2", &deposit("2 USDT"));
    story.deliver(&[poison, behind]);
    begin(&mut story, None);
    let steps = redrive(&mut story, &[1], By::Copy);
    assert_eq!(steps, [Step::default()]);
    let lane = &story.clearing.lane;
    assert_eq!((lane.status, lane.redriven_seq), (LaneStatus::Suspended, 0));
    let reason = &lane.suspension.as_ref().unwrap().reason;
    assert!(reason.starts_with("deposit.received is not valid: amount"), "{reason}");
    assert_eq!(story.money(), "USDT 100 available", "nothing behind it is applied");
    let late = redrive(&mut story, &[1], By::Copy);
    assert_eq!(late, [Step::default()], "a copy left over is not tried");
    begin(&mut story, None);
    let late = redrive(&mut story, &[1], By::OldCopy);
    assert_eq!(late, [Step::default()], "nor is it in the next redrive");
    assert_eq!(story.clearing.lane.status, LaneStatus::Redriving);
}

#[test]
fn letters_that_aws_moves_go_back_and_the_one_whose_turn_it_is_begins_a_redrive() {
    let mut story = suspended();
    let steps = redrive(&mut story, &[2, 1, 3], By::Letter);
    let letters: Vec<_> =
        steps.iter().map(|step| step.dead_letter.as_ref().unwrap().parked_seq).collect();
    assert_eq!(letters, [2, 1, 3], "none is taken from where it came");
    assert!(steps.iter().all(|step| step.outputs.is_empty()));
    let redrive_seq = story.clearing.lane.redrive_seq;
    let first = Some(Ticket { parked_seq: 1, redrive_seq });
    assert_eq!(steps.iter().map(|step| step.next).collect::<Vec<_>>(), [None, first, None]);
    assert_eq!(story.clearing.lane.status, LaneStatus::Redriving);
    let steps = redrive(&mut story, &[1], By::Copy);
    assert_eq!(ids(&story.onwards(&steps)), ["p-1", "p-2", "p-3"]);
    assert_eq!(story.clearing.lane.status, LaneStatus::Active);
}

#[test]
fn a_message_that_was_parked_leads_to_its_letter_alone_whatever_became_of_it() {
    let mut story = suspended();
    let parked = story.clearing.parked[0].clone();
    begin(&mut story, None);
    redrive(&mut story, &[1], By::Copy);
    let mut again = call(&story, 1, By::Copy);
    let memory = story.clearing.memory(std::slice::from_ref(&again));
    recall::<Clearing>(&story.account_key, std::slice::from_mut(&mut again), &memory);
    let original = again.run.remove(0).arrival;
    assert_eq!(original.source_id, parked.source_id);
    let steps = story.clearing.take(&[original], story.now);
    assert_eq!(steps[0].dead_letter.as_ref().unwrap().parked_seq, 1);
    let told = story.onwards(&steps);
    assert_eq!(told[0].status(), OutcomeStatus::Parked, "the copy tells what came of it");
}

#[test]
fn a_redrive_through_a_number_leaves_the_rest_suspended() {
    let mut story = suspended();
    begin(&mut story, Some(1));
    redrive(&mut story, &[1], By::Copy);
    let lane = &story.clearing.lane;
    assert_eq!((lane.status, lane.redriven_seq), (LaneStatus::Suspended, 1));
    let reason = &lane.suspension.as_ref().unwrap().reason;
    assert_eq!(reason, "redriven through number 1 as asked; 2 wait");
    assert_eq!(
        lane.begin_redrive(Some(1)),
        Err(RedriveRefused::NotWaiting { through: 1, first: 2, last: 3 })
    );
}

#[test]
fn only_the_next_message_can_be_skipped_and_the_last_one_opens_the_lane() {
    let mut story = suspended();
    let parked = story.clearing.parked.clone();
    let skip = |story: &Story, index: usize| {
        let behind = parked.get(index + 1);
        story.clearing.lane.skip(StageName::Clearing, &parked[index], behind, story.now)
    };
    assert_eq!(skip(&story, 1), Err(RedriveRefused::NotNext { asked: 2, next: 1 }));
    for index in 0..3 {
        assert_eq!(story.clearing.lane.status, LaneStatus::Suspended);
        story.clearing.lane = skip(&story, index).unwrap();
    }
    assert_eq!(story.clearing.lane.status, LaneStatus::Active);
    assert_eq!(story.clearing.lane.upstream_seq, 0, "clearing has no upstream stage");
    assert_eq!(skip(&story, 2), Err(RedriveRefused::Active));
    assert_eq!(story.clearing.lane.begin_redrive(None), Err(RedriveRefused::Active));
    let late = redrive(&mut story, &[2], By::Letter);
    assert_eq!(late, [Step::default()], "a letter of it does nothing");
}

#[test]
fn a_number_nobody_parked_is_poison() {
    let mut story = Story::spot();
    let steps = redrive(&mut story, &[9], By::Copy);
    let error = &steps[0].dead_letter.as_ref().unwrap().error;
    assert_eq!(error, "the message says it is parked number 9, but the lane has parked 0");
    assert_eq!(story.clearing.lane.parked_seq, 1, "it is parked like anything unreadable");
}

#[test]
fn an_old_parked_message_does_not_expire_when_it_is_redriven() {
    let mut story = suspended();
    story.now = story.now.plus_seconds(30 * 24 * 3_600);
    begin(&mut story, None);
    let steps = redrive(&mut story, &[1, 2, 3], By::Copy);
    let told = story.onwards(&steps);
    assert!(
        told.iter().all(|told| told.status() == OutcomeStatus::Posted),
        "age is of its sending"
    );
}

#[test]
fn a_repair_is_applied_to_a_suspended_lane_at_every_stage() {
    let mut story = Story::perpetual().holding("USDT 1 available");
    story.tell(&released("5 USDT"));
    assert_eq!(story.suspended(), [StageName::Account]);
    let parked = story.tell(&deposit("2 USDT"));
    assert_eq!(parked.status(), OutcomeStatus::Parked);
    let adjustment = json!({
        "type": REPAIR_KIND, "currency": "USDT", "amount": "7.000000", "reason": "case 12",
        "operator": "ann", "shortfall": "reject",
    });
    let repair = story.message("repair-1", &adjustment);
    let mut raw = repair.raw();
    raw.repair = true;
    let arrivals = Clearing::read(&story.account_key, raw);
    let steps = story.clearing.take(&arrivals, story.now);
    let told = story.onwards(&steps);
    assert_eq!(told[0].status(), OutcomeStatus::Posted);
    assert_eq!(story.money(), "USDT 8 available", "before what is parked");
    assert_eq!(story.suspended(), [StageName::Account], "which stays parked");
    assert_eq!((story.account.lane.parked_seq, story.account.lane.upstream_seq), (2, 3));
    story.clearing.prove();
}

#[test]
fn only_an_adjustment_can_be_a_repair() {
    let mut story = suspended();
    let message = story.message("d-9", &deposit("7 USDT"));
    let mut raw = message.raw();
    raw.repair = true;
    let arrivals = Clearing::read(&story.account_key, raw);
    assert!(matches!(arrivals[0].content, Content::Message(_)) && !arrivals[0].repair);
    story.clearing.take(&arrivals, story.now);
    assert_eq!(story.clearing.lane.parked_seq, 4, "it is parked behind the others");
}
