//! The janitor: takes letters out of the dead-letter queues once their messages are resolved.
//!
//! The parked row is the truth and a letter only shows it (DESIGN §3), so one that lies too long
//! misleads and nothing else. It looks after something was redriven, and now and then: SQS cannot be
//! asked for one account's letters, so it goes through them all, and gives back what is not resolved.

use std::time::Duration;

use cap_domain::ids::AccountKey;
use cap_domain::lane::Stage;
use cap_domain::routing::{Channel, QueueName, Routes};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failpoint;
use crate::lane_store::LaneStore;
use crate::limits::{JANITOR_PAUSE, SWEEP_RECEIVES_MAX};
use crate::queues::{BATCH_ENTRIES_MAX, Queues, Received, attribute};

/// What tidying needs.
pub(crate) struct Janitor<'a, S: Stage> {
    pub(crate) queues: &'a dyn Queues,
    pub(crate) routes: &'a Routes,
    pub(crate) store: &'a dyn LaneStore<S>,
    /// Told when something was redriven.
    pub(crate) resolved: &'a Notify,
    /// How long a sweep hides what it looks at.
    pub(crate) visibility_secs: u32,
    /// How often it looks without being told.
    pub(crate) every: Duration,
}

impl<S: Stage> Janitor<'_, S> {
    /// Sweeps until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let queues: Vec<QueueName> =
            self.routes.of(Channel::Stage(S::NAME)).map(|queue| queue.dlq()).collect();
        loop {
            tokio::select! {
                () = self.go_through(&queues) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = async {
                    self.resolved.notified().await;
                    // More of the redrive is about to follow.
                    tokio::time::sleep(JANITOR_PAUSE).await;
                } => {}
                () = tokio::time::sleep(self.every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Goes through the dead-letter queues, one that is too long for one sweep in several: what a
    /// sweep has seen then stays hidden for a while, so that the next sees what is behind. Ends when
    /// the first of it comes back: from then on the same would be seen again.
    async fn go_through(&self, queues: &[QueueName]) {
        let until = Instant::now() + Duration::from_secs(u64::from(self.visibility_secs));
        let mut left: Vec<&QueueName> = queues.iter().collect();
        loop {
            let mut unfinished = Vec::new();
            for queue in left {
                if self.sweep(queue).await {
                    unfinished.push(queue);
                }
            }
            if unfinished.is_empty() || Instant::now() + JANITOR_PAUSE > until {
                return;
            }
            left = unfinished;
            tokio::time::sleep(JANITOR_PAUSE).await;
        }
    }

    /// Goes through one dead-letter queue, up to a bound; whether more may lie behind that.
    async fn sweep(&self, queue: &QueueName) -> bool {
        let mut kept: Vec<String> = Vec::new();
        let mut removed = 0;
        let mut receives = 0;
        let more_behind = loop {
            if receives == SWEEP_RECEIVES_MAX {
                break true;
            }
            receives += 1;
            let received = match self.queues.receive(queue, 0, self.visibility_secs).await {
                Ok(received) if received.is_empty() => {
                    self.give_back(queue, &kept).await;
                    break false;
                }
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "dead letters not looked at");
                    break false;
                }
            };
            let Some(resolved) = self.resolved(&received).await else { break false };
            failpoint::hit("in_janitor");
            let (done, left): (Vec<_>, Vec<_>) =
                received.iter().zip(resolved).partition(|(_, resolved)| *resolved);
            let done: Vec<&str> =
                done.iter().map(|(letter, _)| letter.receipt_handle.as_str()).collect();
            if !done.is_empty() {
                removed += remove(self.queues, queue, &done).await;
            }
            kept.extend(left.into_iter().map(|(letter, _)| letter.receipt_handle.clone()));
        };
        if removed > 0 {
            metrics::counter!("cap_dead_letters_removed_total").increment(removed as u64);
            tracing::info!(
                removed,
                queue = queue.to_name(""),
                "letters of resolved messages removed"
            );
        }
        more_behind
    }

    /// Which letters are of messages that were redriven or skipped; what CAP did not put there is
    /// nobody's to remove. None if the database does not answer.
    async fn resolved(&self, letters: &[Received]) -> Option<Vec<bool>> {
        let numbers: Vec<Option<(AccountKey, u64)>> = letters.iter().map(number::<S>).collect();
        let asked: Vec<(AccountKey, u64)> = numbers.iter().flatten().cloned().collect();
        let answers = self.store.are_resolved(&asked).await;
        let mut answers = answers
            .inspect_err(|error| tracing::debug!(%error, "dead letters kept"))
            .ok()?
            .into_iter();
        let resolved = numbers
            .iter()
            .map(|number| number.as_ref().and_then(|_| answers.next()).unwrap_or_default());
        Some(resolved.collect())
    }

    async fn give_back(&self, queue: &QueueName, kept: &[String]) {
        for handles in kept.chunks(BATCH_ENTRIES_MAX) {
            let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
            if let Err(error) = self.queues.extend(queue, &handles, 0).await {
                tracing::debug!(%error, "dead letters stay hidden for a while");
            }
        }
    }
}

/// Deletes letters; how many are gone. Those that stay are found again.
async fn remove(queues: &dyn Queues, queue: &QueueName, done: &[&str]) -> usize {
    match queues.delete(queue, done).await {
        Ok(results) => results.iter().filter(|result| result.is_ok()).count(),
        Err(error) => {
            tracing::debug!(%error, "letters of resolved messages not removed yet");
            0
        }
    }
}

/// The number under which the message of a letter was parked at this stage.
fn number<S: Stage>(letter: &Received) -> Option<(AccountKey, u64)> {
    // A copy that SQS moved here by itself may stand for outputs that were never sent.
    let is_copy = letter.attribute(attribute::REDRIVE).is_some();
    let is_ours = !is_copy && letter.attribute(attribute::STAGE) == Some(S::NAME.as_str());
    let account = letter.attribute(attribute::ACCOUNT_ID)?.parse().ok()?;
    let parked_seq = letter.attribute(attribute::PARKED_SEQ)?.parse().ok()?;
    is_ours.then_some((account, parked_seq))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use cap_domain::routing::Routes;

    use super::*;
    use crate::queues::{EntryFailure, EntryResult, Outgoing, Unreachable};

    /// Queues whose receipts are over, but for those called `fresh`.
    struct Overdue;

    #[async_trait]
    impl Queues for Overdue {
        async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
            Ok(Arc::default())
        }

        async fn receive(
            &self,
            _: &QueueName,
            _: u32,
            _: u32,
        ) -> Result<Vec<Received>, Unreachable> {
            Ok(Vec::new())
        }

        async fn send(
            &self,
            _: &QueueName,
            _: &[&Outgoing],
        ) -> Result<Vec<EntryResult>, Unreachable> {
            Ok(Vec::new())
        }

        async fn delete(
            &self,
            _: &QueueName,
            receipt_handles: &[&str],
        ) -> Result<Vec<EntryResult>, Unreachable> {
            let over = || EntryFailure {
                code: "InvalidParameterValue".to_owned(),
                message: "The receipt handle has expired.".to_owned(),
                sender_fault: true,
            };
            let delete = |handle: &&str| if *handle == "fresh" { Ok(()) } else { Err(over()) };
            Ok(receipt_handles.iter().map(delete).collect())
        }

        async fn extend(
            &self,
            _: &QueueName,
            _: &[&str],
            _: u32,
        ) -> Result<Vec<EntryResult>, Unreachable> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn only_letters_that_are_gone_count_as_removed() {
        let queue = QueueName::from_name("", "clearing-acme-dlq.fifo").unwrap();
        assert_eq!(remove(&Overdue, &queue, &["fresh", "over", "fresh"]).await, 2);
        assert_eq!(remove(&Overdue, &queue, &["over"]).await, 0);
    }
}
