//! What an earlier release journaled and sent is read, and written again byte for byte.

use cap_domain::lane::Unit;
use cap_domain::position::{PositionChange, PositionRuling};

use crate::common::events::*;
use crate::common::story::Story;

/// A row of the position stage as the release before hedge mode and isolated margin wrote it.
const RULING: &str = r#"{"changed":{"legs":[{"from":"available","to":"margin","amount":{"currency":"USDT","amount":"400.000000"},"shortfall":"force"}],"position":{"symbol":"BTC-USDT","side":"long","quantity":"0.1","entry_price":"40000","margin":"400.000000","margin_mode":"cross","realised_profit":"0.000000"}}}"#;

#[test]
fn a_ruling_of_an_earlier_release_reads_and_is_written_again_byte_for_byte() {
    let ruling: PositionRuling = serde_json::from_str(RULING).unwrap();
    let PositionRuling::Changed { position: Some(position), .. } = &ruling else {
        panic!("{ruling:?}")
    };
    assert_eq!((position.position_side, position.liquidation_price), (None, None));
    assert_eq!(serde_json::to_string(&ruling).unwrap(), RULING);
}

#[test]
fn a_cross_fill_of_a_one_way_account_is_decided_and_sent_on_as_an_earlier_release_did() {
    let mut story = Story::perpetual().holding("USDT 1000 available");
    story.posted(&perpetual("buy", "0.1", "40000"));
    assert_eq!(story.position.journal[0].result, RULING);
    let sent = &story.account.journal[0].input;
    for word in
        ["maintenance", "rounding", "margin_mode\":\"isolated", "position_side", "liquidation"]
    {
        assert!(!sent.contains(word), "{word} in {sent}");
    }
    let unit: Unit = serde_json::from_str(sent).unwrap();
    assert_eq!(serde_json::to_string(&unit).unwrap(), *sent);
}

#[test]
fn what_a_position_became_reads_back_as_it_was_told() {
    let mut story = Story::of("perpetual");
    story.posted(&opened_in_hedge_mode());
    let told = story.posted(&on_side(isolated(perpetual("sell", "0.1", "40000")), "short"));
    let position = told.message.outcome.position.unwrap();
    let text = serde_json::to_string(&position).unwrap();
    assert!(
        text.ends_with(r#""liquidation_price":"43824.70119522","position_side":"short"}"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<PositionChange>(&text).unwrap(), position);
}
