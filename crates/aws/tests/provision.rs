//! Creating, listing and finding queues, through the real SDK against the embedded broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use aws_sdk_sqs::types::QueueAttributeName;
use cap_aws::directory::DirectoryError;
use cap_aws::provision::{Provisioned, create_queues, list_queues};
use cap_aws::{QueueDirectory, SqsQueues};
use cap_domain::lane::StageName;
use cap_domain::routing::{Channel, QueueName};
use cap_pipeline::queues::{Outgoing, Queues as _};
use support::{Stack, scopes};

const VISIBILITY_SECS: u32 = 60;

#[tokio::test]
async fn creating_queues_twice_is_idempotent_and_tells_what_differs() {
    let stack = Stack::start().await;
    let scopes = scopes(&["acme_spot", "zenith"]);
    let first = create_queues(&stack.aws.sqs, "test", &scopes).await.unwrap();
    let names: Vec<_> = first.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names.len(), 2 * (3 * 2 + 1));
    assert_eq!(names[..2], ["test-clearing-acme_spot.fifo", "test-clearing-acme_spot-dlq.fifo"]);
    assert_eq!(names[6], "test-outcome-acme_spot.fifo");
    assert!(first.iter().all(|queue| queue.found == Provisioned::Created));

    let again = create_queues(&stack.aws.sqs, "test", &scopes).await.unwrap();
    assert!(again.iter().all(|queue| queue.found == Provisioned::Existing(vec![])), "{again:?}");

    let listed = list_queues(&stack.aws.sqs, "test").await.unwrap();
    let url = stack.aws.sqs.get_queue_url().queue_name(names[0]).send().await.unwrap();
    stack
        .aws
        .sqs
        .set_queue_attributes()
        .set_queue_url(url.queue_url)
        .attributes(QueueAttributeName::VisibilityTimeout, "5")
        .send()
        .await
        .unwrap();
    let differing = create_queues(&stack.aws.sqs, "test", &scopes).await.unwrap();
    let Provisioned::Existing(differences) = &differing[0].found else { panic!("{differing:?}") };
    let [difference] = differences.as_slice() else { panic!("{differences:?}") };
    assert_eq!(
        (difference.attribute.as_str(), difference.wanted.as_str(), difference.found.as_deref()),
        ("VisibilityTimeout", "60", Some("5"))
    );
    assert_eq!(listed.len(), names.len());
}

#[tokio::test]
async fn a_listing_shows_attributes_and_how_many_messages_wait_and_are_worked_on() {
    let (stack, queues, queue) = start().await;
    let messages: Vec<_> = (1..=3).map(|n| message(n, "x")).collect();
    queues.send(&queue, &messages.iter().collect::<Vec<_>>()).await.unwrap();
    queues.receive(&queue, 5, VISIBILITY_SECS).await.unwrap();
    queues
        .send(&queue, &[&Outgoing { message_group_id: "retail_A-9".into(), ..message(9, "x") }])
        .await
        .unwrap();
    let listed = list_queues(&stack.aws.sqs, "").await.unwrap();
    let clearing = listed.iter().find(|listed| listed.queue == queue).unwrap();
    assert_eq!((clearing.visible, clearing.in_flight, clearing.delayed), (1, 3, 0));
    assert_eq!(clearing.attributes["FifoThroughputLimit"], "perMessageGroupId");
}

#[tokio::test]
async fn a_directory_resolves_to_the_most_specific_queue_and_learns_of_new_ones() {
    let (stack, queues, queue) = start().await;
    let account = "acme_spot_retail_A-1".parse().unwrap();
    let directory = queues.directory();
    let route = directory.routes().resolve(queue.channel, &account).unwrap();
    assert_eq!((&route.queue, route.message_group_id.as_str()), (&queue, "retail_A-1"));

    create_queues(&stack.aws.sqs, "", &scopes(&["acme_spot_retail"])).await.unwrap();
    directory.refresh().await.unwrap();
    let route = directory.routes().resolve(queue.channel, &account).unwrap();
    assert_eq!(route.queue.to_name(""), "clearing-acme_spot_retail.fifo");
    assert_eq!(route.message_group_id, "A-1");
}

#[tokio::test]
async fn a_directory_reads_every_page() {
    let stack = Stack::start().await;
    for n in 0..1_005 {
        let create = stack.aws.sqs.create_queue().queue_name(format!("outcome-c{n}.fifo"));
        create.attributes(QueueAttributeName::FifoQueue, "true").send().await.unwrap();
    }
    let directory = QueueDirectory::load(stack.aws.sqs.clone(), "").await.unwrap();
    assert_eq!(directory.routes().of(Channel::Outcome).count(), 1_005);
}

#[tokio::test]
async fn an_installation_without_queues_is_an_error_that_says_so() {
    let stack = Stack::start().await;
    stack.queues(&["acme_spot"]).await;
    let error = QueueDirectory::load(stack.aws.sqs.clone(), "elsewhere").await.unwrap_err();
    assert!(matches!(error, DirectoryError::Empty { .. }));
    assert!(error.to_string().contains("none is named elsewhere-clearing-company.fifo"), "{error}");
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
