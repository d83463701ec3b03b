//! Any story of an account, with repetitions and conflicts and in any batches, is answered in order,
//! and its journals prove themselves.

use cap_domain::lane::LaneStatus;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::shares;
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

fn fills(perpetual_product: bool) -> BoxedStrategy<Value> {
    (either_side(), 1_i64..3_000, 1_i64..500_000, -300_i64..300, 0_i64..20)
        .prop_map(move |(side, quantity, price, fee, reserve)| {
            let (quantity, price) =
                (format!("0.{quantity:04}"), format!("{}.{:02}", price / 100 + 1, price % 100));
            let trade = if perpetual_product {
                perpetual(side, &quantity, &price)
            } else {
                spot(side, &quantity, &price)
            };
            let fee = format!("{}0.{:06} USDT", if fee < 0 { "-" } else { "" }, fee.abs());
            of_reserve(at_fee(trade, &fee), if reserve == 0 { "0.01" } else { "0" })
        })
        .boxed()
}

fn events(perpetual_product: bool) -> BoxedStrategy<Value> {
    let fill = fills(perpetual_product);
    let funded = if perpetual_product {
        (-50_i64..50, 1_i64..5_000)
            .prop_map(|(rate, mark)| {
                funding(
                    &format!("{}0.00{:02}", if rate < 0 { "-" } else { "" }, rate.abs()),
                    &mark.to_string(),
                )
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
        let told: Vec<_> = told.iter().map(Told::request_id).collect();
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
        for (name, share) in shares(balance) {
            assert!(!share.is_negative(), "{name} is below zero: {balance:?}");
        }
    }
    let margins = story.position.state.positions.values().map(|position| position.margin.units());
    let usdt = story.account.state.balances.get(&"USDT".parse().unwrap());
    if story.account.lane.status == LaneStatus::Active
        && story.position.lane.status == LaneStatus::Active
    {
        assert_eq!(
            margins.sum::<i128>(),
            usdt.map_or(0, |b| b.margin.units()),
            "positions' margins are the account's"
        );
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
