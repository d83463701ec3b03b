//! What is not built yet is refused rather than half done.

use serde_json::json;

use crate::common::events::*;
use crate::refused;

#[test]
fn what_is_not_built_yet_is_refused_rather_than_half_done() {
    for product in ["spot", "perpetual"] {
        refused(
            product,
            &[
                (
                    opened(),
                    json!({ "position_mode": "hedge" }),
                    "position_mode (hedge): not supported yet",
                ),
                (json!({ "type": "margin.changed" }), json!({}), "type: not supported yet"),
                (json!({ "type": "leverage.changed" }), json!({}), "type: not supported yet"),
            ],
        );
    }
    let inverse = json!({ "symbol": "BTC-USD", "fee": { "currency": "BTC", "amount": "0" } });
    refused(
        "perpetual",
        &[
            (perpetual("buy", "1", "1"), inverse, "symbol (inverse contract): not supported yet"),
            (
                perpetual("buy", "1", "1"),
                json!({ "margin_mode": "isolated" }),
                "margin_mode (isolated): not supported yet",
            ),
            (
                perpetual("buy", "1", "1"),
                json!({ "position_side": "long" }),
                "position_side (hedge mode): not supported yet",
            ),
            (
                funding("0.1", "1"),
                json!({ "symbol": "BTC-USD" }),
                "symbol (inverse contract): not supported yet",
            ),
        ],
    );
}
