//! Whatever is done to a configuration, it is refused or it can be carried out; nothing panics.

use cap_domain::configuration::{Configuration, ConfigurationDocument};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::shipped;
use crate::common::story::Story;

/// What is put in the place of something: of every type, sound elsewhere or nowhere.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(1.5),
            json!(""),
            json!("available"),
            json!("borrowed"),
            json!("house:fees"),
            json!("event.amount"),
            json!("position.margin_released"),
            json!("force"),
            json!("event"),
            json!("USDT"),
            json!("spot"),
            json!("\u{0}\u{fffe}"),
            json!("x".repeat(10_000)),
            json!([]),
            json!({}),
            json!({ "legs": [] }),
            json!({ "refused": "no" }),
            json!("cash"),
            json!(["bonus", "cash"]),
            json!("remainder"),
            json!("0.5"),
            json!([{ "to": "cash", "share": "0.5" }, { "to": "house:fees", "share": "remainder" }]),
        ]),
        any::<String>().prop_map(Value::String),
        any::<i64>().prop_map(|number| json!(number)),
    ]
}

fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                pointers(field, &format!("{at}/{}", name.replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// What a configuration that was taken does with events of every kind: it answers.
fn carry_out(configuration: Configuration) {
    let configuration = std::sync::Arc::new(configuration);
    for product in ["spot", "perpetual", "cfd"] {
        let mut story = Story::under(product, configuration.clone());
        for event in [
            opened(),
            deposit("1000 USDT"),
            reserved("100 USDT"),
            released("10 USDT"),
            fee("1 USDT"),
            interest("1 USDT"),
            adjusted("-5 USDT", "force"),
            withdrawal("w-1", "20 USDT"),
            if product == "spot" {
                spot("buy", "0.1", "100")
            } else if product == "perpetual" {
                perpetual("buy", "1", "100")
            } else {
                cfd("buy", "1", "1.1")
            },
            funding("0.001", "100"),
            closed(),
        ] {
            let told = story.tell(&event);
            assert_eq!(told.message.header.account.as_str(), "A-1001", "{}", told.body);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_configuration_with_anything_in_any_place_is_refused_in_words_or_carried_out(
        changes in prop::collection::vec((any::<prop::sample::Index>(), junk()), 1..4),
    ) {
        let mut document = shipped();
        for (place, value) in changes {
            let mut found = Vec::new();
            pointers(&document, "", &mut found);
            let pointer = &found[place.index(found.len())];
            *document.pointer_mut(pointer).unwrap() = value;
        }
        match serde_json::from_value::<ConfigurationDocument>(document) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(document) => match Configuration::check(1, document) {
                Err(error) => {
                    prop_assert!(!error.document.is_empty() && !error.reason.is_empty());
                    prop_assert!(!error.to_string().contains('\n'), "{}", error);
                }
                Ok(configuration) => carry_out(configuration),
            },
        }
    }

    #[test]
    fn a_text_that_was_cut_or_scratched_is_refused_or_read(
        cut in any::<prop::sample::Index>(),
        scratched in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut text = shipped().to_string().into_bytes();
        for (place, byte) in scratched {
            let place = place.index(text.len());
            text[place] = byte;
        }
        text.truncate(cut.index(text.len()) + 1);
        if let Ok(document) = serde_json::from_slice::<ConfigurationDocument>(&text) {
            let _ = Configuration::check(1, document);
        }
    }
}
