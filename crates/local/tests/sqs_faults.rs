//! Faults on purpose, the admin calls, and the broker's own end.

#[path = "sqs_support/stage.rs"]
mod stage;

use std::time::{Duration, Instant};

use aws_sdk_sqs::{Client, config::retry::RetryConfig, error::ProvideErrorMetadata as _};
use cap_local::sqs::{
    Broker, BrokerConfig, Counts, Fault, FaultPlan, FaultRule, LostReply, Operation,
};
use stage::{Stage, bodies, entry};

#[tokio::test]
async fn fault_duplicate_delivers_again_after_deletion() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.send(&url, "a", "1").await;
    stage.faults(Fault::Duplicate, 1.0, Operation::DeleteMessage);
    let first = stage.receive(&url).await;
    stage.delete(&url, &first[0]).await;
    let second = stage.receive(&url).await;
    assert_eq!(second[0].message_id(), first[0].message_id());
    stage.broker.set_faults(FaultPlan::default()).unwrap();
    stage.delete(&url, &second[0]).await;
    assert!(stage.receive(&url).await.is_empty());
}

#[tokio::test]
async fn fault_lost_reply_comes_after_the_effect() {
    for seen in [LostReply::ConnectionClosed, LostReply::InternalError] {
        let stage = Stage::new().await;
        let url = stage.queue("q.fifo", &[]).await;
        stage.faults(Fault::LostReply { seen }, 1.0, Operation::SendMessage);
        let send = stage.sqs.send_message().queue_url(&url).message_group_id("a");
        let lost = send.message_body("1").message_deduplication_id("1").send().await;
        assert!(lost.is_err(), "{seen:?}");
        assert_eq!(bodies(&stage.receive(&url).await), ["1"], "{seen:?}");
    }
}

#[tokio::test]
async fn a_receive_lost_on_the_way_is_had_again_by_its_attempt_id() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.send(&url, "a", "1").await;
    let receive = || {
        let receive = stage.sqs.receive_message().queue_url(&url);
        receive.receive_request_attempt_id("attempt").send()
    };
    let seen = LostReply::ConnectionClosed;
    stage.faults(Fault::LostReply { seen }, 1.0, Operation::ReceiveMessage);
    assert!(receive().await.is_err());
    stage.broker.set_faults(FaultPlan::default()).unwrap();
    assert!(stage.receive(&url).await.is_empty(), "without the attempt id it is locked");
    assert_eq!(bodies(receive().await.unwrap().messages()), ["1"]);
}

#[tokio::test]
async fn order_and_completeness_survive_every_fault_at_once() {
    const SEED: u64 = 20;
    const EACH: usize = 20;
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let rule = |fault| FaultRule { fault, probability: 0.15, queue_prefix: None, operation: None };
    let faults = [
        Fault::Duplicate,
        Fault::LostReply { seen: LostReply::ConnectionClosed },
        Fault::LostReply { seen: LostReply::InternalError },
        Fault::Throttle,
        Fault::PartialFailure,
        Fault::Delay { millis: 1 },
        Fault::ExpiredReceive,
    ];
    println!("fault seed {SEED}");
    let rules = faults.map(rule).to_vec();
    stage.broker.set_faults(FaultPlan { seed: SEED, rules }).unwrap();
    for number in 0..EACH {
        for group in ["a", "b", "c"] {
            let send = || {
                let send = stage.sqs.send_message().queue_url(&url).message_group_id(group);
                let send = send.message_deduplication_id(format!("{group}-{number}"));
                send.message_body(format!("{group}-{number:02}")).send()
            };
            while send().await.is_err() {}
        }
    }
    let mut first_seen: Vec<String> = Vec::new();
    let queue = stage.broker.engine().queue("q.fifo").unwrap();
    while queue.counts(stage.broker.clock().now_millis()) != Counts::default() {
        let receive = stage.sqs.receive_message().queue_url(&url).max_number_of_messages(10);
        for message in
            receive.send().await.map(|got| got.messages.unwrap_or_default()).unwrap_or_default()
        {
            let body = message.body().unwrap().to_owned();
            if !first_seen.contains(&body) {
                first_seen.push(body);
            }
            let delete = stage.sqs.delete_message().queue_url(&url);
            // Whatever becomes of it: a message that stays comes again.
            let _ = delete.receipt_handle(message.receipt_handle().unwrap()).send().await;
        }
        stage.broker.advance(Duration::from_secs(30));
    }
    for group in ["a", "b", "c"] {
        let seen: Vec<_> = first_seen.iter().filter(|body| body.starts_with(group)).collect();
        assert_eq!(seen.len(), EACH, "all of {group}");
        assert!(seen.is_sorted(), "{group} in order: {seen:?}");
    }
}

#[tokio::test]
async fn fault_throttle_has_a_code_that_sdks_retry() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.faults(Fault::Throttle, 1.0, Operation::ReceiveMessage);
    let throttled = stage.sqs.receive_message().queue_url(&url).send().await.unwrap_err();
    assert_eq!(throttled.code(), Some("RequestThrottled"));

    stage.faults(Fault::Throttle, 0.5, Operation::ReceiveMessage);
    let patient = stage.sqs.config().to_builder().retry_config(
        RetryConfig::standard().with_max_attempts(10).with_max_backoff(Duration::from_millis(5)),
    );
    let patient = Client::from_conf(patient.build());
    for _ in 0..10 {
        patient.receive_message().queue_url(&url).send().await.unwrap();
    }
}

#[tokio::test]
async fn fault_partial_failure_leaves_entries_undone() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.faults(Fault::PartialFailure, 0.5, Operation::SendMessageBatch);
    let entries = (0..10).map(|number| entry(&number.to_string(), "x")).collect();
    let (successful, failed) = stage.batch(&url, entries).await.unwrap();
    assert!(successful > 0 && !failed.is_empty(), "{successful}");
    assert_eq!(successful + failed.len(), 10);
    assert!(failed.iter().all(|entry| entry.code() == "InternalError" && !entry.sender_fault()));
    assert_eq!(stage.receive(&url).await.len(), successful);
}

#[tokio::test]
async fn fault_delay_makes_a_request_late() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.faults(Fault::Delay { millis: 200 }, 1.0, Operation::ReceiveMessage);
    let started = Instant::now();
    stage.receive(&url).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn fault_expired_receive_hands_out_what_is_visible_again() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.send(&url, "a", "1").await;
    stage.faults(Fault::ExpiredReceive, 1.0, Operation::ReceiveMessage);
    let expired = stage.receive(&url).await;
    let again = stage.receive(&url).await;
    assert_eq!(again[0].message_id(), expired[0].message_id());
    let delete = stage.sqs.delete_message().queue_url(&url);
    let delete = delete.receipt_handle(expired[0].receipt_handle().unwrap()).send().await;
    assert_eq!(delete.unwrap_err().code(), Some("InvalidParameterValue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_switched_over_http_and_keep_to_their_queues() {
    let stage = Stage::new().await;
    let hit = stage.queue("clearing-x.fifo", &[]).await;
    let spared = stage.queue("account-x.fifo", &[]).await;
    let plan =
        r#"{"seed":3,"rules":[{"kind":"throttle","probability":1.0,"queue_prefix":"clearing-"}]}"#;
    assert!(stage.http("POST", "/_admin/faults", plan).starts_with("HTTP/1.1 200"));
    assert!(stage.http("GET", "/_admin/faults", "").contains("\"throttle\""));
    assert!(stage.sqs.receive_message().queue_url(&hit).send().await.is_err());
    assert!(stage.sqs.receive_message().queue_url(&spared).send().await.is_ok());
    assert!(stage.http("DELETE", "/_admin/faults", "").starts_with("HTTP/1.1 204"));
    assert!(stage.sqs.receive_message().queue_url(&hit).send().await.is_ok());
    let bad = r#"{"rules":[{"kind":"throttle","probability":1.5}]}"#;
    assert!(stage.http("POST", "/_admin/faults", bad).starts_with("HTTP/1.1 400"));
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_shows_counts_and_requests_and_moves_the_clock() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.send(&url, "a", "1").await;
    stage.receive(&url).await;
    let counts = |visible: u8, in_flight: u8| {
        format!(r#""q.fifo":{{"visible":{visible},"in_flight":{in_flight},"delayed":0}}"#)
    };
    assert!(stage.http("GET", "/_admin/queues", "").contains(&counts(0, 1)));
    stage.http("POST", "/_admin/clock", r#"{"advance_millis":30000}"#);
    assert!(stage.http("GET", "/_admin/queues", "").contains(&counts(1, 0)));
    let operations = stage.http("GET", "/_admin/operations", "");
    assert!(operations.contains(r#"{"CreateQueue":1,"ReceiveMessage":1,"SendMessage":1}"#));
    assert_eq!(stage.broker.requests()["SendMessage"], 1);
}

#[tokio::test]
async fn shutdown_closes_connections_and_frees_the_address() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let addr = stage.broker.endpoint_url().replace("http://", "").parse().unwrap();
    let Stage { broker, sqs } = stage;
    let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        broker.shutdown().await;
    };
    let started = Instant::now();
    let (polled, ()) = tokio::join!(poll, stopping);
    assert!(polled.is_err());
    assert!(sqs.list_queues().send().await.is_err(), "no connection is left");
    assert!(started.elapsed() < Duration::from_secs(5));
    let again = Broker::start(BrokerConfig { addr, ..BrokerConfig::default() }).await.unwrap();
    assert_eq!(again.endpoint_url(), format!("http://{addr}"));
}
