//! Queues by name, through the real SDK against the embedded broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, SystemTime};

use cap_aws::SqsQueues;
use cap_domain::lane::StageName;
use cap_domain::routing::{Channel, QueueName};
use cap_local::sqs::{Fault, FaultPlan, FaultRule, LostReply, Operation};
use cap_pipeline::queues::{Outgoing, Queues as _};
use support::Stack;

const VISIBILITY_SECS: u32 = 60;

#[tokio::test]
async fn a_message_is_sent_received_with_all_that_is_known_of_it_extended_and_deleted() {
    let (stack, queues, queue) = start().await;
    let before =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert_eq!(queues.send(&queue, &[&message(1, "hello")]).await.unwrap(), [Ok(())]);

    let received = queues.receive(&queue, 5, VISIBILITY_SECS).await.unwrap();
    let [first] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((first.body.as_str(), first.receives), ("hello", 1));
    assert_eq!(
        (first.message_group_id.as_str(), first.deduplication_id.as_str()),
        ("retail_A-1", "r-1")
    );
    assert!((before - 1_000..before + 60_000).contains(&first.sent_at.millis()));

    let handle = first.receipt_handle.as_str();
    assert_eq!(queues.extend(&queue, &[handle], 0).await.unwrap(), [Ok(())], "it is given back");
    let again = queues.receive(&queue, 5, VISIBILITY_SECS).await.unwrap();
    assert_eq!((again[0].message_id.as_str(), again[0].receives), (first.message_id.as_str(), 2));

    assert_eq!(queues.extend(&queue, &[&again[0].receipt_handle], 300).await.unwrap(), [Ok(())]);
    stack.broker.advance(Duration::from_secs(u64::from(VISIBILITY_SECS) + 1));
    assert_eq!(queues.receive(&queue, 0, VISIBILITY_SECS).await.unwrap(), [], "still hidden");
    assert_eq!(queues.delete(&queue, &[&again[0].receipt_handle]).await.unwrap(), [Ok(())]);
    stack.broker.advance(Duration::from_secs(301));
    assert_eq!(queues.receive(&queue, 0, VISIBILITY_SECS).await.unwrap(), [], "gone");
}

#[tokio::test]
async fn a_failed_entry_is_told_in_its_place_and_the_others_are_done() {
    let (_stack, queues, queue) = start().await;
    let messages: Vec<_> = (1..=3).map(|n| message(n, "x")).collect();
    queues.send(&queue, &messages.iter().collect::<Vec<_>>()).await.unwrap();
    let received = queues.receive(&queue, 5, VISIBILITY_SECS).await.unwrap();
    let mut handles: Vec<_> =
        received.iter().map(|message| message.receipt_handle.as_str()).collect();
    handles.insert(1, "nonsense");
    let results = queues.delete(&queue, &handles).await.unwrap();
    let done: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, false, true, true]);
    let failure = results[1].as_ref().unwrap_err();
    assert_eq!((failure.code.as_str(), failure.sender_fault), ("ReceiptHandleIsInvalid", true));
}

#[tokio::test]
async fn a_failure_inside_of_sqs_is_no_fault_of_the_sender() {
    let (stack, queues, queue) = start().await;
    strike(&stack, Fault::PartialFailure, 1.0, Operation::SendMessageBatch);
    let results = queues.send(&queue, &[&message(1, "x"), &message(2, "x")]).await.unwrap();
    assert!(
        results.iter().all(|result| result.as_ref().is_err_and(|failure| !failure.sender_fault)),
        "{results:?}"
    );
}

#[tokio::test]
async fn messages_of_more_than_one_mebibyte_go_in_several_calls() {
    let (stack, queues, queue) = start().await;
    let long = "x".repeat(300_000);
    let messages: Vec<_> = (0..10).map(|n| message(n, &long)).collect();
    assert!(
        queues
            .send(&queue, &messages.iter().collect::<Vec<_>>())
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(stack.broker.requests()["SendMessageBatch"], 4);
    assert_eq!(stack.broker.requests().get("SendMessage"), None);
}

#[tokio::test]
async fn one_message_that_sqs_refuses_does_not_keep_its_neighbours_back() {
    let (_stack, queues, queue) = start().await;
    let messages = [message(1, "x"), message(2, &"x".repeat(1_048_577)), message(3, "x")];
    let results = queues.send(&queue, &messages.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!((&results[0], &results[2]), (&Ok(()), &Ok(())));
    assert!(results[1].as_ref().is_err_and(|failure| failure.sender_fault), "{results:?}");
}

#[tokio::test]
async fn a_receive_whose_answer_is_lost_gives_the_messages_all_the_same() {
    let (stack, queues, queue) = start().await;
    let messages: Vec<_> = (1..=3).map(|n| message(n, "x")).collect();
    let mut given = 0;
    for seed in 0..6 {
        stack.broker.advance(Duration::from_secs(600));
        queues.send(&queue, &messages.iter().collect::<Vec<_>>()).await.unwrap();
        // Sometimes every try of a receive is lost; then it says so and the caller comes again.
        let rule = FaultRule {
            fault: Fault::LostReply { seen: LostReply::ConnectionClosed },
            probability: 0.4,
            queue_prefix: None,
            operation: Some(Operation::ReceiveMessage),
        };
        stack.broker.set_faults(FaultPlan { seed, rules: vec![rule] }).unwrap();
        if let Ok(received) = queues.receive(&queue, 1, VISIBILITY_SECS).await {
            assert_eq!(received.len(), 3, "seed {seed}: nothing is locked away");
            given += 1;
        }
        stack.broker.set_faults(FaultPlan::default()).unwrap();
        stack.broker.advance(Duration::from_secs(u64::from(VISIBILITY_SECS) + 1));
        let received = queues.receive(&queue, 0, VISIBILITY_SECS).await.unwrap();
        let handles: Vec<_> =
            received.iter().map(|message| message.receipt_handle.as_str()).collect();
        assert!(queues.delete(&queue, &handles).await.unwrap().iter().all(Result::is_ok));
    }
    let requests = stack.broker.requests()["ReceiveMessage"];
    assert!(given >= 3 && requests >= 6 + 6 + 2, "{given} of {requests}: answers were lost");
}

#[tokio::test]
async fn an_error_says_what_was_attempted_and_what_sqs_said() {
    let (stack, queues, queue) = start().await;
    strike(&stack, Fault::Throttle, 1.0, Operation::ReceiveMessage);
    let error = queues.receive(&queue, 0, VISIBILITY_SECS).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "receiving from clearing-acme_spot.fifo: RequestThrottled: Request is throttled."
    );

    let elsewhere = QueueName::new(Channel::Outcome, "other".parse().unwrap());
    let error = queues.send(&elsewhere, &[&message(1, "x")]).await.unwrap_err().to_string();
    assert_eq!(error, "sending to outcome-other.fifo: the queue does not exist");

    stack.broker.shutdown().await;
}

async fn start() -> (Stack, SqsQueues, QueueName) {
    let stack = Stack::start().await;
    let queues = stack.queues(&["acme_spot"]).await;
    let queue = QueueName::new(Channel::Stage(StageName::Clearing), "acme_spot".parse().unwrap());
    (stack, queues, queue)
}

fn message(n: usize, body: &str) -> Outgoing {
    Outgoing {
        message_group_id: "retail_A-1".to_owned(),
        deduplication_id: format!("r-{n}"),
        body: body.to_owned(),
        attributes: vec![("parked_seq", n.to_string())],
    }
}

fn strike(stack: &Stack, fault: Fault, probability: f64, operation: Operation) {
    let rule = FaultRule { fault, probability, queue_prefix: None, operation: Some(operation) };
    stack.broker.set_faults(FaultPlan { seed: 1, rules: vec![rule] }).unwrap();
}
