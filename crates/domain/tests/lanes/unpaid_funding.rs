//! Funding that available did not cover is under way until it has come back: meanwhile the account does
//! not close (ADR 11).

use cap_domain::account::{AccountStatus, Accounts, UnpaidFunding};
use cap_domain::clearing::Clearing;
use cap_domain::ids::RequestId;
use cap_domain::outcome::OutcomeStatus;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::story::{Sent, Story};
use crate::common::{configuration_before, money};
use crate::margin::{isolated_long, margins_agree};

/// Of 200 USDT funding, 50 were available; then the position was closed and all its money taken out.
fn emptied(mut story: Story) -> Story {
    story.posted(&funding("0.01", "20000"));
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    story.posted(&adjusted("-2000 USDT", "reject"));
    assert_eq!(story.money(), "");
    story
}

/// What CAP sent to itself, as it lies in the queue.
fn followed(story: &mut Story) -> Sent {
    let (_, body) = story.followed.remove(0);
    let envelope: Value = serde_json::from_str(&body).unwrap();
    story.sent(envelope["header"]["request_id"].as_str().unwrap(), body)
}

const STILL: &str = "still has unpaid funding of 150.000000 USDT for BTC-USDT under way";

#[test]
fn an_account_with_unpaid_funding_under_way_does_not_close() {
    let mut story = emptied(isolated_long(50));
    let told = story.tell(&closed());
    assert_eq!((told.code().as_str(), told.detail()), ("account_not_empty", STILL));
    // It comes back to an account that is open, and is owed.
    let told = story.follow();
    assert_eq!(told[0].status(), OutcomeStatus::Posted, "{}", told[0].body);
    assert_eq!(story.money(), "USDT 150 borrowed");
    story.posted(&deposit("150 USDT"));
    story.posted(&closed());
    assert!(margins_agree(&story));
    story.account.prove();
}

#[test]
fn each_is_under_way_by_itself() {
    let mut story = isolated_long(50);
    story.posted(&funding("0.001", "20000"));
    assert!(story.account.state.unpaid.is_empty(), "available covered 20");
    story.posted(&funding("0.01", "20000"));
    let mut story = emptied(story);
    let told = story.tell(&closed());
    // Ids are digests: which of them is the first, nobody has to know.
    let first = story.account.state.unpaid.values().next().unwrap().amount;
    let still =
        format!("still has 2 unpaid fundings under way, one of them of {first} for BTC-USDT");
    assert_eq!(told.detail(), still);
    let first = followed(&mut story);
    story.tell_sent(&first);
    assert_eq!(story.account.state.unpaid.len(), 1);
    story.follow();
    assert!(story.account.state.unpaid.is_empty());
    story.account.prove();
}

#[test]
fn what_comes_again_neither_brings_it_back_nor_leaves_it() {
    let mut story = isolated_long(50);
    let charged = story.message("f-1", &funding("0.01", "20000"));
    story.tell_sent(&charged);
    assert_eq!(story.account.state.unpaid.len(), 1);
    story.deliver(std::slice::from_ref(&charged));
    assert_eq!(story.account.state.unpaid.len(), 1, "a redelivery");
    let unpaid = followed(&mut story);
    story.tell_sent(&unpaid);
    assert!(story.account.state.unpaid.is_empty());
    for again in [charged.clone(), charged.again(), unpaid.clone(), unpaid.again()] {
        let told = story.deliver(&[again]);
        assert!(told.iter().all(|told| told.status() == OutcomeStatus::Posted), "{told:?}");
        assert!(story.account.state.unpaid.is_empty());
    }
    assert_eq!(story.money(), "USDT 1850 margin", "and it was paid once");
    story.account.prove();
}

#[test]
fn what_was_made_up_takes_nothing_off() {
    let mut story = emptied(isolated_long(50));
    let made_up = json!({
        "type": "funding.unpaid", "symbol": "BTC-USDT", "owed_by": "long", "currency": "USDT",
        "amount": "150",
    });
    story.posted(&made_up);
    story.posted(&deposit("150 USDT"));
    assert_eq!(story.tell(&closed()).detail(), STILL);
}

#[test]
fn so_many_may_be_under_way_and_available_pays_the_next_by_force() {
    for (kept, money_after, follows) in
        [(199, "USDT 2000 margin", 1), (200, "USDT 2000 margin, 150 borrowed", 0)]
    {
        let mut story = isolated_long(50);
        let symbol = "BTC-USDT".parse().unwrap();
        let one = UnpaidFunding { symbol, amount: money("1 USDT") };
        let ids = (0..kept).map(|n| RequestId::new(&format!("funding:{n}")).unwrap());
        story.account.state.unpaid = ids.map(|id| (id, one.clone())).collect();
        story.posted(&funding("0.01", "20000"));
        assert_eq!(story.money(), money_after);
        assert_eq!(story.followed.len(), follows);
        assert_eq!(story.account.state.unpaid.len(), 200);
    }
}

/// Under version 2 it was not kept, and the account closed: rows of that time replay as they were.
#[test]
fn before_it_was_kept_the_account_closed() {
    let mut story = isolated_long(50);
    story.account.stage = Accounts::under(2).unwrap();
    let mut story = emptied(story);
    story.posted(&closed());
    assert_eq!(story.account.state.status, AccountStatus::Closed);
    // All rows but these were decided alike.
    story.account.prove();
}

#[test]
fn under_a_rulebook_that_does_not_say_so_nothing_is_kept() {
    let mut story = isolated_long(50);
    story.clearing.stage = Clearing::new(configuration_before(1, "/tracks_follow_ups"));
    story.posted(&funding("0.01", "20000"));
    assert!(story.account.state.unpaid.is_empty());
    assert_eq!(story.follow().len(), 1);
    assert_eq!(story.money(), "USDT 1850 margin");
    story.account.prove();
}
