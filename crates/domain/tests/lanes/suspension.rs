//! A suspended lane decides nothing more: what comes behind is parked untried, in order, once.

use cap_domain::lane::StageName;
use cap_domain::outcome::OutcomeStatus;

use crate::common::events::*;
use crate::common::story::Story;
use crate::{assert_replayed, clearing_arrivals, ids};

#[test]
fn a_suspended_lane_parks_everything_behind_untried_in_order() {
    let mut story = Story::spot();
    story.posted(&deposit("100 USDT"));
    let poison = story.message("p-1", &deposit("0 USDT"));
    let behind =
        [story.message("p-2", &deposit("1 USDT")), story.message("p-3", &reserved("9999 USDT"))];
    let nonsense = story.sent("p-4", "nonsense".to_owned());
    let first = story.tell_sent(&poison);
    let told = story.deliver(&[behind[0].clone(), behind[1].clone(), nonsense]);
    assert_eq!(ids(&told), ["p-2", "p-3", "p-4"]);
    for told in &told {
        assert_eq!(
            (told.status(), told.code().as_str()),
            (OutcomeStatus::Parked, "lane_suspended")
        );
        assert_eq!(
            told.detail(),
            format!(
                "parked untried behind the message that suspended the lane: {}",
                first.detail()
            )
        );
    }
    let parked: Vec<_> =
        story.clearing.parked.iter().map(|p| (p.parked_seq, p.request_id.as_str())).collect();
    assert_eq!(parked, [(1, "p-1"), (2, "p-2"), (3, "p-3"), (4, "p-4")]);
    assert_eq!(story.clearing.lane.parked_seq, 4);
    assert_eq!((story.clearing.lane.seq, story.account.lane.seq), (1, 1), "nothing was decided");
    assert_eq!(story.money(), "USDT 100 available");
}

#[test]
fn what_follows_poison_in_its_batch_is_parked_behind_it() {
    let mut story = Story::spot();
    let events = [deposit("1 USDT"), deposit("0 USDT"), deposit("2 USDT"), reserved("1 USDT")];
    let batch: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(n, event)| story.message(&format!("b-{n}"), event))
        .collect();
    let told = story.deliver(&batch);
    let status: Vec<_> = told.iter().map(|told| (told.request_id(), told.status())).collect();
    let parked = OutcomeStatus::Parked;
    assert_eq!(
        status,
        [("b-0", OutcomeStatus::Posted), ("b-1", parked), ("b-2", parked), ("b-3", parked)]
    );
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn a_redelivered_parked_message_keeps_its_number_and_writes_nothing() {
    let mut story = Story::spot();
    let poison = story.message("p-1", &deposit("0 USDT"));
    let behind = story.message("p-2", &deposit("1 USDT"));
    let first = story.deliver(&[poison.clone(), behind.clone()]);
    story.now = story.now.plus_seconds(600);
    let arrivals: Vec<_> =
        [&poison, &behind].into_iter().flat_map(|sent| clearing_arrivals(&story, sent)).collect();
    let advance = story.clearing.propose(&arrivals, story.now).unwrap();
    assert!(advance.rows.is_empty() && advance.parked.is_empty());
    assert_eq!(advance.lane, story.clearing.lane);
    let letters: Vec<_> =
        advance.steps.iter().map(|step| step.dead_letter.as_ref().unwrap().parked_seq).collect();
    assert_eq!(letters, [1, 2]);
    let again = story.onwards(&advance.steps);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first.deduplication_id, again.deduplication_id, "one answer a message");
    }
}

#[test]
fn what_was_journaled_before_the_suspension_is_still_answered() {
    let mut story = Story::spot();
    let message = story.message("d-1", &deposit("100 USDT"));
    let first = story.tell_sent(&message);
    let poison = story.message("p-1", &deposit("0 USDT"));
    story.tell_sent(&poison);
    assert_eq!(story.tell_sent(&message), first, "a redelivery");
    assert_replayed(&first, &story.tell_sent(&message.again()));
    assert_eq!(story.clearing.lane.parked_seq, 1);
}

#[test]
fn poison_at_account_suspends_that_stage_alone_and_keeps_the_order() {
    let mut story = Story::perpetual().holding("USDT 1 available");
    let told = story.tell(&released("5 USDT"));
    assert_eq!(told.message.outcome.stage, StageName::Account);
    assert_eq!(story.suspended(), [StageName::Account]);
    let next = story.message("n-1", &deposit("1 USDT"));
    let told = story.tell_sent(&next);
    assert_eq!(
        (told.status(), told.message.outcome.stage),
        (OutcomeStatus::Parked, StageName::Account)
    );
    assert_eq!(
        (story.clearing.lane.seq, story.position.lane.seq, story.account.lane.seq),
        (2, 2, 0)
    );
    assert_eq!(story.account.lane.upstream_seq, 2, "what is parked has arrived");
    let again = story.tell_sent(&next.again());
    assert_eq!(again.status(), OutcomeStatus::Parked);
    assert!(again.message.outcome.replayed);
    assert_eq!(
        again.detail(),
        "the first message of this request is parked; its outcome follows when it is redriven"
    );
    assert_eq!(story.account.lane.parked_seq, 2, "a repetition is not parked again");
    assert_eq!(story.money(), "USDT 1 available");
}

#[test]
fn poison_at_position_changes_neither_position_nor_money() {
    let mut story = Story::perpetual().holding("USDT 100 available");
    let huge = perpetual("buy", "999999999999999", "999999999999999");
    let told = story.tell(&huge);
    assert_eq!(
        (told.status(), told.message.outcome.stage),
        (OutcomeStatus::Parked, StageName::Position)
    );
    assert!(told.detail().starts_with("a figure is out of range"), "{}", told.detail());
    assert!(story.position.state.positions.is_empty());
    assert_eq!(story.money(), "USDT 100 available");
}
