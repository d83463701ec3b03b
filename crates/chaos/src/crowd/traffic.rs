//! Traffic, as an upstream publishes it that is in a hurry: ten accounts a call, several calls at
//! the same time, an account's next message after the one before it.

use anyhow::{Context, ensure};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use cap_pipeline::system_time;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Plan;
use super::report::Round;
use super::site::Site;

/// Send calls at the same time.
const SENDS_MAX: usize = 8;

/// Messages that are published before it is looked how many are answered.
const PORTION: usize = 500;

/// Messages that may be under way where traffic flows.
const UNDER_WAY_MAX: usize = 500;

/// Messages of one call.
const ENTRIES_MAX: usize = 10;

/// A message to clearing.
pub(super) struct Message {
    pub(super) account: String,
    pub(super) request_id: String,
    pub(super) body: String,
}

impl Message {
    /// An event of an account.
    pub(super) fn event(account: &str, request_id: String, event: &Value) -> Self {
        let header = json!({
            "version": 1, "request_id": request_id, "initiated_at": system_time().to_string(),
            "company": "acme", "product": "spot", "customer_group": "retail", "account": account,
        });
        let body = json!({ "header": header, "event": event }).to_string();
        Self { account: account.to_owned(), request_id, body }
    }
}

/// A deposit of one unit.
pub(super) fn deposit() -> Value {
    json!({ "type": "deposit.received", "currency": "USDT", "amount": "1", "reference": "tx" })
}

/// The opening of an account.
pub(super) fn opened() -> Value {
    json!({ "type": "account.opened", "customer": "C-1" })
}

/// The name of a healthy account, counted from one.
pub(super) fn healthy_account(number: usize) -> String {
    format!("H-{number:06}")
}

/// Publishes messages of different accounts.
pub(super) async fn publish(site: &Site, wave: Vec<Message>) -> anyhow::Result<()> {
    let mut wave = wave.into_iter();
    let calls = std::iter::from_fn(|| {
        let entries: Vec<Message> = wave.by_ref().take(ENTRIES_MAX).collect();
        (!entries.is_empty()).then(|| send(site, entries))
    });
    let mut calls = futures::stream::iter(calls).buffer_unordered(SENDS_MAX);
    while let Some(sent) = calls.next().await {
        sent?;
    }
    Ok(())
}

async fn send(site: &Site, messages: Vec<Message>) -> anyhow::Result<()> {
    let entries = messages.into_iter().enumerate().map(|(index, message)| {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_group_id(format!("retail_{}", message.account))
            .message_deduplication_id(message.request_id)
            .message_body(message.body)
            .build()
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let call = site.sqs.send_message_batch().queue_url(&site.clearing_url);
    let sent = call.set_entries(Some(entries)).send().await.context("publishing")?;
    ensure!(sent.failed().is_empty(), "not published: {:?}", sent.failed());
    Ok(())
}

/// Opens the healthy accounts.
pub(super) async fn open_healthy(site: &Site, plan: &Plan) -> anyhow::Result<()> {
    let open = |number| {
        let account = healthy_account(number);
        Message::event(&account, format!("open-{account}"), &opened())
    };
    publish(site, (1..=plan.healthy).map(open).collect()).await?;
    site.hearing.all_posted("open", plan.healthy).await
}

/// Numbers the rounds.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    rounds: usize,
}

/// How fast it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as SQS takes it: most of it waits in the first queue.
    Flood,
    /// As fast as it is answered: a queue is as short as where services keep up.
    Flow,
}

/// One round: every healthy account gets its deposits, as fast as it goes; from the first publish
/// until the last outcome is read.
pub(super) async fn round(
    site: &Site,
    plan: &Plan,
    pace: Pace,
    traffic: &mut Traffic,
) -> anyhow::Result<Round> {
    traffic.rounds += 1;
    let tag = format!("round{}", traffic.rounds);
    let count = plan.healthy * plan.deposits;
    let begun = Instant::now();
    let publishing = async {
        let mut published = 0;
        for nth in 1..=plan.deposits {
            let wave = (1..=plan.healthy).map(|number| {
                let account = healthy_account(number);
                Message::event(&account, format!("{tag}-{account}-{nth}"), &deposit())
            });
            let mut wave = wave.peekable();
            while wave.peek().is_some() {
                let some: Vec<Message> = wave.by_ref().take(PORTION).collect();
                published += some.len();
                publish(site, some).await?;
                if pace == Pace::Flow {
                    let due = published.saturating_sub(UNDER_WAY_MAX);
                    site.hearing.some_posted(&tag, due).await?;
                }
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publishing, site.hearing.all_posted(&tag, count))?;
    Ok(Round::new(count, begun.elapsed()))
}
