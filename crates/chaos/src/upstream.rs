//! Upstream: publishes a script and reads every outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cap_reference::script::{Account, Message, Nature, Script};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::arena::{Arena, stage_name};
use crate::aside::Aside;
use crate::trouble::{Trouble, lock};

/// How often a send is tried: SQS is never away for longer.
const SEND_TRIES_MAX: u32 = 200;

/// How long a listener waits for an outcome.
const LISTEN_SECS: i32 = 2;

/// How much the broker's time is moved when the deduplication window is to be over, in seconds.
const BEYOND_DEDUPLICATION_SECS: u64 = 6 * 60;

/// All outcomes that were read, by account, in the order they came.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<HashMap<String, Vec<Value>>>);

impl Outcomes {
    /// Those of the account of this name, the `outcome` object with its `request_id`.
    pub fn of(&self, account: &str) -> Vec<Value> {
        lock(&self.0).get(account).cloned().unwrap_or_default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.0).values().map(Vec::len).sum()
    }

    fn add(&self, body: &str) {
        let Ok(mut message) = serde_json::from_str::<Value>(body) else { return };
        let account = message["header"]["account"].as_str().unwrap_or_default().to_owned();
        let mut outcome = message["outcome"].take();
        outcome["request_id"] = message["header"]["request_id"].take();
        lock(&self.0).entry(account).or_default().push(outcome);
    }
}

/// Publishes `script` and what is `beside` it, each in its order, repeating some of it as callers do that
/// lost an answer.
///
/// # Errors
/// If a message cannot be sent at all.
pub async fn publish(
    arena: &Arena,
    script: &Script,
    beside: &[&Aside],
    trouble: &Trouble,
) -> anyhow::Result<Extra> {
    let mut extra = Extra::default();
    let mut late = Vec::new();
    for (index, message) in script.messages.iter().enumerate() {
        if let Nature::RefusedOnce { stage } = message.nature {
            arena.refuse(stage_name(stage), &message.request_id).await?;
        }
        let body = message.body_at(arena.now_millis());
        send(arena, script, message, &message.deduplication_id, &body).await?;
        for aside in beside {
            aside.publish_nth(arena, index).await?;
        }
        if trouble.strikes("sent twice by upstream", 200) {
            send(arena, script, message, &message.deduplication_id, &body).await?;
        }
        if !message.nature.is_skipped() && trouble.strikes("sent again late by upstream", 40) {
            late.push((index, body));
        }
        if trouble.strikes("deduplication window over", 5) {
            arena.stack.broker.advance(Duration::from_secs(BEYOND_DEDUPLICATION_SECS));
        }
        if trouble.strikes("pause", 120) {
            tokio::time::sleep(Duration::from_millis(trouble.below(60))).await;
        }
    }
    for aside in beside {
        for index in script.messages.len()..aside.messages.len() {
            aside.publish_nth(arena, index).await?;
        }
    }
    for (index, body) in late {
        let message = &script.messages[index];
        let deduplication_id = format!("late-{index}-{}", message.deduplication_id);
        let deduplication_id: String = deduplication_id.chars().take(128).collect();
        send(arena, script, message, &deduplication_id, &body).await?;
        extra.again.push(index);
    }
    Ok(extra)
}

/// What was published besides the script.
#[derive(Debug, Default)]
pub struct Extra {
    /// Messages that were sent once more at the end, beyond deduplication: by their place.
    pub again: Vec<usize>,
}

async fn send(
    arena: &Arena,
    script: &Script,
    message: &Message,
    deduplication_id: &str,
    body: &str,
) -> anyhow::Result<()> {
    send_body(arena, &script.accounts[message.account], deduplication_id, body).await
}

/// Sends a body into the clearing queue of `account`, however often it takes.
///
/// # Errors
/// If it cannot be sent at all.
pub(crate) async fn send_body(
    arena: &Arena,
    account: &Account,
    deduplication_id: &str,
    body: &str,
) -> anyhow::Result<()> {
    let url = arena.url(&account.queue())?;
    let mut tries = 0;
    loop {
        let call = arena.aws.sqs.send_message().queue_url(url).message_body(body);
        let call = call.message_group_id(account.message_group());
        match call.message_deduplication_id(deduplication_id).send().await {
            Ok(_) => return Ok(()),
            Err(error) if tries == SEND_TRIES_MAX => return Err(error.into()),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends back, now and then, a copy of something that was sent between the stages long ago.
pub async fn haunt(arena: Arc<Arena>, trouble: Arc<Trouble>, stop: CancellationToken) {
    use cap_pipeline::queues::Queues;
    let mut number = 0_u64;
    while !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20 + trouble.below(60))).await;
        if trouble.is_calm() {
            continue;
        }
        let Some((queue, mut outgoing)) = trouble.ghost() else { continue };
        number += 1;
        outgoing.deduplication_id = format!("ghost-{number}-{}", uuid::Uuid::new_v4());
        if arena.queues.send(&queue, &[&outgoing]).await.is_ok() {
            trouble.count("late duplicate came");
        }
    }
}

/// Reads the outcomes of one queue until `stop`.
pub async fn listen(
    arena: Arc<Arena>,
    queue: String,
    outcomes: Arc<Outcomes>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            read = read(&arena, &queue, &outcomes) => if read.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
            () = stop.cancelled() => return,
        }
    }
}

/// Waits for up to ten outcomes and reads them.
async fn read(arena: &Arena, queue: &str, outcomes: &Outcomes) -> anyhow::Result<()> {
    let taken = arena.receive(queue, LISTEN_SECS).await?;
    for message in &taken {
        // Noted before it is deleted: one whose deletion fails comes twice, as it may.
        outcomes.add(&message.body);
    }
    for message in &taken {
        let call = arena.aws.sqs.delete_message().queue_url(arena.url(queue)?);
        let _ = call.receipt_handle(&message.receipt_handle).send().await;
    }
    Ok(())
}
