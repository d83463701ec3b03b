//! What an earlier release journaled and sent is read, and written again byte for byte.

use std::sync::Arc;

use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::lane::Unit;
use cap_domain::position::{PositionChange, PositionRuling};

use serde_json::json;

use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{configuration, shipped};

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

/// Clearing under a rulebook of the time when tiers went only with isolated fills, and as a list. It is
/// so until the rulebook of this release is pushed, which is after the last task has been updated.
fn under_the_rulebook_before() -> Clearing {
    let mut before = shipped();
    let rulebook = before["rulebooks"][1].as_object_mut().unwrap();
    rulebook.remove("cross_liquidation_prices").unwrap();
    let before = serde_json::from_value(before).unwrap();
    Clearing::new(Arc::new(Configuration::check(1, before).unwrap()))
}

fn story_before() -> Story {
    let mut story = Story::perpetual().holding("USDT 10000 available");
    story.clearing.stage = under_the_rulebook_before();
    story
}

#[test]
fn a_cross_fill_under_the_rulebook_before_is_decided_and_sent_on_as_it_was() {
    let mut story = story_before();
    let told = story.posted(&perpetual("buy", "0.1", "40000"));
    assert_eq!(told.message.outcome.position.unwrap().liquidation_price, None);
    assert!(!story.clearing.journal[0].result.contains("maintenance"));
    assert!(!story.account.journal[0].result.contains("liquidation"));
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

/// Tiers as the release before wrote them into messages, rows and tables.
const LISTED: &str =
    r#""maintenance":[{"up_to":"50000","rate":"0.004"},{"up_to":"250000","rate":"0.005"},"#;

/// As they are written now.
const SHORT: &str = r#""maintenance":"50000:0.004;250000:0.005;1000000:0.01;5000000:0.025;20000000:0.05;50000000:0.1;100000000:0.125;200000000:0.15;300000000:0.25;0.5""#;

fn kept_contract(story: &Story) -> String {
    let position = story.position.state.positions.values().next().unwrap();
    serde_json::to_string(position.opened_under.as_ref().unwrap()).unwrap()
}

#[test]
fn an_isolated_fill_under_the_rulebook_before_stays_as_the_release_before_reads_it() {
    let mut story = story_before();
    let told = story.posted(&isolated(perpetual("buy", "0.1", "40000")));
    assert!(told.message.outcome.position.unwrap().liquidation_price.is_some());
    let [cleared, sent] = [&story.clearing.journal[0].result, &story.account.journal[0].input];
    assert!(cleared.contains(LISTED) && sent.contains(LISTED), "{cleared}\n{sent}");
    assert!(kept_contract(&story).contains(LISTED), "a position task of it may load the row next");
    // Under the rulebook of this release the figures are still those it was opened under, as written.
    story.clearing.stage = Clearing::new(configuration());
    story.posted(&isolated(perpetual("buy", "0.1", "40000")));
    assert!(kept_contract(&story).contains(LISTED));
}

#[test]
fn rows_under_the_rulebook_before_replay_to_what_they_say() {
    let mut story = Story::of("perpetual");
    story.clearing.stage = under_the_rulebook_before();
    for event in [
        opened(),
        deposit("10000 USDT"),
        perpetual("buy", "0.1", "40000"),
        funding("0.0001", "40000"),
        leverage_changed("5"),
        isolated(with(perpetual("buy", "1", "3000"), json!({ "symbol": "ETH-USDT" }))),
    ] {
        story.posted(&event);
        story.follow();
    }
    assert!(story.account.journal.iter().all(|row| !row.result.contains("liquidation")));
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn tiers_go_short_to_the_position_which_keeps_them_and_no_further() {
    for event in [perpetual("buy", "0.1", "40000"), isolated(perpetual("buy", "0.1", "40000"))] {
        let mut story = Story::perpetual().holding("USDT 1000 available");
        story.posted(&event);
        assert!(story.clearing.journal[0].result.contains(SHORT));
        assert!(story.position.journal[0].input.contains(SHORT));
        assert!(kept_contract(&story).contains(SHORT));
        let sent = &story.account.journal[0].input;
        assert!(!sent.contains(r#""maintenance":"#), "{sent}");
        let unit: Unit = serde_json::from_str(sent).unwrap();
        assert_eq!(serde_json::to_string(&unit).unwrap(), *sent);
    }
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
