//! Gathering what was received into batches.
//!
//! One batch is worked on at a time, and what comes meanwhile is the next: so batches are as large as the load
//! makes them, each flush and each statement serves as many messages as there are, and who comes alone does not
//! wait. Another one is begun beside it only if it is full, or has waited long enough: a batch that
//! is stuck holds back the next one for a while, and those behind it not at all.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use crate::limits::Limits;
use crate::steps::BatchStep;

/// A batch of messages, and its number among those of the process.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch<T> {
    pub(crate) number: u64,
    pub(crate) messages: Vec<T>,
}

/// The batches that are being worked on.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    begun: AtomicU64,
    /// Those that the next one waits for.
    awaited: std::sync::Mutex<Vec<u64>>,
    ended: Notify,
}

impl Busy {
    fn is_any_awaited(&self) -> bool {
        !self.awaited().is_empty()
    }

    fn begin(&self) -> u64 {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.awaited().push(number);
        number
    }

    /// The batch of that number is done.
    pub(crate) fn end(&self, number: u64) {
        self.awaited().retain(|awaited| *awaited != number);
        self.ended.notify_one();
    }

    /// Those that are being worked on are stuck: nobody waits for them again.
    fn give_up(&self) {
        self.awaited().clear();
    }

    /// Waits until one is done; returns at once if one was since it was last waited for, so that whoever
    /// waits looks again whether there are others.
    async fn one_ended(&self) {
        self.ended.notified().await;
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for messages, and gathers them into a batch; none when no receiver is left. The batch counts as
/// `busy` until it is said to have ended.
pub(crate) async fn gather<T>(
    received: &Mutex<mpsc::Receiver<Vec<T>>>,
    busy: &Busy,
    limits: &Limits,
) -> Option<Batch<T>> {
    let mut received = received.lock().await;
    let mut messages = received.recv().await?;
    let begun = Instant::now();
    let waited_enough = tokio::time::sleep_until(begun + limits.batch_wait);
    tokio::pin!(waited_enough);
    while messages.len() < limits.batch_messages_max {
        if let Ok(more) = received.try_recv() {
            messages.extend(more);
            continue;
        }
        // Only who holds the receiver adds to them.
        if !busy.is_any_awaited() {
            break;
        }
        tokio::select! {
            more = received.recv() => match more {
                Some(more) => messages.extend(more),
                None => break,
            },
            () = busy.one_ended() => {}
            () = &mut waited_enough => {
                busy.give_up();
                break;
            }
        }
    }
    let number = busy.begin();
    BatchStep::Gather.took(begun.elapsed());
    metrics::histogram!("cap_batch_messages").record(messages.len() as u32);
    Some(Batch { number, messages })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    /// Longer than any test waits on purpose.
    const LONG: Duration = Duration::from_secs(20);

    type Sender = mpsc::Sender<Vec<u32>>;

    fn channel() -> (Sender, Mutex<mpsc::Receiver<Vec<u32>>>) {
        let (sender, receiver) = mpsc::channel(8);
        (sender, Mutex::new(receiver))
    }

    async fn gathered(
        received: &Mutex<mpsc::Receiver<Vec<u32>>>,
        busy: &Busy,
        limits: &Limits,
    ) -> Option<Vec<u32>> {
        gather(received, busy, limits).await.map(|batch| batch.messages)
    }

    fn limits(batch_wait: Duration) -> Limits {
        Limits { batch_messages_max: 3, batch_wait, ..Limits::default() }
    }

    #[tokio::test]
    async fn who_comes_alone_does_not_wait() {
        let (sender, received) = channel();
        sender.send(vec![1]).await.unwrap();
        let begun = Instant::now();
        assert_eq!(gathered(&received, &Busy::default(), &limits(LONG)).await, Some(vec![1]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_worked_on_is_the_next_one() {
        let (sender, received) = channel();
        let busy = Busy::default();
        sender.send(vec![1]).await.unwrap();
        assert_eq!(gathered(&received, &busy, &limits(LONG)).await, Some(vec![1]));
        let at_work = async {
            for message in [2, 3] {
                sender.send(vec![message]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            busy.end(0);
        };
        let mut limits = limits(LONG);
        limits.batch_messages_max = 10;
        let begun = Instant::now();
        let (next, ()) = tokio::join!(gathered(&received, &busy, &limits), at_work);
        assert_eq!(next, Some(vec![2, 3]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn a_full_batch_is_begun_beside_the_others() {
        let (sender, received) = channel();
        let busy = Busy::default();
        busy.begin();
        for message in 1..=4 {
            sender.send(vec![message]).await.unwrap();
        }
        let begun = Instant::now();
        assert_eq!(gathered(&received, &busy, &limits(LONG)).await, Some(vec![1, 2, 3]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn a_batch_that_is_stuck_holds_the_next_one_back_for_a_while_and_those_behind_not_at_all()
    {
        let (sender, received) = channel();
        let busy = Busy::default();
        busy.begin();
        // One that ended before is none to wait for.
        let ended = busy.begin();
        busy.end(ended);
        sender.send(vec![1]).await.unwrap();
        let wait = Duration::from_millis(100);
        let begun = Instant::now();
        let next = gather(&received, &busy, &limits(wait)).await.unwrap();
        assert_eq!(next.messages, [1]);
        assert!((wait..LONG).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        busy.end(next.number);

        sender.send(vec![2]).await.unwrap();
        let begun = Instant::now();
        assert_eq!(gathered(&received, &busy, &limits(LONG)).await, Some(vec![2]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn the_last_messages_are_gathered_when_no_receiver_is_left() {
        let (sender, received) = channel();
        let busy = Busy::default();
        busy.begin();
        sender.send(vec![1]).await.unwrap();
        drop(sender);
        assert_eq!(gathered(&received, &busy, &limits(LONG)).await, Some(vec![1]));
        assert_eq!(gathered(&received, &busy, &limits(LONG)).await, None);
    }
}
