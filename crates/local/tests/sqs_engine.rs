//! Queues together: names, attributes, dead letters, move tasks; and what a send refuses.

mod sqs_support;

use std::sync::Arc;

use cap_local::sqs::{
    Engine, EngineConfig, SqsError,
    attributes::{AttributeMap, QueueSettings},
    engine::{NamedQueue, Silent},
    message::{AttributeValue, Draft, MessageAttribute},
    move_task::MoveStatus,
    queue::{Delivery, Receive},
};
use sqs_support::{START, attributes, bodies, draft};

const FIFO: &[(&str, &str)] = &[("FifoQueue", "true")];

struct Account {
    engine: Engine,
    now: u64,
}

impl Account {
    fn new() -> Self {
        Self { engine: Engine::new(EngineConfig::default()), now: START }
    }

    fn create(
        &self,
        name: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Arc<NamedQueue<Silent>>, SqsError> {
        self.engine.create_queue(name, &attributes(pairs), AttributeMap::new(), self.now)
    }

    /// `orders.fifo`, whose messages go to `orders-dlq.fifo` after `receives`.
    fn with_dead_letters(
        receives: u32,
    ) -> (Self, Arc<NamedQueue<Silent>>, Arc<NamedQueue<Silent>>) {
        let account = Self::new();
        let dlq = account.create("orders-dlq.fifo", FIFO).expect("the dead-letter queue");
        let policy =
            format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{receives}}}"#, dlq.arn);
        let orders = account
            .create("orders.fifo", &[("FifoQueue", "true"), ("RedrivePolicy", &policy)])
            .expect("the queue");
        (account, orders, dlq)
    }

    fn send(&self, queue: &NamedQueue<Silent>, group: &str, body: &str) -> String {
        let payload = draft(group, body, Some(body)).check(&queue.settings());
        queue.send(payload.expect("a good message"), self.now).id.to_string()
    }

    fn receive(&self, queue: &NamedQueue<Silent>) -> Vec<Delivery> {
        self.engine.receive(queue, Receive::default(), self.now).expect("a receive")
    }

    fn move_all(&mut self) {
        while self.engine.step_move_tasks(self.now) {
            self.now += 10;
        }
    }

    fn bury_all(&mut self, queue: &NamedQueue<Silent>) {
        self.receive(queue);
        self.now += 30_000;
        assert!(self.receive(queue).is_empty());
    }
}

#[test]
fn redrive_policy_moves_to_the_dlq_after_max_receive_count() {
    let (mut account, orders, dlq) = Account::with_dead_letters(2);
    let id = account.send(&orders, "a", "1");
    account.send(&orders, "a", "2");
    for receives in 1..=2 {
        assert_eq!(account.receive(&orders)[0].receive_count, receives);
        account.now += 30_000;
    }
    assert!(account.receive(&orders).is_empty(), "both were received twice");
    let dead = account.receive(&dlq);
    assert_eq!(bodies(&dead), ["1", "2"]);
    assert_eq!(dead[0].id.to_string(), id, "the message id stays");
    assert_eq!(&*dead[0].payload.group_id, "a", "the group id stays");
    assert_eq!(*dead[0].payload.dedup_id, *id, "the dedup id becomes the message id");
    assert_eq!(dead[0].payload.dead_letter_source_arn.as_deref(), Some(&*orders.arn));
    assert_eq!(dead[0].receive_count, 3, "counted over all queues");
    assert_eq!(dead[0].sent_at, account.now, "retention starts anew");
}

#[test]
fn a_native_move_lets_the_next_of_the_group_pass() {
    let (mut account, orders, dlq) = Account::with_dead_letters(1);
    account.send(&orders, "a", "1");
    account.receive(&orders);
    account.send(&orders, "a", "2");
    account.now += 30_000;
    assert_eq!(bodies(&account.receive(&orders)), ["2"]);
    assert_eq!(bodies(&account.receive(&dlq)), ["1"]);
}

#[test]
fn a_dead_letter_queue_must_exist_and_be_fifo() {
    let account = Account::new();
    for target in ["missing.fifo", "standard"] {
        let policy = format!(
            r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"3"}}"#,
            account.engine.arn_of(target)
        );
        let refused =
            account.create("q.fifo", &[("FifoQueue", "true"), ("RedrivePolicy", &policy)]);
        assert!(matches!(refused, Err(SqsError::InvalidParameterValue(_))), "{target}");
    }
}

#[test]
fn dead_letter_sources_are_listed() {
    let (account, orders, dlq) = Account::with_dead_letters(3);
    assert_eq!(account.engine.dead_letter_sources(&dlq.arn), [Arc::clone(&orders.name)]);
    assert!(account.engine.dead_letter_sources(&orders.arn).is_empty());
}

#[test]
fn a_move_task_appends_behind_live_messages_with_new_ids() {
    let (mut account, orders, dlq) = Account::with_dead_letters(1);
    let old = account.send(&orders, "a", "1");
    account.send(&orders, "a", "2");
    account.bury_all(&orders);
    account.send(&orders, "a", "live");
    account.engine.start_move_task(&dlq.arn, None, None, account.now).unwrap();
    account.move_all();
    let received = account.receive(&orders);
    assert_eq!(bodies(&received), ["live", "1", "2"]);
    assert_ne!(received[1].id.to_string(), old);
    assert_eq!(received[1].receive_count, 1);
    let task = &account.engine.list_move_tasks(&dlq.arn, 1).unwrap()[0];
    assert_eq!((task.status, task.moved, task.to_move), (MoveStatus::Completed, 2, 2));
}

#[test]
fn a_move_task_takes_a_given_destination_and_a_rate() {
    let (mut account, orders, dlq) = Account::with_dead_letters(1);
    let repair = account.create("repair.fifo", FIFO).unwrap();
    for body in ["1", "2", "3"] {
        account.send(&orders, "a", body);
    }
    account.bury_all(&orders);
    let start = |now| account.engine.start_move_task(&dlq.arn, Some(&repair.arn), Some(1), now);
    let handle = start(account.now).unwrap();
    assert!(matches!(start(account.now), Err(SqsError::UnsupportedOperation(_))), "one at a time");
    account.engine.step_move_tasks(account.now);
    assert_eq!(repair.counts(account.now).visible, 1);
    account.engine.step_move_tasks(account.now + 1_000);
    assert_eq!(repair.counts(account.now).visible, 2);
    assert_eq!(account.engine.cancel_move_task(&handle), Ok(2));
    account.move_all();
    assert_eq!(bodies(&account.receive(&repair)), ["1", "2"]);
    assert_eq!(bodies(&account.receive(&dlq)), ["3"], "what was not moved stays");
}

#[test]
fn a_move_task_fails_at_a_message_without_a_source() {
    let (mut account, _, dlq) = Account::with_dead_letters(1);
    account.send(&dlq, "a", "direct");
    account.engine.start_move_task(&dlq.arn, None, None, account.now).unwrap();
    account.move_all();
    let task = &account.engine.list_move_tasks(&dlq.arn, 1).unwrap()[0];
    assert_eq!(task.failure, Some("CouldNotDetermineMessageSource"));
    assert_eq!(dlq.counts(account.now).visible, 1);
}

#[test]
fn a_move_task_starts_only_on_a_dead_letter_queue() {
    let (account, orders, _) = Account::with_dead_letters(1);
    let refused = account.engine.start_move_task(&orders.arn, None, None, account.now);
    assert!(matches!(refused, Err(SqsError::InvalidParameterValue(_))));
    let refused = account.engine.start_move_task("arn:aws:sqs:x:y:z.fifo", None, None, account.now);
    assert!(matches!(refused, Err(SqsError::ResourceNotFound(_))));
}

#[test]
fn fifo_names_end_in_fifo_and_need_fifo_queue_true() {
    let long = format!("{}.fifo", "n".repeat(76));
    let longest = format!("{}.fifo", "n".repeat(75));
    for (name, fifo, accepted) in [
        ("orders.fifo", Some("true"), true),
        (longest.as_str(), Some("true"), true),
        (long.as_str(), Some("true"), false),
        ("orders.fifo", None, false),
        ("orders", Some("true"), false),
        ("or ders.fifo", Some("true"), false),
        (".fifo", Some("true"), false),
    ] {
        let pairs: Vec<_> = fifo.iter().map(|value| ("FifoQueue", *value)).collect();
        assert_eq!(Account::new().create(name, &pairs).is_ok(), accepted, "{name} {fifo:?}");
    }
}

#[test]
fn standard_queues_are_refused_with_a_clear_sentence() {
    let refused = Account::new().create("orders", &[]).err().unwrap();
    assert!(refused.to_string().starts_with("This broker has FIFO queues only"));
}

#[test]
fn create_queue_is_idempotent_with_the_same_attributes() {
    let account = Account::new();
    let minute = &[("FifoQueue", "true"), ("VisibilityTimeout", "60")];
    let created = account.create("q.fifo", minute).unwrap();
    assert!(Arc::ptr_eq(&created, &account.create("q.fifo", minute).unwrap()));
    assert!(Arc::ptr_eq(&created, &account.create("q.fifo", FIFO).unwrap()));
    let other = account.create("q.fifo", &[("FifoQueue", "true"), ("VisibilityTimeout", "61")]);
    assert!(matches!(other, Err(SqsError::QueueNameExists(_))));
}

#[test]
fn a_deleted_name_rests_for_a_minute() {
    let mut account = Account::new();
    account.create("q.fifo", FIFO).unwrap();
    account.engine.delete_queue("q.fifo", account.now).unwrap();
    assert_eq!(account.engine.queue("q.fifo").err(), Some(SqsError::QueueDoesNotExist));
    assert_eq!(account.create("q.fifo", FIFO).err(), Some(SqsError::QueueDeletedRecently));
    account.now += 60_000;
    account.create("q.fifo", FIFO).unwrap();
}

#[test]
fn purge_is_allowed_once_a_minute() {
    let account = Account::new();
    let queue = account.create("q.fifo", FIFO).unwrap();
    queue.purge(account.now).unwrap();
    assert!(matches!(queue.purge(account.now + 59_999), Err(SqsError::PurgeQueueInProgress(_))));
    queue.purge(account.now + 60_000).unwrap();
}

#[test]
fn attributes_out_of_range_are_refused() {
    for (name, value, accepted) in [
        ("VisibilityTimeout", "43200", true),
        ("VisibilityTimeout", "43201", false),
        ("MessageRetentionPeriod", "59", false),
        ("MessageRetentionPeriod", "1209600", true),
        ("DelaySeconds", "901", false),
        ("ReceiveMessageWaitTimeSeconds", "21", false),
        ("MaximumMessageSize", "1048576", true),
        ("MaximumMessageSize", "1048577", false),
        ("DeduplicationScope", "group", false),
        ("FifoThroughputLimit", "perMessageGroupId", false),
        ("ContentBasedDeduplication", "yes", false),
        ("Policy", "not json", false),
        ("Policy", r#"{"Version":"2012-10-17"}"#, true),
        ("RedrivePolicy", r#"{"maxReceiveCount":3}"#, false),
        ("NoSuchAttribute", "1", false),
    ] {
        let settings = QueueSettings::created_with(&attributes(&[(name, value)]));
        assert_eq!(settings.is_ok(), accepted, "{name}={value}");
    }
    let high_throughput =
        [("DeduplicationScope", "messageGroup"), ("FifoThroughputLimit", "perMessageGroupId")];
    QueueSettings::created_with(&attributes(&high_throughput)).unwrap();
}

fn refused(change: impl FnOnce(&mut Draft)) -> &'static str {
    let mut message = draft("a", "body", Some("id"));
    change(&mut message);
    message.check(&QueueSettings::default()).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn a_send_is_refused_with_sqs_own_codes() {
    assert_eq!(refused(|_| {}), "accepted");
    assert_eq!(refused(|message| message.body.clear()), "MissingParameter");
    assert_eq!(refused(|message| message.group_id = None), "MissingParameter");
    assert_eq!(refused(|message| message.group_id = Some("a b".into())), "InvalidParameterValue");
    assert_eq!(refused(|message| message.dedup_id = None), "InvalidParameterValue");
    assert_eq!(
        refused(|message| message.dedup_id = Some("x".repeat(129))),
        "InvalidParameterValue"
    );
    assert_eq!(refused(|message| message.delay_secs = Some(1)), "InvalidParameterValue");
    for bad in ["\u{0}", "\u{b}", "\u{fffe}", "\u{ffff}"] {
        assert_eq!(refused(|message| message.body.push_str(bad)), "InvalidMessageContents");
    }
    assert_eq!(refused(|message| message.body.push_str("\t\r\n\u{10ffff}")), "accepted");
    assert_eq!(refused(|message| message.body = "x".repeat(1_048_576)), "accepted");
    assert_eq!(refused(|message| message.body = "x".repeat(1_048_577)), "InvalidParameterValue");
    let attribute = MessageAttribute {
        data_type: "String".to_owned(),
        value: AttributeValue::Text("value".to_owned()),
    };
    let many =
        |count: usize| (0..count).map(|number| (format!("n{number}"), attribute.clone())).collect();
    assert_eq!(refused(|message| message.attributes = many(10)), "accepted");
    assert_eq!(refused(|message| message.attributes = many(11)), "InvalidParameterValue");
    assert_eq!(
        refused(|message| {
            message.body = "x".repeat(1_048_576);
            message.attributes = many(1);
        }),
        "InvalidParameterValue",
        "attributes count towards the size"
    );
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    let ids = || {
        let account = Account::new();
        let queue = account.create("q.fifo", FIFO).unwrap();
        account.send(&queue, "a", "1")
    };
    assert_eq!(ids(), ids());
}
