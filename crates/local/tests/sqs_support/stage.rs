//! A running broker and the official SDK's client of it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::io::{Read as _, Write as _};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::ProvideErrorMetadata,
    types::{
        BatchResultErrorEntry, Message, MessageSystemAttributeName as System,
        QueueAttributeName as Attribute, SendMessageBatchRequestEntry,
    },
};
use cap_local::sqs::{Broker, BrokerConfig, BrokerHandle, Fault, FaultPlan, FaultRule, Operation};

pub(crate) struct Stage {
    pub(crate) broker: BrokerHandle,
    pub(crate) sqs: Client,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(broker.endpoint_url())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "tests"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .build();
        Self { sqs: Client::from_conf(config), broker }
    }

    pub(crate) async fn queue(&self, name: &str, attributes: &[(Attribute, &str)]) -> String {
        let mut create = self.sqs.create_queue().queue_name(name);
        create = create.attributes(Attribute::FifoQueue, "true");
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), *value);
        }
        create.send().await.unwrap().queue_url.unwrap()
    }

    pub(crate) async fn send(&self, url: &str, group: &str, body: &str) {
        let send = self.sqs.send_message().queue_url(url).message_group_id(group);
        send.message_body(body).message_deduplication_id(body).send().await.unwrap();
    }

    pub(crate) async fn receive(&self, url: &str) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let receive = receive.message_system_attribute_names(System::All);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(crate) async fn delete(&self, url: &str, message: &Message) {
        let delete = self.sqs.delete_message().queue_url(url);
        delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }

    pub(crate) async fn batch(
        &self,
        url: &str,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<(usize, Vec<BatchResultErrorEntry>), String> {
        let send = self.sqs.send_message_batch().queue_url(url).set_entries(Some(entries));
        match send.send().await {
            Ok(sent) => Ok((sent.successful.len(), sent.failed)),
            Err(error) => Err(error.code().unwrap_or_default().to_owned()),
        }
    }

    pub(crate) fn faults(&self, fault: Fault, probability: f64, operation: Operation) {
        let rule = FaultRule { fault, probability, queue_prefix: None, operation: Some(operation) };
        self.broker.set_faults(FaultPlan { seed: 1, rules: vec![rule] }).unwrap();
    }

    /// One request of plain HTTP, and the whole answer.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.broker.endpoint_url().replace("http://", "");
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

pub(crate) fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(body)
        .message_group_id("a")
        .message_deduplication_id(id)
        .build()
        .unwrap()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}
