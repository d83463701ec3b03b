//! A queue's attributes: parsed once from their text, typed from then on.
//!
//! Guarantees that settings which exist are settings that SQS would have accepted for a FIFO
//! queue. Knows nothing of other queues: whether a dead-letter queue exists is the engine's
//! question.
//! Source: Amazon SQS API Reference, "CreateQueue" and "SetQueueAttributes"; Amazon SQS
//! Developer Guide, "High throughput for FIFO queues" and "Using dead-letter queues".

use std::{collections::BTreeMap, str::FromStr};

use serde::Deserialize;

use super::error::SqsError;

/// The most bytes of a message, and of a whole batch: 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;
/// Twelve hours: the longest that a message can stay invisible after a receive.
pub const VISIBILITY_TIMEOUT_SECS_MAX: u32 = 43_200;
/// The longest that a receive waits for messages.
pub const RECEIVE_WAIT_SECS_MAX: u32 = 20;

/// Attributes by their names on the wire.
pub type AttributeMap = BTreeMap<String, String>;

/// What a deduplication id is unique in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DedupScope {
    /// The whole queue, the default.
    Queue,
    /// The message group.
    MessageGroup,
}

/// Where SQS counts its throughput quota. Kept and shown; this broker has no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThroughputLimit {
    /// The whole queue, the default.
    PerQueue,
    /// Each message group; only together with [`DedupScope::MessageGroup`].
    PerMessageGroupId,
}

/// Where messages go that have been received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue.
    pub dead_letter_arn: String,
    /// The receives that a message is given before it is moved.
    pub receive_count_max: u32,
    /// The policy as it was written.
    text: String,
}

/// The settable attributes of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message stays invisible, unless the receive says otherwise.
    pub visibility_timeout_secs: u32,
    /// How long a message is kept.
    pub retention_secs: u32,
    /// How long every new message stays invisible.
    pub delay_secs: u32,
    /// How long a receive waits, unless it says otherwise.
    pub receive_wait_secs: u32,
    /// The most bytes of one message, attributes included.
    pub message_bytes_max: usize,
    /// Whether the body's SHA-256 stands in for an absent deduplication id.
    pub content_based_dedup: bool,
    /// What a deduplication id is unique in.
    pub dedup_scope: DedupScope,
    /// Where the throughput quota is counted.
    pub throughput_limit: ThroughputLimit,
    /// The dead-letter queue, if any.
    pub redrive_policy: Option<RedrivePolicy>,
    /// Attributes that are kept and shown and change nothing here: policy, keys, encryption.
    kept: AttributeMap,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            visibility_timeout_secs: 30,
            retention_secs: 345_600,
            delay_secs: 0,
            receive_wait_secs: 0,
            message_bytes_max: MESSAGE_BYTES_MAX,
            content_based_dedup: false,
            dedup_scope: DedupScope::Queue,
            throughput_limit: ThroughputLimit::PerQueue,
            redrive_policy: None,
            kept: AttributeMap::from([("SqsManagedSseEnabled".to_owned(), "true".to_owned())]),
        }
    }
}

impl QueueSettings {
    /// The settings of a new queue.
    ///
    /// # Errors
    /// As [`Self::changed_by`].
    pub fn created_with(attributes: &AttributeMap) -> Result<Self, SqsError> {
        Self::default().changed_by(attributes)
    }

    /// These settings with some attributes changed.
    ///
    /// # Errors
    /// [`SqsError::InvalidAttributeName`] for a name that cannot be set,
    /// [`SqsError::InvalidAttributeValue`] for a value out of its range.
    pub fn changed_by(&self, attributes: &AttributeMap) -> Result<Self, SqsError> {
        let mut changed = self.clone();
        for (name, value) in attributes {
            changed.set(name, value)?;
        }
        if changed.throughput_limit == ThroughputLimit::PerMessageGroupId
            && changed.dedup_scope != DedupScope::MessageGroup
        {
            return Err(SqsError::InvalidAttributeValue(
                "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.".to_owned(),
            ));
        }
        Ok(changed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        match name {
            "VisibilityTimeout" => {
                self.visibility_timeout_secs = number(name, value, 0, VISIBILITY_TIMEOUT_SECS_MAX)?;
            }
            "MessageRetentionPeriod" => self.retention_secs = number(name, value, 60, 1_209_600)?,
            "DelaySeconds" => self.delay_secs = number(name, value, 0, 900)?,
            "ReceiveMessageWaitTimeSeconds" => {
                self.receive_wait_secs = number(name, value, 0, RECEIVE_WAIT_SECS_MAX)?;
            }
            "MaximumMessageSize" => {
                self.message_bytes_max = number(name, value, 1_024, MESSAGE_BYTES_MAX)?;
            }
            "FifoQueue" => {
                if value != "true" {
                    return Err(invalid(name));
                }
            }
            "ContentBasedDeduplication" => self.content_based_dedup = flag(name, value)?,
            "DeduplicationScope" => {
                self.dedup_scope = match value {
                    "queue" => DedupScope::Queue,
                    "messageGroup" => DedupScope::MessageGroup,
                    _ => return Err(invalid(name)),
                }
            }
            "FifoThroughputLimit" => {
                self.throughput_limit = match value {
                    "perQueue" => ThroughputLimit::PerQueue,
                    "perMessageGroupId" => ThroughputLimit::PerMessageGroupId,
                    _ => return Err(invalid(name)),
                }
            }
            "RedrivePolicy" => {
                self.redrive_policy =
                    if value.is_empty() { None } else { Some(RedrivePolicy::parse(value)?) };
            }
            "SqsManagedSseEnabled" => {
                flag(name, value)?;
                self.keep(name, value);
            }
            "Policy" | "RedriveAllowPolicy" => {
                if !value.is_empty() && serde_json::from_str::<serde_json::Value>(value).is_err() {
                    return Err(invalid(name));
                }
                self.keep(name, value);
            }
            "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds" => self.keep(name, value),
            _ => return Err(SqsError::InvalidAttributeName(name.to_owned())),
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.kept.remove(name);
        } else {
            self.kept.insert(name.to_owned(), value.to_owned());
        }
    }

    /// All settable attributes that have a value, as they read on the wire.
    #[must_use]
    pub fn to_attributes(&self) -> AttributeMap {
        let mut attributes = self.kept.clone();
        let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value);
        put("VisibilityTimeout", self.visibility_timeout_secs.to_string());
        put("MessageRetentionPeriod", self.retention_secs.to_string());
        put("DelaySeconds", self.delay_secs.to_string());
        put("ReceiveMessageWaitTimeSeconds", self.receive_wait_secs.to_string());
        put("MaximumMessageSize", self.message_bytes_max.to_string());
        put("FifoQueue", "true".to_owned());
        put("ContentBasedDeduplication", self.content_based_dedup.to_string());
        put(
            "DeduplicationScope",
            match self.dedup_scope {
                DedupScope::Queue => "queue".to_owned(),
                DedupScope::MessageGroup => "messageGroup".to_owned(),
            },
        );
        put(
            "FifoThroughputLimit",
            match self.throughput_limit {
                ThroughputLimit::PerQueue => "perQueue".to_owned(),
                ThroughputLimit::PerMessageGroupId => "perMessageGroupId".to_owned(),
            },
        );
        if let Some(policy) = &self.redrive_policy {
            put("RedrivePolicy", policy.text.clone());
        }
        attributes
    }

    /// The first attribute of `requested` whose value is another one here.
    pub(crate) fn conflict_with<'a>(
        &self,
        requested: &'a AttributeMap,
    ) -> Result<Option<&'a str>, SqsError> {
        let mine = self.to_attributes();
        let wanted = self.changed_by(requested)?.to_attributes();
        Ok(requested.keys().find(|name| mine.get(*name) != wanted.get(*name)).map(String::as_str))
    }
}

#[derive(Deserialize)]
struct RedrivePolicyText {
    #[serde(rename = "deadLetterTargetArn")]
    dead_letter_arn: String,
    #[serde(rename = "maxReceiveCount")]
    receive_count_max: serde_json::Value,
}

impl RedrivePolicy {
    fn parse(text: &str) -> Result<Self, SqsError> {
        let bad = |why: &str| SqsError::bad_parameter("RedrivePolicy", text, why);
        let policy: RedrivePolicyText = serde_json::from_str(text).map_err(|_| {
            bad("Redrive policy does not contain mandatory attributes: maxReceiveCount, deadLetterTargetArn.")
        })?;
        // Consoles and templates write the count as a number or as text; SQS takes both.
        let count = match &policy.receive_count_max {
            serde_json::Value::String(count) => count.parse().ok(),
            count => count.as_u64(),
        };
        let receive_count_max = count
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| (1..=1_000).contains(count))
            .ok_or_else(|| bad("Invalid value for maxReceiveCount: must be between 1 and 1000."))?;
        if !policy.dead_letter_arn.ends_with(".fifo") {
            return Err(bad("Dead-letter queue must be same type of queue as the source."));
        }
        Ok(Self {
            dead_letter_arn: policy.dead_letter_arn,
            receive_count_max,
            text: text.to_owned(),
        })
    }
}

fn number<N: FromStr + PartialOrd>(name: &str, value: &str, min: N, max: N) -> Result<N, SqsError> {
    value
        .parse()
        .ok()
        .filter(|number| *number >= min && *number <= max)
        .ok_or_else(|| invalid(name))
}

fn flag(name: &str, value: &str) -> Result<bool, SqsError> {
    value.parse().map_err(|_| invalid(name))
}

fn invalid(name: &str) -> SqsError {
    SqsError::InvalidAttributeValue(format!("Invalid value for the parameter {name}."))
}
