//! Any story of an account, with repetitions and conflicts and in any batches, is answered in order,
//! and its journals prove themselves.

use std::collections::BTreeMap;

use cap_domain::lane::LaneStatus;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Sent, Story, Told};

/// What one message of a random story is.
#[derive(Debug, Clone)]
enum Act {
    Event(Value),
    Repeat(prop::sample::Index),
    Redeliver(prop::sample::Index),
    Conflict(prop::sample::Index),
    Stale(Value),
    Future(Value),
}

fn amount() -> impl Strategy<Value = String> {
    (1_i64..300_000, prop::sample::select(vec!["USDT", "BTC"]))
        .prop_map(|(units, code)| format!("{}.{:02} {code}", units / 100, units % 100))
}

fn either_side() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["buy", "sell"])
}

/// What a fill trades. Inverse contracts are held on isolated margin, linear ones on cross margin.
#[derive(Debug, Clone, Copy)]
enum Traded {
    Pair,
    Linear,
    Inverse,
}

fn fills(traded: Traded) -> BoxedStrategy<Value> {
    (either_side(), 1_i64..3_000, 1_i64..500_000, -300_i64..300, 0_i64..20)
        .prop_map(move |(side, quantity, price, fee, reserve)| {
            let fraction = format!("0.{quantity:04}");
            let price = format!("{}.{:02}", price / 100 + 1, price % 100);
            let (trade, currency) = match traded {
                Traded::Pair => (spot(side, &fraction, &price), "USDT"),
                Traded::Linear => (perpetual(side, &fraction, &price), "USDT"),
                Traded::Inverse => {
                    (isolated(inverse_perpetual(side, &quantity.to_string(), &price)), "BTC")
                }
            };
            let fee = format!("{}0.{:06} {currency}", if fee < 0 { "-" } else { "" }, fee.abs());
            of_reserve(at_fee(trade, &fee), if reserve == 0 { "0.01" } else { "0" })
        })
        .boxed()
}

fn events(perpetual_product: bool) -> BoxedStrategy<Value> {
    let fill = if perpetual_product {
        prop_oneof![fills(Traded::Linear), fills(Traded::Inverse)].boxed()
    } else {
        fills(Traded::Pair)
    };
    let funded = if perpetual_product {
        (-50_i64..50, 1_i64..5_000, prop::sample::select(vec!["BTC-USDT", "BTC-USD"]))
            .prop_map(|(rate, mark, symbol)| {
                let rate = format!("{}0.00{:02}", if rate < 0 { "-" } else { "" }, rate.abs());
                with(funding(&rate, &mark.to_string()), json!({ "symbol": symbol }))
            })
            .boxed()
    } else {
        Just(json!({ "type": "margin.changed" })).boxed()
    };
    prop_oneof![
        4 => amount().prop_map(|a| deposit(&a)),
        3 => amount().prop_map(|a| reserved(&a)),
        3 => amount().prop_map(|a| reserved_borrowing(&a)),
        6 => fill,
        2 => funded,
        1 => amount().prop_map(|a| fee(&a)),
        1 => amount().prop_map(|a| interest(&a)),
        2 => (0..4, amount()).prop_map(|(n, a)| withdrawal(&format!("w-{n}"), &a)),
        1 => amount().prop_map(|a| adjusted(&format!("-{a}"), "reject")),
        1 => amount().prop_map(|a| adjusted(&a, "force")),
        1 => amount().prop_map(|a| credit_changed(&a, true)),
        1 => Just(opened()),
        1 => Just(closed()),
        1 => Just(reserved("0 USDT")),
        1 => Just(liquidation_started()),
    ]
    .boxed()
}

fn acts(perpetual_product: bool) -> impl Strategy<Value = Vec<Act>> {
    let event = events(perpetual_product);
    let act = prop_oneof![
        20 => event.clone().prop_map(Act::Event),
        2 => any::<prop::sample::Index>().prop_map(Act::Repeat),
        2 => any::<prop::sample::Index>().prop_map(Act::Redeliver),
        1 => any::<prop::sample::Index>().prop_map(Act::Conflict),
        1 => event.clone().prop_map(Act::Stale),
        1 => event.prop_map(Act::Future),
    ];
    prop::collection::vec(act, 1..40)
}

/// The message of `act`, as the next of `before`.
fn message_of(story: &mut Story, act: &Act, before: &[Sent]) -> Sent {
    let id = format!("r-{}", before.len());
    let shifted = |story: &mut Story, event: &Value, seconds: i64| {
        let made_at = story.now.plus_seconds(seconds);
        story.message_with(&id, event, json!({ "initiated_at": made_at }))
    };
    match act {
        Act::Event(event) => story.message(&id, event),
        Act::Stale(event) => shifted(story, event, -301),
        Act::Future(event) => shifted(story, event, 61),
        _ if before.is_empty() => story.message(&id, &deposit("1 USDT")),
        Act::Repeat(index) => {
            Sent { message_id: format!("again-{}", before.len()), ..index.get(before).clone() }
        }
        Act::Redeliver(index) => index.get(before).clone(),
        Act::Conflict(index) => {
            let id = index.get(before).deduplication_id.clone().unwrap();
            story.message(id.as_str(), &fee("0.01 ETH"))
        }
    }
}

/// Plays `acts` in batches of `batch`; every message has one outcome, in the order of the lane.
fn play(product: &str, credit: bool, acts: &[Act], batch: usize) -> Story {
    let mut story = Story::of(product);
    story.posted(&if credit { opened_with_credit("500 USDT") } else { opened() });
    let mut sent: Vec<Sent> = Vec::new();
    for acts in acts.chunks(batch) {
        let first = sent.len();
        for act in acts {
            let message = message_of(&mut story, act, &sent);
            sent.push(message);
        }
        let told = story.deliver(&sent[first..]);
        // A withdrawal that a loss has taken is told of besides.
        let own = told.iter().filter(|told| told.message.outcome.cancelled.is_none());
        let told: Vec<_> = own.map(Told::request_id).collect();
        let asked: Vec<_> = sent[first..]
            .iter()
            .map(|sent| sent.deduplication_id.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(told, asked, "one outcome a message, in the order of the lane");
    }
    story
}

fn assert_sound(story: &Story) {
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
    for balance in story.account.state.balances.values() {
        assert!(balance.available.is_zero() || balance.borrowed.is_zero(), "{balance:?}");
        for (name, share) in balance.shares() {
            assert!(!share.is_negative(), "{name} is below zero: {balance:?}");
        }
    }
    let mut margins = BTreeMap::new();
    for position in story.position.state.positions.values() {
        *margins.entry(position.margin.currency().code).or_insert(0) += position.margin.units();
    }
    if story.account.lane.status == LaneStatus::Active
        && story.position.lane.status == LaneStatus::Active
    {
        let held = &story.account.state.balances;
        for (code, balance) in held {
            let margin = margins.remove(code).unwrap_or_default();
            assert_eq!(margin, balance.margin.units(), "positions' margins are the account's");
        }
        assert!(margins.values().all(|margin| *margin == 0), "and no account is without its own");
    }
    let mut rows =
        story.account.journal.iter().map(|row| row.request_id.as_str()).collect::<Vec<_>>();
    rows.sort_unstable();
    let count = rows.len();
    rows.dedup();
    assert_eq!(rows.len(), count, "no request is journaled twice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spot_story_is_answered_in_order_and_proves_itself(
        credit: bool,
        acts in acts(false),
        batch in 1_usize..12,
    ) {
        assert_sound(&play("spot", credit, &acts, batch));
    }

    #[test]
    fn any_perpetual_story_is_answered_in_order_and_proves_itself(
        credit: bool,
        acts in acts(true),
        batch in 1_usize..12,
    ) {
        assert_sound(&play("perpetual", credit, &acts, batch));
    }

    #[test]
    fn how_messages_are_batched_changes_nothing(acts in acts(true), batch in 2_usize..12) {
        let one_by_one = play("perpetual", true, &acts, 1);
        let batched = play("perpetual", true, &acts, batch);
        prop_assert_eq!(&one_by_one.account.state, &batched.account.state);
        prop_assert_eq!(&one_by_one.position.state, &batched.position.state);
        prop_assert_eq!(one_by_one.account.lane.parked_seq, batched.account.lane.parked_seq);
    }
}
