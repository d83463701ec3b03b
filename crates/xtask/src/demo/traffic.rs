//! Publishing the script and reading its outcomes, as an upstream service does.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cap_aws::SqsQueues;
use cap_client::{OutcomeReader, Publisher};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::time::Timestamp;
use cap_pipeline::system_time;
use serde_json::json;
use tokio::sync::Semaphore;

use super::script::Step;
use crate::progress::Progress;

/// Events that may be under way at once: enough to keep every service busy, few enough that
/// latency is the system's and not the backlog's.
const UNDER_WAY_MAX: usize = 400;

/// Events published together.
const CHUNK: usize = 100;

/// How long without any outcome means that something is wrong.
const SILENCE_SECS_MAX: u64 = 60;

/// What happened.
pub(super) struct Played {
    pub(super) events: usize,
    pub(super) statuses: BTreeMap<OutcomeStatus, usize>,
    pub(super) elapsed: Duration,
    /// From just before publishing to having read the outcome, shortest first.
    pub(super) latencies: Vec<Duration>,
}

/// Publishes `script` and waits for an outcome of every step.
pub(super) async fn play(
    queues: SqsQueues,
    script: &[Step],
    progress: &Progress,
    logs: &Path,
) -> anyhow::Result<Played> {
    let published: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let bar = progress.bar("Trading", script.len());
    let begun = Instant::now();
    let publisher = Publisher::new(queues.clone());
    let mut publishing = tokio::spawn(publish(
        publisher,
        script.to_vec(),
        Arc::clone(&published),
        Arc::clone(&room),
    ));

    let mut reader = OutcomeReader::new(queues);
    let mut statuses: BTreeMap<OutcomeStatus, usize> = BTreeMap::new();
    let mut latencies = Vec::with_capacity(script.len());
    let mut all_published = false;
    while latencies.len() < script.len() {
        let batch = tokio::select! {
            ended = &mut publishing, if !all_published => {
                ended.context("publishing")??;
                all_published = true;
                continue;
            }
            batch = reader.next_batch() => batch?,
            () = tokio::time::sleep(Duration::from_secs(SILENCE_SECS_MAX)) => bail!(
                "no outcome for {SILENCE_SECS_MAX} s, {} of {} came; see the logs in {}",
                latencies.len(), script.len(), logs.display()
            ),
        };
        let read_at = Instant::now();
        for outcome in &batch.outcomes {
            let outcome = outcome.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
            let request_id = outcome.header.request_id.as_str();
            let sent_at =
                published.lock().unwrap_or_else(PoisonError::into_inner).remove(request_id);
            let sent_at = sent_at.with_context(|| format!("a second outcome of {request_id}"))?;
            latencies.push(read_at - sent_at);
            *statuses.entry(outcome.outcome.status).or_default() += 1;
        }
        room.add_permits(batch.outcomes.len());
        bar.inc(batch.outcomes.len() as u64);
        batch.delete().await?;
    }
    let elapsed = begun.elapsed();
    bar.finish_and_clear();
    progress.say(&format!("{} events in {elapsed:.1?}", script.len()));
    latencies.sort_unstable();
    Ok(Played { events: script.len(), statuses, elapsed, latencies })
}

async fn publish(
    publisher: Publisher,
    script: Vec<Step>,
    published: Arc<Mutex<HashMap<String, Instant>>>,
    room: Arc<Semaphore>,
) -> anyhow::Result<()> {
    for chunk in script.chunks(CHUNK) {
        let permits = u32::try_from(chunk.len()).context("a chunk is small")?;
        room.acquire_many(permits).await.context("publishing")?.forget();
        let at = Instant::now();
        let initiated_at = system_time();
        let envelopes: Vec<String> =
            chunk.iter().map(|step| envelope(step, initiated_at).to_string()).collect();
        {
            let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
            published.extend(chunk.iter().map(|step| (step.request_id.clone(), at)));
        }
        for (step, result) in chunk.iter().zip(publisher.publish(&envelopes).await) {
            if let Err(error) = result {
                bail!("publishing {}: {error}", step.request_id);
            }
        }
    }
    Ok(())
}

fn envelope(step: &Step, initiated_at: Timestamp) -> serde_json::Value {
    let account = &step.account;
    json!({
        "header": {
            "version": 1, "request_id": step.request_id, "initiated_at": initiated_at, "company": account.company,
            "product": account.product, "customer_group": account.customer_group, "account": account.account,
        },
        "event": step.event,
    })
}
