//! Of two changes of leverage the later one holds, whichever takes hold first (ADR 11).

use cap_domain::lane::{LaneStatus, StageName};
use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::Position;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{configuration_before, money};
use crate::margin::{hedged, held, isolated_long, margins_agree, position};

/// Its margin and leverage, and the number of the change that it is of.
fn figures(position: &Position) -> (String, String, u64) {
    let (margin, leverage) = (position.margin, position.leverage.normalize());
    (margin.amount(), leverage.to_string(), position.leverage_seq)
}

/// What holds of the position of a one-way account, whose change is `ago` messages old at clearing.
fn has(story: &Story, margin: &str, leverage: &str, ago: u64) {
    let expected = (margin.to_owned(), leverage.to_owned(), story.clearing.lane.seq - ago);
    assert_eq!(figures(held(story, "BTC-USDT")), expected);
}

fn proved(story: &Story) {
    assert!(margins_agree(story) && story.followed.is_empty());
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn a_leverage_that_took_hold_is_not_undone_by_an_earlier_one() {
    // 2000 of margin at 10. The first change puts 2000 more aside, the second one lowers it, or keeps it.
    for (later, margin, left) in [("20", "1000.000000", "6000"), ("10", "2000.000000", "5000")] {
        let mut story = isolated_long(5000);
        story.posted(&leverage_changed("5"));
        story.posted(&leverage_changed(later));
        has(&story, margin, later, 0);
        let told = story.follow();
        assert_eq!(told.len(), 1, "only the first is paid at account");
        assert_eq!(position(&told[0])["margin"], margin, "as it is");
        has(&story, margin, later, 1);
        let margin = margin.trim_end_matches(".000000");
        assert_eq!(
            story.money(),
            format!("USDT {left} available, {margin} margin"),
            "all came back"
        );
        proved(&story);
    }
}

#[test]
fn of_two_that_raise_the_second_takes_what_it_still_needs() {
    let mut story = isolated_long(5000);
    story.posted(&leverage_changed("5"));
    story.posted(&leverage_changed("4"));
    assert_eq!(story.money(), "USDT 7000 margin", "2000 and 3000 are put aside");
    let told = story.follow();
    let margins: Vec<_> = told.iter().map(|told| position(told)["margin"].clone()).collect();
    assert_eq!(margins, ["4000.000000", "5000.000000"], "first the first, then the second");
    has(&story, "5000.000000", "4", 2);
    assert_eq!(story.money(), "USDT 2000 available, 5000 margin");
    proved(&story);
}

#[test]
fn what_account_refused_does_not_stop_what_it_paid_before() {
    let mut story = isolated_long(2500);
    story.posted(&leverage_changed("5"));
    assert_eq!(story.tell(&leverage_changed("4")).code(), "insufficient_funds");
    story.follow();
    has(&story, "4000.000000", "5", 2);
    assert_eq!(story.money(), "USDT 500 available, 4000 margin");
    proved(&story);
}

#[test]
fn a_leverage_goes_on_raising_after_a_later_one_that_was_overtaken_itself() {
    // Up, down, up again: the first is overtaken by the second, the third by nobody.
    let mut story = isolated_long(5000);
    for leverage in ["5", "20", "8"] {
        story.posted(&leverage_changed(leverage));
    }
    story.follow();
    has(&story, "2500.000000", "8", 2);
    assert_eq!(story.money(), "USDT 4500 available, 2500 margin");
    proved(&story);
}

#[test]
fn the_sides_of_a_hedge_account_are_overtaken_together() {
    let mut story = hedged(9000, "0.5");
    story.posted(&leverage_changed("5"));
    story.posted(&leverage_changed("20"));
    story.follow();
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("1000 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("500 USDT"));
    proved(&story);
    // A side that opened after the later one has the leverage it was opened with.
    let mut story = hedged(9000, "0.5");
    story.posted(&on_side(isolated(perpetual("buy", "0.5", "20000")), "short"));
    story.posted(&leverage_changed("5"));
    story.posted(&leverage_changed("20"));
    story.posted(&on_side(isolated(perpetual("sell", "0.5", "20000")), "short"));
    story.follow();
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("1000 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("1000 USDT"));
    proved(&story);
}

#[test]
fn the_number_outlives_the_position_it_was_given_for() {
    let mut story = isolated_long(5000);
    story.posted(&leverage_changed("5"));
    story.posted(&leverage_changed("20"));
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    story.posted(&isolated(perpetual("buy", "1", "20000")));
    story.follow();
    has(&story, "2000.000000", "10", 3);
    assert_eq!(story.money(), "USDT 5000 available, 2000 margin");
    proved(&story);
}

/// Position numbers its rows by itself: after a message that was skipped there, otherwise than clearing.
#[test]
fn changes_are_told_apart_by_the_numbers_of_clearing() {
    let mut story = isolated_long(5000);
    // A cross fill does not fit, is parked at position and skipped.
    story.tell(&perpetual("buy", "1", "20000"));
    assert_eq!(story.suspended(), [StageName::Position]);
    let lane = &mut story.position.lane;
    (lane.status, lane.suspension, lane.redriven_seq) = (LaneStatus::Active, None, 1);
    assert_eq!((story.clearing.lane.seq, story.position.lane.seq), (4, 3));
    story.posted(&leverage_changed("5"));
    story.posted(&leverage_changed("20"));
    has(&story, "1000.000000", "20", 0);
    story.follow();
    has(&story, "1000.000000", "20", 1);
    proved(&story);
}

/// What a release before left behind, or sends under a rulebook of its time.
#[test]
fn what_carries_no_number_takes_hold_when_it_comes_as_ever() {
    let mut story = isolated_long(5000);
    story.clearing.stage =
        cap_domain::clearing::Clearing::new(configuration_before(1, "/tracks_follow_ups"));
    story.posted(&leverage_changed("5"));
    let envelope: Value = serde_json::from_str(&story.followed[0].1).unwrap();
    assert_eq!(envelope["event"].get("leverage_seq"), None, "byte for byte as it was");
    story.posted(&leverage_changed("20"));
    story.follow();
    let figures = figures(held(&story, "BTC-USDT"));
    // 1000 that the second one left and 2000 that the first put aside.
    assert_eq!(figures, ("3000.000000".to_owned(), "5".to_owned(), 0));
    assert!(margins_agree(&story));
    story.position.prove();
    story.account.prove();
}

#[test]
fn a_number_that_nothing_can_have_yet_is_poison() {
    let posted = |fields: Value| {
        let posted = json!({
            "type": "margin.posted", "symbol": "BTC-USDT", "currency": "USDT", "amount": "1",
        });
        with(posted, fields)
    };
    let cases = [
        (
            json!({ "leverage": "5", "leverage_seq": 4 }),
            StageName::Position,
            "margin.posted cannot be applied: leverage_seq is 4, and its own number 4",
        ),
        (
            json!({ "leverage_seq": 1 }),
            StageName::Clearing,
            "margin.posted is not valid: leverage_seq: is the number of a leverage that is not given",
        ),
        (
            json!({ "leverage": "5", "leverage_seq": -1 }),
            StageName::Clearing,
            "margin.posted is not valid: leverage_seq: invalid value: integer `-1`, expected u64",
        ),
    ];
    for (fields, stage, detail) in cases {
        let mut story = isolated_long(5000);
        let told = story.tell(&posted(fields));
        assert_eq!(told.status(), OutcomeStatus::Parked, "{}", told.body);
        assert_eq!((story.suspended().as_slice(), told.detail()), ([stage].as_slice(), detail));
    }
}
