//! Publishing events and reading their outcomes, as trade services do, with the real SDK.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cap_aws::SqsQueues;
use cap_client::{OutcomeReader, Publisher, UnreadableOutcome};
use cap_domain::outcome::{OutcomeMessage, OutcomeStatus};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::traffic::Envelope;

/// Publishers, each of other accounts.
const PUBLISHERS: usize = 4;

/// Events that one publisher publishes together.
const CHUNK: usize = 200;

/// Events under way at once: enough to keep every service busy.
const UNDER_WAY_MAX: usize = 4_000;

/// How often a paced publisher publishes.
const TICK: Duration = Duration::from_millis(10);

/// The longest that anything driven may take.
const DRIVE_MAX: Duration = Duration::from_secs(400);

/// How events are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// As fast as outcomes come.
    Full,
    /// So many a second, whether outcomes come or not.
    PerSecond(f64),
}

/// What is read at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// An outcome an event, `posted` every one.
    Posted,
    /// The same number of messages, whatever they say: behind a relay.
    Counted,
}

/// What came of it.
pub(super) struct Driven {
    /// From the first publication to the last answer.
    pub(super) elapsed: Duration,
    /// From when an event was due to be published to having its outcome, shortest first.
    pub(super) latencies: Vec<Duration>,
}

impl Driven {
    /// Events a second.
    pub(super) fn rate(&self, events: usize) -> f64 {
        events as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `part` of the events stay within, in milliseconds.
    pub(super) fn percentile_millis(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let place = ((self.latencies.len() as f64 * part).ceil() as usize).saturating_sub(1);
        self.latencies.get(place.min(last)).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// What is known of the events under way.
pub(super) struct Ledger {
    expected: usize,
    answers: Answers,
    state: Mutex<State>,
    room: Semaphore,
    finished: Notify,
}

#[derive(Default)]
struct State {
    due: HashMap<String, Instant>,
    latencies: Vec<Duration>,
    answered: usize,
    wrong: Option<String>,
}

impl Ledger {
    /// For so many answers.
    pub(super) fn new(expected: usize, answers: Answers) -> Arc<Self> {
        Arc::new(Self {
            expected,
            answers,
            state: Mutex::default(),
            room: Semaphore::new(UNDER_WAY_MAX),
            finished: Notify::new(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many answers there are.
    pub(super) fn answered(&self) -> usize {
        self.state().answered
    }

    fn fail(&self, wrong: String) {
        self.state().wrong.get_or_insert(wrong);
        self.finished.notify_waiters();
    }

    fn take(&self, outcomes: &[Result<OutcomeMessage, UnreadableOutcome>]) {
        let now = Instant::now();
        let mut wrong = None;
        {
            let mut state = self.state();
            for outcome in outcomes {
                state.answered += 1;
                if self.answers == Answers::Counted {
                    continue;
                }
                match outcome {
                    Ok(outcome) if outcome.outcome.status == OutcomeStatus::Posted => {
                        match state.due.remove(outcome.header.request_id.as_str()) {
                            Some(due) => state.latencies.push(now.saturating_duration_since(due)),
                            None => wrong = Some(format!("nobody waits for {outcome:?}")),
                        }
                    }
                    other => wrong = Some(format!("not posted: {other:?}")),
                }
            }
            if state.answered >= self.expected {
                self.finished.notify_waiters();
            }
        }
        self.room.add_permits(outcomes.len());
        wrong.into_iter().for_each(|wrong| self.fail(wrong));
    }

    /// Waits for `count` answers.
    pub(super) async fn answers(&self, count: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + DRIVE_MAX;
        loop {
            let finished = self.finished.notified();
            {
                let state = self.state();
                if let Some(wrong) = &state.wrong {
                    bail!("{wrong}");
                }
                if state.answered >= count {
                    return Ok(());
                }
            }
            ensure!(
                Instant::now() < deadline,
                "{} of {count} answers after {DRIVE_MAX:?}",
                self.answered()
            );
            // Those that wait for fewer than all look by themselves.
            let _ = tokio::time::timeout(TICK / 2, finished).await;
        }
    }
}

/// Reads outcomes into `ledger` until `stop` is told.
pub(super) fn read(
    queues: SqsQueues,
    ledger: &Arc<Ledger>,
    stop: &Arc<Notify>,
) -> tokio::task::JoinHandle<()> {
    let (ledger, stop) = (Arc::clone(ledger), Arc::clone(stop));
    tokio::spawn(async move {
        let handler = |outcomes: Vec<_>| {
            ledger.take(&outcomes);
            std::future::ready(Ok::<(), std::convert::Infallible>(()))
        };
        OutcomeReader::new(queues).run(handler, async move { stop.notified().await }).await;
    })
}

/// Publishes `events` at `pace` and reads an answer of each.
pub(super) async fn drive(
    queues: &SqsQueues,
    events: Vec<Envelope>,
    pace: Pace,
    answers: Answers,
) -> anyhow::Result<Driven> {
    let count = events.len();
    let ledger = Ledger::new(count, answers);
    let stop = Arc::new(Notify::new());
    let reading = read(queues.clone(), &ledger, &stop);
    let mut of: Vec<Vec<Envelope>> = vec![Vec::new(); PUBLISHERS];
    for event in events {
        let mut hasher = DefaultHasher::new();
        event.account.hash(&mut hasher);
        of[hasher.finish() as usize % PUBLISHERS].push(event);
    }
    let begun = Instant::now();
    let mut publishing = JoinSet::new();
    for events in of {
        let (publisher, ledger) = (Publisher::new(queues.clone()), Arc::clone(&ledger));
        publishing.spawn(async move { publish(&publisher, events, pace, &ledger).await });
    }
    let answered = async {
        while let Some(published) = publishing.join_next().await {
            published.context("publishing")??;
        }
        ledger.answers(count).await
    };
    let answered = tokio::time::timeout(DRIVE_MAX, answered).await;
    let elapsed = begun.elapsed();
    stop.notify_waiters();
    reading.await.context("reading outcomes")?;
    answered.with_context(|| format!("{} of {count} answers", ledger.answered()))??;
    let mut latencies = std::mem::take(&mut ledger.state().latencies);
    latencies.sort_unstable();
    Ok(Driven { elapsed, latencies })
}

async fn publish(
    publisher: &Publisher,
    events: Vec<Envelope>,
    pace: Pace,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let chunk = match pace {
        Pace::Full => CHUNK,
        Pace::PerSecond(rate) => {
            ((rate * TICK.as_secs_f64() / PUBLISHERS as f64).round() as usize).max(1)
        }
    };
    let begun = Instant::now();
    for (index, events) in events.chunks(chunk).enumerate() {
        let due = match pace {
            Pace::Full => {
                let permits = u32::try_from(events.len()).context("a chunk is small")?;
                ledger.room.acquire_many(permits).await?.forget();
                Instant::now()
            }
            Pace::PerSecond(rate) => {
                let before = (index * chunk * PUBLISHERS) as f64;
                let due = begun + Duration::from_secs_f64(before / rate);
                tokio::time::sleep_until(due).await;
                due
            }
        };
        if ledger.answers == Answers::Posted {
            let ids = events.iter().map(|event| (event.request_id.clone(), due));
            ledger.state().due.extend(ids);
        }
        let bodies: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
        for (event, result) in events.iter().zip(publisher.publish(&bodies).await) {
            result.with_context(|| format!("publishing {}", event.request_id))?;
        }
    }
    Ok(())
}
