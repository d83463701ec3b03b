//! The broker over HTTP, asked by the official SDK.

#[path = "sqs_support/stage.rs"]
mod stage;

use std::time::{Duration, Instant};

use aws_sdk_sqs::{
    primitives::Blob,
    types::{
        DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
        MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
        MessageSystemAttributeValue, QueueAttributeName as Attribute,
    },
};
use stage::{Stage, bodies, entry};

#[tokio::test]
async fn messages_and_their_attributes_survive_the_wire() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let text = MessageAttributeValue::builder().data_type("String.json").string_value("{}");
    let bytes =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255]));
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2");
    let sent = stage
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("a \"quoted\" body, Ünïcode 💶")
        .message_group_id("group")
        .message_deduplication_id("dedup")
        .message_attributes("text", text.build().unwrap())
        .message_attributes("bytes", bytes.build().unwrap())
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace.build().unwrap(),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(sent.sequence_number().unwrap().len(), 20);
    assert!(sent.md5_of_message_system_attributes().is_some());
    let receive = stage.sqs.receive_message().queue_url(&url).message_attribute_names("All");
    let received = receive.message_system_attribute_names(System::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("a \"quoted\" body, Ünïcode 💶"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let custom = message.message_attributes().unwrap();
    assert_eq!(custom["text"].string_value(), Some("{}"));
    assert_eq!(custom["bytes"].binary_value(), Some(&Blob::new([0, 255])));
    let system = message.attributes().unwrap();
    assert_eq!(system[&System::MessageGroupId], "group");
    assert_eq!(system[&System::MessageDeduplicationId], "dedup");
    assert_eq!(system[&System::SequenceNumber], sent.sequence_number().unwrap());
    assert_eq!(system[&System::ApproximateReceiveCount], "1");
    assert_eq!(system[&System::AwsTraceHeader], "Root=1-2");
    assert_eq!(system[&System::SenderId], "000000000000");
    for time in [System::SentTimestamp, System::ApproximateFirstReceiveTimestamp] {
        assert_eq!(system[&time].len(), 13, "{time}: milliseconds since 1970");
    }
}

#[tokio::test]
async fn only_the_attributes_asked_for_come_back() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let value =
        || MessageAttributeValue::builder().data_type("Number").string_value("1").build().unwrap();
    let send = stage.sqs.send_message().queue_url(&url).message_body("b").message_group_id("a");
    let send = send.message_deduplication_id("1").message_attributes("cap.one", value());
    send.message_attributes("other", value()).send().await.unwrap();
    let receive = stage.sqs.receive_message().queue_url(&url).message_attribute_names("cap.*");
    let received = receive.send().await.unwrap();
    let message = &received.messages()[0];
    let names: Vec<_> = message.message_attributes().unwrap().keys().collect();
    assert_eq!(names, ["cap.one"]);
    assert!(message.attributes().is_none());
}

#[tokio::test]
async fn batch_sends_report_each_entry() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let mut no_group = entry("no-group", "2");
    no_group.message_group_id = None;
    let bad = entry("bad", "\u{1}");
    let (successful, failed) =
        stage.batch(&url, vec![entry("good", "1"), no_group, bad]).await.unwrap();
    assert_eq!(successful, 1);
    let codes: Vec<_> =
        failed.iter().map(|entry| (entry.id(), entry.code(), entry.sender_fault())).collect();
    let expected =
        [("no-group", "MissingParameter", true), ("bad", "InvalidMessageContents", true)];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn malformed_batches_are_refused_as_a_whole() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let prefix = "AWS.SimpleQueueService.";
    let eleven = (0..11).map(|number| entry(&number.to_string(), "x")).collect();
    let half = "x".repeat(524_289);
    for (entries, code) in [
        (vec![], "EmptyBatchRequest"),
        (eleven, "TooManyEntriesInBatchRequest"),
        (vec![entry("same", "1"), entry("same", "2")], "BatchEntryIdsNotDistinct"),
        (vec![entry("not allowed!", "1")], "InvalidBatchEntryId"),
        (vec![entry("1", &half), entry("2", &half)], "BatchRequestTooLong"),
    ] {
        assert_eq!(stage.batch(&url, entries).await, Err(format!("{prefix}{code}")));
    }
    assert!(stage.receive(&url).await.is_empty());
    let most = "x".repeat(524_288);
    let sent = stage.batch(&url, vec![entry("1", &most), entry("2", &most)]).await.unwrap();
    assert_eq!(sent.0, 2, "exactly 1 MiB is allowed");
}

#[tokio::test]
async fn unknown_queues_and_handles_have_their_own_errors() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let missing = url.replace("q.fifo", "other.fifo");
    let error = stage.sqs.receive_message().queue_url(missing).send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let delete = stage.sqs.delete_message().queue_url(&url).receipt_handle("nonsense");
    assert!(delete.send().await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn delete_batches_report_stale_handles() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    stage.send(&url, "a", "1").await;
    let stale = stage.receive(&url).await;
    stage.broker.advance(Duration::from_secs(30));
    let fresh = stage.receive(&url).await;
    let delete = |id: &str, message: &Message| {
        let handle = message.receipt_handle().unwrap();
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let batch = stage.sqs.delete_message_batch().queue_url(&url);
    let batch = batch.entries(delete("stale", &stale[0])).entries(delete("fresh", &fresh[0]));
    let deleted = batch.send().await.unwrap();
    assert_eq!(deleted.failed()[0].id(), "stale");
    assert_eq!(deleted.failed()[0].code(), "InvalidParameterValue");
    assert_eq!(deleted.successful()[0].id(), "fresh");
}

#[tokio::test]
async fn long_polling_wakes_on_send() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let started = Instant::now();
    let receive = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let sending = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.send(&url, "a", "1").await;
    };
    let (received, ()) = tokio::join!(receive, sending);
    assert_eq!(bodies(received.unwrap().messages()), ["1"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn long_polling_takes_the_queues_default_and_ends_with_it() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[(Attribute::ReceiveMessageWaitTimeSeconds, "1")]).await;
    let started = Instant::now();
    assert!(stage.receive(&url).await.is_empty());
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn long_polling_notices_an_advanced_clock() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[(Attribute::VisibilityTimeout, "10")]).await;
    stage.send(&url, "a", "1").await;
    assert_eq!(stage.receive(&url).await.len(), 1);
    let poll = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let advancing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.broker.advance(Duration::from_secs(10));
    };
    let started = Instant::now();
    let (polled, ()) = tokio::join!(poll, advancing);
    assert_eq!(bodies(polled.unwrap().messages()), ["1"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn many_long_polls_share_what_one_batch_brings() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let poll = || async {
        let poll = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(5);
        poll.send().await.unwrap().messages.unwrap_or_default().len()
    };
    let sending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let entries = (0..4).map(|number| {
            let mut entry = entry(&number.to_string(), "x");
            entry.message_group_id = Some(number.to_string());
            entry
        });
        stage.batch(&url, entries.collect()).await.unwrap();
    };
    let started = Instant::now();
    let (a, b, c, d, ()) = tokio::join!(poll(), poll(), poll(), poll(), sending);
    assert_eq!([a, b, c, d], [1, 1, 1, 1]);
    assert!(started.elapsed() < Duration::from_secs(4), "none waited to its end");
}

#[tokio::test]
async fn deleting_a_queue_ends_the_polls_on_it() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[]).await;
    let poll = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    };
    let (polled, ()) = tokio::join!(poll, deleting);
    assert!(polled.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn list_queues_pages() {
    let stage = Stage::new().await;
    for number in 0..1_005 {
        stage.queue(&format!("page-{number:04}.fifo"), &[]).await;
    }
    stage.queue("other.fifo", &[]).await;
    let list = || stage.sqs.list_queues().queue_name_prefix("page-");
    let unpaged = list().send().await.unwrap();
    assert_eq!((unpaged.queue_urls().len(), unpaged.next_token()), (1_000, None));
    let first = list().max_results(1_000).send().await.unwrap();
    let rest = list().max_results(1_000).next_token(first.next_token().unwrap());
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.queue_urls().len(), rest.next_token()), (5, None));
    assert!(rest.queue_urls()[0].ends_with("/page-1000.fifo"));
}

#[tokio::test]
async fn attributes_policies_and_tags_are_kept() {
    let stage = Stage::new().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let url = stage.queue("q.fifo", &[(Attribute::Policy, policy)]).await;
    let set = stage.sqs.set_queue_attributes().queue_url(&url);
    set.attributes(Attribute::VisibilityTimeout, "77").send().await.unwrap();
    let get = stage.sqs.get_queue_attributes().queue_url(&url);
    let got = get.attribute_names(Attribute::All).send().await.unwrap();
    let got = got.attributes().unwrap();
    assert_eq!(got[&Attribute::Policy], policy);
    assert_eq!(got[&Attribute::VisibilityTimeout], "77");
    assert_eq!(got[&Attribute::QueueArn], "arn:aws:sqs:us-east-1:000000000000:q.fifo");
    stage.sqs.tag_queue().queue_url(&url).tags("team", "cap").tags("x", "y").send().await.unwrap();
    stage.sqs.untag_queue().queue_url(&url).tag_keys("x").send().await.unwrap();
    let tags = stage.sqs.list_queue_tags().queue_url(&url).send().await.unwrap();
    assert_eq!(tags.tags().unwrap().len(), 1);
    assert_eq!(tags.tags().unwrap()["team"], "cap");
}

#[tokio::test]
async fn a_dead_letter_comes_back_by_a_move_task() {
    let stage = Stage::new().await;
    let dlq = stage.queue("q-dlq.fifo", &[]).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:q-dlq.fifo";
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"1"}}"#);
    let url = stage.queue("q.fifo", &[(Attribute::RedrivePolicy, &policy)]).await;
    stage.send(&url, "a", "1").await;
    let original = stage.receive(&url).await;
    stage.broker.advance(Duration::from_secs(30));
    assert!(stage.receive(&url).await.is_empty());
    let sources = stage.sqs.list_dead_letter_source_queues().queue_url(&dlq).send().await.unwrap();
    assert_eq!(sources.queue_urls(), std::slice::from_ref(&url));
    stage.sqs.start_message_move_task().source_arn(arn).send().await.unwrap();
    let poll = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(10);
    let back = poll.send().await.unwrap().messages.unwrap();
    assert_eq!(bodies(&back), ["1"]);
    assert_ne!(back[0].message_id(), original[0].message_id());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let tasks = stage.sqs.list_message_move_tasks().source_arn(arn).send().await.unwrap();
    assert_eq!(tasks.results()[0].status(), Some("COMPLETED"));
}
