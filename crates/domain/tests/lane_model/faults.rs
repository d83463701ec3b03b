//! Proof that the properties can fail: mistakes in the world around the lane, and in the lane, are
//! found. Those that are not are named at the end.

use crate::case::{Case, Fault, PLAIN};
use crate::cases::check;
use crate::explorer::explore;
use crate::mistakes::Store;
use crate::toy::Flaw;

/// A redrive that is begun again.
const AGAIN: Case = Case { published: 2, redrives: 2, ..PLAIN };

/// Letters that AWS moves.
const LETTERS: Case = Case { published: 2, redrives: 0, moves: 2, consumers: 1, ..PLAIN };

/// The world of `case` with the mistake breaks with a sentence that contains `sentence`.
fn caught(case: &Case, fault: Fault, sentence: &str) {
    let explored = explore(&Case { fault: Some(fault), ..*case });
    let broken = explored.broken.unwrap_or_else(|| panic!("{fault:?} is not noticed"));
    println!("{fault:?} after {} states: {broken}", explored.states);
    assert!(broken.contains(sentence), "{fault:?} is noticed as: {broken}");
}

#[test]
fn a_commit_without_a_fence_is_caught() {
    caught(&PLAIN, Fault::Store(Store::Unfenced), "parked has gaps");
}

#[test]
fn a_fence_of_the_journal_number_alone_is_caught() {
    caught(&PLAIN, Fault::Store(Store::FencedBySeqAlone), "parked has gaps");
}

#[test]
fn a_journal_that_is_not_asked_is_caught() {
    caught(&PLAIN, Fault::Store(Store::ForgetsRows), "applied out of order");
}

#[test]
fn parked_messages_that_are_not_asked_for_are_caught() {
    caught(&PLAIN, Fault::Store(Store::ForgetsParked), "does not open the lane");
}

#[test]
fn deleting_before_the_commit_is_caught() {
    caught(&PLAIN, Fault::DeleteBeforeCommit, "was deleted and is nowhere");
}

#[test]
fn sending_before_the_commit_is_caught() {
    caught(&PLAIN, Fault::SendBeforeCommit, "sent");
}

#[test]
fn deleting_before_sending_is_caught() {
    caught(&PLAIN, Fault::DeleteBeforeSend, "nothing shows it");
}

#[test]
fn taking_every_message_for_a_repair_is_caught() {
    caught(&PLAIN, Fault::AllAreRepairs, "applied out of order");
}

#[test]
fn a_queue_that_does_not_lock_its_group_is_caught() {
    caught(&Case { published: 2, ..PLAIN }, Fault::UnlockedGroup, "applied out of order");
}

#[test]
fn a_queue_that_deletes_by_any_receipt_is_caught() {
    caught(
        &Case { redrives: 0, moves: 2, published: 2, ..PLAIN },
        Fault::StaleReceiptsDelete,
        "the chain of copies is broken",
    );
}

#[test]
fn a_fence_without_the_redrive_is_caught() {
    let case = Case { published: 2, redrivers: 2, redrives: 2, batch: 1, ..PLAIN };
    caught(&case, Fault::Store(Store::FencedWithoutRedrive), "sent");
}

#[test]
fn letters_that_are_taken_are_caught() {
    caught(&LETTERS, Fault::Store(Store::TakesLetters), "sent");
}

#[test]
fn a_journal_that_is_asked_before_the_parked_is_caught() {
    caught(&Case { run_max: 2, ..AGAIN }, Fault::Store(Store::JournalBeforeParked), "sent");
}

#[test]
fn a_unit_known_by_its_new_source_alone_is_caught() {
    let case = Case { flaw: Flaw::Unreadable, upstream: true, ..PLAIN };
    caught(&case, Fault::Store(Store::ForgetsUnread), "does not open the lane");
}

#[test]
fn copies_sent_back_to_front_are_caught() {
    caught(&AGAIN, Fault::BackToFront, "sent");
}

#[test]
fn a_redriver_that_goes_on_in_another_redrive_is_caught() {
    caught(&Case { redrivers: 2, ..AGAIN }, Fault::GoesOnWhereItIs, "sent");
}

#[test]
fn letters_that_do_not_go_back_are_caught() {
    caught(&LETTERS, Fault::LettersVanish, "nothing shows it");
}

// What the lane no longer leans on: it is kept as a second fence, and no world is known that breaks
// without it. If one of these fails, the rule has become a first one: then it is to be `caught`.

/// The world of `case` bears the mistake.
fn borne(case: &Case, fault: Fault, floor: usize) {
    check(&Case { fault: Some(fault), ..*case }, floor);
}

/// Two redrives at once.
const TWO: Case = Case { redrivers: 2, consumers: 1, run_max: 2, ..AGAIN };

#[test]
fn consumers_that_never_look_at_the_clock_are_borne() {
    borne(&Case { run_max: 2, ..AGAIN }, Fault::NobodyLooksAtTheClock, 130_000);
}

#[test]
fn copies_of_an_old_redrive_that_are_taken_are_borne() {
    borne(&TWO, Fault::Store(Store::TakesOldCopies), 65_000);
}

#[test]
fn done_numbers_that_repeat_their_output_for_any_copy_are_borne() {
    borne(&TWO, Fault::Store(Store::RepeatsForAnyCopy), 54_000);
}

#[test]
fn a_next_copy_sent_before_the_outputs_is_borne() {
    borne(&TWO, Fault::NextBeforeOutputs, 53_000);
}
