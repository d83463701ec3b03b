//! Margin goes up at account first and down at position first (ADR 11), through all three stages.

use cap_domain::account::{AccountStatus, margin_under_way};
use cap_domain::lane::StageName;
use cap_domain::outcome::OutcomeStatus;
use cap_domain::position::Position;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::events::*;
use crate::common::money;
use crate::common::story::{Story, Told};

/// A perpetual account with so much USDT.
fn perpetual_with(opened: &Value, money: u32) -> Story {
    let mut story = Story::of("perpetual");
    story.posted(opened);
    story.posted(&deposit(&format!("{money} USDT")));
    story
}

/// A perpetual account that holds 1 BTC-USDT, bought at 20,000 on isolated margin of 2,000 USDT, and
/// has `available` beside it.
pub(crate) fn isolated_long(available: u32) -> Story {
    let mut story = perpetual_with(&opened(), 2000 + available);
    story.posted(&isolated(perpetual("buy", "1", "20000")));
    story
}

/// The same in a hedge account: 1 long at 20,000, and `short` short at 20,000.
pub(crate) fn hedged(money: u32, short: &str) -> Story {
    let mut story = perpetual_with(&opened_in_hedge_mode(), money);
    story.posted(&on_side(isolated(perpetual("buy", "1", "20000")), "long"));
    story.posted(&on_side(isolated(perpetual("sell", short, "20000")), "short"));
    story
}

pub(crate) fn held<'a>(story: &'a Story, key: &str) -> &'a Position {
    &story.position.state.positions[&key.parse().unwrap()]
}

pub(crate) fn position(told: &Told) -> Value {
    serde_json::from_str::<Value>(&told.body).unwrap()["outcome"]["position"].clone()
}

/// The margins of the positions, and what is put aside for them, are what account holds as margin.
pub(crate) fn margins_agree(story: &Story) -> bool {
    let under_way: i128 = story
        .account
        .journal
        .iter()
        .filter_map(|row| margin_under_way(row).unwrap())
        .map(|money| money.units())
        .sum();
    let held =
        story.position.state.positions.values().map(|held| held.margin.units()).sum::<i128>();
    let balances = story.account.state.balances.values();
    held + under_way == balances.map(|balance| balance.margin.units()).sum::<i128>()
}

#[test]
fn margin_that_is_added_is_paid_first_and_comes_to_the_position_then() {
    let mut story = isolated_long(1000);
    let asked = story.posted(&margin_changed("600.5"));
    assert_eq!(story.money(), "USDT 399.5 available, 2600.5 margin");
    assert_eq!(position(&asked)["margin"], "2600.500000", "what it will be");
    assert_eq!(held(&story, "BTC-USDT").margin, money("2000 USDT"), "not there yet");
    assert!(margins_agree(&story));

    let told = story.follow();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status(), OutcomeStatus::Posted, "{}", told[0].body);
    assert_eq!(position(&told[0]), position(&asked), "what it was to be");
    // (2600.5 − 20000) / (0.004 − 1)
    assert_eq!(position(&told[0])["liquidation_price"], "17469.37751004");
    assert_eq!(story.money(), "USDT 399.5 available, 2600.5 margin");
    assert!(story.followed.is_empty() && margins_agree(&story));

    story.posted(&isolated(perpetual("sell", "0.5", "20000")));
    assert_eq!(story.money(), "USDT 1699.75 available, 1300.25 margin", "half of all it had");
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn margin_is_taken_out_at_once_down_to_the_initial_margin() {
    let mut story = isolated_long(1000);
    story.posted(&margin_changed("600"));
    story.follow();
    let told = story.posted(&margin_changed("-250"));
    assert_eq!(position(&told)["margin"], "2350.000000");
    assert_eq!(story.money(), "USDT 650 available, 2350 margin");
    let told = story.tell(&margin_changed("-350.000001"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        (
            "insufficient_funds",
            "needs 350.000001 USDT, BTC-USDT has 2350.000000 margin, of which 2000.000000 is its initial margin"
        )
    );
    story.posted(&margin_changed("-350"));
    assert_eq!(story.money(), "USDT 1000 available, 2000 margin");
    assert!(story.followed.is_empty() && margins_agree(&story));
}

#[test]
fn margin_is_refused_where_there_is_none_to_change_or_none_to_pay_it() {
    let mut story = isolated_long(1000);
    let told = story.tell(&margin_changed("1000.000001"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        (
            "insufficient_funds",
            "needs 1000.000001 USDT, has 1000.000000 available, credit left 0.000000"
        )
    );
    assert!(story.followed.is_empty(), "nothing was put aside");
    for (event, code, detail) in [
        (
            with(margin_changed("1"), json!({ "symbol": "ETH-USDT" })),
            "no_open_position",
            "of ETH-USDT nothing is held, so it has no margin to change by 1.000000 USDT",
        ),
        (
            with(leverage_changed("5"), json!({ "symbol": "ETH-USDT" })),
            "no_open_position",
            "of ETH-USDT nothing is held, so there is no margin to compute with leverage 5",
        ),
        (
            with(margin_changed("1"), json!({ "position_side": "long" })),
            "invalid_request",
            "position_side is long, and the account holds one position of BTC-USDT",
        ),
    ] {
        let told = story.tell(&event);
        assert_eq!((told.code().as_str(), told.detail()), (code, detail));
    }
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    assert_eq!(story.tell(&margin_changed("1")).code(), "no_open_position", "closed");
    story.posted(&perpetual("buy", "1", "20000"));
    let told = story.tell(&margin_changed("1"));
    assert_eq!(
        (told.code().as_str(), told.detail()),
        (
            "invalid_request",
            "symbol: the open position of 1 BTC-USDT is cross, only an isolated one has margin of its own"
        )
    );
    let mut hedged = hedged(5000, "1");
    let told = hedged.tell(&margin_changed("1"));
    assert_eq!(
        told.detail(),
        "position_side is missing, and the account holds two positions of BTC-USDT"
    );
    let mut never = Story::of("perpetual");
    for event in [margin_changed("1"), leverage_changed("5")] {
        assert_eq!(never.tell(&event).code(), "account_not_found");
        assert_eq!(Story::spot().tell(&event).code(), "invalid_request");
    }
}

#[test]
fn margin_never_borrows() {
    let mut story = isolated_long(0).with_credit("5000 USDT");
    assert_eq!(story.tell(&margin_changed("1")).code(), "insufficient_funds");
    assert_eq!(story.tell(&leverage_changed("5")).code(), "insufficient_funds");
    assert_eq!(story.money(), "USDT 2000 margin");
}

#[test]
fn a_position_that_closed_before_its_margin_came_gives_it_back() {
    let mut story = isolated_long(1000);
    story.posted(&margin_changed("600"));
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    assert_eq!(story.money(), "USDT 2400 available, 600 margin");
    assert!(margins_agree(&story));
    let told = story.tell(&closed());
    assert_eq!(told.code(), "account_not_empty", "{}", told.detail());
    let told = story.follow();
    assert_eq!(told[0].status(), OutcomeStatus::Posted, "{}", told[0].body);
    assert_eq!(story.money(), "USDT 3000 available");
    assert!(margins_agree(&story));
    // As cross it is open again: what was added by hand was for an isolated one.
    let mut story = isolated_long(1000);
    story.posted(&margin_changed("600"));
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    story.posted(&perpetual("buy", "1", "20000"));
    story.follow();
    assert_eq!(story.money(), "USDT 1000 available, 2000 margin");
}

#[test]
fn margin_goes_to_the_side_of_a_hedge_account_that_is_named() {
    let mut story = hedged(10000, "1");
    story.posted(&with(margin_changed("100"), json!({ "position_side": "short" })));
    let told = story.follow();
    assert_eq!(position(&told[0])["position_side"], "short");
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("2000 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("2100 USDT"));
    assert!(margins_agree(&story));
}

#[test]
fn a_higher_leverage_sets_margin_free_at_once_and_a_lower_one_is_paid_first() {
    for cross in [true, false] {
        let trade = |trade: Value| if cross { trade } else { isolated(trade) };
        let mut story = perpetual_with(&opened(), 10_000);
        story.posted(&trade(perpetual("buy", "3", "3333.333333")));
        assert_eq!(story.money(), "USDT 9000 available, 1000 margin");
        let told = story.posted(&leverage_changed("30"));
        // ⌈3 · 3333.333333 / 30⌉
        assert_eq!(position(&told)["margin"], "333.333334");
        assert_eq!(story.money(), "USDT 9666.666666 available, 333.333334 margin");
        assert!(story.followed.is_empty(), "nothing is to be paid");

        let told = story.posted(&leverage_changed("2.5"));
        assert_eq!(position(&told)["margin"], "4000.000000", "what it will be");
        assert_eq!(held(&story, "BTC-USDT").margin, money("333.333334 USDT"), "not there yet");
        assert_eq!(story.money(), "USDT 6000 available, 4000 margin");
        let told = story.follow();
        assert_eq!(position(&told[0])["margin"], "4000.000000");
        assert_eq!(held(&story, "BTC-USDT").leverage, "2.5".parse().unwrap());
        assert!(story.followed.is_empty() && margins_agree(&story));

        let told = story.tell(&leverage_changed("0.5"));
        assert_eq!(
            (told.code().as_str(), told.detail()),
            (
                "insufficient_funds",
                "needs 15999.999998 USDT, has 6000.000000 available, credit left 0.000000"
            )
        );
        story.posted(&leverage_changed("2.5"));
        assert!(story.followed.is_empty(), "it has that leverage");
        story.posted(&trade(perpetual("sell", "3", "3333.333333")));
        assert_eq!(story.money(), "USDT 10000 available");
        story.position.prove();
        story.account.prove();
    }
}

#[test]
fn a_leverage_is_of_both_sides_of_a_hedge_account() {
    // Long 2000, short 1000 of margin at 10.
    let mut story = hedged(7000, "0.5");
    assert_eq!(story.money(), "USDT 4000 available, 3000 margin");
    let told = story.posted(&leverage_changed("5"));
    assert_eq!(position(&told), Value::Null, "two positions are not one");
    assert_eq!(story.money(), "USDT 1000 available, 6000 margin");
    story.follow();
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("4000 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("2000 USDT"));
    assert!(margins_agree(&story));
}

#[test]
fn what_one_side_sets_free_serves_the_other() {
    let mut story = hedged(7000, "0.5");
    story.posted(&with(margin_changed("600"), json!({ "position_side": "long" })));
    story.follow();
    assert_eq!(story.money(), "USDT 3400 available, 3600 margin");
    // Long 2600 → 2500, short 1000 → 1250.
    story.posted(&leverage_changed("8"));
    assert_eq!(story.money(), "USDT 3250 available, 3750 margin");
    story.follow();
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("2500 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("1250 USDT"));
    assert!(margins_agree(&story));
}

#[test]
fn what_was_filled_before_the_margin_for_a_leverage_came_keeps_its_own() {
    // Smaller meanwhile: what is over goes back.
    let mut story = isolated_long(3000);
    story.posted(&leverage_changed("5"));
    assert_eq!(story.money(), "USDT 1000 available, 4000 margin");
    story.posted(&isolated(perpetual("sell", "0.5", "20000")));
    story.follow();
    assert_eq!(held(&story, "BTC-USDT").margin, money("2000 USDT"), "10000 / 5");
    assert_eq!(story.money(), "USDT 3000 available, 2000 margin");
    // Larger meanwhile: that fill was margined at 10, and nothing more is asked for.
    let mut story = isolated_long(5000);
    story.posted(&leverage_changed("5"));
    story.posted(&isolated(perpetual("buy", "1", "20000")));
    assert_eq!(story.money(), "USDT 1000 available, 6000 margin");
    story.follow();
    assert_eq!(held(&story, "BTC-USDT").margin, money("6000 USDT"));
    assert_eq!(story.money(), "USDT 1000 available, 6000 margin");
    assert!(margins_agree(&story));
}

#[test]
fn funding_of_an_isolated_position_is_paid_by_available_then_by_its_margin_then_by_force() {
    // available, rate → after, the position's margin
    let cases = [
        (500, "0.01", "USDT 300 available, 2000 margin", "2000 USDT"),
        (200, "0.01", "USDT 2000 margin", "2000 USDT"),
        (50, "0.01", "USDT 1850 margin", "1850 USDT"),
        (0, "0.1", "", "0 USDT"),
        (0, "0.12", "USDT 400 borrowed", "0 USDT"),
        (50, "-0.01", "USDT 250 available, 2000 margin", "2000 USDT"),
    ];
    for (available, rate, expected, margin) in cases {
        let mut story = isolated_long(available);
        story.posted(&funding(rate, "20000"));
        for told in story.follow() {
            assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
        }
        assert_eq!(story.money(), expected, "{available} at {rate}");
        assert_eq!(held(&story, "BTC-USDT").margin, money(margin), "{available} at {rate}");
        assert!(story.followed.is_empty() && margins_agree(&story));
        story.account.prove();
    }
}

#[test]
fn funding_that_is_still_owed_when_the_position_is_gone_is_forced_from_available() {
    let mut story = isolated_long(50);
    story.posted(&funding("0.01", "20000"));
    assert_eq!(story.money(), "USDT 2000 margin");
    story.posted(&isolated(perpetual("sell", "1", "20000")));
    story.follow();
    assert_eq!(story.money(), "USDT 1850 available");
    // Turned: the margin of what is held now is not for what was owed before.
    let mut story = isolated_long(50);
    story.posted(&funding("0.01", "20000"));
    story.posted(&isolated(perpetual("sell", "2", "20000")));
    story.follow();
    assert_eq!(story.money(), "USDT 2000 margin, 150 borrowed");
    assert_eq!(held(&story, "BTC-USDT").margin, money("2000 USDT"));
}

#[test]
fn funding_of_a_cross_position_is_forced_at_once() {
    let mut story = perpetual_with(&opened(), 2050);
    story.posted(&perpetual("buy", "1", "20000"));
    story.posted(&funding("0.01", "20000"));
    assert_eq!(story.money(), "USDT 2000 margin, 150 borrowed");
    assert!(story.followed.is_empty());
}

#[test]
fn the_rest_of_a_funding_borrows_at_the_rates_of_its_event() {
    let mut story = isolated_long(0).with_credit("5000 USD");
    story.posted(&at_rates(funding("0.12", "20000"), "USD/USDT 2"));
    let told = story.follow();
    assert_eq!(told[0].status(), OutcomeStatus::Posted, "{}", told[0].body);
    assert_eq!(story.money(), "USD 200 borrowed");
}

#[test]
fn a_hedge_account_pays_funding_for_both_sides_at_once() {
    // 1 long pays 200, 0.25 short receives 50: 150 of which 100 are there.
    let mut story = hedged(2600, "0.25");
    assert_eq!(story.money(), "USDT 100 available, 2500 margin");
    story.posted(&funding("0.01", "20000"));
    story.follow();
    assert_eq!(story.money(), "USDT 2450 margin");
    assert_eq!(held(&story, "BTC-USDT:long").margin, money("1950 USDT"));
    assert_eq!(held(&story, "BTC-USDT:short").margin, money("500 USDT"));
}

#[test]
fn what_follows_is_the_same_however_often_it_comes() {
    let mut story = isolated_long(1000);
    story.posted(&margin_changed("600"));
    let (_, body) = story.followed[0].clone();
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let request_id = envelope["header"]["request_id"].as_str().unwrap().to_owned();
    assert!(request_id.starts_with("margin:"), "{request_id}");
    story.follow();
    let before = story.money();
    let again = story.sent(&request_id, body);
    let told = story.tell_sent(&again);
    assert!(told.message.outcome.replayed, "{}", told.body);
    assert_eq!(story.money(), before);
    assert!(margins_agree(&story));
}

/// What a position set free it has let go: account cannot say no to that, whatever it finds.
#[test]
fn account_cannot_refuse_what_lowers_a_position() {
    let mut story = isolated_long(1000);
    story.account.state.status = AccountStatus::Closed;
    let sent = story.message("r-out", &leverage_changed("20"));
    let told = story.deliver(&[sent]);
    assert!(told.iter().all(|told| told.status() == OutcomeStatus::Parked), "{told:?}");
    assert_eq!(story.suspended(), [StageName::Account]);
}

#[derive(Debug, Clone)]
enum Act {
    Change(i64),
    Leverage(u8),
    Fill(bool, u8),
    Fund(i8),
    Deposit(u16),
    Follow,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (-900_i64..900).prop_map(Act::Change),
        (1_u8..40).prop_map(Act::Leverage),
        (any::<bool>(), 1_u8..30).prop_map(|(buys, tenths)| Act::Fill(buys, tenths)),
        (-40_i8..40).prop_map(Act::Fund),
        (1_u16..2000).prop_map(Act::Deposit),
        Just(Act::Follow),
        Just(Act::Follow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes between a request and what follows from it, account's margin is what the
    /// positions have and what is put aside for them; and nothing is left of it in the end.
    #[test]
    fn margins_agree_whatever_comes_between(
        acts in prop::collection::vec(act(), 1..40), hedge in any::<bool>(), isolates in any::<bool>(),
    ) {
        let opening = if hedge { opened_in_hedge_mode() } else { opened() };
        let mut story = perpetual_with(&opening, 3000);
        let trade = |buys: bool, quantity: &str, price: &str| {
            let trade = perpetual(if buys { "buy" } else { "sell" }, quantity, price);
            if isolates { isolated(trade) } else { trade }
        };
        let side = |buys: bool| if buys { "long" } else { "short" };
        for (turn, act) in acts.into_iter().enumerate() {
            let sided = |event: Value, buys: bool| if hedge { on_side(event, side(buys)) } else { event };
            let event = match act {
                Act::Change(amount) => sided(margin_changed(&amount.to_string()), turn % 2 == 0),
                Act::Leverage(leverage) => leverage_changed(&leverage.to_string()),
                Act::Fill(buys, tenths) => {
                    let price = (1000 + 7 * turn).to_string();
                    let quantity = format!("{}.{}", tenths / 10, tenths % 10);
                    sided(trade(buys, &quantity, &price), buys)
                }
                Act::Fund(rate) => funding(&format!("{}0.{:03}", if rate < 0 { "-" } else { "" }, rate.unsigned_abs()), "1000"),
                Act::Deposit(amount) => deposit(&format!("{amount} USDT")),
                Act::Follow => {
                    story.follow();
                    prop_assert!(margins_agree(&story));
                    continue;
                }
            };
            story.tell(&event);
            prop_assert!(story.suspended().is_empty(), "{event}");
            prop_assert!(margins_agree(&story), "after {event}");
        }
        story.follow();
        prop_assert!(story.followed.is_empty(), "nothing follows from what followed");
        let open: Vec<_> = story.position.state.positions.iter()
            .filter(|(_, held)| held.is_open())
            .map(|(key, held)| (key.clone(), held.quantity))
            .collect();
        for (key, quantity) in open {
            let mut event = trade(quantity.is_sign_negative(), &quantity.abs().to_string(), "1000");
            if let Some(side) = key.side {
                event = on_side(event, side.as_str());
            }
            story.posted(&event);
        }
        let margin: i128 = story.account.state.balances.values().map(|held| held.margin.units()).sum();
        prop_assert_eq!(margin, 0, "everything closed, no margin is left");
        story.clearing.prove();
        story.position.prove();
        story.account.prove();
    }
}
