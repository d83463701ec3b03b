//! An account is opened once, closed empty, and nothing is posted before or after.

use crate::came_of;
use crate::common::events::*;
use crate::common::story::Story;

#[test]
fn only_account_opened_opens_and_only_an_empty_account_closes() {
    for product in ["spot", "perpetual"] {
        let mut story = Story::of(product);
        assert_eq!(
            came_of(&story.tell(&reserved("1 USDT"))),
            "account_not_found: the account was never opened"
        );
        assert_eq!(
            came_of(&story.tell(&closed())),
            "account_not_found: the account was never opened"
        );
        story.posted(&opened());
        assert_eq!(
            came_of(&story.tell(&opened())),
            "account_already_open: the account is open already"
        );
        story.posted(&deposit("5 USDT"));
        story.posted(&fee("7 HKD"));
        assert_eq!(
            came_of(&story.tell(&closed())),
            "account_not_empty: still has HKD 7.00 borrowed, USDT 5.000000 available"
        );
        story.posted(&withdrawal("w-1", "5 USDT"));
        assert_eq!(
            came_of(&story.tell(&closed())),
            "account_not_empty: still has HKD 7.00 borrowed, USDT 5.000000 withdrawing"
        );
        story.posted(&settled("w-1"));
        story.posted(&deposit("7 HKD"));
        story.posted(&closed());
        assert_eq!(
            came_of(&story.tell(&reserved("1 USDT"))),
            "account_closed: the account was closed"
        );
        assert_eq!(came_of(&story.tell(&opened())), "account_closed: the account was closed");
        assert_eq!(came_of(&story.tell(&closed())), "account_closed: the account was closed");
        let told = story.tell(&deposit("1 USDT"));
        assert_eq!(
            came_of(&told),
            "parked: deposit.received cannot be applied: the account was closed"
        );
    }
}

#[test]
fn an_account_with_a_position_does_not_close() {
    let mut story = Story::perpetual().holding("USDT 10 available");
    story.posted(&perpetual("sell", "0.50", "20"));
    let told = story.tell(&closed());
    assert_eq!(came_of(&told), "account_not_empty: 1 open position: BTC-USDT -0.5");
}

#[test]
fn a_fact_for_an_account_that_was_never_opened_is_poison() {
    let facts = [
        deposit("1 USDT"),
        settled("w-1"),
        fee("1 USDT"),
        interest("1 USDT"),
        liquidation_started(),
    ];
    for event in facts {
        for product in ["spot", "perpetual"] {
            let told = Story::of(product).tell(&event);
            let kind = event["type"].as_str().unwrap();
            assert_eq!(
                came_of(&told),
                format!("parked: {kind} cannot be applied: the account was never opened")
            );
        }
    }
}
