//! Letters that somebody moves back into their queue, past CAP's own redrive.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use cap_pipeline::queues::attribute;

use crate::arena::Arena;

/// The most receives in which an account's letters are looked for.
const RECEIVES_MAX: usize = 20;

/// How long letters that are looked at stay hidden.
const VISIBILITY_SECS: i32 = 3;

/// AWS's own redrive of a whole dead-letter queue.
///
/// # Errors
/// If SQS refuses it: one that is under way refuses another.
pub(crate) async fn move_all(arena: &Arena, stage: StageName, scope: &str) -> anyhow::Result<()> {
    let arn = |queue: &str| {
        let name = format!("{}-{queue}.fifo", arena.installation.prefix);
        arena.stack.broker.engine().arn_of(&name)
    };
    let (source, letters) = (format!("{stage}-{scope}"), format!("{stage}-{scope}-dlq"));
    let call = arena.aws.sqs.start_message_move_task().source_arn(arn(&letters));
    call.destination_arn(arn(&source)).send().await?;
    Ok(())
}

/// What somebody's own tool does that knows nothing of turns: it moves the letters of an account,
/// the last first. AWS promises no order either; the broker here happens to keep it.
///
/// # Errors
/// If SQS does not answer: some letters are moved then, one of them perhaps twice.
pub(crate) async fn move_by_hand(
    arena: &Arena,
    stage: StageName,
    scope: &str,
    account: &AccountKey,
) -> anyhow::Result<()> {
    let (to, from) = (format!("{stage}-{scope}"), format!("{stage}-{scope}-dlq"));
    let (to, from) = (arena.url(&to)?, arena.url(&from)?);
    let (ours, others): (Vec<_>, Vec<_>) =
        look(arena, from).await?.into_iter().partition(|letter| is_of(letter, account));
    for letter in others {
        let call = arena.aws.sqs.change_message_visibility().queue_url(from);
        let call = call.set_receipt_handle(letter.receipt_handle).visibility_timeout(0);
        let _ = call.send().await;
    }
    for letter in ours.into_iter().rev() {
        send(arena, to, &letter).await?;
        let call = arena.aws.sqs.delete_message().queue_url(from);
        call.set_receipt_handle(letter.receipt_handle).send().await?;
    }
    Ok(())
}

/// All letters that nobody else looks at, each group's in their order.
async fn look(arena: &Arena, url: &str) -> anyhow::Result<Vec<Message>> {
    let mut letters = Vec::new();
    for _ in 0..RECEIVES_MAX {
        let call = arena.aws.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        // At once: a long poll would wait until those seen before come back.
        let call = call.wait_time_seconds(0).visibility_timeout(VISIBILITY_SECS);
        let call = call.message_attribute_names("All");
        let call = call.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
        let received = call.send().await?.messages.unwrap_or_default();
        if received.is_empty() {
            break;
        }
        letters.extend(received);
    }
    Ok(letters)
}

fn is_of(letter: &Message, account: &AccountKey) -> bool {
    let attributes = letter.message_attributes();
    let said = attributes.and_then(|attributes| attributes.get(attribute::ACCOUNT_ID));
    said.and_then(MessageAttributeValue::string_value) == Some(account.as_str())
}

async fn send(arena: &Arena, url: &str, letter: &Message) -> anyhow::Result<()> {
    let group = letter.attributes().and_then(|attributes: &HashMap<_, _>| {
        attributes.get(&MessageSystemAttributeName::MessageGroupId)
    });
    let call = arena.aws.sqs.send_message().queue_url(url);
    call.message_group_id(group.context("a letter has a group")?)
        .message_deduplication_id(format!("by-hand-{}", uuid::Uuid::new_v4()))
        .set_message_body(letter.body.clone())
        .set_message_attributes(letter.message_attributes.clone())
        .send()
        .await?;
    Ok(())
}
