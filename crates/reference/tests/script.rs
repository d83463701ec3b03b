//! The generator: the same seed says the same, and in fifty seeds there is everything.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

use std::collections::{BTreeMap, BTreeSet};

use cap_reference::model::{Expected, Model};
use cap_reference::script::{
    Content, InvalidScript, KINDS, Message, Nature, Script, Shape, Stage, Step,
};
use serde_json::Value;

/// What the default shape has none of.
const KINDS_OF_NEWER_SHAPES: [&str; 3] =
    ["leverage.changed", "margin.changed", "transfer.requested"];

fn script(seed: u64) -> Script {
    Script::generate(seed, &Shape::default(), "t").unwrap()
}

/// Noon of a day, in milliseconds since 1970.
const NOON: i64 = 1_795_262_400_000;

fn header(message: &Message) -> Option<Value> {
    let body: Value = serde_json::from_str(&message.body_at(NOON)).ok()?;
    Some(body["header"].clone())
}

#[test]
fn the_same_seed_gives_the_same_script_and_another_seed_another() {
    for seed in 0..50 {
        assert_eq!(script(seed), script(seed));
        assert_ne!(script(seed).messages, script(seed + 1).messages);
    }
}

/// What fifty seeds of a shape have: natures, kinds of sound events, and how untimely they are.
fn contents(shape: &Shape) -> (BTreeSet<Nature>, BTreeSet<String>, BTreeSet<i64>) {
    let mut natures = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let mut untimely = BTreeSet::new();
    let scripts = (0..50).map(|seed| Script::generate(seed, shape, "t").unwrap());
    for message in scripts.flat_map(|script| script.messages) {
        natures.insert(match message.nature {
            Nature::Repetition { .. } => Nature::Repetition { of: 0 },
            Nature::Conflict { .. } => Nature::Conflict { of: 0 },
            nature => nature,
        });
        untimely.insert(message.initiated_at_offset_secs);
        if let (Nature::Sound, Some(kind)) = (message.nature, message.kind()) {
            kinds.insert(kind.to_owned());
        }
    }
    (natures, kinds, untimely)
}

/// The natures of the default shape.
fn natures() -> BTreeSet<Nature> {
    let refused = |stage| Nature::RefusedOnce { stage };
    BTreeSet::from([
        Nature::Sound,
        Nature::Repetition { of: 0 },
        Nature::Conflict { of: 0 },
        Nature::NotJson,
        Nature::InvalidFact,
        Nature::FactForUnopened,
        Nature::TooMuchReserved,
        refused(Stage::Clearing),
        refused(Stage::Position),
        refused(Stage::Account),
    ])
}

#[test]
fn fifty_seeds_of_the_default_shape_have_all_that_older_shapes_know() {
    let (found, kinds, untimely) = contents(&Shape::default());
    assert_eq!(found, natures());
    let mut known: BTreeSet<String> = KINDS.map(str::to_owned).into();
    known.retain(|kind| !KINDS_OF_NEWER_SHAPES.contains(&kind.as_str()));
    assert_eq!(kinds, known);
    assert_eq!(untimely, [-360, 0, 180].into());
}

#[test]
fn fifty_seeds_of_everything_together_have_every_nature_and_every_kind_of_event() {
    let (found, kinds, untimely) = contents(&Shape::together());
    let newer = [
        Nature::FactForClosed,
        Nature::SettledTooEarly,
        Nature::ContradictsPosition,
        Nature::WithoutRate,
    ];
    assert_eq!(found, natures().into_iter().chain(newer).collect());
    assert_eq!(kinds, KINDS.map(str::to_owned).into());
    assert_eq!(untimely, [-360, 0, 180].into());
}

#[test]
fn time_passes_only_if_the_shape_says_so() {
    let waits = |shape: &Shape| {
        let scripts = (0..50).map(|seed| Script::generate(seed, shape, "t").unwrap());
        let steps = scripts.flat_map(|script| script.steps);
        steps.filter(|step| matches!(step, Step::Wait(_))).collect::<Vec<_>>()
    };
    assert_eq!(waits(&Shape::everything()), []);
    let together = waits(&Shape::together());
    let half_an_hour = Step::Wait(30 * 60);
    assert!(together.iter().filter(|step| **step == half_an_hour).count() > 50, "{together:?}");
}

#[test]
fn older_shapes_have_nothing_new_and_everything_has_all_of_it() {
    let new = |script: &Script| {
        let mut found = BTreeSet::new();
        for message in &script.messages {
            if message.nature.is_skipped() && !natures().contains(&message.nature) {
                found.insert(format!("{:?}", message.nature));
                continue;
            }
            let Content::Envelope { event, .. } = &message.content else { continue };
            let said = event.to_string();
            for word in [
                "rates",
                "hedge",
                "position_side",
                "isolated",
                "BTC-USD\"",
                "liquidation\"",
                "margin.changed",
                "leverage.changed",
            ] {
                if said.contains(word) {
                    found.insert(word.to_owned());
                }
            }
        }
        found
    };
    let mut everything = BTreeSet::new();
    for seed in 0..50 {
        assert_eq!(new(&script(seed)), BTreeSet::new());
        let script = Script::generate(seed, &Shape::everything(), "t").unwrap();
        assert_eq!(script, Script::generate(seed, &Shape::everything(), "t").unwrap());
        everything.extend(new(&script));
    }
    assert_eq!(everything.len(), 12, "{everything:?}");
}

#[test]
fn cap_sends_itself_nothing_unless_the_shape_says_so() {
    let followed_up = |shape: &Shape| {
        let scripts = (0..50).map(|seed| Script::generate(seed, shape, "t").unwrap());
        let of = |script: Script| {
            let mut models: Vec<Model> = script.accounts.iter().map(Model::new).collect();
            let take = |message: &Message| models[message.account].take(message);
            let taken: Vec<Expected> = script.messages.iter().map(take).collect();
            taken.iter().filter(|expected| expected.follow_up().is_some()).count()
        };
        scripts.map(of).sum::<usize>()
    };
    assert_eq!(followed_up(&Shape { margin_per_mille: 0, ..Shape::everything() }), 0);
    assert!(followed_up(&Shape::everything()) > 50);
}

#[test]
fn accounts_are_on_every_level_of_queue_and_their_messages_go_there() {
    let script = script(7);
    let routes: BTreeSet<(String, String)> = script
        .accounts
        .iter()
        .map(|account| (account.queue(), account.message_group().replace(&account.name, "A")))
        .collect();
    let expected = [
        ("clearing-acme_perpetual", "retail_A"),
        ("clearing-acme_perpetual_vip", "A"),
        ("clearing-acme_spot", "retail_A"),
        ("clearing-zenith", "perpetual_retail_A"),
        ("clearing-zenith", "spot_retail_A"),
    ];
    assert_eq!(routes, expected.map(|(queue, group)| (queue.to_owned(), group.to_owned())).into());
    for message in &script.messages {
        let account = &script.accounts[message.account];
        let Some(header) = header(message) else { continue };
        let parts = ["company", "product", "customer_group", "account"];
        let key = parts.map(|part| header[part].as_str().unwrap()).join("_");
        assert_eq!(key, account.key());
        assert_eq!(header["request_id"], message.request_id.as_str());
    }
}

#[test]
fn ids_are_used_once_unless_that_is_the_point() {
    let shape = Shape { accounts: 100, messages: 3_000, ..Shape::default() };
    let script = Script::generate(u64::MAX, &shape, "longest-tag1").unwrap();
    let mut deduplication_ids = BTreeSet::new();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, message) in script.messages.iter().enumerate() {
        assert!(deduplication_ids.insert(&message.deduplication_id), "SQS would drop it");
        assert!(message.request_id.len() <= 64 && message.deduplication_id.len() <= 64);
        assert!(script.accounts[message.account].name.len() <= 36);
        match message.nature {
            Nature::Repetition { of } | Nature::Conflict { of } => {
                let other = &script.messages[of];
                assert!(of < number && other.nature == Nature::Sound);
                assert_eq!(
                    (&message.request_id, message.account),
                    (&other.request_id, other.account)
                );
                let same = message.content == other.content;
                assert_eq!(same, matches!(message.nature, Nature::Repetition { .. }));
            }
            _ => assert_eq!(first.insert(&message.request_id, number), None, "used before"),
        }
    }
}

#[test]
fn a_body_says_when_its_request_was_made() {
    for message in (0..20).flat_map(|seed| script(seed).messages) {
        match &message.content {
            Content::Text(text) => {
                assert!(serde_json::from_str::<Value>(text).is_err());
                assert_eq!(&message.body_at(NOON), text);
            }
            Content::Envelope { .. } => {
                let at = match message.initiated_at_offset_secs {
                    -360 => "2026-11-21T11:54:00Z",
                    180 => "2026-11-21T12:03:00Z",
                    _ => "2026-11-21T12:00:00Z",
                };
                assert_eq!(header(&message).unwrap()["initiated_at"], at);
            }
        }
    }
}

#[test]
fn a_shape_or_tag_out_of_bounds_is_refused_with_a_sentence() {
    let generate = |shape: Shape, tag: &str| Script::generate(1, &shape, tag).unwrap_err();
    assert_eq!(
        generate(Shape { accounts: 0, ..Shape::default() }, "t").to_string(),
        "a script has 1 to 1000 accounts, not 0"
    );
    assert_eq!(
        generate(Shape { messages: 100_001, ..Shape::default() }, "t"),
        InvalidScript::Messages(100_001)
    );
    for tag in ["", "a_b", "thirteen-char"] {
        assert_eq!(generate(Shape::default(), tag), InvalidScript::Tag(tag.to_owned()));
    }
}
