//! Accounts of every product and of two companies at once, with transfers between them: what the stages
//! say of every message and of everything CAP sends itself is what the reference model says, whenever
//! it comes, and money is neither made nor lost on the way.
//!
//! A case is a seed: a script says which message is published when, and between them when something
//! arrives that CAP has sent. A case that fails names its seed and its step.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../../../domain/tests/common/mod.rs"]
mod common;
mod directed;
mod envelopes;
mod ledger;
mod side;
mod tally;
mod world;

use std::collections::BTreeSet;

use cap_domain::event::EventKind;
use cap_reference::script::{KINDS, Script, Shape};
use tally::Tally;
use world::World;

/// How many short scripts are gone through: with the long ones, in about a minute of an unoptimised
/// build.
const CASES: u64 = 2_000;

/// How many long ones.
const LONG_CASES: u64 = 20;

/// How many of accounts that change their margins all the time.
const MARGIN_CASES: u64 = 120;

/// A few accounts for a short time, most of which open.
fn short() -> Shape {
    Shape { accounts: 6, messages: 40, strangers_per_mille: 40, ..Shape::together() }
}

fn long() -> Shape {
    Shape { accounts: 8, messages: 800, strangers_per_mille: 0, ..Shape::together() }
}

/// Few accounts that mind their margins, so that much is between a change and its arrival.
fn of_margins() -> Shape {
    Shape {
        accounts: 3,
        messages: 200,
        margin_per_mille: 300,
        isolated_per_mille: 800,
        transfers_per_mille: 40,
        losses_per_mille: 0,
        late_per_mille: 900,
        strangers_per_mille: 0,
        passers_by_per_mille: 0,
        ..Shape::together()
    }
}

fn go_through(seeds: impl Iterator<Item = u64>, shape: &Shape) -> Tally {
    let configuration = common::configuration();
    let mut tally = Tally::default();
    for seed in seeds {
        let script = Script::generate(seed, shape, "t").unwrap();
        let mut world = World::new(&configuration, seed);
        world.play(&script, &mut tally);
        world.close_everything();
    }
    println!("{tally:#?}");
    tally
}

#[test]
fn scripts_know_every_event_that_upstream_may_send() {
    let all = EventKind::ALL.iter().filter(|kind| !kind.is_from_cap());
    let names: BTreeSet<&str> = all.map(|kind| kind.name()).collect();
    assert_eq!(names, KINDS.into());
}

#[test]
fn short_lives_of_all_products_are_what_the_model_says_and_conserve_money() {
    let tally = go_through(0..CASES, &short());
    tally.assert_everything_happened(&tally::OF_SHORT_LIVES);
}

#[test]
fn long_lives_of_all_products_are_what_the_model_says_and_conserve_money() {
    let tally = go_through(10_000..10_000 + LONG_CASES, &long());
    tally.assert_everything_happened(&tally::OF_LONG_LIVES);
}

#[test]
fn margin_and_unpaid_funding_that_come_late_find_what_is_open_by_then() {
    let tally = go_through(20_000..20_000 + MARGIN_CASES, &of_margins());
    tally.assert_happened(&tally::OF_MARGINS);
}
