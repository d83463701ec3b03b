//! An outgoing amount is drawn from several subjects in the order that the rulebook states (A7); what
//! is drawn from available in the end follows the net rule.

use cap_domain::account::{AccountState, AccountStatus, post};
use cap_domain::division::Source;
use cap_domain::money::Rates;
use cap_domain::plan::{PlannedLeg, Shortfall};
use cap_domain::refusal::{Refusal, Stop};
use cap_domain::subject::Subject;

use crate::check;
use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{balances, money, show_balances, show_legs};
use crate::net_rule::planned;

fn cfd() -> Story {
    Story::of("cfd").opened()
}

#[test]
fn a_fee_takes_the_bonus_first_then_cash_and_then_owes() {
    check(
        cfd,
        &[
            // 5 to partner and house: 1 and 4, each out of the bonus.
            (
                "USD 10 bonus, 20 cash",
                None,
                fee("5 USD"),
                "posted",
                "USD 5 bonus, 20 cash",
                "bonus → house:partner 1 USD; bonus → house:fees 4 USD",
            ),
            // 3 to the partner out of the bonus; the house takes the bonus's last 7, then 5 of the cash.
            (
                "USD 10 bonus, 20 cash",
                None,
                fee("15 USD"),
                "posted",
                "USD 15 cash",
                "bonus → house:partner 3 USD; bonus → house:fees 7 USD; cash → house:fees 5 USD",
            ),
            // What is there to the last cent.
            (
                "USD 10 bonus, 20 cash",
                None,
                fee("30 USD"),
                "posted",
                "",
                "bonus → house:partner 6 USD; bonus → house:fees 4 USD; cash → house:fees 20 USD",
            ),
            // A cent more is owed: a fact cannot be refused.
            (
                "USD 10 bonus, 20 cash",
                None,
                fee("30.01 USD"),
                "posted",
                "USD 0.01 borrowed",
                "bonus → house:partner 6 USD; bonus → house:fees 4 USD; cash → house:fees 20 USD; available → house:fees 0.01 USD; borrowed → available 0.01 USD",
            ),
            // Available is there before anything is owed.
            (
                "USD 3 available, 1 bonus",
                None,
                fee("5 USD"),
                "posted",
                "USD 1 borrowed",
                "bonus → house:partner 1 USD; available → house:fees 4 USD; borrowed → available 1 USD",
            ),
        ],
    );
}

#[test]
fn a_request_that_all_its_subjects_cannot_cover_is_refused_with_what_each_has() {
    check(
        cfd,
        &[
            (
                "USD 50 bonus, 300 cash, 20 available",
                None,
                withdrawal("w-1", "320 USD"),
                "posted",
                "USD 320 withdrawing, 50 bonus",
                "cash → withdrawing 300 USD; available → withdrawing 20 USD",
            ),
            (
                "USD 50 bonus, 300 cash, 20 available",
                None,
                withdrawal("w-1", "320.01 USD"),
                "insufficient_funds: needs 320.01 USD, has 300.00 cash, 20.00 available, credit left 0.00",
                "USD 20 available, 50 bonus, 300 cash",
                "",
            ),
            // The bonus is not withdrawn.
            (
                "USD 50 bonus",
                None,
                withdrawal("w-1", "1 USD"),
                "insufficient_funds: needs 1.00 USD, has 0.00 cash, 0.00 available, credit left 0.00",
                "USD 50 bonus",
                "",
            ),
            // A withdrawal never borrows, an order may.
            (
                "USD 30 cash",
                Some("100 USD"),
                withdrawal("w-1", "31 USD"),
                "insufficient_funds: needs 31.00 USD, has 30.00 cash, 0.00 available, credit left 100.00",
                "USD 30 cash",
                "",
            ),
            (
                "USD 30 cash",
                Some("100 USD"),
                reserved_borrowing("130 USD"),
                "posted",
                "USD 130 frozen, 100 borrowed",
                "cash → frozen 30 USD; available → frozen 100 USD; borrowed → available 100 USD",
            ),
            (
                "USD 30 cash",
                Some("100 USD"),
                reserved_borrowing("130.01 USD"),
                "credit_limit_exceeded: needs 130.01 USD, has 30.00 cash, 0.00 available, credit left 100.00",
                "USD 30 cash",
                "",
            ),
        ],
    );
}

#[test]
fn an_account_with_money_in_a_declared_subject_is_not_empty() {
    let mut story = cfd().holding("USD 3 bonus");
    let told = story.tell(&closed());
    assert_eq!(told.detail(), "still has USD 3.00 bonus");
    story.posted(&adjusted("-3 USD", "reject"));
    story.posted(&closed());
}

/// A plan that draws `amount` from `subjects` for house:fees.
fn drawing(subjects: &str, amount: &str, shortfall: Shortfall) -> PlannedLeg {
    let subjects = subjects.split(' ').map(|subject| subject.parse().unwrap()).collect();
    let to: Subject = "house:fees".parse().unwrap();
    let leg = planned(Subject::Available, to, money(amount), shortfall);
    PlannedLeg { from: Source::InOrder(subjects), ..leg }
}

fn holding(text: &str) -> AccountState {
    let balances = balances(text);
    AccountState { status: AccountStatus::Open, balances, ..AccountState::default() }
}

#[test]
fn a_draw_that_does_not_end_in_available_has_enough_or_is_refused() {
    let draw = |before: &str, subjects: &str, amount: &str, shortfall| {
        let mut account = holding(before);
        let posted = post(
            &mut account,
            "an.event",
            &[drawing(subjects, amount, shortfall)],
            &Rates::default(),
        );
        let legs = posted.map(|posted| show_legs(&posted.legs));
        (legs, show_balances(account.balances.values()))
    };
    let (legs, after) = draw(
        "USD 5 available, 2 bonus, 9 cash",
        "available bonus cash",
        "10 USD",
        Shortfall::Reject,
    );
    assert_eq!(
        legs.unwrap(),
        "available → house:fees 5 USD; bonus → house:fees 2 USD; cash → house:fees 3 USD"
    );
    assert_eq!(after, "USD 6 cash");

    let before = "USD 2 bonus, 9 cash, 100 borrowed";
    let (refused, after) = draw(before, "available bonus cash", "11.01 USD", Shortfall::Reject);
    let Err(Stop::Refused(Refusal::Rejected { code, detail })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (code.to_string().as_str(), detail.as_str()),
        ("insufficient_funds", "needs 11.01 USD, has 0.00 available, 2.00 bonus, 9.00 cash")
    );
    assert_eq!(after, "USD 100 borrowed, 2 bonus, 9 cash", "a no changes nothing");

    let (poisoned, _) = draw(before, "bonus cash", "12 USD", Shortfall::Force);
    let Err(Stop::Poisoned(poison)) = poisoned else { panic!("{poisoned:?}") };
    assert_eq!(
        poison.to_string(),
        "an.event cannot be applied: needs 12.00 USD, has 2.00 bonus, 9.00 cash"
    );
}

#[test]
fn a_single_declared_subject_that_is_short_says_so() {
    let mut account = holding("USD 9 cash");
    let (cash, fees) = ("cash".parse().unwrap(), "house:fees".parse().unwrap());
    let leg = planned(cash, fees, money("9.01 USD"), Shortfall::Reject);
    let refused = post(&mut account, "an.event", &[leg], &Rates::default()).unwrap_err();
    let Stop::Refused(Refusal::Rejected { code, detail }) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (code.to_string().as_str(), detail.as_str()),
        ("insufficient_funds", "needs 9.01 USD cash, has 9.00 USD cash")
    );
}

#[test]
fn what_earlier_legs_brought_in_is_there_to_be_drawn() {
    let mut account = holding("USD 1 bonus");
    let pnl: Subject = "house:pnl".parse().unwrap();
    let plan = [
        planned(pnl, "cash".parse().unwrap(), money("5 USD"), Shortfall::Force),
        drawing("bonus cash available", "4 USD", Shortfall::Force),
    ];
    let posted = post(&mut account, "trade.filled", &plan, &Rates::default()).unwrap();
    assert_eq!(
        show_legs(&posted.legs),
        "house:pnl → cash 5 USD; bonus → house:fees 1 USD; cash → house:fees 3 USD"
    );
    assert_eq!(show_balances(account.balances.values()), "USD 2 cash");
}
