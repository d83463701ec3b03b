//! A message: checked at the door, then carried unchanged behind one `Arc`.
//!
//! Guarantees that a [`Payload`] is within its queue's size, holds only characters that SQS
//! carries, and has a group and a deduplication id. Its digests are computed once, outside of
//! any queue's lock.
//! Source: Amazon SQS API Reference, "SendMessage"; Amazon SQS Developer Guide, "Amazon SQS
//! message metadata" (the MD5 of attributes).

use std::sync::Arc;

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{attributes::QueueSettings, error::SqsError};

/// The most attributes of one message.
pub const MESSAGE_ATTRIBUTES_MAX: usize = 10;
const ID_CHARS_MAX: usize = 128;

/// An MD5 digest, shown as hex on the wire.
pub type Md5Digest = [u8; 16];

/// A custom attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, with an optional custom label after a full stop.
    pub data_type: String,
    /// The value itself.
    pub value: AttributeValue,
}

/// The value of a custom attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A string or a number.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// Custom attributes by name, sorted.
pub type MessageAttributes = Vec<(String, MessageAttribute)>;

/// A message as its sender wrote it, not yet checked.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The body.
    pub body: String,
    /// The message group.
    pub group_id: Option<String>,
    /// The deduplication id.
    pub dedup_id: Option<String>,
    /// A delay of this message alone, which FIFO queues refuse.
    pub delay_secs: Option<i64>,
    /// Custom attributes in any order.
    pub attributes: MessageAttributes,
    /// The AWS X-Ray trace header.
    pub trace_header: Option<String>,
}

/// A message's content, as it is stored and delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The body.
    pub body: Box<str>,
    /// MD5 of the body.
    pub body_md5: Md5Digest,
    /// The message group.
    pub group_id: Arc<str>,
    /// The deduplication id: given, or the hex SHA-256 of the body.
    pub dedup_id: Box<str>,
    /// Custom attributes, sorted by name.
    pub attributes: MessageAttributes,
    /// MD5 of the custom attributes, if there are any.
    pub attributes_md5: Option<Md5Digest>,
    /// The AWS X-Ray trace header.
    pub trace_header: Option<Box<str>>,
    /// The queue that a redrive policy moved it from.
    pub dead_letter_source_arn: Option<Arc<str>>,
}

impl Draft {
    /// The bytes that count towards SQS's limits: body and attributes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, attribute)| {
            name.len() + attribute.data_type.len() + attribute.value.bytes().len()
        });
        self.body.len() + attributes.sum::<usize>()
    }

    /// Checks the draft against its queue.
    ///
    /// # Errors
    /// SQS's refusal of the first thing that is wrong.
    pub fn check(mut self, settings: &QueueSettings) -> Result<Payload, SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody"));
        }
        if self.size_bytes() > settings.message_bytes_max {
            return Err(SqsError::InvalidParameterValue(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                settings.message_bytes_max
            )));
        }
        if !self.body.chars().all(carried) {
            return Err(SqsError::InvalidMessageContents);
        }
        if let Some(delay) = self.delay_secs.filter(|delay| *delay != 0) {
            return Err(SqsError::bad_parameter(
                "DelaySeconds",
                delay,
                "The request include parameter that is not valid for this queue type.",
            ));
        }
        let group_id = self.group_id.ok_or(SqsError::MissingParameter("MessageGroupId"))?;
        check_id("MessageGroupId", &group_id)?;
        let dedup_id = match self.dedup_id {
            Some(id) => {
                check_id("MessageDeduplicationId", &id)?;
                id
            }
            None if settings.content_based_dedup => hex::encode(Sha256::digest(&self.body)),
            None => {
                return Err(SqsError::InvalidParameterValue(
                    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly".to_owned(),
                ));
            }
        };
        check_attributes(&self.attributes)?;
        self.attributes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Payload {
            body_md5: Md5::digest(self.body.as_bytes()).into(),
            body: self.body.into(),
            group_id: group_id.into(),
            dedup_id: dedup_id.into(),
            attributes_md5: digest_of_attributes(self.attributes.iter()),
            attributes: self.attributes,
            trace_header: self.trace_header.map(Into::into),
            dead_letter_source_arn: None,
        })
    }
}

impl Payload {
    /// MD5 of the system attributes that a sender can set, if any was.
    #[must_use]
    pub fn system_attributes_md5(&self) -> Option<Md5Digest> {
        let header = self.trace_header.as_ref()?;
        let attribute = (
            "AWSTraceHeader".to_owned(),
            MessageAttribute {
                data_type: "String".to_owned(),
                value: AttributeValue::Text(header.to_string()),
            },
        );
        digest_of_attributes([&attribute].into_iter())
    }
}

impl AttributeValue {
    /// The value's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// SQS's mark of how the value travels, part of the digest.
    fn transport_type(&self) -> u8 {
        match self {
            Self::Text(_) => 1,
            Self::Binary(_) => 2,
        }
    }
}

/// SQS's MD5 of attributes sorted by name; none for none.
pub fn digest_of_attributes<'a>(
    attributes: impl Iterator<Item = &'a (String, MessageAttribute)>,
) -> Option<Md5Digest> {
    let mut digest = None;
    for (name, attribute) in attributes {
        let md5 = digest.get_or_insert_with(Md5::new);
        let mut part = |bytes: &[u8]| {
            md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            md5.update(bytes);
        };
        part(name.as_bytes());
        part(attribute.data_type.as_bytes());
        md5.update([attribute.value.transport_type()]);
        let bytes = attribute.value.bytes();
        md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        md5.update(bytes);
    }
    digest.map(|md5| md5.finalize().into())
}

fn carried(character: char) -> bool {
    matches!(character,
        '\u{9}' | '\u{A}' | '\u{D}'
        | '\u{20}'..='\u{D7FF}'
        | '\u{E000}'..='\u{FFFD}'
        | '\u{10000}'..='\u{10FFFF}')
}

/// Group and deduplication ids: 1 to 128 letters, digits and punctuation.
fn check_id(parameter: &str, id: &str) -> Result<(), SqsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte.is_ascii_punctuation();
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.bytes().all(allowed) {
        return Err(SqsError::bad_parameter(
            parameter,
            id,
            &format!(
                "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
            ),
        ));
    }
    Ok(())
}

fn check_attributes(attributes: &MessageAttributes) -> Result<(), SqsError> {
    if attributes.len() > MESSAGE_ATTRIBUTES_MAX {
        return Err(SqsError::InvalidParameterValue(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MESSAGE_ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    for (name, attribute) in attributes {
        let base = attribute.data_type.split('.').next().unwrap_or_default();
        if !matches!(base, "String" | "Number" | "Binary") {
            return Err(SqsError::InvalidParameterValue(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String."
            )));
        }
        if attribute.value.bytes().is_empty() {
            return Err(SqsError::InvalidParameterValue(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{}'.",
                attribute.data_type
            )));
        }
        if let AttributeValue::Text(text) = &attribute.value
            && !text.chars().all(carried)
        {
            return Err(SqsError::InvalidMessageContents);
        }
    }
    Ok(())
}
