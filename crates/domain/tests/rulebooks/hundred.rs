//! Broken rulebooks by the hundred, made by rule from the shipped ones: each is refused by one
//! sentence that names the document, the place and the reason.

use std::collections::BTreeSet;
use std::slice::from_ref;

use cap_domain::event::{EventClass, EventKind};
use serde_json::{Value, json};

use crate::check;
use crate::common::shipped;

/// How many broken rulebooks there are of each product at the least.
const OF_A_PRODUCT_MIN: usize = 100;

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
    for name in ["spot", "perpetual", "cfd"] {
        let count = broken.iter().filter(|broken| broken.product == name).count();
        assert!(count >= OF_A_PRODUCT_MIN, "{count} rulebooks of {name}");
    }
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
    assert!(messages.len() >= 300, "only {} different messages", messages.len());
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
    for rulebook in 0..3 {
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
fn break_leg(document: &Value, rulebook: usize, kind: &str, index: usize) -> Vec<Broken> {
    let leg = ShippedLeg { document, rulebook, kind, index };
    let mut broken = leg.break_amount();
    broken.extend(leg.break_shortfall());
    broken.extend(match leg.shipped()["from"].as_array() {
        Some(list) => leg.break_list(list),
        None => vec![leg.changed("from", json!("nobody"), ".from", "is not a subject")],
    });
    broken.extend(match leg.shipped()["split"].as_array() {
        Some(parts) => leg.break_split(parts),
        None => leg.break_target(),
    });
    broken
}

/// One leg of a shipped rulebook.
struct ShippedLeg<'a> {
    document: &'a Value,
    rulebook: usize,
    kind: &'a str,
    index: usize,
}

impl ShippedLeg<'_> {
    fn shipped(&self) -> &Value {
        &self.document["rulebooks"][self.rulebook]["events"][self.kind]["legs"][self.index]
    }

    /// The subject that answers for the whole amount in the end.
    fn last(&self) -> &Value {
        let from = &self.shipped()["from"];
        from.as_array().map_or(from, |list| list.last().unwrap())
    }

    /// The rulebook with other legs in the place of the leg, and more behind the last one. What is wrong
    /// stands at a place within the leg, or is said of all legs if that is none.
    fn with(
        &self,
        legs: &[Value],
        more: &[Value],
        place: Option<&str>,
        reason: &'static str,
    ) -> Broken {
        let mut document = self.document.clone();
        let rulebook = &mut document["rulebooks"][self.rulebook];
        let product = rulebook["product"].as_str().unwrap().to_owned();
        let all = rulebook["events"][self.kind]["legs"].as_array_mut().unwrap();
        all.splice(self.index..=self.index, legs.iter().cloned());
        all.extend(more.iter().cloned());
        let of_all = format!("events.{}.legs", self.kind);
        let place =
            place.map_or(of_all.clone(), |place| format!("{of_all}[{}]{place}", self.index));
        Broken { document, product, place, reason }
    }

    /// The rulebook with this leg in its place.
    fn replaced(&self, leg: Value, place: &str, reason: &'static str) -> Broken {
        self.with(&[leg], &[], Some(place), reason)
    }

    /// The same leg with one field as it is not.
    fn changed(&self, field: &str, value: Value, place: &str, reason: &'static str) -> Broken {
        let mut leg = self.shipped().clone();
        leg[field] = value;
        self.replaced(leg, place, reason)
    }

    /// The same leg without a field.
    fn without(&self, field: &str, place: &str, reason: &'static str) -> Broken {
        let mut leg = self.shipped().clone();
        leg.as_object_mut().unwrap().remove(field).unwrap();
        self.replaced(leg, place, reason)
    }

    fn break_amount(&self) -> Vec<Broken> {
        let shipped = self.shipped().clone();
        let nonsense = json!("event.nonsense");
        let mut broken = vec![
            self.changed("amount", nonsense, ".amount", "is not an amount of"),
            self.with(from_ref(&shipped), from_ref(&shipped), None, "is moved by 2 legs"),
        ];
        // The one figure that a rulebook may leave out: it is forced then.
        if shipped["amount"] != "position.isolated_funding_paid" {
            broken.push(self.with(&[], &[], None, "is moved by no leg"));
        }
        broken
    }

    fn break_shortfall(&self) -> Vec<Broken> {
        let place = ".shortfall";
        if self.last() == "available" {
            return vec![self.without("shortfall", place, "is missing")];
        }
        vec![self.changed("shortfall", json!("force"), place, "only available can fall short")]
    }

    /// A target that is one subject.
    fn break_target(&self) -> Vec<Broken> {
        let split = json!([part("available", "0.5"), part("house:fees", "remainder")]);
        vec![
            self.changed("to", json!("house:nowhere"), ".to", "is not declared"),
            self.changed("to", json!("borrowed"), ".to", "moved by account"),
            self.changed("to", self.last().clone(), "", "to itself"),
            self.without("to", "", "says neither to whom nor into which parts"),
            self.changed("split", split, "", "says both to and split"),
        ]
    }

    /// A source that is a list, which is drawn from in its order.
    fn break_list(&self, list: &[Value]) -> Vec<Broken> {
        let from = |list: Vec<Value>, place: &str, reason| {
            self.changed("from", Value::Array(list), place, reason)
        };
        let mut broken = vec![
            from(Vec::new(), ".from", "lists 0 subjects"),
            from(list[..1].to_vec(), ".from", "lists 1 subjects"),
            from(vec![list[0].clone(); 9], ".from", "lists 9 subjects"),
            from([list, &list[..1]].concat(), &format!(".from[{}]", list.len()), "is listed twice"),
        ];
        for index in 0..list.len() {
            let place = format!(".from[{index}]");
            for (name, reason) in [
                ("nobody", "is not a subject"),
                ("house:nowhere", "is not declared"),
                ("borrowed", "moved by account"),
                ("frozen", "only available and declared subjects are drawn from, not frozen"),
                (
                    "house:fees",
                    "only available and declared subjects are drawn from, not house:fees",
                ),
            ] {
                let mut list = list.to_vec();
                list[index] = json!(name);
                broken.push(from(list, &place, reason));
            }
        }
        // Whatever comes last has to answer for the rest.
        let reversed: Vec<Value> = list.iter().rev().cloned().collect();
        broken.push(match self.kind.parse::<EventKind>().unwrap().class() {
            EventClass::Fact => from(reversed, ".from", "has happened and cannot be refused if"),
            EventClass::Request => from(reversed, ".shortfall", "only available can fall short"),
        });
        broken
    }

    /// A target that is split into parts.
    fn break_split(&self, parts: &[Value]) -> Vec<Broken> {
        let split = |parts: Vec<Value>, place: &str, reason| {
            self.changed("split", Value::Array(parts), place, reason)
        };
        let last = parts.len() - 1;
        let mut broken = vec![
            self.without("split", "", "says neither to whom nor into which parts"),
            self.changed("to", json!("available"), "", "says both to and split"),
            split(Vec::new(), ".split", "has 0 parts"),
            split(parts[last..].to_vec(), ".split", "has 1 parts"),
            split(vec![parts[0].clone(); 9], ".split", "has 9 parts"),
        ];
        let part = |index: usize, field: &str, value: &Value, place: &str, reason| {
            let mut parts = parts.to_vec();
            parts[index][field] = value.clone();
            split(parts, place, reason)
        };
        for index in 0..parts.len() {
            let place = format!(".split[{index}].to");
            for (name, reason) in [
                ("nobody", "is not a subject"),
                ("house:nowhere", "is not declared"),
                ("borrowed", "moved by account"),
                ("margin", "no part goes to margin"),
            ] {
                broken.push(part(index, "to", &json!(name), &place, reason));
            }
            broken.push(part(index, "to", self.last(), "", "to itself"));
            if index > 0 {
                broken.push(part(index, "to", &parts[0]["to"], &place, "has a part already"));
            }
        }
        let place = |index: usize| format!(".split[{index}].share");
        for (share, reason) in [
            ("remainder", "it stands last"),
            ("a tenth", "is not a decimal number"),
            ("0", "is not between 0 and 1"),
            ("-0.1", "is not between 0 and 1"),
            ("1", "is not between 0 and 1"),
        ] {
            broken.push(part(0, "share", &json!(share), &place(0), reason));
        }
        broken.push(part(last, "share", &json!("0.9"), &place(last), "is not remainder"));
        broken
    }
}

fn part(to: &str, share: &str) -> Value {
    json!({ "to": to, "share": share })
}
