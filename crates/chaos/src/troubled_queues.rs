//! Queues that fail, stall, lose answers, fail entries of a batch, and crash who calls them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_domain::routing::{QueueName, Routes};
use cap_pipeline::queues::{EntryFailure, EntryResult, Outgoing, Queues, Received, Unreachable};

use crate::trouble::Life;

/// `inner`, in trouble.
pub struct TroubledQueues {
    /// The real ones.
    pub inner: Arc<dyn Queues>,
    /// Whose calls these are.
    pub life: Life,
    /// How long a message stays hidden.
    pub visibility: Duration,
}

/// The places where a process may stop.
struct Places {
    before: &'static str,
    after: &'static str,
}

impl TroubledQueues {
    async fn before(&self, places: &Places) -> Result<(), Unreachable> {
        let (life, trouble) = (&self.life, &self.life.trouble);
        life.may_end(places.before, trouble.odds().crash_before).await;
        if trouble.strikes("slow queue", trouble.odds().slow) {
            tokio::time::sleep(trouble.slowness()).await;
        }
        if trouble.strikes("call past its message's visibility", trouble.odds().overdue) {
            tokio::time::sleep(self.visibility + Duration::from_millis(300)).await;
        }
        if trouble.strikes("queue unreachable", trouble.odds().unreachable) {
            return Err(unreachable("no connection"));
        }
        Ok(())
    }

    async fn after<T>(&self, places: &Places, answer: T) -> Result<T, Unreachable> {
        let (life, trouble) = (&self.life, &self.life.trouble);
        life.may_end(places.after, trouble.odds().crash_after).await;
        if trouble.strikes("queue's reply lost", trouble.odds().reply_lost) {
            return Err(unreachable("the reply was lost"));
        }
        Ok(answer)
    }

    /// Which of `entries` a batch call leaves out.
    fn failing(&self, entries: usize) -> Vec<bool> {
        let trouble = &self.life.trouble;
        (0..entries)
            .map(|_| trouble.strikes("batch entry failed", trouble.odds().entry_failed))
            .collect()
    }
}

#[async_trait]
impl Queues for TroubledQueues {
    async fn receive(
        &self,
        queue: &QueueName,
        wait_secs: u32,
        visibility_secs: u32,
    ) -> Result<Vec<Received>, Unreachable> {
        let received = self.inner.receive(queue, wait_secs, visibility_secs).await?;
        if received.is_empty() {
            return Ok(received);
        }
        let places = Places { before: "crash on receiving", after: "crash after receiving" };
        self.before(&places).await?;
        self.after(&places, received).await
    }

    async fn send(
        &self,
        queue: &QueueName,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let places = if queue.dead_letters {
            Places { before: "crash before a dead letter", after: "crash after a dead letter" }
        } else {
            Places { before: "crash before forwarding", after: "crash amid forwarding" }
        };
        self.before(&places).await?;
        let trouble = &self.life.trouble;
        for message in messages {
            if trouble.strikes("late duplicate", trouble.odds().ghost) {
                trouble.keep_ghost(queue, message);
            }
        }
        let failing = self.failing(messages.len());
        let sent: Vec<&Outgoing> = pick(messages, &failing);
        let answers = self.inner.send(queue, &sent).await?;
        self.after(&places, merge(&failing, answers)).await
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let places = Places { before: "crash before deleting", after: "crash amid deleting" };
        self.before(&places).await?;
        let failing = self.failing(receipt_handles.len());
        let deleted: Vec<&str> = pick(receipt_handles, &failing);
        let answers = if deleted.is_empty() {
            Vec::new()
        } else {
            self.inner.delete(queue, &deleted).await?
        };
        self.after(&places, merge(&failing, answers)).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
        visibility_secs: u32,
    ) -> Result<Vec<EntryResult>, Unreachable> {
        let places = if visibility_secs == 0 {
            Places { before: "crash in draining", after: "crash amid draining" }
        } else {
            Places { before: "crash at a heartbeat", after: "crash after a heartbeat" }
        };
        self.before(&places).await?;
        let answers = self.inner.extend(queue, receipt_handles, visibility_secs).await?;
        self.after(&places, answers).await
    }

    async fn list_again(&self) -> Result<Arc<Routes>, Unreachable> {
        self.inner.list_again().await
    }
}

fn unreachable(cause: &str) -> Unreachable {
    Unreachable { attempted: "calling SQS under chaos".to_owned(), cause: cause.to_owned() }
}

fn pick<T: Clone>(entries: &[T], failing: &[bool]) -> Vec<T> {
    entries.iter().zip(failing).filter(|(_, fails)| !**fails).map(|(one, _)| one.clone()).collect()
}

/// The answers to a whole batch of which only some entries were carried out.
fn merge(failing: &[bool], answers: Vec<EntryResult>) -> Vec<EntryResult> {
    let mut answers = answers.into_iter();
    let failure = || EntryFailure {
        code: "InternalError".to_owned(),
        message: "failed under chaos".to_owned(),
        sender_fault: false,
    };
    failing
        .iter()
        .map(|fails| if *fails { Err(failure()) } else { answers.next().unwrap_or(Err(failure())) })
        .collect()
}
