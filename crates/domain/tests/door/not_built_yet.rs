//! What is not built yet is refused rather than half done.

use std::sync::Arc;

use cap_domain::configuration::Configuration;
use serde_json::json;

use crate::common::events::*;
use crate::common::shipped;
use crate::common::story::Story;
use crate::refused;

/// As every release before ADR 11 answered, under the rulebooks of its time.
#[test]
fn margin_cannot_be_changed_where_the_rulebook_has_no_rule_for_what_follows() {
    let mut before = shipped();
    let events = before["rulebooks"][1]["events"].as_object_mut().unwrap();
    events.remove("margin.posted").unwrap();
    let before = serde_json::from_value(before).unwrap();
    let mut story = Story::under("perpetual", Arc::new(Configuration::check(1, before).unwrap()));
    for kind in ["margin.changed", "leverage.changed"] {
        let told = story.tell(&json!({ "type": kind }));
        assert_eq!(
            (told.code().as_str(), told.detail()),
            ("invalid_request", "type: not supported yet")
        );
    }
    story.clearing.prove();
}

/// As every release before there was hedge mode answered, byte for byte: its journals must replay
/// under the rulebooks of their time, which do not say `hedge_mode`.
#[test]
fn hedge_mode_is_refused_where_the_rulebook_does_not_allow_it() {
    let hedge = (opened_in_hedge_mode(), json!({}), "position_mode (hedge): not supported yet");
    refused("spot", &[hedge]);
    let mut before = shipped();
    before["rulebooks"][1].as_object_mut().unwrap().remove("hedge_mode").unwrap();
    let before = serde_json::from_value(before).unwrap();
    let mut story = Story::under("perpetual", Arc::new(Configuration::check(1, before).unwrap()));
    let told = story.tell(&opened_in_hedge_mode());
    assert_eq!(
        (told.code().as_str(), told.detail()),
        ("invalid_request", "position_mode (hedge): not supported yet")
    );
    story.clearing.prove();
}
