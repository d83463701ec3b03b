//! The numbers behind a plan's names, as a story tells them.

use cap_domain::lane::Stage as _;
use cap_domain::position::{Positions, figures};

use crate::common::events::*;
use crate::common::story::Story;

/// What the names in the last message's plan come to, decided on what was before it.
fn told(story: &Story) -> Vec<String> {
    let (last, before) = story.position.journal.split_last().unwrap();
    let mut state = cap_domain::position::PositionState::default();
    for row in before {
        let message = Positions::replay(row).unwrap();
        let decided = Positions.decide(&story.account_key, &state, &message, row.decided_at);
        state = decided.unwrap().1;
    }
    let message = Positions::replay(last).unwrap();
    let figures = figures(&story.account_key, &state, &message, last.decided_at).unwrap();
    figures.iter().map(|(name, money)| format!("{name} {money}")).collect()
}

#[test]
fn every_name_that_comes_to_something_is_told_with_its_number() {
    let mut story = Story::of("perpetual");
    story.posted(&opened());
    story.posted(&deposit("10000 USDT"));
    story.posted(&at_fee(perpetual("buy", "1", "20000"), "3 USDT"));
    assert_eq!(
        told(&story),
        ["position.margin_from_available 2000.000000 USDT", "position.opening_fee 3.000000 USDT"]
    );
    // A flip: both parts of the fee go from the same subject to the same.
    story.posted(&at_fee(perpetual("sell", "3", "21000"), "6 USDT"));
    assert_eq!(
        told(&story),
        [
            "position.margin_released 2000.000000 USDT",
            "position.realised_profit 1000.000000 USDT",
            "position.closing_fee 2.000000 USDT",
            "position.margin_from_available 4200.000000 USDT",
            "position.opening_fee 4.000000 USDT",
        ]
    );
    story.posted(&funding("0.01", "20000"));
    assert_eq!(told(&story), ["position.funding_received 400.000000 USDT"]);
}

#[test]
fn an_isolated_position_pays_its_own_funding_whatever_the_legs_are_called() {
    let mut story = Story::of("perpetual");
    story.posted(&opened());
    story.posted(&deposit("10000 USDT"));
    story.posted(&isolated(perpetual("buy", "1", "20000")));
    story.posted(&funding("0.01", "20000"));
    assert_eq!(told(&story), ["position.isolated_funding_paid 200.000000 USDT"]);
}

#[test]
fn a_split_amount_is_told_as_a_whole() {
    let mut story = Story::of("cfd");
    story.posted(&opened());
    story.posted(&deposit("10000 USD"));
    story.posted(&at_fee(cfd("buy", "0.1", "1.1"), "7.77 USD"));
    let told = told(&story);
    assert!(told.contains(&"position.opening_fee 7.77 USD".to_owned()), "{told:?}");
}

#[test]
fn what_has_no_plan_has_no_figures() {
    let mut story = Story::of("perpetual");
    story.posted(&opened());
    story.tell(&margin_changed("1"));
    assert!(told(&story).is_empty());
    story.tell(&withdrawal("w-1", "0 USDT"));
    assert!(told(&story).is_empty(), "refused at the door");
}
