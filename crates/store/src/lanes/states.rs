//! The lanes and states that were written last, so that an account's next message does not read them again.
//!
//! Guarantees that a state it gives is what the database has: a state is what the rows of its lane's journal
//! make of it, `head` is the hash over all of them, and a state is given only for the head it was kept under.
//! A lane is only what this process wrote last. If a rival has moved it since, the commit's fence finds out
//! (C7), and for a while every lane is read ([`RIVAL_MEMORY`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, RowHash, Stage};

use crate::state::StateTables;

/// States of a generation: at most twice as many are kept.
const GENERATION_STATES_MAX: usize = 10_000;

/// Balances or positions in the states of a generation: a few accounts that have thousands of them fill one
/// sooner than many small ones.
const GENERATION_PARTS_MAX: usize = 40_000;

/// How long lanes are read after a rival was seen to have moved one. Where two tasks take turns with all
/// accounts, each sees the other all the time, and both read. Shorter in development builds, so that tests meet both.
const RIVAL_MEMORY: Duration = Duration::from_secs(if cfg!(debug_assertions) { 1 } else { 60 });

/// Lanes and states, in two generations: a full one becomes the old one, and what was not written since is
/// forgotten with the one before it.
pub(super) struct States<S: Stage> {
    generations: Mutex<Generations<S>>,
    rival_seen_at: Mutex<Option<Instant>>,
}

struct Generations<S: Stage> {
    young: Generation<S>,
    old: Generation<S>,
    /// The parts of all states of `young`.
    young_parts: usize,
}

type Generation<S> = HashMap<AccountKey, Kept<S>>;

/// What was written of an account last.
struct Kept<S: Stage> {
    lane: Lane,
    state: Arc<S::State>,
}

impl<S: Stage> Default for States<S> {
    fn default() -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        let generations = Generations { young, old, young_parts: 0 };
        Self { generations: Mutex::new(generations), rival_seen_at: Mutex::default() }
    }
}

impl<S: Stage> std::fmt::Debug for States<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl<S: StateTables> States<S> {
    /// The states of those `lanes`, just read, whose head is still the one their state was kept under. Any
    /// other was moved by a rival.
    pub(super) fn of<'a>(
        &self,
        lanes: impl Iterator<Item = (&'a AccountKey, RowHash)>,
        now: Instant,
    ) -> HashMap<AccountKey, Arc<S::State>> {
        let mut moved = false;
        let generations = self.generations();
        let known = lanes.filter_map(|(account, head)| {
            let kept = generations.get(account)?;
            let is_same = kept.lane.head == head;
            moved |= !is_same;
            is_same.then(|| (account.clone(), Arc::clone(&kept.state)))
        });
        let known = known.collect();
        drop(generations);
        if moved {
            self.rival_seen(now);
        }
        known
    }

    /// The lanes of `accounts` as they were written last, with their states: those that take messages and
    /// never parked one, of which there is nothing else to remember. None if a rival was seen lately.
    pub(super) fn lanes_of(
        &self,
        accounts: &[&AccountKey],
        now: Instant,
    ) -> Vec<(AccountKey, Lane, Arc<S::State>)> {
        let rival_seen_at = *self.rival_seen_at();
        if rival_seen_at.is_some_and(|seen| now.saturating_duration_since(seen) < RIVAL_MEMORY) {
            return Vec::new();
        }
        let generations = self.generations();
        let known = accounts.iter().filter_map(|account| {
            let Kept { lane, state } = generations.get(account)?;
            let open = lane.status == LaneStatus::Active && lane.parked_seq == 0;
            open.then(|| ((*account).clone(), lane.clone(), Arc::clone(state)))
        });
        known.collect()
    }

    /// Notes that a rival has moved a lane.
    pub(super) fn rival_seen(&self, now: Instant) {
        *self.rival_seen_at() = Some(now);
    }

    /// Keeps what was committed.
    pub(super) fn keep<'a>(
        &self,
        committed: impl Iterator<Item = (&'a AccountKey, &'a Lane, &'a Arc<S::State>)>,
    ) where
        S::State: 'a,
    {
        let mut forgotten: Vec<Generation<S>> = Vec::new();
        let mut generations = self.generations();
        for (account, lane, state) in committed {
            let parts = S::parts(state);
            if generations.is_full(parts) && !generations.young.contains_key(account) {
                let full = std::mem::take(&mut generations.young);
                forgotten.push(std::mem::replace(&mut generations.old, full));
                generations.young_parts = 0;
            }
            generations.young_parts += parts;
            let kept = Kept { lane: lane.clone(), state: Arc::clone(state) };
            let replaced = match generations.young.get_mut(account) {
                Some(young) => Some(std::mem::replace(young, kept)),
                None => generations.young.insert(account.clone(), kept),
            };
            generations.young_parts -= replaced.map_or(0, |replaced| S::parts(&replaced.state));
        }
        // To free them takes a while: not while others wait.
        drop(generations);
        drop(forgotten);
    }

    fn generations(&self) -> MutexGuard<'_, Generations<S>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rival_seen_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rival_seen_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Stage> Generations<S> {
    fn get(&self, account: &AccountKey) -> Option<&Kept<S>> {
        self.young.get(account).or_else(|| self.old.get(account))
    }

    /// Whether the young generation has no room for a state of so many `parts`.
    fn is_full(&self, parts: usize) -> bool {
        let too_many_parts = self.young_parts + parts > GENERATION_PARTS_MAX;
        self.young.len() >= GENERATION_STATES_MAX || (too_many_parts && !self.young.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_domain::account::{AccountState, Accounts};

    fn account(number: usize) -> AccountKey {
        format!("acme_spot_retail_A-{number}").parse().expect("a key")
    }

    fn state(liquidating: bool) -> Arc<AccountState> {
        Arc::new(AccountState { liquidating, ..AccountState::default() })
    }

    fn lane(head: u8) -> Lane {
        Lane { head: RowHash([head; 32]), ..Lane::default() }
    }

    #[test]
    fn a_state_is_given_only_for_the_head_it_was_kept_under() {
        let states = States::<Accounts>::default();
        let (a, b) = (account(1), account(2));
        let kept = state(true);
        states.keep([(&a, &lane(1), &kept), (&b, &lane(2), &kept)].into_iter());
        let now = Instant::now();
        assert!(!states.lanes_of(&[&a], now).is_empty());
        let known = states.of([(&a, RowHash([1; 32])), (&b, RowHash([3; 32]))].into_iter(), now);
        assert_eq!(known, HashMap::from([(a.clone(), kept)]));
        assert!(states.lanes_of(&[&a], now).is_empty(), "who moved b is a rival");
    }

    #[test]
    fn the_newest_of_two_generations_counts_and_what_is_older_is_forgotten() {
        let states = States::<Accounts>::default();
        let put = |number: usize, head: u8, liquidating: bool| {
            let (key, state) = (account(number), state(liquidating));
            states.keep(std::iter::once((&key, &lane(head), &state)));
        };
        let get = |number: usize, head: u8| {
            let key = account(number);
            let lane = std::iter::once((&key, RowHash([head; 32])));
            states.of(lane, Instant::now()).remove(&key)
        };
        put(0, 1, false);
        (1..=GENERATION_STATES_MAX).for_each(|number| put(number, 1, false));
        assert!(get(0, 1).is_some(), "the first is in the old generation");
        put(0, 2, true);
        assert_eq!((get(0, 1), get(0, 2)), (None, Some(state(true))));
        (1..=2 * GENERATION_STATES_MAX).for_each(|number| put(number, 3, false));
        assert_eq!(get(0, 2), None);
    }

    #[test]
    fn lanes_are_given_until_a_rival_is_seen_and_again_a_while_later() {
        let states = States::<Accounts>::default();
        let key = account(1);
        let given = |now| states.lanes_of(&[&key], now);
        let now = Instant::now();
        assert_eq!(given(now), []);
        states.keep(std::iter::once((&key, &lane(1), &state(true))));
        assert_eq!(given(now), [(key.clone(), lane(1), state(true))]);
        states.rival_seen(now);
        assert_eq!(given(now + RIVAL_MEMORY - Duration::from_millis(1)), []);
        assert_eq!(given(now + RIVAL_MEMORY), [(key.clone(), lane(1), state(true))]);
    }

    #[test]
    fn a_lane_that_is_suspended_or_ever_parked_a_message_is_not_given() {
        let states = States::<Accounts>::default();
        let key = account(1);
        let parked = Lane { parked_seq: 1, redriven_seq: 1, ..lane(1) };
        let suspended = Lane { status: LaneStatus::Suspended, ..lane(1) };
        for lane in [parked, suspended] {
            states.keep(std::iter::once((&key, &lane, &state(false))));
            assert_eq!(states.lanes_of(&[&key], Instant::now()), [], "{lane:?}");
        }
    }
}
