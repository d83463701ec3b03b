//! Publishing through the real SDK to the embedded broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use cap_client::{Progress, PublishError, Publisher};
use cap_domain::envelope::Envelope;
use cap_domain::lane::StageName;
use cap_domain::routing::{Channel, QueueName};
use cap_local::sqs::{FaultPlan, Operation};
use cap_pipeline::queues::Queues as _;
use serde_json::{Value, json};
use support::{Stack, create};

#[tokio::test]
async fn envelopes_go_to_the_queue_and_group_of_their_account_under_their_request_id() {
    let stack = Stack::start(&["acme_spot", "zenith"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    let results = publisher
        .publish(&[envelope("acme", "A-1", "r-1"), envelope("zenith", "Z-1", "r-2")])
        .await;
    let queues: Vec<_> =
        results.iter().map(|result| result.as_ref().unwrap().queue.to_name("")).collect();
    assert_eq!(queues, ["clearing-acme_spot.fifo", "clearing-zenith.fifo"]);

    let received = stack.queues.receive(&clearing("zenith"), 5, 60).await.unwrap();
    assert_eq!(received[0].message_group_id, "spot_retail_Z-1");
    assert_eq!(received[0].deduplication_id, "r-2");
    let body: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!(body, envelope("zenith", "Z-1", "r-2"));
}

#[tokio::test]
async fn an_envelope_can_be_published_as_text_as_json_and_as_it_was_read() {
    let stack = Stack::start(&["acme_spot"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    let json = envelope("acme", "A-1", "r-1");
    let read = Envelope::read(&json.to_string()).unwrap();
    assert!(publisher.publish(&[json.to_string()]).await[0].is_ok());
    assert!(publisher.publish(&[&json]).await[0].is_ok());
    assert!(publisher.publish(&[read]).await[0].is_ok());
    let received = stack.queues.receive(&clearing("acme_spot"), 5, 60).await.unwrap();
    assert_eq!(received.len(), 1, "it is the same message");
    assert_eq!(serde_json::from_str::<Value>(&received[0].body).unwrap(), json);
}

#[tokio::test]
async fn every_account_arrives_completely_and_in_order_whatever_fails() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let stack = Stack::start(&["acme_spot", "zenith"]).await;
        let publisher = Publisher::new(stack.queues.clone());
        // Skewed: account 0 has as many as all the others together.
        let lane = |n: usize| if n.is_multiple_of(2) { 0 } else { n % 13 };
        let envelopes: Vec<_> = (0..120)
            .map(|n| {
                let lane = lane(n);
                let company = if lane.is_multiple_of(3) { "acme" } else { "zenith" };
                envelope(company, &format!("A-{lane}"), &format!("r-{n:03}"))
            })
            .collect();
        stack.storm(seed, Operation::SendMessageBatch);
        let mut last = Progress::default();
        let results = publisher.publish_with_progress(&envelopes, |progress| last = progress).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(last, Progress { published: 120, failed: 0, total: 120 });
        stack.broker.set_faults(FaultPlan::default()).unwrap();

        let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for queue in [clearing("acme_spot"), clearing("zenith")] {
            loop {
                let received = stack.queues.receive(&queue, 0, 60).await.unwrap();
                if received.is_empty() {
                    break;
                }
                let handles: Vec<_> = received.iter().map(|m| m.receipt_handle.as_str()).collect();
                assert!(
                    stack.queues.delete(&queue, &handles).await.unwrap().iter().all(Result::is_ok)
                );
                for message in received {
                    arrived
                        .entry(message.message_group_id)
                        .or_default()
                        .push(message.deduplication_id);
                }
            }
        }
        assert_eq!(arrived.values().map(Vec::len).sum::<usize>(), 120);
        for (group, ids) in arrived {
            assert!(ids.is_sorted(), "{group}: {ids:?}");
        }
    }
}

#[tokio::test]
async fn an_envelope_that_is_not_usable_is_told_and_holds_nobody_up() {
    let stack = Stack::start(&["acme_spot"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    let good = envelope("acme", "A-1", "r-1").to_string();
    let results = publisher.publish(&["nonsense", &good, "{}"]).await;
    let said: Vec<_> = results.iter().map(|r| r.as_ref().err().map(ToString::to_string)).collect();
    assert!(said[0].as_ref().unwrap().starts_with("the body is not JSON"), "{said:?}");
    assert_eq!(said[1], None);
    assert!(said[2].as_ref().unwrap().contains("missing field `header`"), "{said:?}");
}

#[tokio::test]
async fn an_account_that_no_queue_takes_is_refused_with_the_queues_that_would() {
    let stack = Stack::start(&["acme_cfd"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    let results = publisher.publish(&[envelope("acme", "A-1", "r-1")]).await;
    assert_eq!(
        results[0].as_ref().unwrap_err().to_string(),
        "no queue takes account acme_spot_retail_A-1: none of clearing-acme_spot_retail.fifo, \
         clearing-acme_spot.fifo, clearing-acme.fifo exists"
    );
}

#[tokio::test]
async fn a_queue_created_after_connecting_is_found() {
    let stack = Stack::start(&["acme_cfd"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    create(&stack.aws, &["acme"]).await;
    let results = publisher.publish(&[envelope("acme", "A-1", "r-1")]).await;
    assert_eq!(results[0].as_ref().unwrap().queue.to_name(""), "clearing-acme.fifo");
}

#[tokio::test]
async fn a_message_that_sqs_refuses_stops_its_account_and_no_other() {
    let stack = Stack::start(&["acme_spot"]).await;
    let publisher = Publisher::new(stack.queues.clone());
    let mut refused = envelope("acme", "A-1", "r-2");
    // A character that JSON carries and SQS does not.
    refused["event"]["reference"] = json!("\u{ffff}");
    let results = publisher
        .publish(&[
            envelope("acme", "A-1", "r-1"),
            refused,
            envelope("acme", "A-1", "r-3"),
            envelope("acme", "A-2", "r-4"),
        ])
        .await;
    assert!(results[0].is_ok() && results[3].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(PublishError::Refused(_))), "{results:?}");
    assert!(
        matches!(&results[2], Err(PublishError::Behind(id)) if id.as_str() == "r-2"),
        "{results:?}"
    );
}

fn clearing(scope: &str) -> QueueName {
    QueueName::new(Channel::Stage(StageName::Clearing), scope.parse().unwrap())
}

fn envelope(company: &str, account: &str, request_id: &str) -> Value {
    json!({
        "header": {
            "version": 1, "request_id": request_id, "initiated_at": "2026-11-21T10:00:00.123Z",
            "company": company, "product": "spot", "customer_group": "retail", "account": account,
        },
        "event": { "type": "deposit.received", "currency": "USDT", "amount": "1", "reference": "t-1" },
    })
}
