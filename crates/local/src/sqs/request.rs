//! The JSON that operations take, parsed at the door.
//!
//! Guarantees nothing but shapes and ranges of single parameters. Text that is stored is read
//! into its own string once; all other text is borrowed from the request.
//! Source: Amazon SQS API Reference, "Request Syntax" of each action.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use super::{
    attributes::AttributeMap,
    error::SqsError,
    message::{AttributeValue, Draft, MessageAttribute, MessageAttributes},
    queue::BATCH_MAX,
};

/// Reads a request's body.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body)
        .map_err(|error| SqsError::MalformedInput(format!("cannot read the request: {error}")))
}

/// The parameters of all operations that take no messages; each reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct QueueRequest<'a> {
    #[serde(borrow)]
    pub(crate) queue_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) queue_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) queue_name_prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) next_token: Option<Cow<'a, str>>,
    pub(crate) max_results: Option<i64>,
    pub(crate) attribute_names: Vec<String>,
    pub(crate) attributes: AttributeMap,
    /// CreateQueue spells it in lower case.
    #[serde(rename = "tags")]
    pub(crate) tags_at_creation: AttributeMap,
    pub(crate) tags: AttributeMap,
    pub(crate) tag_keys: Vec<String>,
    #[serde(borrow)]
    pub(crate) source_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) destination_arn: Option<Cow<'a, str>>,
    pub(crate) max_number_of_messages_per_second: Option<u32>,
    #[serde(borrow)]
    pub(crate) task_handle: Option<Cow<'a, str>>,
}

/// SendMessage, and an entry of SendMessageBatch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SendRequest<'a> {
    #[serde(borrow, default)]
    pub(crate) queue_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(default)]
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, WireAttribute>,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, WireAttribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAttribute {
    #[serde(default)]
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl SendRequest<'_> {
    pub(crate) fn into_draft(self) -> Result<Draft, SqsError> {
        let mut trace_header = None;
        for (name, attribute) in self.message_system_attributes {
            if name != "AWSTraceHeader" {
                return Err(SqsError::InvalidParameterValue(format!(
                    "Message system attribute name '{name}' is invalid."
                )));
            }
            trace_header = attribute.string_value;
        }
        let attributes: Result<MessageAttributes, SqsError> = self
            .message_attributes
            .into_iter()
            .map(|(name, attribute)| {
                let attribute = attribute.parse(&name)?;
                Ok((name, attribute))
            })
            .collect();
        Ok(Draft {
            body: self.message_body,
            group_id: self.message_group_id,
            dedup_id: self.message_deduplication_id,
            delay_secs: self.delay_seconds,
            attributes: attributes?,
            trace_header,
        })
    }
}

impl WireAttribute {
    fn parse(self, name: &str) -> Result<MessageAttribute, SqsError> {
        let empty = || {
            SqsError::InvalidParameterValue(format!(
                "Message (user) attribute '{name}' must contain a non-empty value."
            ))
        };
        let value = if self.data_type.starts_with("Binary") {
            let text = self.binary_value.ok_or_else(empty)?;
            AttributeValue::Binary(BASE64.decode(text).map_err(|_| {
                SqsError::MalformedInput(format!("the value of attribute '{name}' is not base64"))
            })?)
        } else {
            AttributeValue::Text(self.string_value.ok_or_else(empty)?)
        };
        Ok(MessageAttribute { data_type: self.data_type, value })
    }
}

/// DeleteMessage, ChangeMessageVisibility, and an entry of their batches.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HandleRequest<'a> {
    #[serde(borrow, default)]
    pub(crate) queue_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) receipt_handle: Cow<'a, str>,
    pub(crate) visibility_timeout: Option<i64>,
}

/// ReceiveMessage.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReceiveRequest<'a> {
    #[serde(borrow, default)]
    pub(crate) queue_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) attribute_names: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) message_system_attribute_names: Vec<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) message_attribute_names: Vec<String>,
    pub(crate) max_number_of_messages: Option<i64>,
    pub(crate) visibility_timeout: Option<i64>,
    pub(crate) wait_time_seconds: Option<i64>,
    #[serde(borrow, default)]
    pub(crate) receive_request_attempt_id: Option<Cow<'a, str>>,
}

/// A batch of any kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Batch<'a, E> {
    #[serde(borrow, default)]
    pub(crate) queue_url: Option<Cow<'a, str>>,
    #[serde(default = "Vec::new")]
    pub(crate) entries: Vec<E>,
}

/// What an entry of a batch is told apart by.
pub(crate) trait Entry {
    /// The entry's name in SQS's refusal of an empty batch.
    const NAME: &'static str;
    fn id(&self) -> &str;
}

impl Entry for SendRequest<'_> {
    const NAME: &'static str = "SendMessageBatchRequestEntry";
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

impl Entry for HandleRequest<'_> {
    const NAME: &'static str = "BatchRequestEntry";
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

impl<E: Entry> Batch<'_, E> {
    /// The entries, when they are one to ten with distinct, well-formed ids.
    pub(crate) fn into_checked_entries(self) -> Result<Vec<E>, SqsError> {
        let entries = self.entries;
        if entries.is_empty() {
            return Err(SqsError::EmptyBatchRequest(E::NAME));
        }
        if entries.len() > BATCH_MAX {
            return Err(SqsError::TooManyEntriesInBatchRequest(entries.len()));
        }
        let well_formed = |id: &str| {
            (1..=80).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        for (place, entry) in entries.iter().enumerate() {
            if !well_formed(entry.id()) {
                return Err(SqsError::InvalidBatchEntryId);
            }
            if entries[..place].iter().any(|earlier| earlier.id() == entry.id()) {
                return Err(SqsError::BatchEntryIdsNotDistinct(entry.id().to_owned()));
            }
        }
        Ok(entries)
    }
}

/// A whole number within a range that SQS states.
pub(crate) fn within(
    parameter: &str,
    value: Option<i64>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, SqsError> {
    let Some(value) = value else {
        return Ok(default);
    };
    u32::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(|| {
        let why = format!("Must be between {} and {}, if provided.", range.start(), range.end());
        SqsError::bad_parameter(parameter, value, &why)
    })
}

/// The queue's name: the last part of its URL.
pub(crate) fn queue_name(queue_url: Option<&str>) -> Result<&str, SqsError> {
    let url = queue_url.filter(|url| !url.is_empty());
    let url = url.ok_or(SqsError::MissingParameter("QueueUrl"))?;
    Ok(url.rsplit('/').next().unwrap_or(url))
}

#[derive(Deserialize)]
struct OnlyQueue<'a> {
    #[serde(borrow, rename = "QueueUrl")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "QueueName")]
    name: Option<Cow<'a, str>>,
}

/// The queue that a request of any kind is about, if it is about one.
pub(crate) fn queue_named_in(body: &[u8]) -> Option<String> {
    let request: OnlyQueue<'_> = serde_json::from_slice(body).ok()?;
    let url = request.url.as_deref().and_then(|url| queue_name(Some(url)).ok());
    url.or(request.name.as_deref()).map(str::to_owned)
}
