//! A rulebook that loads can be carried out; one that cannot is refused with the place and the
//! reason (C3, C9).

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../common/mod.rs"]
mod common;

mod division;
mod documents;
mod fuzz;
mod hundred;
mod rules;
mod shipped;
mod succession;
mod surroundings;

use cap_domain::configuration::{Configuration, ConfigurationDocument};
use serde_json::Value;

use common::shipped;

/// One change to the shipped configuration, at a JSON pointer.
enum Patch {
    Set(&'static str, Value),
    Remove(&'static str),
    Append(&'static str, Value),
}
use Patch::{Append, Remove, Set};

fn patched(patch: &Patch) -> Value {
    let mut document = shipped();
    let place = |pointer: &'static str| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        (parent, name.replace("~1", "/"))
    };
    match patch {
        Set(pointer, value) => {
            let (parent, name) = place(pointer);
            match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
                parent => parent[name] = value.clone(),
            }
        }
        Remove(pointer) => {
            let (parent, name) = place(pointer);
            let removed = match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => Some(items.remove(name.parse().unwrap())),
                parent => parent.as_object_mut().unwrap().remove(&name),
            };
            assert!(removed.is_some(), "{pointer} is there to be removed");
        }
        Append(pointer, value) => {
            document.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value.clone());
        }
    }
    document
}

fn check(document: Value) -> Result<Configuration, String> {
    let document: ConfigurationDocument =
        serde_json::from_value(document).map_err(|error| format!("not a document: {error}"))?;
    let configuration = Configuration::check(1, document).map_err(|error| error.to_string())?;
    configuration.check_new().map_err(|error| error.to_string())?;
    Ok(configuration)
}

/// Each patch on the shipped configuration is refused, and the error starts so.
fn refused(cases: Vec<(&str, Patch, &str)>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, patch, expected)| match check(patched(&patch)) {
            Ok(_) => Some(format!("{name}: was taken, expected: {expected}")),
            Err(error) if error.starts_with(expected) => None,
            Err(error) => Some(format!("{name}:\n  expected {expected}\n  got      {error}")),
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
