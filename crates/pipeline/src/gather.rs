//! Gathering what was received into batches.
//!
//! One batch is worked on at a time, and what comes meanwhile is the next: so batches are as large as the load
//! makes them, each flush and each statement serves as many messages as there are, and who comes alone does not
//! wait. Another one is begun beside it only if it is full, or has waited long enough: a batch that
//! is stuck does not hold back the others.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use crate::limits::Limits;
use crate::steps::Step;

/// The batches that are being worked on.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    batches: AtomicUsize,
    ended: Notify,
}

impl Busy {
    fn is_any(&self) -> bool {
        self.batches.load(Ordering::Acquire) > 0
    }

    fn begin(&self) {
        self.batches.fetch_add(1, Ordering::AcqRel);
    }

    /// One is done.
    pub(crate) fn end(&self) {
        self.batches.fetch_sub(1, Ordering::AcqRel);
        self.ended.notify_one();
    }

    /// Waits until one is done; returns at once if one was since it was last waited for, so that whoever
    /// waits looks again whether there are others.
    async fn one_ended(&self) {
        self.ended.notified().await;
    }
}

/// Waits for messages, and gathers them into a batch; none when no receiver is left. The batch counts as
/// `busy` until it is said to have ended.
pub(crate) async fn gather<T>(
    received: &Mutex<mpsc::Receiver<Vec<T>>>,
    busy: &Busy,
    limits: &Limits,
) -> Option<Vec<T>> {
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
        if !busy.is_any() {
            break;
        }
        tokio::select! {
            more = received.recv() => match more {
                Some(more) => messages.extend(more),
                None => break,
            },
            () = busy.one_ended() => {}
            () = &mut waited_enough => break,
        }
    }
    busy.begin();
    Step::Gather.took(begun.elapsed());
    metrics::histogram!("cap_batch_messages").record(messages.len() as u32);
    Some(messages)
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

    fn limits(batch_wait: Duration) -> Limits {
        Limits { batch_messages_max: 3, batch_wait, ..Limits::default() }
    }

    #[tokio::test]
    async fn who_comes_alone_does_not_wait() {
        let (sender, received) = channel();
        sender.send(vec![1]).await.unwrap();
        let begun = Instant::now();
        assert_eq!(gather(&received, &Busy::default(), &limits(LONG)).await, Some(vec![1]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_worked_on_is_the_next_one() {
        let (sender, received) = channel();
        let busy = Busy::default();
        sender.send(vec![1]).await.unwrap();
        assert_eq!(gather(&received, &busy, &limits(LONG)).await, Some(vec![1]));
        let at_work = async {
            for message in [2, 3] {
                sender.send(vec![message]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            busy.end();
        };
        let mut limits = limits(LONG);
        limits.batch_messages_max = 10;
        let begun = Instant::now();
        let (gathered, ()) = tokio::join!(gather(&received, &busy, &limits), at_work);
        assert_eq!(gathered, Some(vec![2, 3]));
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
        assert_eq!(gather(&received, &busy, &limits(LONG)).await, Some(vec![1, 2, 3]));
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn a_batch_that_is_stuck_holds_the_next_one_back_for_a_while_only() {
        let (sender, received) = channel();
        let busy = Busy::default();
        busy.begin();
        // One that ended before is none to wait for.
        busy.begin();
        busy.end();
        sender.send(vec![1]).await.unwrap();
        let wait = Duration::from_millis(100);
        let begun = Instant::now();
        assert_eq!(gather(&received, &busy, &limits(wait)).await, Some(vec![1]));
        assert!((wait..LONG).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn the_last_messages_are_gathered_when_no_receiver_is_left() {
        let (sender, received) = channel();
        let busy = Busy::default();
        busy.begin();
        sender.send(vec![1]).await.unwrap();
        drop(sender);
        assert_eq!(gather(&received, &busy, &limits(LONG)).await, Some(vec![1]));
        assert_eq!(gather(&received, &busy, &limits(LONG)).await, None);
    }
}
