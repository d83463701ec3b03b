//! One FIFO queue, behaviour by behaviour, without a wire and without waiting.

mod sqs_support;

use cap_local::sqs::{Counts, QueueLimits, SqsError, queue::Receive};
use sqs_support::{Bench, bodies};

#[test]
fn messages_of_a_group_arrive_in_order() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2", "3"]);
    for expected in ["1", "2", "3"] {
        let received = bench.receive(1);
        assert_eq!(bodies(&received), [expected]);
        bench.delete(&received[0]);
    }
    assert!(bench.receive(10).is_empty());
}

#[test]
fn a_group_is_locked_while_a_message_is_in_flight_and_others_flow() {
    let mut bench = Bench::new();
    bench.send_all("a", &["a1", "a2"]);
    bench.send_all("b", &["b1"]);
    let a1 = bench.receive(1);
    assert_eq!(bodies(&a1), ["a1"]);
    assert_eq!(bench.bodies(), ["b1"]);
    assert!(bench.bodies().is_empty());
    bench.delete(&a1[0]);
    assert_eq!(bench.bodies(), ["a2"]);
}

#[test]
fn a_batch_receive_takes_a_run_of_one_group_in_order() {
    let mut bench = Bench::new();
    bench.send_all("a", &["a1", "a2", "a3"]);
    bench.send_all("b", &["b1"]);
    assert_eq!(bench.bodies(), ["a1", "a2", "a3", "b1"]);
}

#[test]
fn deleting_part_of_a_batch_keeps_the_group_locked() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2", "3"]);
    let run = bench.receive(2);
    bench.delete(&run[0]);
    assert!(bench.bodies().is_empty(), "2 is still in flight");
    bench.delete(&run[1]);
    assert_eq!(bench.bodies(), ["3"]);
}

#[test]
fn giving_part_of_a_batch_back_keeps_the_group_locked() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2", "3"]);
    let run = bench.receive(2);
    bench.hold(&run[0], 0).unwrap();
    assert!(!bench.queue.has_free_group());
    assert!(bench.bodies().is_empty(), "2 is still in flight");
    bench.delete(&run[1]);
    assert_eq!(bench.bodies(), ["1", "3"]);
}

#[test]
fn dedup_by_id_answers_with_the_first_message_for_five_minutes() {
    let mut bench = Bench::new();
    let first = bench.send_as("a", "1", Some("id"));
    bench.wait_secs(299);
    let again = bench.send_as("a", "another body", Some("id"));
    assert!(again.duplicate);
    assert_eq!((again.id, again.sequence), (first.id, first.sequence));
    bench.wait_secs(1);
    assert!(!bench.send_as("a", "2", Some("id")).duplicate, "counted from the first send");
    assert_eq!(bench.bodies(), ["1", "2"]);
}

#[test]
fn dedup_by_content_is_the_sha_256_of_the_body() {
    let mut bench = Bench::with(&[("ContentBasedDeduplication", "true")]);
    let first = bench.send_as("a", "hello", None);
    assert!(bench.send_as("a", "hello", None).duplicate);
    let sha_256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let by_hash = bench.send_as("a", "other", Some(sha_256));
    assert_eq!(by_hash.id, first.id);
    assert!(!bench.send_as("a", "hello", Some("own-id")).duplicate, "a given id overrides");
    assert_eq!(&*bench.receive(1)[0].payload.dedup_id, sha_256);
}

#[test]
fn dedup_scope_is_the_queue_or_the_message_group() {
    let mut by_queue = Bench::new();
    by_queue.send_as("a", "1", Some("id"));
    assert!(by_queue.send_as("b", "1", Some("id")).duplicate);

    let mut by_group = Bench::with(&[("DeduplicationScope", "messageGroup")]);
    by_group.send_as("a", "1", Some("id"));
    assert!(!by_group.send_as("b", "1", Some("id")).duplicate);
    assert!(by_group.send_as("a", "1", Some("id")).duplicate);
}

#[test]
fn dedup_remembers_after_the_message_was_deleted() {
    let mut bench = Bench::new();
    bench.send_as("a", "1", Some("id"));
    let received = bench.receive(1);
    bench.delete(&received[0]);
    assert!(bench.send_as("a", "1", Some("id")).duplicate);
    assert!(bench.bodies().is_empty());
}

#[test]
fn visibility_expiry_redelivers_in_order_with_the_receive_counts() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2", "3"]);
    let run = bench.receive(2);
    bench.delete(&run[0]);
    bench.wait_secs(30);
    let again = bench.receive(10);
    assert_eq!(bodies(&again), ["2", "3"]);
    let counts: Vec<u32> = again.iter().map(|delivery| delivery.receive_count).collect();
    assert_eq!(counts, [2, 1]);
    assert_eq!(again[0].first_received_at, sqs_support::START);
    assert_eq!(again[0].id, run[1].id);
}

#[test]
fn change_visibility_to_zero_releases_and_to_more_extends() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let first = bench.receive(1);
    bench.hold(&first[0], 0).unwrap();
    let second = bench.receive(1);
    assert_eq!(bodies(&second), ["1"]);
    bench.hold(&second[0], 60).unwrap();
    bench.wait_secs(59);
    assert!(bench.bodies().is_empty());
    bench.wait_secs(1);
    assert_eq!(bench.bodies(), ["1"]);
}

#[test]
fn a_message_is_held_for_twelve_hours_at_most() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let received = bench.receive(1);
    bench.wait_secs(10);
    assert!(matches!(bench.hold(&received[0], 43_200), Err(SqsError::InvalidParameterValue(_))));
    bench.hold(&received[0], 43_190).unwrap();
}

#[test]
fn change_visibility_of_a_visible_message_is_refused() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let received = bench.receive(1);
    bench.wait_secs(30);
    assert_eq!(bench.hold(&received[0], 10), Err(SqsError::MessageNotInflight));
}

#[test]
fn visibility_given_at_receive_overrides_the_queues() {
    let mut bench = Bench::with(&[("VisibilityTimeout", "10")]);
    bench.send_all("a", &["1"]);
    let ask = Receive { visibility_timeout_secs: Some(2), ..Receive::default() };
    assert_eq!(bench.ask(ask).unwrap().len(), 1);
    bench.wait_secs(2);
    assert_eq!(bench.bodies(), ["1"]);
    bench.wait_secs(9);
    assert!(bench.bodies().is_empty());
    bench.wait_secs(1);
    assert_eq!(bench.bodies(), ["1"]);
}

#[test]
fn a_stale_receipt_handle_deletes_nothing() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let stale = bench.receive(1)[0].handle;
    bench.wait_secs(30);
    assert!(matches!(bench.try_delete(stale), Err(SqsError::InvalidParameterValue(_))), "expired");
    let fresh = bench.receive(1);
    assert!(
        matches!(bench.try_delete(stale), Err(SqsError::InvalidParameterValue(_))),
        "redelivered"
    );
    assert_eq!(bench.counts().in_flight, 1);
    bench.delete(&fresh[0]);
    assert_eq!(bench.counts(), Counts::default());
}

#[test]
fn deleting_twice_is_no_error() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let received = bench.receive(1);
    bench.delete(&received[0]);
    bench.delete(&received[0]);
}

#[test]
fn queue_delay_holds_new_messages_back_in_order() {
    let mut bench = Bench::with(&[("DelaySeconds", "5")]);
    bench.send_all("a", &["1"]);
    assert_eq!(bench.counts().delayed, 1);
    assert!(bench.bodies().is_empty());
    bench.wait_secs(3);
    bench.send_all("a", &["2"]);
    bench.wait_secs(2);
    assert_eq!(bench.bodies(), ["1"]);
    bench.wait_secs(3);
    assert!(bench.bodies().is_empty(), "1 is in flight");
}

#[test]
fn a_changed_delay_holds_for_messages_already_in_the_queue() {
    let mut bench = Bench::with(&[("DelaySeconds", "900")]);
    bench.send_all("a", &["1"]);
    bench.set(&[("DelaySeconds", "0")]);
    assert_eq!(bench.bodies(), ["1"]);
}

#[test]
fn attempt_id_replays_the_same_messages_and_handles() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2"]);
    let ask = Receive { attempt_id: Some("try"), ..Receive::default() };
    let first = bench.ask(ask).unwrap();
    bench.send_all("b", &["3"]);
    bench.wait_secs(20);
    assert_eq!(bench.ask(ask).unwrap(), first);
    bench.wait_secs(29);
    assert_eq!(bench.bodies(), ["3"], "the replay has begun the timeout anew");
}

#[test]
fn attempt_id_is_refused_after_its_messages_were_touched() {
    for touch in ["delete", "hold"] {
        let mut bench = Bench::new();
        bench.send_all("a", &["1", "2"]);
        let ask = Receive { attempt_id: Some("try"), ..Receive::default() };
        let received = bench.ask(ask).unwrap();
        match touch {
            "delete" => bench.delete(&received[0]),
            _ => bench.hold(&received[0], 60).unwrap(),
        }
        let refused = bench.ask(ask);
        assert!(matches!(refused, Err(SqsError::InvalidParameterValue(_))), "after {touch}");
    }
}

#[test]
fn attempt_id_begins_anew_when_visibility_has_run_out() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    let ask = Receive { attempt_id: Some("try"), ..Receive::default() };
    let first = bench.ask(ask).unwrap();
    bench.wait_secs(30);
    let second = bench.ask(ask).unwrap();
    assert_ne!(second[0].handle, first[0].handle);
    assert_eq!(second[0].receive_count, 2);
}

#[test]
fn attempt_id_is_forgotten_after_five_minutes() {
    let mut bench = Bench::with(&[("VisibilityTimeout", "3600")]);
    bench.send_all("a", &["1"]);
    let ask = Receive { attempt_id: Some("try"), ..Receive::default() };
    bench.ask(ask).unwrap();
    bench.wait_secs(300);
    bench.send_all("b", &["2"]);
    assert_eq!(bodies(&bench.ask(ask).unwrap()), ["2"]);
}

#[test]
fn approximate_counts_follow_every_state() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1", "2"]);
    bench.send_all("b", &["3"]);
    bench.receive(1);
    assert_eq!(bench.counts(), Counts { visible: 2, in_flight: 1, delayed: 0 });
    bench.set(&[("DelaySeconds", "10")]);
    bench.send_all("c", &["4"]);
    assert_eq!(bench.counts(), Counts { visible: 2, in_flight: 1, delayed: 1 });
    bench.wait_secs(30);
    assert_eq!(bench.counts(), Counts { visible: 4, in_flight: 0, delayed: 0 });
}

#[test]
fn at_the_in_flight_limit_a_receive_finds_nothing() {
    let limits = QueueLimits { in_flight_max: 120_000, searched_max: None };
    let mut bench = Bench::limited(&[], limits);
    for group in 0..12_001 {
        let group = format!("g{group}");
        bench.send_all(&group, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
    let mut held = Vec::new();
    while bench.counts().in_flight < 120_000 {
        held.extend(bench.receive(10));
    }
    assert!(bench.receive(10).is_empty(), "nothing, and no error");
    bench.delete(&held[0]);
    assert_eq!(bench.receive(10).len(), 1);
}

#[test]
fn free_groups_are_looked_for_among_the_first_messages_only() {
    let limits = QueueLimits { in_flight_max: 120_000, searched_max: Some(3) };
    let mut bench = Bench::limited(&[], limits);
    bench.send_all("blocked", &["1", "2", "3"]);
    bench.send_all("free", &["4"]);
    let first = bench.receive(1);
    assert!(bench.bodies().is_empty(), "4 lies behind the first three");
    bench.delete(&first[0]);
    assert_eq!(bench.bodies(), ["4", "2", "3"]);
}

#[test]
fn a_group_stays_locked_when_a_burial_lets_further_messages_in() {
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:x:y:dlq.fifo","maxReceiveCount":2}"#;
    let limits = QueueLimits { searched_max: Some(2), ..QueueLimits::default() };
    let mut bench = Bench::limited(&[("RedrivePolicy", policy)], limits);
    bench.send_all("a", &["1", "2", "3"]);
    for _ in 0..2 {
        let first = bench.receive(1);
        bench.hold(&first[0], 0).unwrap();
    }
    let run = bench.receive(2);
    assert_eq!(bodies(&run), ["2", "3"], "1 is buried, so 3 is among the first two");
    bench.hold(&run[0], 0).unwrap();
    assert!(bench.bodies().is_empty(), "3 is still in flight");
}

#[test]
fn the_next_visible_message_is_foretold() {
    let mut bench = Bench::new();
    bench.send_all("a", &["1"]);
    bench.send_all("b", &["2"]);
    bench.send_all("c", &["3"]);
    assert_eq!(bench.queue.next_visible_at(), None);
    let run = bench.receive(3);
    bench.delete(&run[0]);
    bench.hold(&run[1], 60).unwrap();
    let in_secs = |secs: u64| Some(sqs_support::START + secs * 1_000);
    assert_eq!(bench.queue.next_visible_at(), in_secs(30));
    bench.delete(&run[2]);
    assert_eq!(bench.queue.next_visible_at(), in_secs(60));
    bench.wait_secs(60);
    assert_eq!(bench.bodies(), ["2"]);
}

#[test]
fn sequence_numbers_have_twenty_digits_and_grow() {
    let mut bench = Bench::new();
    let one = bench.send("a", "1").sequence.to_string();
    let two = bench.send("b", "2").sequence.to_string();
    assert_eq!((one.len(), two.len()), (20, 20));
    assert!(one < two);
}

#[test]
fn messages_expire_after_the_retention_period() {
    let mut bench = Bench::with(&[("MessageRetentionPeriod", "60")]);
    bench.send_all("a", &["1"]);
    bench.wait_secs(30);
    bench.send_all("a", &["2"]);
    let held = bench.receive(1);
    bench.wait_secs(30);
    assert_eq!(bench.bodies(), ["2"], "1 is gone, and its lock with it");
    bench.delete(&held[0]);
    bench.wait_secs(30);
    assert_eq!(bench.counts(), Counts::default());
}

#[test]
fn purge_leaves_nothing_but_the_memory_of_ids() {
    let mut bench = Bench::new();
    bench.send_as("a", "1", Some("id"));
    let held = bench.receive(1);
    bench.send_all("a", &["2"]);
    bench.queue.purge();
    assert_eq!(bench.counts(), Counts::default());
    assert!(bench.send_as("a", "1", Some("id")).duplicate);
    bench.delete(&held[0]);
    bench.send_all("a", &["3"]);
    assert_eq!(bench.bodies(), ["3"]);
}

#[test]
fn ten_thousand_groups_are_served_in_turn() {
    let limits = QueueLimits { searched_max: None, ..QueueLimits::default() };
    let mut bench = Bench::limited(&[], limits);
    const GROUPS: usize = 10_000;
    const EACH: usize = 10;
    for round in 0..EACH {
        for group in 0..GROUPS {
            bench.send(&format!("g{group}"), &round.to_string());
        }
    }
    for round in 0..EACH {
        for _ in 0..GROUPS {
            let received = bench.receive(1);
            assert_eq!(bodies(&received), [round.to_string()]);
            bench.delete(&received[0]);
        }
    }
    assert_eq!(bench.counts(), Counts::default());
}
