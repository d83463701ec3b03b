//! A message is as old as it was when it was sent: too old expires, too far ahead is rejected.

use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Sent, Story};

/// `event` sent at noon, made at `initiated_at`.
fn made_at(story: &mut Story, initiated_at: &str, event: &Value) -> Sent {
    story.message_with("r-1", event, json!({ "initiated_at": initiated_at }))
}

#[test]
fn age_is_what_lies_between_making_and_sending() {
    // initiated_at, from noon; what comes of a request sent at noon
    let cases = [
        ("2026-11-21T12:00:00.000Z", "posted"),
        ("2026-11-21T11:55:00.000Z", "posted"),
        ("2026-11-21T11:54:59.999Z", "expired"),
        ("2026-11-21T11:54:59.999999Z", "expired"),
        ("2020-01-01T00:00:00Z", "expired"),
        ("2026-11-21T12:01:00.000Z", "posted"),
        ("2026-11-21T12:01:00.001Z", "initiated_in_the_future"),
        ("2027-11-21T12:00:00.000Z", "initiated_in_the_future"),
    ];
    for (initiated_at, expected) in cases {
        let mut story = Story::spot().holding("USDT 5 available");
        let message = made_at(&mut story, initiated_at, &reserved("1 USDT"));
        let told = story.tell_sent(&message);
        let found = match told.status() {
            OutcomeStatus::Posted => "posted".to_owned(),
            _ => told.code(),
        };
        assert_eq!(found, expected, "made at {initiated_at}: {}", told.body);
        let status = if expected == "expired" { OutcomeStatus::Expired } else { told.status() };
        assert_eq!(told.status(), status);
        assert_eq!(story.account.lane.seq, 1, "recorded whatever came of it");
        assert_eq!(story.suspended(), []);
    }
}

#[test]
fn an_hour_of_backlog_expires_nothing() {
    let mut story = Story::spot().holding("USDT 5 available");
    let message = story.message("r-1", &reserved("1 USDT"));
    story.now = story.now.plus_seconds(3_600);
    assert_eq!(story.tell_sent(&message).status(), OutcomeStatus::Posted);
}

#[test]
fn more_than_a_minute_ahead_is_more_than_a_minute_to_the_last_microsecond() {
    let mut story = Story::spot().holding("USDT 5 available");
    let message = made_at(&mut story, "2026-11-21T12:01:00.000001Z", &reserved("1 USDT"));
    assert_eq!(story.tell_sent(&message).status(), OutcomeStatus::Rejected);
}

#[test]
fn a_stale_fact_is_expired_too() {
    let mut story = Story::spot();
    let message = made_at(&mut story, "2026-11-21T11:50:00Z", &deposit("1 USDT"));
    let told = story.tell_sent(&message);
    assert_eq!(told.status(), OutcomeStatus::Expired);
    assert_eq!(
        told.detail(),
        "made at 2026-11-21T11:50:00.000Z and sent at 2026-11-21T12:00:00.000Z, 600000 ms later; 300000 ms is the most"
    );
    assert_eq!(story.money(), "");
}
