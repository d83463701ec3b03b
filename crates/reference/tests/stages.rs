//! The reference model against the stages themselves, chained in memory: what they say of every
//! message of every script, and what they have in the end.
//!
//! A poison suspends the lane it is found in; here support skips it at once, which is opening the
//! lane again. What CAP sends itself is delivered before the next message (ADR 11).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../../domain/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_domain::configuration::Configuration;
use cap_domain::ids::RequestId;
use cap_domain::lane::{LaneStatus, Stage as DomainStage};
use cap_domain::position::PositionChange;
use cap_reference::model::{Balance, Due, Expected, Model};
use cap_reference::script::{Account, Message, Nature, Script, Shape, Stage};
use common::story::{LaneOf, Sent, Story, Told};
use serde_json::{Value, json};

/// How many scripts of the default shape are compared.
const SEEDS: u64 = 200;

/// How many of a few accounts with long lives.
const LONG_SEEDS: u64 = 15;

/// What the comparison came to, so that it is seen to have compared something.
#[derive(Debug, Default)]
struct Tally {
    posted: usize,
    with_position: usize,
    /// Cross positions with a liquidation price, and without one though something is held.
    priced: [usize; 2],
    flipped: usize,
    flat: usize,
    lost: usize,
    delayed: usize,
    refused: BTreeMap<String, usize>,
    replayed: usize,
    skipped: usize,
}

fn story_of(account: &Account, configuration: &Arc<Configuration>) -> Story {
    let key: cap_domain::ids::AccountKey = account.key().parse().unwrap();
    let mut story = Story::under(&account.product, Arc::clone(configuration));
    story.account_key = key.clone();
    story.clearing.account = key.clone();
    story.position.account = key.clone();
    story.account.account = key;
    story
}

/// Support skips what suspended the lane.
fn skip<S: DomainStage>(lane: &mut LaneOf<S>) {
    lane.lane.status = LaneStatus::Active;
    lane.lane.suspension = None;
}

/// What the stages say of `message`, with the requests they say it of, and which of them it
/// suspended.
fn told(
    story: &mut Story,
    message: &Message,
    number: usize,
) -> (Vec<(String, Value)>, Option<String>) {
    let sent = Sent {
        message_id: format!("m-{number}"),
        deduplication_id: RequestId::new(&message.deduplication_id).ok(),
        sent_at: story.now,
        receives: 1,
        body: message.body_at(story.now.millis()),
    };
    let mut told = story.deliver(std::slice::from_ref(&sent));
    // What CAP sends itself comes at once here: the model knows no time in between.
    told.extend(story.follow_at_once());
    let suspended = story.suspended().first().map(|stage| stage.as_str().to_owned());
    skip(&mut story.clearing);
    skip(&mut story.position);
    skip(&mut story.account);
    story.now = story.now.plus_seconds(1);
    let read = |told: &Told| {
        let mut said: Value = serde_json::from_str(&told.body).unwrap();
        (told.request_id().to_owned(), said["outcome"].take())
    };
    (told.iter().map(read).collect(), suspended)
}

fn compare(script: &Script, configuration: &Arc<Configuration>, tally: &mut Tally) {
    for (index, account) in script.accounts.iter().enumerate() {
        let mut story = story_of(account, configuration);
        let mut model = Model::new(account);
        for (number, message) in script.messages_of(index).enumerate() {
            let before = model.positions();
            let expected = model.take(message);
            let (outcomes, suspended) = told(&mut story, message, number);
            let place = || {
                let body = message.body_at(0);
                format!(
                    "seed {} {:?} {body}\n{expected:#?}\n{outcomes:#?}",
                    script.seed, message.nature
                )
            };
            assert_eq!(expected == Expected::Skipped, message.nature.is_skipped(), "{}", place());
            let due: Vec<Due<'_>> = expected.due(&message.request_id).collect();
            assert_eq!(due.len(), outcomes.len(), "{}", place());
            for (due, (request_id, outcome)) in due.iter().zip(&outcomes) {
                assert!(due.is_told_under(request_id), "{request_id}: {}", place());
                if let Err(difference) = due.matches(outcome) {
                    panic!("{difference}\n{}", place());
                }
            }
            let found_at = message.nature.found_at(account).filter(|_| message.nature.is_skipped());
            assert_eq!(suspended.as_deref(), found_at.map(Stage::name), "{}", place());
            tally.count(&expected, message);
            if let Expected::Posted { position: Some(after), .. } = &expected
                && let Some(before) = before.get(&after.symbol)
            {
                let sides = (before.side.as_str(), after.side.as_str());
                tally.flipped +=
                    usize::from(matches!(sides, ("long", "short") | ("short", "long")));
                tally.flat += usize::from(sides.0 != "flat" && sides.1 == "flat");
                tally.lost += usize::from(after.realised_profit.starts_with('-'));
            }
        }
        compare_ends(&model, &story, account, script.seed);
        compare_positions(&model, &story, account, script.seed);
    }
}

/// Numbers and balances in the end.
fn compare_ends(model: &Model, story: &Story, account: &Account, seed: u64) {
    let place = format!("seed {seed} {}", account.key());
    let seqs = [story.clearing.lane.seq, story.position.lane.seq, story.account.lane.seq];
    assert_eq!(Stage::ALL.map(|stage| model.seq(stage)), seqs, "{place}");
    let ours: BTreeMap<String, Value> = model
        .balances()
        .into_iter()
        .map(|(currency, balance)| (currency, shown(&balance)))
        .collect();
    let theirs: BTreeMap<String, Value> = story
        .account
        .state
        .balances
        .iter()
        .map(|(currency, balance)| (currency.to_string(), json!(balance)))
        .collect();
    assert_eq!(ours, theirs, "{place}");
}

/// Linear positions of one-way perpetual accounts in the end; of others, every outcome was compared.
fn compare_positions(model: &Model, story: &Story, account: &Account, seed: u64) {
    let place = format!("seed {seed} {}", account.key());
    let ours = model.positions();
    let linear = |symbol: &str| matches!(symbol, "BTC-USDT" | "ETH-USDT");
    if ours.values().any(|held| held.position_side.is_some() || !linear(&held.symbol)) {
        return;
    }
    let theirs = &story.position.state.positions;
    assert_eq!(ours.len(), theirs.len(), "{place}");
    for (key, held) in theirs {
        let symbol = &key.symbol;
        let position = &ours[symbol.as_str()];
        let contract =
            cap_domain::instrument::Contract { symbol: symbol.clone(), ..common::linear() };
        let change = PositionChange::new(key, &contract, held, held.realised_profit).unwrap();
        let theirs = json!(change);
        assert_eq!(theirs["side"], position.side.as_str(), "{place} {symbol}");
        assert_eq!(held.quantity.normalize().to_string(), position.quantity, "{place} {symbol}");
        assert_eq!(theirs["entry_price"], json!(position.entry_price), "{place} {symbol}");
        assert_eq!(theirs["margin"], position.margin.as_str(), "{place} {symbol}");
        assert_eq!(theirs["realised_profit"], position.realised_profit.as_str(), "{place}");
        let cost = position.cost.replace('.', "").parse::<i128>().unwrap();
        assert_eq!(held.cost, cost, "{place} {symbol}");
    }
}

fn shown(balance: &Balance) -> Value {
    let mut shown = json!({ "currency": balance.currency });
    for (name, amount) in balance.amounts() {
        shown[name] = json!(amount);
    }
    for (name, amount) in &balance.declared {
        shown[*name] = json!(amount);
    }
    shown
}

impl Tally {
    fn count(&mut self, expected: &Expected, message: &Message) {
        match expected {
            Expected::Posted { position, delayed, .. } => {
                self.posted += 1;
                self.with_position += usize::from(position.is_some());
                let held = position.as_ref().filter(|held| held.side != "flat");
                if let Some(cross) = held.filter(|held| held.margin_mode == "cross") {
                    self.priced[usize::from(cross.liquidation_price.is_none())] += 1;
                }
                self.delayed += usize::from(*delayed);
            }
            Expected::Rejected { code, .. } => {
                *self.refused.entry(code.clone()).or_default() += 1;
            }
            Expected::Expired { .. } => *self.refused.entry("expired".into()).or_default() += 1,
            Expected::Conflict => {
                assert!(matches!(message.nature, Nature::Conflict { .. }));
                *self.refused.entry("request_id_conflict".into()).or_default() += 1;
            }
            Expected::Replayed(_) => {
                assert!(matches!(message.nature, Nature::Repetition { .. }));
                self.replayed += 1;
            }
            Expected::Skipped => self.skipped += 1,
        }
    }
}

#[test]
fn the_stages_say_of_every_message_what_the_contract_promises() {
    let configuration = common::configuration();
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let script = Script::generate(seed, &Shape::default(), "m").unwrap();
        compare(&script, &configuration, &mut tally);
    }
    println!("{tally:#?}");
    let codes: Vec<&str> = tally.refused.keys().map(String::as_str).collect();
    assert_eq!(
        codes,
        [
            "account_already_open",
            "account_closed",
            "account_not_empty",
            "account_not_found",
            "credit_limit_exceeded",
            "expired",
            "initiated_in_the_future",
            "insufficient_funds",
            "invalid_request",
            "request_id_conflict",
        ]
    );
    assert!(tally.posted > 15_000 && tally.with_position > 2_000, "{tally:?}");
    assert!(tally.replayed > 500 && tally.skipped > 300, "{tally:?}");
    assert!(tally.priced.iter().all(|count| *count > 500), "{tally:?}");
}

#[test]
fn long_lives_end_where_the_contract_says() {
    let configuration = common::configuration();
    let mut tally = Tally::default();
    let none = Shape { strangers_per_mille: 0, passers_by_per_mille: 0, ..Shape::default() };
    let shape = Shape { accounts: 5, messages: 1_000, ..none };
    for seed in 1_000..1_000 + LONG_SEEDS {
        let script = Script::generate(seed, &shape, "m").unwrap();
        compare(&script, &configuration, &mut tally);
    }
    println!("{tally:#?}");
    assert!(tally.delayed > 20, "{tally:?}");
    assert!(tally.flipped > 100 && tally.flat > 100 && tally.lost > 100, "{tally:?}");
}

/// Scripts of a shape, small ones.
fn compare_scripts_of(shape: &Shape) {
    let configuration = common::configuration();
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let script = Script::generate(seed, shape, "m").unwrap();
        compare(&script, &configuration, &mut tally);
    }
    println!("{tally:#?}");
}

#[test]
fn inverse_contracts() {
    compare_scripts_of(&Shape { inverse_per_mille: 400, ..Shape::default() });
}

#[test]
fn isolated_positions() {
    compare_scripts_of(&Shape { isolated_per_mille: 500, ..Shape::default() });
}

#[test]
fn margin_leverage_and_funding_beyond_what_is_available() {
    let few = Shape { accounts: 5, messages: 250, strangers_per_mille: 0, ..Shape::default() };
    let one_way = Shape { margin_per_mille: 400, isolated_per_mille: 700, ..few };
    compare_scripts_of(&one_way);
    compare_scripts_of(&Shape { hedge_per_mille: 700, inverse_per_mille: 300, ..one_way });
}

#[test]
fn hedge_accounts() {
    compare_scripts_of(&Shape { hedge_per_mille: 700, ..Shape::default() });
}

#[test]
fn cards_in_other_currencies() {
    compare_scripts_of(&Shape { card_per_mille: 700, ..Shape::default() });
}

#[test]
fn losses_that_take_withdrawals() {
    compare_scripts_of(&Shape { losses_per_mille: 120, ..Shape::default() });
}

#[test]
fn contracts_for_difference() {
    compare_scripts_of(&Shape { declared_per_mille: 1_000, ..Shape::default() });
    compare_scripts_of(&Shape { declared_per_mille: 1_000, ..Shape::everything() });
}

#[test]
fn everything_at_once() {
    compare_scripts_of(&Shape::everything());
}
