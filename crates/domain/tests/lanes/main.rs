//! A lane through all stages in memory: every message once, in order, whatever comes how often,
//! and a journal that proves itself (DESIGN §1–§3).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../common/mod.rs"]
mod common;

mod age;
mod awaited_rules;
mod bad_input;
mod between_stages;
mod figures;
mod forged_transfers;
mod journal;
mod leverage_in_order;
mod margin;
mod named_figures;
mod outcomes;
mod redrive;
mod repetition;
mod split_fills;
mod stories;
mod suspension;
mod tape;
mod transfers;
mod transfers_any_order;
mod unpaid_funding;

use cap_domain::clearing::{Clearing, Submission};
use cap_domain::lane::{Arrival, Stage};
use serde_json::{Value, json};

use common::story::{Sent, Story, Told};

fn clearing_arrivals(story: &Story, sent: &Sent) -> Vec<Arrival<Submission>> {
    Clearing::read(&story.account_key, sent.raw())
}

/// The outcomes' request ids, in the order they were told.
fn ids(told: &[Told]) -> Vec<&str> {
    told.iter().map(Told::request_id).collect()
}

/// What upstream is told again: all but `replayed` as the first time.
fn assert_replayed(first: &Told, again: &Told) {
    let mut expected: Value = serde_json::from_str(&first.body).unwrap();
    expected["outcome"]["replayed"] = json!(true);
    assert_eq!(serde_json::from_str::<Value>(&again.body).unwrap(), expected);
    assert_ne!(again.deduplication_id, first.deduplication_id, "SQS would swallow the answer");
}
