//! The pipeline's queues over SQS.
//!
//! Guarantees one result for every entry of a batch (Q21): also when SQS refuses the whole call
//! because of one entry, since then each is sent by itself. A receive that fails in transit is
//! repeated under its attempt id, so that what SQS handed out is not locked away (Q15).

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName as System, SendMessageBatchRequestEntry,
};
use cap_domain::routing::{QueueName, Routes};
use cap_domain::time::Timestamp;
use cap_pipeline::queues::{
    BATCH_ENTRIES_MAX, EntryFailure, EntryResult, Outgoing, Queues, Received, Unreachable,
    attribute,
};
use uuid::Uuid;

use crate::batch::{ATTRIBUTE_TYPE, results, split};
use crate::connect::{LONG_POLL_SECS_MAX, for_calls, for_long_polls};
use crate::directory::QueueDirectory;
use crate::unreachable::{back_off, status, unreachable, words};

/// How often a receive is tried under one attempt id.
const RECEIVE_TRIES_MAX: u32 = 3;
const RECEIVE_BACK_OFF_MILLIS: u64 = 50;
/// What SQS refuses a whole batch for although only an entry, or their sum, is at fault.
const FAULTS_OF_ENTRIES: [&str; 7] = [
    "BatchRequestTooLong",
    "InvalidAttributeValue",
    "InvalidBatchEntryId",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "MissingParameter",
];
const THROTTLED: [&str; 3] = ["RequestThrottled", "ThrottlingException", "Throttling"];

/// SQS, its queues addressed by name.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    calls: Client,
    long_polls: Client,
    directory: Arc<QueueDirectory>,
}

impl SqsQueues {
    /// The queues that `directory` lists.
    pub fn new(sqs: &Client, directory: Arc<QueueDirectory>) -> Self {
        Self { calls: for_calls(sqs), long_polls: for_long_polls(sqs), directory }
    }

    /// Where the names lead.
    pub fn directory(&self) -> &Arc<QueueDirectory> {
        &self.directory
    }

    async fn url(&self, doing: &str, queue: &QueueName) -> Result<Arc<str>, Unreachable> {
        if let Some(url) = self.directory.url(queue) {
            return Ok(url);
        }
        // It may have been created since the last listing.
        let attempted = || self.attempted(doing, queue);
        self.directory
            .refresh()
            .await
            .map_err(|error| Unreachable { attempted: attempted(), cause: error.to_string() })?;
        self.directory.url(queue).ok_or_else(|| Unreachable {
            attempted: attempted(),
            cause: "the queue does not exist".to_owned(),
        })
    }

    fn attempted(&self, doing: &str, queue: &QueueName) -> String {
        format!("{doing} {}", queue.to_name(self.directory.prefix()))
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        url: &str,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let entry = entry(index, message)
                .map_err(|error| self.unusable("sending to", queue, &error))?;
            entries.push(entry);
        }
        let call = self.calls.send_message_batch().queue_url(url).set_entries(Some(entries));
        match call.send().await {
            Ok(answer) => {
                let successful = answer.successful().iter().map(|entry| entry.id());
                Ok(results(messages.len(), successful, answer.failed()))
            }
            Err(error) if is_fault_of_entries(&error) => {
                tracing::warn!(
                    queue = %queue.to_name(self.directory.prefix()),
                    error = words(&error),
                    entries = messages.len(),
                    "a batch was refused as a whole: its messages are sent one by one"
                );
                self.send_singly(queue, url, messages).await
            }
            Err(error) => Err(unreachable(self.attempted("sending to", queue), &error)),
        }
    }

    async fn send_singly(
        &self,
        queue: &QueueName,
        url: &str,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            let attributes =
                attributes(message).map_err(|error| self.unusable("sending to", queue, &error))?;
            let call = self
                .calls
                .send_message()
                .queue_url(url)
                .message_group_id(&message.message_group_id)
                .message_deduplication_id(&message.deduplication_id)
                .message_body(&message.body)
                .set_message_attributes(Some(attributes));
            results.push(match call.send().await {
                Ok(_) => Ok(()),
                // What went before is sent: from here on a failure is this entry's alone.
                Err(error) => Err(EntryFailure {
                    code: error.code().unwrap_or("Unreachable").to_owned(),
                    message: error.message().map_or_else(|| words(&error), ToOwned::to_owned),
                    sender_fault: is_fault_of_entries(&error),
                }),
            });
        }
        Ok(results)
    }

    fn unusable(&self, doing: &str, queue: &QueueName, error: &BuildError) -> Unreachable {
        Unreachable { attempted: self.attempted(doing, queue), cause: error.to_string() }
    }
}

#[async_trait]
impl Queues for SqsQueues {
    async fn receive(
        &self,
        queue: &QueueName,
        wait_secs: u32,
        visibility_secs: u32,
    ) -> Result<Vec<Received>, Unreachable> {
        let url = self.url("receiving from", queue).await?;
        let call = self
            .long_polls
            .receive_message()
            .queue_url(&*url)
            .max_number_of_messages(BATCH_ENTRIES_MAX as i32)
            .wait_time_seconds(wait_secs.min(LONG_POLL_SECS_MAX) as i32)
            .visibility_timeout(visibility_secs as i32)
            .message_system_attribute_names(System::SentTimestamp)
            .message_system_attribute_names(System::ApproximateReceiveCount)
            .message_system_attribute_names(System::MessageGroupId)
            .message_system_attribute_names(System::MessageDeduplicationId)
            .set_message_attribute_names(Some(attribute::READ.map(str::to_owned).to_vec()))
            .receive_request_attempt_id(Uuid::new_v4().to_string());
        let mut tries = 1;
        let answer = loop {
            match call.clone().send().await {
                Ok(answer) => break answer,
                Err(error) if tries < RECEIVE_TRIES_MAX && is_worth_repeating(&error) => {
                    back_off(tries, RECEIVE_BACK_OFF_MILLIS).await;
                    tries += 1;
                }
                Err(error) => {
                    return Err(unreachable(self.attempted("receiving from", queue), &error));
                }
            }
        };
        let received = answer.messages.unwrap_or_default().into_iter().map(received);
        received.collect::<Result<_, _>>().map_err(|missing| Unreachable {
            attempted: self.attempted("receiving from", queue),
            cause: format!("SQS gave a message without a usable {missing}"),
        })
    }

    async fn send(
        &self,
        queue: &QueueName,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let url = self.url("sending to", queue).await?;
        let mut results = Vec::with_capacity(messages.len());
        for batch in split(messages) {
            results.extend(self.send_batch(queue, &url, &messages[batch]).await?);
        }
        Ok(results)
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let doing = "deleting from";
        let url = self.url(doing, queue).await?;
        let mut all = Vec::with_capacity(receipt_handles.len());
        for handles in receipt_handles.chunks(BATCH_ENTRIES_MAX) {
            let entries = handles.iter().enumerate().map(|(index, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder();
                entry.id(index.to_string()).receipt_handle(*handle).build()
            });
            let entries = entries.collect::<Result<_, _>>();
            let entries = entries.map_err(|error| self.unusable(doing, queue, &error))?;
            let call = self.calls.delete_message_batch().queue_url(&*url);
            let answer = call.set_entries(Some(entries)).send().await;
            let answer =
                answer.map_err(|error| unreachable(self.attempted(doing, queue), &error))?;
            let successful = answer.successful().iter().map(|entry| entry.id());
            all.extend(results(handles.len(), successful, answer.failed()));
        }
        Ok(all)
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
        visibility_secs: u32,
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let doing = "extending visibility in";
        let url = self.url(doing, queue).await?;
        let mut all = Vec::with_capacity(receipt_handles.len());
        for handles in receipt_handles.chunks(BATCH_ENTRIES_MAX) {
            let entries = handles.iter().enumerate().map(|(index, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(*handle)
                    .visibility_timeout(visibility_secs as i32)
                    .build()
            });
            let entries = entries.collect::<Result<_, _>>();
            let entries = entries.map_err(|error| self.unusable(doing, queue, &error))?;
            let call = self.calls.change_message_visibility_batch().queue_url(&*url);
            let answer = call.set_entries(Some(entries)).send().await;
            let answer =
                answer.map_err(|error| unreachable(self.attempted(doing, queue), &error))?;
            let successful = answer.successful().iter().map(|entry| entry.id());
            all.extend(results(handles.len(), successful, answer.failed()));
        }
        Ok(all)
    }

    async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
        self.directory.refresh().await.map_err(|error| Unreachable {
            attempted: "listing the queues again".to_owned(),
            cause: error.to_string(),
        })?;
        Ok(self.directory.routes())
    }
}

fn entry(index: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, BuildError> {
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_group_id(&message.message_group_id)
        .message_deduplication_id(&message.deduplication_id)
        .message_body(&message.body)
        .set_message_attributes(Some(attributes(message)?))
        .build()
}

type Attributes = std::collections::HashMap<String, MessageAttributeValue>;

fn attributes(message: &Outgoing) -> Result<Attributes, BuildError> {
    let attribute = |(name, text): &(&'static str, String)| {
        let value = MessageAttributeValue::builder().data_type(ATTRIBUTE_TYPE).string_value(text);
        Ok(((*name).to_owned(), value.build()?))
    };
    message.attributes.iter().map(attribute).collect()
}

/// The message, or the name of what it lacks.
fn received(message: Message) -> Result<Received, &'static str> {
    let mut system = message.attributes.unwrap_or_default();
    let mut take = |name: System, said: &'static str| system.remove(&name).ok_or(said);
    let sent_at = take(System::SentTimestamp, "SentTimestamp")?;
    let receives = take(System::ApproximateReceiveCount, "ApproximateReceiveCount")?;
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let attributes = attributes.filter_map(|(name, value)| Some((name, value.string_value?)));
    Ok(Received {
        attributes: attributes.collect(),
        message_group_id: take(System::MessageGroupId, "MessageGroupId")?,
        deduplication_id: take(System::MessageDeduplicationId, "MessageDeduplicationId")?,
        sent_at: Timestamp::from_millis(sent_at.parse().map_err(|_| "SentTimestamp")?),
        receives: receives.parse().map_err(|_| "ApproximateReceiveCount")?,
        message_id: message.message_id.ok_or("MessageId")?,
        receipt_handle: message.receipt_handle.ok_or("ReceiptHandle")?,
        body: message.body.ok_or("Body")?,
    })
}

fn is_fault_of_entries<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    // Codes come with or without `AWS.SimpleQueueService.` in front.
    let code = error.code().and_then(|code| code.rsplit('.').next());
    code.is_some_and(|code| FAULTS_OF_ENTRIES.contains(&code))
}

fn is_worth_repeating<E: ProvideErrorMetadata + Error>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(_) => {
            let throttled = error.code().is_some_and(|code| THROTTLED.contains(&code));
            throttled || status(error).is_none_or(|status| status >= 500)
        }
        _ => true,
    }
}
