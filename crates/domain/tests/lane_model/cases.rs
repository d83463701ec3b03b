//! Small worlds, explored wholly. In all of them two consumers crash and become zombies anywhere,
//! the stage is repaired at any moment, and redrives are killed at any moment.

use std::time::Instant;

use crate::case::{Case, PLAIN};
use crate::explorer::explore;
use crate::toy::Flaw;

/// Explores `case`, in which at least `floor` states must be found and no property may break.
pub(crate) fn check(case: &Case, floor: usize) {
    let begun = Instant::now();
    let explored = explore(case);
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let (states, at_rest) = (explored.states, explored.at_rest);
    println!("{name}: {states} states, {at_rest} of them at rest, in {:.1?}", begun.elapsed());
    assert!(explored.broken.is_none(), "{}", explored.broken.unwrap_or_default());
    assert!(states >= floor, "only {states} states: something keeps the world from moving");
    assert!(at_rest > 0, "nothing ever comes to rest");
}

const TWO: Case = Case { published: 2, ..PLAIN };

/// AWS moves letters, and nobody else redrives.
const MOVED: Case = Case { redrives: 0, moves: 2, ..TWO };

#[test]
fn a_redrive_under_a_live_upstream_keeps_the_order() {
    check(&PLAIN, 29_000);
}

#[test]
fn a_copy_takes_what_was_parked_in_front_of_it() {
    check(&Case { messages: 3, batch: 3, consumers: 1, run_max: 3, ..TWO }, 12_000);
}

#[test]
fn messages_taken_one_by_one_keep_the_order() {
    check(&Case { messages: 3, batch: 1, ..TWO }, 10_000);
}

#[test]
fn a_redrive_begun_again_in_runs_keeps_the_order() {
    check(&Case { redrives: 2, run_max: 2, ..TWO }, 81_000);
}

#[test]
fn two_redrives_at_once_keep_the_order_in_batches() {
    check(&Case { redrivers: 2, redrives: 2, consumers: 1, run_max: 2, ..TWO }, 53_000);
}

#[test]
fn copies_sent_again_do_no_harm() {
    check(&Case { resends: 2, run_max: 2, consumers: 1, ..TWO }, 8_300);
}

#[test]
fn letters_moved_in_any_order_keep_the_order() {
    check(&Case { moves: 4, batch: 1, ..MOVED }, 52_000);
}

#[test]
fn letters_moved_in_any_order_keep_the_order_in_batches() {
    check(&Case { moves: 3, consumers: 1, run_max: 2, ..MOVED }, 27_000);
}

#[test]
fn a_move_and_a_redrive_at_once_keep_the_order() {
    check(&Case { moves: 2, batch: 1, ..TWO }, 130_000);
}

#[test]
fn a_move_and_a_redrive_at_once_keep_the_order_in_batches() {
    check(&Case { moves: 2, consumers: 1, run_max: 2, ..TWO }, 130_000);
}

#[test]
fn letters_of_three_keep_the_order() {
    check(&Case { messages: 3, published: 3, batch: 1, ..MOVED }, 10_000);
}

#[test]
fn queues_that_forget_what_they_were_sent_do_no_harm() {
    check(&Case { moves: 1, batch: 1, forgets: 1, ..MOVED }, 16_000);
}

#[test]
fn a_redrive_through_a_number_stops_there() {
    check(&Case { through: Some(1), ..TWO }, 15_000);
}

#[test]
fn a_redrive_through_a_number_and_one_of_all_keep_the_order() {
    check(
        &Case { through: Some(1), redrivers: 2, redrives: 2, batch: 1, run_max: 2, ..TWO },
        69_000,
    );
}

#[test]
fn a_repair_goes_ahead_of_what_waits_and_is_applied_once() {
    check(&Case { repair: Some(2), ..TWO }, 16_000);
}

#[test]
fn a_skip_at_any_moment_gives_up_that_message_alone() {
    check(&Case { batch: 1, skips: 1, run_max: 2, ..TWO }, 7_900);
}

#[test]
fn a_second_poison_suspends_the_redrive_again() {
    check(&Case { poison: &[1, 2], ..TWO }, 19_000);
}

#[test]
fn numbers_of_another_stage_are_counted_once_whether_redriven_or_skipped() {
    check(&Case { batch: 1, upstream: true, skips: 1, ..TWO }, 8_600);
}

#[test]
fn units_that_upstream_sends_again_are_applied_once() {
    check(&Case { upstream: true, republishes: 1, batch: 1, ..TWO }, 15_000);
}

#[test]
fn an_unreadable_message_comes_back_readable() {
    check(&Case { flaw: Flaw::Unreadable, ..TWO }, 19_000);
}

#[test]
fn an_unreadable_unit_is_redriven_or_skipped() {
    check(&Case { flaw: Flaw::Unreadable, upstream: true, skips: 1, batch: 1, ..PLAIN }, 12_000);
}

#[test]
fn a_move_of_the_dead_letter_queue_keeps_the_order() {
    check(&MOVED, 180_000);
}
