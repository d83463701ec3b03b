//! What is not built yet is refused rather than half done.

use std::sync::Arc;

use cap_domain::configuration::Configuration;
use serde_json::json;

use crate::common::events::*;
use crate::common::shipped;
use crate::common::story::Story;
use crate::refused;

#[test]
fn what_is_not_built_yet_is_refused_rather_than_half_done() {
    for product in ["spot", "perpetual"] {
        refused(
            product,
            &[
                (json!({ "type": "margin.changed" }), json!({}), "type: not supported yet"),
                (json!({ "type": "leverage.changed" }), json!({}), "type: not supported yet"),
            ],
        );
    }
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
