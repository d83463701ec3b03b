//! The door takes what the contract describes, and says of everything else which field is wrong
//! and why (T38).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../common/mod.rs"]
mod common;

mod amounts;
mod fields;
mod kinds;
mod margin;
mod not_built_yet;
mod rates;
mod trades;
mod valid;

use cap_domain::event::Event;
use cap_domain::event::door::{read_event, read_kind};
use cap_domain::ids::Product;
use cap_domain::money::Rates;
use serde_json::Value;

use common::configuration;
use common::events::with;

fn read(product: &str, event: &Value) -> Result<Event, String> {
    read_with_rates(product, event).map(|(event, _)| event)
}

fn read_with_rates(product: &str, event: &Value) -> Result<(Event, Rates), String> {
    let configuration = configuration();
    let rulebook = configuration.rulebook(&Product::new(product).unwrap()).unwrap();
    let kind = read_kind(event).map_err(|error| error.to_string())?;
    read_event(kind, event, rulebook, &configuration).map_err(|error| error.to_string())
}

/// Each event, with `fields` over a valid one, is refused with exactly this sentence.
fn refused(product: &str, cases: &[(Value, Value, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(event, fields, expected)| {
            let event = with(event.clone(), fields.clone());
            match read(product, &event) {
                Ok(read) => {
                    Some(format!("{event}\n  expected {expected}\n  was taken as {read:?}"))
                }
                Err(error) if error == *expected => None,
                Err(error) => Some(format!("{event}\n  expected {expected}\n  got      {error}")),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
