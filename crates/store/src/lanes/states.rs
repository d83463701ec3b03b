//! The states that were written last, so that an account's next message does not read them again.
//!
//! Guarantees that what it gives is what the database has: a state is what the rows of its lane's journal make
//! of it, `head` is the hash over all of them, and a state is given only for the head it was kept under. The
//! lane itself is read every time, and the commit's fence holds what happens after that (C7).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cap_domain::ids::AccountKey;
use cap_domain::lane::{RowHash, Stage};

use crate::state::StateTables;

/// States of a generation: at most twice as many are kept.
const GENERATION_STATES_MAX: usize = 10_000;

/// Balances or positions in the states of a generation: a few accounts that have thousands of them fill one
/// sooner than many small ones.
const GENERATION_PARTS_MAX: usize = 40_000;

/// States, in two generations: a full one becomes the old one, and what was not written since is forgotten
/// with the one before it.
pub(super) struct States<S: Stage> {
    generations: Mutex<Generations<S>>,
}

struct Generations<S: Stage> {
    young: Generation<S>,
    old: Generation<S>,
    /// The parts of all states of `young`.
    young_parts: usize,
}

type Generation<S> = HashMap<AccountKey, (RowHash, <S as Stage>::State)>;

impl<S: Stage> Default for States<S> {
    fn default() -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        let generations = Generations { young, old, young_parts: 0 };
        Self { generations: Mutex::new(generations) }
    }
}

impl<S: Stage> std::fmt::Debug for States<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl<S: StateTables> States<S> {
    /// The states of those `lanes` whose head is still the one their state was kept under.
    pub(super) fn of<'a>(
        &self,
        lanes: impl Iterator<Item = (&'a AccountKey, RowHash)>,
    ) -> HashMap<AccountKey, S::State> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old, .. } = &*generations;
        let known = lanes.filter_map(|(account, head)| {
            let (kept_under, state) = young.get(account).or_else(|| old.get(account))?;
            (*kept_under == head).then(|| (account.clone(), state.clone()))
        });
        known.collect()
    }

    /// Keeps the states that were committed, each under its lane's new head.
    pub(super) fn keep<'a>(
        &self,
        committed: impl Iterator<Item = (&'a AccountKey, RowHash, &'a S::State)>,
    ) where
        S::State: 'a,
    {
        if size_of::<S::State>() == 0 {
            // A stage that keeps nothing besides its lanes.
            return;
        }
        let mut forgotten: Vec<Generation<S>> = Vec::new();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, head, state) in committed {
            let parts = S::parts(state);
            if generations.is_full(parts) && !generations.young.contains_key(account) {
                let full = std::mem::take(&mut generations.young);
                forgotten.push(std::mem::replace(&mut generations.old, full));
                generations.young_parts = 0;
            }
            generations.young_parts += parts;
            let replaced = generations.young.insert(account.clone(), (head, state.clone()));
            generations.young_parts -= replaced.map_or(0, |(_, state)| S::parts(&state));
        }
        // To free them takes a while: not while others wait.
        drop(generations);
        drop(forgotten);
    }
}

impl<S: Stage> Generations<S> {
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

    fn state(liquidating: bool) -> AccountState {
        AccountState { liquidating, ..AccountState::default() }
    }

    #[test]
    fn a_state_is_given_only_for_the_head_it_was_kept_under() {
        let states = States::<Accounts>::default();
        let (a, b) = (account(1), account(2));
        let kept = state(true);
        states.keep([(&a, RowHash([1; 32]), &kept), (&b, RowHash([2; 32]), &kept)].into_iter());
        let known = states.of([(&a, RowHash([1; 32])), (&b, RowHash([3; 32]))].into_iter());
        assert_eq!(known, HashMap::from([(a, kept)]));
    }

    #[test]
    fn the_newest_of_two_generations_counts_and_what_is_older_is_forgotten() {
        let states = States::<Accounts>::default();
        let put = |number: usize, head: u8, liquidating: bool| {
            let (key, state) = (account(number), state(liquidating));
            states.keep(std::iter::once((&key, RowHash([head; 32]), &state)));
        };
        let get = |number: usize, head: u8| {
            let key = account(number);
            states.of(std::iter::once((&key, RowHash([head; 32])))).remove(&key)
        };
        put(0, 1, false);
        (1..=GENERATION_STATES_MAX).for_each(|number| put(number, 1, false));
        assert!(get(0, 1).is_some(), "the first is in the old generation");
        put(0, 2, true);
        assert_eq!((get(0, 1), get(0, 2)), (None, Some(state(true))));
        (1..=2 * GENERATION_STATES_MAX).for_each(|number| put(number, 3, false));
        assert_eq!(get(0, 2), None);
    }
}
