//! What a queue of CAP is like: its name and attributes, and how another differs from that.

use std::collections::BTreeMap;

use cap_domain::routing::{QUEUE_NAME_CHARS_MAX, QueueName};

use crate::connect::LONG_POLL_SECS_MAX;
use crate::provision::ProvisionError;

/// How long a received message stays hidden, unless the receive says otherwise.
pub const VISIBILITY_TIMEOUT_SECS: u32 = 60;
/// How long a message waits to be consumed.
pub const RETENTION_DAYS: u32 = 4;
/// How long a dead letter is kept: longer than in its source (Q7), and the longest there is.
pub const DLQ_RETENTION_DAYS: u32 = 14;
/// After how many receives SQS itself moves a message: the last resort (Q8, Q16), and the most
/// that SQS allows.
pub const SQS_RECEIVES_MAX: u32 = 1_000;

const DAY_SECS: u32 = 86_400;

/// Attributes by the names SQS gives them.
pub type Attributes = BTreeMap<String, String>;

/// An attribute that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeDifference {
    /// SQS's name of it.
    pub attribute: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: Option<String>,
}

pub(crate) fn check_name(prefix: &str, queue: &QueueName) -> Result<(), ProvisionError> {
    let name = queue.to_name(prefix);
    let chars = name.chars().count();
    if chars > QUEUE_NAME_CHARS_MAX {
        return Err(ProvisionError::NameTooLong { name, chars });
    }
    if QueueName::from_name(prefix, &name).as_ref() != Some(queue) {
        return Err(ProvisionError::NameAmbiguous(name));
    }
    Ok(())
}

/// What a queue of that name should be like; `dlq_arn`: where its dead letters go.
pub(crate) fn attributes(queue: &QueueName, dlq_arn: Option<&str>) -> Attributes {
    let retention_days = if queue.dead_letters { DLQ_RETENTION_DAYS } else { RETENTION_DAYS };
    let mut attributes: Attributes = [
        ("FifoQueue", "true".to_owned()),
        ("ContentBasedDeduplication", "false".to_owned()),
        ("DeduplicationScope", "messageGroup".to_owned()),
        ("FifoThroughputLimit", "perMessageGroupId".to_owned()),
        ("VisibilityTimeout", VISIBILITY_TIMEOUT_SECS.to_string()),
        ("MessageRetentionPeriod", (retention_days * DAY_SECS).to_string()),
        ("ReceiveMessageWaitTimeSeconds", LONG_POLL_SECS_MAX.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(arn) = dlq_arn {
        let policy =
            serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": SQS_RECEIVES_MAX });
        attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
    }
    attributes
}

pub(crate) fn differences(wanted: &Attributes, found: &Attributes) -> Vec<AttributeDifference> {
    let differ = |(name, wanted): (&String, &String)| {
        let found = found.get(name);
        let same = found.is_some_and(|found| is_same_value(name, wanted, found));
        (!same).then(|| AttributeDifference {
            attribute: name.clone(),
            wanted: wanted.clone(),
            found: found.cloned(),
        })
    };
    wanted.iter().filter_map(differ).collect()
}

/// SQS gives a policy back with its numbers as text, if they were given so, and in its own order.
fn is_same_value(name: &str, one: &str, other: &str) -> bool {
    let fields = |text: &str| -> Option<Attributes> {
        let policy: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).ok()?;
        let text =
            |value: serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
        Some(policy.into_iter().map(|(name, value)| (name, text(value))).collect())
    };
    one == other
        || (name == "RedrivePolicy" && fields(one).is_some() && fields(one) == fields(other))
}

#[cfg(test)]
mod tests {
    use cap_domain::routing::{Channel, Scope};

    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::from_name("", name).unwrap()
    }

    #[test]
    fn a_stage_queue_is_a_high_throughput_fifo_queue_whose_dead_letters_outlive_it() {
        let source = attributes(&queue("clearing-acme_spot.fifo"), Some("arn:dlq"));
        let expected = [
            ("ContentBasedDeduplication", "false"),
            ("DeduplicationScope", "messageGroup"),
            ("FifoQueue", "true"),
            ("FifoThroughputLimit", "perMessageGroupId"),
            ("MessageRetentionPeriod", "345600"),
            ("ReceiveMessageWaitTimeSeconds", "20"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":1000}"#),
            ("VisibilityTimeout", "60"),
        ];
        let found: Vec<_> =
            source.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
        let dlq = attributes(&queue("clearing-acme_spot-dlq.fifo"), None);
        assert_eq!(dlq["MessageRetentionPeriod"], "1209600");
        assert!(!dlq.contains_key("RedrivePolicy"));
    }

    #[test]
    fn a_policy_differs_only_if_it_says_something_else() {
        let name = "RedrivePolicy";
        let wanted = r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":1000}"#;
        let as_text = r#"{"maxReceiveCount":"1000","deadLetterTargetArn":"arn:dlq"}"#;
        assert!(is_same_value(name, wanted, as_text));
        assert!(!is_same_value(name, wanted, &as_text.replace("1000", "3")));
        assert!(!is_same_value(name, wanted, "nonsense"));
    }

    #[test]
    fn a_name_that_sqs_or_the_routes_would_misread_is_refused() {
        let scope: Scope = "acme_spot_retail".parse().unwrap();
        let long = "p".repeat(60);
        let error = check_name(&long, &QueueName::new(Channel::Outcome, scope)).unwrap_err();
        assert!(error.to_string().contains("characters, 80 is the most"), "{error}");
        let scope: Scope = "acme_my-dlq".parse().unwrap();
        let error = check_name("", &QueueName::new(Channel::Outcome, scope)).unwrap_err();
        assert!(error.to_string().contains("would be taken for a dead-letter queue"), "{error}");
    }
}
