//! The end of a run: waits until nothing is left to do, for as long as something gets done.
//!
//! A busy machine does everything late, and late is not wrong: so what ends the wait is not the
//! time a run takes, but that nothing gets done any more. Messages that only circle, received again
//! and again, get nothing done.

use std::time::Duration;

use cap_domain::lane::StageName;
use cap_reference::script::{Nature, Script};
use tokio::time::Instant;

use crate::arena::{Arena, patiently};
use crate::support::Support;
use crate::upstream::Outcomes;

/// How long nothing may get done while something is left to do.
const STALLED_MAX: Duration = Duration::from_secs(45);

/// How long a run may take from its last message until nothing is left to do, whatever gets done.
const QUIET_MAX: Duration = Duration::from_secs(600);

/// Longer than a crash can leave anything hidden, outcomes too.
const HIDDEN_MAX: Duration = Duration::from_secs(6);

/// How often it is looked whether anything is left.
const PAUSE: Duration = Duration::from_millis(100);

/// What lanes have done. Each of these numbers ends where the script does.
const DONE: &str = "select coalesce(sum(seq + parked_seq + redriven_seq), 0)::bigint from lane";

/// Whether anything gets done.
#[derive(Debug)]
struct Progress {
    done: i64,
    /// The least that was left since `done` moved.
    left: usize,
    /// When something got done last.
    at: Instant,
}

impl Progress {
    const fn new(done: i64, left: usize, at: Instant) -> Self {
        Self { done, left, at }
    }

    /// Notes how far things are at `now`; for how long nothing has got done by then. What is left
    /// may become more while lanes advance, each message leads to others; while they stand still,
    /// only less than ever is progress. So whoever gets nothing done is found out in the end.
    fn stalled(&mut self, done: i64, left: usize, now: Instant) -> Duration {
        if done > self.done || left < self.left {
            *self = Self::new(done.max(self.done), left, now);
        }
        now - self.at
    }
}

/// Waits until no lane is suspended and no queue holds anything; what is left if it never comes.
///
/// # Errors
/// If a database does not answer.
pub(crate) async fn quiet(arena: &Arena, support: &Support) -> anyhow::Result<Option<String>> {
    // What crashes left hidden need not be waited for. Once: the services' own time goes on as it
    // does, and if the broker's went faster, what they work on would be over before they extend it.
    arena.stack.broker.advance(HIDDEN_MAX);
    let begun = Instant::now();
    let mut progress = Progress::new(0, usize::MAX, begun);
    loop {
        let (waiting, letters) = arena.in_queues();
        let suspended = patiently(async || support.has_work().await).await?;
        if waiting == 0 && letters == 0 && !suspended {
            return Ok(None);
        }
        let done = patiently(async || done(arena).await).await?;
        let stalled = progress.stalled(done, waiting + letters, Instant::now());
        if stalled > STALLED_MAX || begun.elapsed() > QUIET_MAX {
            let (took, left) = (begun.elapsed().as_secs(), arena.left());
            let stalled = stalled.as_secs();
            return Ok(Some(format!(
                "after {took} s, the last {stalled} without anything done, {waiting} messages and {letters} dead letters are left ({left}), suspended lanes: {suspended}"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn done(arena: &Arena) -> Result<i64, sqlx::Error> {
    let mut done = 0;
    for stage in StageName::ALL {
        done += sqlx::query_scalar::<_, i64>(DONE).fetch_one(arena.database(stage)).await?;
    }
    Ok(done)
}

/// Waits until every account without poison has all its outcomes; what is missing if none of them
/// comes any more.
pub(crate) async fn others_left(script: &Script, outcomes: &Outcomes) -> Option<String> {
    let is_poison =
        |nature: Nature| nature.is_skipped() || matches!(nature, Nature::RefusedOnce { .. });
    let mut waiting: Vec<(String, Vec<&str>)> = Vec::new();
    for (index, account) in script.accounts.iter().enumerate() {
        if !script.messages_of(index).any(|message| is_poison(message.nature)) {
            let requests = script.messages_of(index).map(|message| message.request_id.as_str());
            waiting.push((account.name.clone(), requests.collect()));
        }
    }
    let mut progress = Progress::new(0, usize::MAX, Instant::now());
    loop {
        for (account, requests) in &mut waiting {
            let told = outcomes.of(account);
            requests.retain(|request| !told.iter().any(|one| one["request_id"] == **request));
        }
        waiting.retain(|(_, requests)| !requests.is_empty());
        if waiting.is_empty() {
            return None;
        }
        let left = waiting.iter().map(|(_, requests)| requests.len()).sum();
        let stalled = progress.stalled(0, left, Instant::now());
        if stalled > STALLED_MAX {
            let accounts: Vec<&str> = waiting.iter().map(|(account, _)| account.as_str()).collect();
            return Some(format!(
                "for {} s no outcome of an account without poison has come, and {left} are missing: {}",
                stalled.as_secs(),
                accounts.join(", ")
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how long nothing has got done after each look, a second apart.
    fn stalled(looks: &[(i64, usize)]) -> Vec<u64> {
        let begun = Instant::now();
        let mut progress = Progress::new(0, usize::MAX, begun);
        let mut now = begun;
        let look = |(done, left): &(i64, usize)| {
            now += Duration::from_secs(1);
            progress.stalled(*done, *left, now).as_secs()
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn lanes_that_advance_get_something_done_though_more_is_left_than_before() {
        assert_eq!(stalled(&[(5, 3), (6, 4), (7, 9)]), [0, 0, 0]);
    }

    #[test]
    fn letters_that_go_get_something_done_though_no_lane_advances() {
        assert_eq!(stalled(&[(5, 3), (5, 2), (5, 1)]), [0, 0, 0]);
    }

    #[test]
    fn messages_that_only_circle_get_nothing_done() {
        assert_eq!(stalled(&[(5, 3), (5, 4), (5, 3), (5, 4), (5, 3)]), [0, 1, 2, 3, 4]);
    }
}
