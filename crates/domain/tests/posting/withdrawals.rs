//! A withdrawal is held until it is settled or cancelled, and payable later during a liquidation.

use crate::came_of;
use crate::common::events::*;
use crate::common::story::Story;

#[test]
fn a_withdrawal_is_held_until_it_is_settled_or_cancelled() {
    let mut story = Story::spot().holding("USDT 100 available");
    story.posted(&withdrawal("w-1", "60 USDT"));
    story.posted(&withdrawal("w-2", "40 USDT"));
    assert_eq!(story.money(), "USDT 100 withdrawing");
    story.posted(&fee("10 USDT"));
    story.posted(&settled("w-1"));
    assert_eq!(story.money(), "USDT 40 withdrawing, 10 borrowed");
    story.posted(&cancelled("w-2"));
    assert_eq!(story.money(), "USDT 30 available", "what comes back repays first");
    let told = story.tell(&settled("w-1"));
    assert_eq!(
        came_of(&told),
        "parked: withdrawal.settled cannot be applied: there is no withdrawal w-1 under way"
    );
}

#[test]
fn a_withdrawal_under_way_is_not_requested_twice() {
    let mut story = Story::spot().holding("USDT 100 available");
    story.posted(&withdrawal("w-1", "60 USDT"));
    let told = story.tell(&withdrawal("w-1", "10 USDT"));
    assert_eq!(came_of(&told), "invalid_request: withdrawal_id: w-1 is under way already");
    let told = story.tell(&withdrawal("w-2", "41 USDT"));
    assert_eq!(told.code(), "insufficient_funds");
    story.posted(&withdrawal("w-2", "40 USDT"));
}

#[test]
fn during_a_liquidation_a_withdrawal_is_payable_half_an_hour_later() {
    let mut story = Story::perpetual().holding("USDT 100 available");
    story.posted(&perpetual("buy", "1", "100"));
    story.posted(&liquidation_started());
    let told = story.posted(&withdrawal("w-1", "50 USDT"));
    let due = story.now.plus_seconds(30 * 60);
    assert_eq!(told.message.outcome.payable_at, Some(due));
    assert!(told.body.contains("\"payable_at\":\"2026-11-21T12:30:00.000Z\""), "{}", told.body);
    story.posted(&liquidation_ended());
    let told = story.posted(&withdrawal("w-2", "1 USDT"));
    assert_eq!(told.message.outcome.payable_at, None);
    story.posted(&settled("w-2"));
    story.now = due;
    story.posted(&settled("w-1"));
    assert_eq!(story.money(), "USDT 39 available, 10 margin");
}

#[test]
fn a_withdrawal_settled_before_it_is_payable_is_poison() {
    let mut story = Story::perpetual().holding("USDT 100 available");
    story.posted(&perpetual("buy", "1", "100"));
    story.posted(&liquidation_started());
    story.posted(&withdrawal("w-1", "50 USDT"));
    story.now = story.now.plus_seconds(30 * 60 - 1);
    let told = story.tell(&settled("w-1"));
    assert_eq!(
        came_of(&told),
        "parked: withdrawal.settled cannot be applied: withdrawal w-1 is payable at 2026-11-21T12:30:00.000Z, not already at 2026-11-21T12:29:59.000Z"
    );
    assert_eq!(story.money(), "USDT 40 available, 10 margin, 50 withdrawing");
}
