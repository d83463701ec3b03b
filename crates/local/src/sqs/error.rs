//! What SQS answers when it refuses: one enum, one variant a code.
//!
//! Guarantees that every refusal carries the three things a client looks at: the JSON
//! protocol's `__type`, the older query protocol's code (which SDKs prefer when the
//! `x-amzn-query-error` header is present) and whose fault it was.
//! Source: Amazon SQS API Reference, "Common Errors" and each action's "Errors"; Amazon SQS
//! Developer Guide, "Interpreting Amazon SQS JSON API responses".

use thiserror::Error;

/// A refusal, in SQS's own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SqsError {
    /// The queue is unknown, or has been deleted.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// A queue of that name exists with other attributes.
    #[error("{0}")]
    QueueNameExists(String),
    /// A queue of that name was deleted less than 60 seconds ago.
    #[error(
        "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    )]
    QueueDeletedRecently,
    /// The queue was purged less than 60 seconds ago.
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    PurgeQueueInProgress(String),
    /// An attribute name that SQS does not know.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// An attribute value outside of what the attribute allows.
    #[error("{0}")]
    InvalidAttributeValue(String),
    /// A parameter value that the action refuses.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// A parameter that the action needs.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    /// The body holds a character outside of what SQS carries.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,
    /// Not a receipt handle of this queue.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is visible again, so there is no visibility to change.
    #[error("The message referred to isn't in flight.")]
    MessageNotInflight,
    /// A batch without entries.
    #[error("There should be at least one {0} in the request.")]
    EmptyBatchRequest(&'static str),
    /// A batch of more than ten entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of one batch have the same id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// An entry id that is not 1 to 80 letters, digits, hyphens and underscores.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    /// The bodies of one batch are together over the limit.
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong {
        /// Bytes in the batch.
        sent: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A move task or its queue is unknown.
    #[error("{0}")]
    ResourceNotFound(String),
    /// Something that SQS, or this broker, does not do.
    #[error("{0}")]
    UnsupportedOperation(String),
    /// Too many requests: SDKs back off and try again.
    #[error("Request is throttled.")]
    RequestThrottled,
    /// The action's name is unknown.
    #[error("The action {0} is not valid for this endpoint.")]
    InvalidAction(String),
    /// The request is not the JSON that the action takes.
    #[error("{0}")]
    MalformedInput(String),
    /// SQS's own fault; the effect may or may not have happened.
    #[error("We encountered an internal error. Please try again.")]
    InternalError,
}

impl SqsError {
    /// The `__type` of the JSON protocol.
    #[must_use]
    pub fn json_type(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "com.amazonaws.sqs#QueueDoesNotExist",
            Self::QueueNameExists(_) => "com.amazonaws.sqs#QueueNameExists",
            Self::QueueDeletedRecently => "com.amazonaws.sqs#QueueDeletedRecently",
            Self::PurgeQueueInProgress(_) => "com.amazonaws.sqs#PurgeQueueInProgress",
            Self::InvalidAttributeName(_) => "com.amazonaws.sqs#InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "com.amazonaws.sqs#InvalidAttributeValue",
            Self::InvalidParameterValue(_) => {
                "com.amazon.coral.service#InvalidParameterValueException"
            }
            Self::MissingParameter(_) => {
                "com.amazon.coral.service#MissingRequiredParameterException"
            }
            Self::InvalidMessageContents => "com.amazonaws.sqs#InvalidMessageContents",
            Self::ReceiptHandleIsInvalid => "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "com.amazonaws.sqs#MessageNotInflight",
            Self::EmptyBatchRequest(_) => "com.amazonaws.sqs#EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => {
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest"
            }
            Self::BatchEntryIdsNotDistinct(_) => "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId => "com.amazonaws.sqs#InvalidBatchEntryId",
            Self::BatchRequestTooLong { .. } => "com.amazonaws.sqs#BatchRequestTooLong",
            Self::ResourceNotFound(_) => "com.amazonaws.sqs#ResourceNotFoundException",
            Self::UnsupportedOperation(_) => "com.amazonaws.sqs#UnsupportedOperation",
            Self::RequestThrottled => "com.amazonaws.sqs#RequestThrottled",
            Self::InvalidAction(_) => "com.amazon.coral.service#UnknownOperationException",
            Self::MalformedInput(_) => "com.amazon.coral.service#SerializationException",
            Self::InternalError => "com.amazon.coral.service#InternalFailure",
        }
    }

    /// The code of the query protocol: what boto3, aws-cli and the Rust SDK call the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueNameExists(_) => "QueueAlreadyExists",
            Self::QueueDeletedRecently => "AWS.SimpleQueueService.QueueDeletedRecently",
            Self::PurgeQueueInProgress(_) => "AWS.SimpleQueueService.PurgeQueueInProgress",
            Self::InvalidAttributeName(_) => "InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "InvalidAttributeValue",
            Self::InvalidParameterValue(_) => "InvalidParameterValue",
            Self::MissingParameter(_) => "MissingParameter",
            Self::InvalidMessageContents => "InvalidMessageContents",
            Self::ReceiptHandleIsInvalid => "ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "AWS.SimpleQueueService.MessageNotInflight",
            Self::EmptyBatchRequest(_) => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => {
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
            }
            Self::BatchEntryIdsNotDistinct(_) => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::BatchRequestTooLong { .. } => "AWS.SimpleQueueService.BatchRequestTooLong",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::UnsupportedOperation(_) => "AWS.SimpleQueueService.UnsupportedOperation",
            Self::RequestThrottled => "RequestThrottled",
            Self::InvalidAction(_) => "InvalidAction",
            Self::MalformedInput(_) => "SerializationException",
            Self::InternalError => "InternalError",
        }
    }

    /// Whether the caller is at fault, and would fail again with the same request.
    #[must_use]
    pub fn sender_fault(&self) -> bool {
        !matches!(self, Self::InternalError)
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::InternalError => 500,
            _ => 400,
        }
    }

    pub(crate) fn bad_parameter(parameter: &str, value: impl std::fmt::Display, why: &str) -> Self {
        Self::InvalidParameterValue(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {why}"
        ))
    }
}
