//! Batches by the rules of SQS: how many bytes one holds, and which answer belongs to which entry.

use std::ops::Range;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use cap_pipeline::queues::{BATCH_ENTRIES_MAX, EntryFailure, EntryResult, Outgoing};

/// The most bytes of a batch, and of a message: 1 MiB since August 2025. Bodies count, and
/// attributes with their names, types and values.
pub(crate) const BATCH_BYTES_MAX: usize = 1_048_576;
/// The type of every attribute.
pub(crate) const ATTRIBUTE_TYPE: &str = "String";

/// What SQS calls an entry that it did not answer for at all.
const UNANSWERED: &str = "Unanswered";

/// Cuts `messages`, in order, into batches that SQS takes by number and size. A message that is
/// too long by itself is a batch by itself, for SQS to refuse.
pub(crate) fn split(messages: &[&Outgoing]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, message) in messages.iter().enumerate() {
        let size = size_bytes(message);
        let full = index - start == BATCH_ENTRIES_MAX || bytes + size > BATCH_BYTES_MAX;
        if index > start && full {
            batches.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < messages.len() {
        batches.push(start..messages.len());
    }
    batches
}

fn size_bytes(message: &Outgoing) -> usize {
    let attributes = message.attributes.iter();
    let attributes =
        attributes.map(|(name, value)| name.len() + ATTRIBUTE_TYPE.len() + value.len());
    message.body.len() + attributes.sum::<usize>()
}

/// One result an entry, in order, from an answer whose ids are the entries' numbers (Q21).
pub(crate) fn results<'a>(
    entries: usize,
    successful: impl IntoIterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<EntryResult> {
    let unanswered = || EntryFailure {
        code: UNANSWERED.to_owned(),
        message: "SQS did not say what became of the entry".to_owned(),
        sender_fault: false,
    };
    let mut results: Vec<EntryResult> = (0..entries).map(|_| Err(unanswered())).collect();
    let mut settle = |id: &str, result| {
        if let Some(slot) = id.parse().ok().and_then(|index: usize| results.get_mut(index)) {
            *slot = result;
        }
    };
    for id in successful {
        settle(id, Ok(()));
    }
    for entry in failed {
        let failure = EntryFailure {
            code: entry.code().to_owned(),
            message: entry.message().unwrap_or_default().to_owned(),
            sender_fault: entry.sender_fault(),
        };
        settle(entry.id(), Err(failure));
    }
    results
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(body_bytes: usize, attribute_bytes: usize) -> Outgoing {
        Outgoing {
            message_group_id: "retail_A-1".into(),
            deduplication_id: "r-1".into(),
            body: "x".repeat(body_bytes),
            attributes: vec![("kind", "y".repeat(attribute_bytes))],
        }
    }

    #[test]
    fn a_message_longer_than_a_batch_is_a_batch_by_itself() {
        let messages = [message(10, 0), message(BATCH_BYTES_MAX, 1), message(10, 0)];
        assert_eq!(split(&messages.each_ref()), [0..1, 1..2, 2..3]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn an_entry_that_is_not_answered_for_counts_as_failed() {
        let failed = BatchResultErrorEntry::builder().id("2").code("InternalError");
        let failed = failed.sender_fault(false).build().unwrap();
        let results = results(3, ["0", "7", "nonsense"], &[failed]);
        assert_eq!(results[0], Ok(()));
        assert_eq!(results[1].as_ref().unwrap_err().code, UNANSWERED);
        assert_eq!(results[2].as_ref().unwrap_err().code, "InternalError");
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_batch_in_order_and_no_batch_is_too_long(
            sizes in prop::collection::vec((0..400_000usize, 0..300_000usize), 0..35)
        ) {
            let messages: Vec<_> = sizes.iter().map(|(body, attribute)| message(*body, *attribute)).collect();
            let batches = split(&messages.iter().collect::<Vec<_>>());
            let in_order: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(in_order, (0..messages.len()).collect::<Vec<_>>());
            for batch in batches {
                let bytes: usize = messages[batch.clone()].iter().map(size_bytes).sum();
                prop_assert!(batch.len() <= BATCH_ENTRIES_MAX);
                prop_assert!(bytes <= BATCH_BYTES_MAX || batch.len() == 1);
            }
        }
    }
}
