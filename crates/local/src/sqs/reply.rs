//! The JSON that operations answer.
//!
//! Guarantees that a client which checks MD5 digests (boto3 does) finds them right, also when
//! it asked for some of a message's attributes only.
//! Source: Amazon SQS API Reference, "Response Syntax" of each action; "Message".

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Serialize;

use super::{
    error::SqsError,
    message::{AttributeValue, Md5Digest, MessageAttribute, Payload, digest_of_attributes},
    queue::{Accepted, Delivery},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_id: String,
    sequence_number: String,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    system_attributes_md5: Option<String>,
}

/// The digests of a message that is about to be stored.
pub(crate) struct Digests {
    body: Md5Digest,
    attributes: Option<Md5Digest>,
    system_attributes: Option<Md5Digest>,
}

impl Digests {
    pub(crate) fn of(payload: &Payload) -> Self {
        Self {
            body: payload.body_md5,
            attributes: payload.attributes_md5,
            system_attributes: payload.system_attributes_md5(),
        }
    }
}

impl Sent {
    pub(crate) fn new(id: Option<String>, accepted: Accepted, digests: &Digests) -> Self {
        Self {
            id,
            message_id: accepted.id.to_string(),
            sequence_number: accepted.sequence.to_string(),
            body_md5: hex::encode(digests.body),
            attributes_md5: digests.attributes.map(hex::encode),
            system_attributes_md5: digests.system_attributes.map(hex::encode),
        }
    }
}

/// An entry of a batch that went well and has nothing to say.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Done {
    pub(crate) id: String,
}

/// An entry of a batch that did not go well.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FailedEntry {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

impl FailedEntry {
    pub(crate) fn new(id: String, error: &SqsError) -> Self {
        Self {
            id,
            sender_fault: error.sender_fault(),
            code: error.code(),
            message: error.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchReply<T> {
    pub(crate) successful: Vec<T>,
    pub(crate) failed: Vec<FailedEntry>,
}

/// The system attributes that a receive asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WantedSystem {
    any: bool,
    sender_id: bool,
    sent_timestamp: bool,
    receive_count: bool,
    first_receive: bool,
    sequence_number: bool,
    dedup_id: bool,
    group_id: bool,
    trace_header: bool,
    dead_letter_source: bool,
}

impl WantedSystem {
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut wanted = Self::default();
        for name in names {
            wanted.any = true;
            let all = name == "All";
            wanted.sender_id |= all || name == "SenderId";
            wanted.sent_timestamp |= all || name == "SentTimestamp";
            wanted.receive_count |= all || name == "ApproximateReceiveCount";
            wanted.first_receive |= all || name == "ApproximateFirstReceiveTimestamp";
            wanted.sequence_number |= all || name == "SequenceNumber";
            wanted.dedup_id |= all || name == "MessageDeduplicationId";
            wanted.group_id |= all || name == "MessageGroupId";
            wanted.trace_header |= all || name == "AWSTraceHeader";
            wanted.dead_letter_source |= all || name == "DeadLetterQueueSourceArn";
        }
        wanted
    }
}

#[derive(Serialize)]
struct SystemAttributes<'a> {
    #[serde(rename = "SenderId", skip_serializing_if = "Option::is_none")]
    sender_id: Option<&'a str>,
    #[serde(rename = "SentTimestamp", skip_serializing_if = "Option::is_none")]
    sent_timestamp: Option<String>,
    #[serde(rename = "ApproximateReceiveCount", skip_serializing_if = "Option::is_none")]
    receive_count: Option<String>,
    #[serde(rename = "ApproximateFirstReceiveTimestamp", skip_serializing_if = "Option::is_none")]
    first_receive: Option<String>,
    #[serde(rename = "SequenceNumber", skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
    #[serde(rename = "MessageDeduplicationId", skip_serializing_if = "Option::is_none")]
    dedup_id: Option<&'a str>,
    #[serde(rename = "MessageGroupId", skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(rename = "AWSTraceHeader", skip_serializing_if = "Option::is_none")]
    trace_header: Option<&'a str>,
    #[serde(rename = "DeadLetterQueueSourceArn", skip_serializing_if = "Option::is_none")]
    dead_letter_source: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeReply<'a> {
    data_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// One message, as a consumer sees it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageReply<'a> {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    body_md5: String,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<SystemAttributes<'a>>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, AttributeReply<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Received<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) messages: Vec<MessageReply<'a>>,
}

impl<'a> MessageReply<'a> {
    pub(crate) fn new(
        delivery: &'a Delivery,
        sender_id: &'a str,
        system: WantedSystem,
        wanted_names: &[String],
    ) -> Self {
        let payload = &delivery.payload;
        let attributes = system.any.then(|| SystemAttributes {
            sender_id: system.sender_id.then_some(sender_id),
            sent_timestamp: system.sent_timestamp.then(|| delivery.sent_at.to_string()),
            receive_count: system.receive_count.then(|| delivery.receive_count.to_string()),
            first_receive: system.first_receive.then(|| delivery.first_received_at.to_string()),
            sequence_number: system.sequence_number.then(|| delivery.sequence.to_string()),
            dedup_id: system.dedup_id.then_some(&*payload.dedup_id),
            group_id: system.group_id.then_some(&*payload.group_id),
            trace_header: payload.trace_header.as_deref().filter(|_| system.trace_header),
            dead_letter_source: payload
                .dead_letter_source_arn
                .as_deref()
                .filter(|_| system.dead_letter_source),
        });
        let shown: Vec<&(String, MessageAttribute)> = payload
            .attributes
            .iter()
            .filter(|(name, _)| wanted_names.iter().any(|wanted| matches_name(wanted, name)))
            .collect();
        Self {
            message_id: delivery.id.to_string(),
            receipt_handle: delivery.handle.to_string(),
            body_md5: hex::encode(payload.body_md5),
            body: &payload.body,
            attributes,
            attributes_md5: digest_of_attributes(shown.iter().copied()).map(hex::encode),
            message_attributes: shown
                .into_iter()
                .map(|(name, attribute)| (name.as_str(), AttributeReply::new(attribute)))
                .collect(),
        }
    }
}

impl<'a> AttributeReply<'a> {
    fn new(attribute: &'a MessageAttribute) -> Self {
        let (string_value, binary_value) = match &attribute.value {
            AttributeValue::Text(text) => (Some(Cow::Borrowed(text.as_str())), None),
            AttributeValue::Binary(bytes) => (None, Some(BASE64.encode(bytes))),
        };
        Self { data_type: &attribute.data_type, string_value, binary_value }
    }
}

/// `All`, `.*`, a name, or a prefix that ends in `.*`.
fn matches_name(wanted: &str, name: &str) -> bool {
    wanted == "All"
        || wanted == name
        || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

/// An error of the JSON protocol.
#[derive(Serialize)]
pub(crate) struct ErrorReply {
    #[serde(rename = "__type")]
    pub(crate) json_type: &'static str,
    pub(crate) message: String,
}
