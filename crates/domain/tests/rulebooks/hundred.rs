//! Broken rulebooks by the hundred, made by rule from the shipped ones: each is refused by one
//! sentence that names the document, the place and the reason.

use std::collections::BTreeSet;

use cap_domain::event::EventKind;
use serde_json::{Value, json};

use crate::check;
use crate::common::shipped;

/// The longest message that is still one sentence for a person, in characters.
const SENTENCE_CHARS_MAX: usize = 420;

/// A broken configuration, and what its message must name.
struct Broken {
    document: Value,
    product: String,
    place: String,
    reason: &'static str,
}

#[test]
fn every_leg_broken_in_every_way_is_refused_with_its_place() {
    let broken = broken_legs();
    assert!(broken.len() >= 100, "{} rulebooks", broken.len());
    let mut messages = BTreeSet::new();
    for Broken { document, product, place, reason } in broken {
        let error = check(document).expect_err(&format!("{product} {place}: {reason}"));
        let start = format!("rulebooks/{product}.json: {place}");
        assert!(error.starts_with(&start), "expected {start}\n     got {error}");
        assert!(error.contains(reason), "expected … {reason} …\n     got {error}");
        assert!(error.chars().count() <= SENTENCE_CHARS_MAX && !error.contains('\n'), "{error}");
        for internal in ["Some(", "None", "Error", "::", " { "] {
            assert!(!error.contains(internal), "{internal:?} is for nobody: {error}");
        }
        messages.insert(error);
    }
    assert!(messages.len() >= 100, "only {} different messages", messages.len());
}

#[test]
fn every_kind_of_event_is_missed_by_name() {
    let document = shipped();
    for rulebook in 0..3 {
        let kinds: Vec<String> = document["rulebooks"][rulebook]["events"]
            .as_object()
            .unwrap()
            .keys()
            // What CAP sends itself is younger than rulebooks may be.
            .filter(|kind| !kind.parse::<EventKind>().unwrap().is_from_cap())
            .cloned()
            .collect();
        for kind in kinds {
            let mut broken = document.clone();
            broken["rulebooks"][rulebook]["events"].as_object_mut().unwrap().remove(&kind);
            let error = check(broken).unwrap_err();
            assert!(error.contains(&format!("{kind} is missing")), "{error}");
        }
    }
}

fn broken_legs() -> Vec<Broken> {
    let document = shipped();
    let mut broken = Vec::new();
    for rulebook in 0..2 {
        let events = document["rulebooks"][rulebook]["events"].as_object().unwrap();
        for (kind, rule) in events {
            let count = rule["legs"].as_array().map_or(0, Vec::len);
            for leg in 0..count {
                broken.extend(break_leg(&document, rulebook, kind, leg));
            }
        }
    }
    broken
}

/// One leg of the shipped rulebooks, broken in every way.
fn break_leg(document: &Value, rulebook: usize, kind: &str, leg: usize) -> Vec<Broken> {
    let product = document["rulebooks"][rulebook]["product"].as_str().unwrap().to_owned();
    let legs = format!("events.{kind}.legs");
    let place = format!("{legs}[{leg}]");
    let shipped = &document["rulebooks"][rulebook]["events"][kind]["legs"][leg];
    let changed = |field: &str, value: Value| {
        let mut leg = shipped.clone();
        leg[field] = value;
        leg
    };
    let with = |one: Option<Value>, more: Option<Value>, place: String, reason| {
        let mut document = document.clone();
        let legs = document["rulebooks"][rulebook]["events"][kind]["legs"].as_array_mut().unwrap();
        match one {
            Some(one) => legs[leg] = one,
            None => drop(legs.remove(leg)),
        }
        legs.extend(more);
        Broken { document, product: product.clone(), place, reason }
    };
    let replaced = |one: Value, place: String, reason| with(Some(one), None, place, reason);
    let mut broken = vec![
        replaced(changed("from", json!("nobody")), format!("{place}.from"), "is not a subject"),
        replaced(changed("to", json!("house:nowhere")), format!("{place}.to"), "is not declared"),
        replaced(changed("to", json!("borrowed")), format!("{place}.to"), "moved by account"),
        replaced(
            changed("amount", json!("event.nonsense")),
            format!("{place}.amount"),
            "is not an amount of",
        ),
        replaced(changed("to", shipped["from"].clone()), place.clone(), "to itself"),
        with(Some(shipped.clone()), Some(shipped.clone()), legs, "is moved by 2 legs"),
    ];
    // The one figure that a rulebook may leave out: it is forced then.
    if shipped["amount"] != "position.isolated_funding_paid" {
        let legs = format!("events.{kind}.legs");
        broken.push(with(None, None, legs, "is moved by no leg"));
    }
    let shortfall = format!("{place}.shortfall");
    broken.push(if shipped["from"] == "available" {
        let mut silent = shipped.clone();
        silent.as_object_mut().unwrap().remove("shortfall");
        replaced(silent, shortfall, "is missing")
    } else {
        replaced(changed("shortfall", json!("force")), shortfall, "only available can fall short")
    });
    broken
}
