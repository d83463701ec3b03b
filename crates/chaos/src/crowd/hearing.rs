//! Outcomes, read as fast as they come: each account's must come in order, each once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{bail, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use serde::Deserialize;
use tokio::time::Instant;

use crate::trouble::lock;

/// How long a listener waits for an outcome.
const LISTEN_SECS: i32 = 20;

/// How long outcomes that are due may stay away.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked whether all have come.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What was heard of one installation.
#[derive(Debug, Default)]
pub(super) struct Hearing(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The last number of each account.
    last: HashMap<String, u64>,
    /// Posted, by what the request ids begin with.
    posted: HashMap<String, usize>,
    /// Requests that are told to be parked.
    parked: HashSet<String>,
    /// What must not have come.
    wrong: Vec<String>,
}

#[derive(Deserialize)]
struct Told {
    header: Header,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Header {
    account: String,
    request_id: String,
}

#[derive(Deserialize)]
struct Outcome {
    status: String,
    lane_seq: u64,
}

impl Hearing {
    /// How many requests were told to be parked.
    pub(super) fn parked(&self) -> usize {
        lock(&self.0).parked.len()
    }

    /// How many requests of the round `tag` were posted.
    fn posted(&self, tag: &str) -> usize {
        lock(&self.0).posted.get(tag).copied().unwrap_or_default()
    }

    /// Waits until `count` requests whose ids begin with `tag` are posted, and not one more.
    pub(super) async fn all_posted(&self, tag: &str, count: usize) -> anyhow::Result<()> {
        self.some_posted(tag, count).await?;
        let posted = self.posted(tag);
        ensure!(posted == count, "{posted} outcomes of {tag}, {count} were due");
        self.in_order()
    }

    /// Waits until `count` of them are.
    pub(super) async fn some_posted(&self, tag: &str, count: usize) -> anyhow::Result<()> {
        let (mut seen, mut seen_at) = (0, Instant::now());
        loop {
            let posted = self.posted(tag);
            if posted >= count {
                return Ok(());
            }
            if posted > seen {
                (seen, seen_at) = (posted, Instant::now());
            } else if seen_at.elapsed() > PATIENCE {
                self.in_order()?;
                bail!("{posted} of {count} outcomes of {tag} came, and none for {PATIENCE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The last number of the account of this name.
    pub(super) fn last(&self, account: &str) -> u64 {
        lock(&self.0).last.get(account).copied().unwrap_or_default()
    }

    fn in_order(&self) -> anyhow::Result<()> {
        let heard = lock(&self.0);
        match heard.wrong.first() {
            None => Ok(()),
            Some(first) => bail!("{} outcomes are wrong: {first}", heard.wrong.len()),
        }
    }

    fn note(&self, body: &str) {
        let Told { header, outcome } = match serde_json::from_str(body) {
            Ok(told) => told,
            Err(error) => return lock(&self.0).wrong.push(format!("{error}: {body}")),
        };
        let mut heard = lock(&self.0);
        if outcome.status == "parked" {
            heard.parked.insert(header.request_id);
            return;
        }
        let last = heard.last.entry(header.account).or_default();
        // One that is not above the last is a copy.
        if outcome.lane_seq <= *last {
            return;
        }
        let is_next = outcome.lane_seq == *last + 1;
        *last = outcome.lane_seq;
        if !is_next || outcome.status != "posted" {
            heard.wrong.push(format!("lost, out of order or not posted: {body}"));
            return;
        }
        let tag = header.request_id.split('-').next().unwrap_or_default();
        *heard.posted.entry(tag.to_owned()).or_default() += 1;
    }
}

/// Reads outcomes until it is aborted.
pub(super) async fn listen(sqs: Client, url: String, hearing: Arc<Hearing>) {
    loop {
        let call = sqs.receive_message().queue_url(&url).max_number_of_messages(10);
        match call.wait_time_seconds(LISTEN_SECS).send().await {
            Ok(received) => {
                for message in received.messages() {
                    hearing.note(message.body().unwrap_or_default());
                }
                delete(&sqs, &url, received.messages()).await;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn delete(sqs: &Client, url: &str, messages: &[Message]) {
    let entries = messages.iter().enumerate().filter_map(|(index, message)| {
        let handle = message.receipt_handle()?;
        let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
        entry.receipt_handle(handle).build().ok()
    });
    let entries: Vec<_> = entries.collect();
    if !entries.is_empty() {
        // One that is not deleted comes again, and is a copy then.
        let _ = sqs.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
    }
}
