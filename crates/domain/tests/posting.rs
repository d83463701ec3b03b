//! Enough, borrow or reject, and whatever comes in repays first (A6, A7): the net rule of the
//! contract, posting by posting.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod common;

use std::collections::BTreeMap;

use cap_domain::account::{AccountRuling, AccountState, AccountStatus, Balance, Credit, Leg, post};
use cap_domain::money::Money;
use cap_domain::outcome::OutcomeStatus;
use cap_domain::plan::{PlannedAmount, PlannedLeg, Shortfall};
use cap_domain::refusal::Stop;
use cap_domain::subject::Subject;
use proptest::prelude::*;
use serde_json::Value;

use common::events::*;
use common::story::{Story, Told};
use common::{balances, currency, money, show_balances, show_legs};

/// What came of it: `posted`, `<code>: <detail>` or `parked: <error>`.
fn came_of(told: &Told) -> String {
    match told.status() {
        OutcomeStatus::Posted => "posted".to_owned(),
        OutcomeStatus::Parked => format!("parked: {}", told.detail()),
        OutcomeStatus::Rejected | OutcomeStatus::Expired => {
            format!("{}: {}", told.code(), told.detail())
        }
    }
}

/// Money before, credit line, event; what came of it, money afterwards, legs.
type Case<'a> = (&'a str, Option<&'a str>, Value, &'a str, &'a str, &'a str);

fn check(account: impl Fn() -> Story, cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (before, credit, event, expected, after, legs) in cases {
        let mut story = account().holding(before);
        if let Some(limit) = credit {
            story = story.with_credit(limit);
        }
        let told = story.tell(event);
        let moved = match story.account.journal.last() {
            None => String::new(),
            Some(_) => match story.last_ruling() {
                AccountRuling::Posted { legs, .. } => show_legs(&legs),
                AccountRuling::Refused(_) => String::new(),
            },
        };
        let found = (came_of(&told), story.money(), moved);
        if found != ((*expected).to_owned(), (*after).to_owned(), (*legs).to_owned()) {
            wrong.push(format!("{before} | {event}\n  expected {expected} | {after} | {legs}\n  got      {} | {} | {}", found.0, found.1, found.2));
        }
        if told.status() != OutcomeStatus::Posted {
            assert_eq!(story.account.state.balances, balances(before), "a no changes nothing");
            assert!(told.message.outcome.balances.is_empty());
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_reserve_is_covered_borrowed_or_rejected() {
    check(
        Story::spot,
        &[
            (
                "USDT 300 available",
                None,
                reserved("300 USDT"),
                "posted",
                "USDT 300 frozen",
                "available → frozen 300 USDT",
            ),
            (
                "USDT 300.000001 available",
                None,
                reserved("300 USDT"),
                "posted",
                "USDT 0.000001 available, 300 frozen",
                "available → frozen 300 USDT",
            ),
            (
                "USDT 100 available",
                None,
                reserved("300 USDT"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 0.000000",
                "USDT 100 available",
                "",
            ),
            (
                "",
                None,
                reserved("0.00000001 BTC"),
                "insufficient_funds: needs 0.00000001 BTC, has 0.00000000 available, credit left 0.00000000",
                "",
                "",
            ),
            (
                "USDT 100 available",
                None,
                reserved_borrowing("300 USDT"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 0.000000",
                "USDT 100 available",
                "",
            ),
            (
                "USDT 100 available",
                Some("500 USDT"),
                reserved("300 USDT"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 500.000000",
                "USDT 100 available",
                "",
            ),
            (
                "USDT 100 available",
                Some("500 USDT"),
                reserved_borrowing("300 USDT"),
                "posted",
                "USDT 300 frozen, 200 borrowed",
                "available → frozen 300 USDT; borrowed → available 200 USDT",
            ),
            (
                "USDT 100 available",
                Some("200 USDT"),
                reserved_borrowing("300 USDT"),
                "posted",
                "USDT 300 frozen, 200 borrowed",
                "available → frozen 300 USDT; borrowed → available 200 USDT",
            ),
            (
                "USDT 100 available",
                Some("199.999999 USDT"),
                reserved_borrowing("300 USDT"),
                "credit_limit_exceeded: needs 300.000000 USDT, has 100.000000 available, credit left 199.999999",
                "USDT 100 available",
                "",
            ),
            (
                "USDT 150 borrowed",
                Some("200 USDT"),
                reserved_borrowing("50 USDT"),
                "posted",
                "USDT 50 frozen, 200 borrowed",
                "available → frozen 50 USDT; borrowed → available 50 USDT",
            ),
            (
                "USDT 150 borrowed",
                Some("200 USDT"),
                reserved_borrowing("60 USDT"),
                "credit_limit_exceeded: needs 60.000000 USDT, has 0.000000 available, credit left 50.000000",
                "USDT 150 borrowed",
                "",
            ),
            (
                "USDT 250 borrowed",
                Some("200 USDT"),
                reserved_borrowing("1 USDT"),
                "credit_limit_exceeded: needs 1.000000 USDT, has 0.000000 available, credit left 0.000000",
                "USDT 250 borrowed",
                "",
            ),
            (
                "USDT 300 available",
                Some("500 USDT"),
                reserved_borrowing("300 USDT"),
                "posted",
                "USDT 300 frozen",
                "available → frozen 300 USDT",
            ),
        ],
    );
}

#[test]
fn a_withdrawal_never_borrows() {
    check(
        Story::spot,
        &[
            (
                "USDT 300 available",
                None,
                withdrawal("w-1", "300 USDT"),
                "posted",
                "USDT 300 withdrawing",
                "available → withdrawing 300 USDT",
            ),
            (
                "USDT 100 available",
                Some("500 USDT"),
                withdrawal("w-1", "300 USDT"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 500.000000",
                "USDT 100 available",
                "",
            ),
            (
                "USDT 100 frozen, 20 borrowed",
                Some("500 USDT"),
                withdrawal("w-1", "1 USDT"),
                "insufficient_funds: needs 1.000000 USDT, has 0.000000 available, credit left 480.000000",
                "USDT 100 frozen, 20 borrowed",
                "",
            ),
        ],
    );
}

#[test]
fn what_comes_in_repays_first() {
    check(
        Story::spot,
        &[
            (
                "",
                None,
                deposit("100 USDT"),
                "posted",
                "USDT 100 available",
                "external:bank → available 100 USDT",
            ),
            (
                "USDT 200 borrowed",
                None,
                deposit("300 USDT"),
                "posted",
                "USDT 100 available",
                "external:bank → available 300 USDT; available → borrowed 200 USDT",
            ),
            (
                "USDT 200 borrowed",
                Some("500 USDT"),
                deposit("50 USDT"),
                "posted",
                "USDT 150 borrowed",
                "external:bank → available 50 USDT; available → borrowed 50 USDT",
            ),
            (
                "USDT 200 borrowed",
                None,
                deposit("200 USDT"),
                "posted",
                "",
                "external:bank → available 200 USDT; available → borrowed 200 USDT",
            ),
            (
                "USDT 200 borrowed",
                None,
                deposit("1 BTC"),
                "posted",
                "BTC 1 available; USDT 200 borrowed",
                "external:bank → available 1 BTC",
            ),
            (
                "USDT 100 frozen, 30 borrowed",
                None,
                released("100 USDT"),
                "posted",
                "USDT 70 available",
                "frozen → available 100 USDT; available → borrowed 30 USDT",
            ),
            (
                "USDT 30 borrowed",
                None,
                adjusted("10 USDT", "reject"),
                "posted",
                "USDT 20 borrowed",
                "house:adjustments → available 10 USDT; available → borrowed 10 USDT",
            ),
        ],
    );
}

#[test]
fn a_fact_becomes_liability_whatever_the_credit_line() {
    check(
        Story::spot,
        &[
            (
                "USDT 1 available",
                None,
                fee("1.5 USDT"),
                "posted",
                "USDT 0.5 borrowed",
                "available → house:fees 1.5 USDT; borrowed → available 0.5 USDT",
            ),
            (
                "USDT 1 available",
                Some("0.1 USDT"),
                fee("1.5 USDT"),
                "posted",
                "USDT 0.5 borrowed",
                "available → house:fees 1.5 USDT; borrowed → available 0.5 USDT",
            ),
            (
                "USDT 2 available",
                None,
                fee("1.5 USDT"),
                "posted",
                "USDT 0.5 available",
                "available → house:fees 1.5 USDT",
            ),
            (
                "USDT 10 borrowed",
                None,
                interest("0.5 USDT"),
                "posted",
                "USDT 10.5 borrowed",
                "available → house:interest 0.5 USDT; borrowed → available 0.5 USDT",
            ),
            (
                "USDT 10 available",
                None,
                interest("0.5 USDT"),
                "posted",
                "USDT 9.5 available",
                "available → house:interest 0.5 USDT",
            ),
            (
                "USDT 1 available",
                None,
                adjusted("-10 USDT", "force"),
                "posted",
                "USDT 9 borrowed",
                "available → house:adjustments 10 USDT; borrowed → available 9 USDT",
            ),
            (
                "USDT 1 available",
                Some("500 USDT"),
                adjusted("-10 USDT", "reject"),
                "insufficient_funds: needs 10.000000 USDT, has 1.000000 available, credit left 500.000000",
                "USDT 1 available",
                "",
            ),
            (
                "USDT 10 available",
                None,
                adjusted("-10 USDT", "reject"),
                "posted",
                "",
                "available → house:adjustments 10 USDT",
            ),
        ],
    );
}

#[test]
fn a_fact_that_needs_more_than_is_frozen_is_poison() {
    check(
        Story::spot,
        &[
            (
                "USDT 50 frozen",
                None,
                released("100 USDT"),
                "parked: order.released cannot be applied: needs 100.000000 USDT frozen, has 50.000000 USDT frozen",
                "USDT 50 frozen",
                "",
            ),
            (
                "USDT 500 available",
                None,
                released("0.000001 USDT"),
                "parked: order.released cannot be applied: needs 0.000001 USDT frozen, has 0.000000 USDT frozen",
                "USDT 500 available",
                "",
            ),
            (
                "USDT 19000 frozen, 5000 available",
                None,
                of_reserve(spot("buy", "0.5", "40000"), "20000"),
                "parked: trade.filled cannot be applied: needs 20000.000000 USDT frozen, has 19000.000000 USDT frozen",
                "USDT 5000 available, 19000 frozen",
                "",
            ),
            (
                "USDT 20000 frozen",
                None,
                of_reserve(spot("buy", "0.5", "40000"), "20500"),
                "parked: trade.filled cannot be applied: needs 500.000000 USDT frozen, has 0.000000 USDT frozen",
                "USDT 20000 frozen",
                "",
            ),
            (
                "BTC 0.4 frozen, 1 available",
                None,
                of_reserve(spot("sell", "0.5", "40000"), "0.5"),
                "parked: trade.filled cannot be applied: needs 0.50000000 BTC frozen, has 0.40000000 BTC frozen",
                "BTC 1 available, 0.4 frozen",
                "",
            ),
        ],
    );
}

#[test]
fn a_spot_fill_pays_receives_gives_back_and_pays_its_fee() {
    let buy = || spot("buy", "0.5", "40000");
    let sell = || spot("sell", "0.5", "40000");
    check(
        Story::spot,
        &[
            (
                "USDT 20000 frozen",
                None,
                of_reserve(buy(), "20000"),
                "posted",
                "BTC 0.5 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC",
            ),
            (
                "USDT 21000 frozen",
                None,
                of_reserve(buy(), "21000"),
                "posted",
                "BTC 0.5 available; USDT 1000 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT",
            ),
            (
                "USDT 21000 frozen",
                None,
                at_fee(of_reserve(buy(), "21000"), "10 USDT"),
                "posted",
                "BTC 0.5 available; USDT 990 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT; available → house:fees 10 USDT",
            ),
            (
                "USDT 30000 frozen",
                None,
                of_reserve(buy(), "21000"),
                "posted",
                "BTC 0.5 available; USDT 1000 available, 9000 frozen",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 1000 USDT",
            ),
            (
                "USDT 500 available, 19000 frozen",
                None,
                of_reserve(buy(), "19000"),
                "posted",
                "BTC 0.5 available; USDT 500 borrowed",
                "frozen → house:trading 19000 USDT; available → house:trading 1000 USDT; house:trading → available 0.5 BTC; borrowed → available 500 USDT",
            ),
            (
                "USDT 25000 available",
                None,
                buy(),
                "posted",
                "BTC 0.5 available; USDT 5000 available",
                "available → house:trading 20000 USDT; house:trading → available 0.5 BTC",
            ),
            (
                "USDT 20000 frozen",
                None,
                at_fee(of_reserve(buy(), "20000"), "0.001 BTC"),
                "posted",
                "BTC 0.499 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; available → house:fees 0.001 BTC",
            ),
            (
                "USDT 20000 frozen",
                None,
                at_fee(of_reserve(buy(), "20000"), "-3 HKD"),
                "posted",
                "BTC 0.5 available; HKD 3 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; house:fees → available 3 HKD",
            ),
            (
                "USDT 20000 frozen; BTC 0.2 borrowed",
                None,
                of_reserve(buy(), "20000"),
                "posted",
                "BTC 0.3 available",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; available → borrowed 0.2 BTC",
            ),
            (
                "USDT 20050 frozen",
                None,
                at_fee(of_reserve(buy(), "20050"), "60 USDT"),
                "posted",
                "BTC 0.5 available; USDT 10 borrowed",
                "frozen → house:trading 20000 USDT; house:trading → available 0.5 BTC; frozen → available 50 USDT; available → house:fees 60 USDT; borrowed → available 10 USDT",
            ),
            (
                "BTC 0.5 frozen",
                None,
                at_fee(of_reserve(sell(), "0.5"), "10 USDT"),
                "posted",
                "USDT 19990 available",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; available → house:fees 10 USDT",
            ),
            (
                "BTC 0.5 frozen; USDT 30000 borrowed",
                None,
                of_reserve(sell(), "0.5"),
                "posted",
                "USDT 10000 borrowed",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; available → borrowed 20000 USDT",
            ),
            (
                "BTC 0.5 frozen; USDT 0.4 borrowed",
                None,
                at_fee(of_reserve(sell(), "0.5"), "-1 USDT"),
                "posted",
                "USDT 20000.6 available",
                "frozen → house:trading 0.5 BTC; house:trading → available 20000 USDT; house:fees → available 1 USDT; available → borrowed 0.4 USDT",
            ),
            (
                "BTC 0.1 available",
                None,
                sell(),
                "posted",
                "BTC 0.4 borrowed; USDT 20000 available",
                "available → house:trading 0.5 BTC; house:trading → available 20000 USDT; borrowed → available 0.4 BTC",
            ),
            (
                "USDT 5 available",
                None,
                spot("buy", "0.00000001", "0.01"),
                "posted",
                "BTC 0.00000001 available; USDT 5 available",
                "house:trading → available 0.00000001 BTC",
            ),
        ],
    );
}

#[test]
fn a_position_is_margined_settled_and_charged() {
    let mut story = Story::perpetual().holding("USDT 500 available, 120 frozen");
    let steps = [
        (
            at_fee(of_reserve(perpetual("buy", "1", "1000"), "120"), "0.5 USDT"),
            "USDT 519.5 available, 100 margin",
            "frozen → margin 100 USDT; frozen → available 20 USDT; available → house:fees 0.5 USDT",
        ),
        (
            at_fee(perpetual("sell", "3", "1100"), "0.3 USDT"),
            "USDT 499.2 available, 220 margin",
            "margin → available 100 USDT; house:pnl → available 100 USDT; available → house:fees 0.1 USDT; available → margin 220 USDT; available → house:fees 0.2 USDT",
        ),
        (
            funding("0.01", "1000"),
            "USDT 519.2 available, 220 margin",
            "house:funding → available 20 USDT",
        ),
        (
            funding("-0.005", "1000"),
            "USDT 509.2 available, 220 margin",
            "available → house:funding 10 USDT",
        ),
        (
            at_fee(perpetual("buy", "1", "1200"), "-0.1 USDT"),
            "USDT 519.3 available, 110 margin",
            "margin → available 110 USDT; available → house:pnl 100 USDT; house:fees → available 0.1 USDT",
        ),
        (
            perpetual("buy", "1", "2000"),
            "USDT 270.7 borrowed",
            "margin → available 110 USDT; available → house:pnl 900 USDT; borrowed → available 270.7 USDT",
        ),
        (funding("0.01", "1000"), "USDT 270.7 borrowed", ""),
        (
            perpetual("buy", "1", "1000"),
            "USDT 100 margin, 370.7 borrowed",
            "available → margin 100 USDT; borrowed → available 100 USDT",
        ),
        (
            perpetual("sell", "1", "1300"),
            "USDT 29.3 available",
            "margin → available 100 USDT; house:pnl → available 300 USDT; available → borrowed 370.7 USDT",
        ),
    ];
    for (event, after, moved) in steps {
        story.posted(&event);
        let AccountRuling::Posted { legs, .. } = story.last_ruling() else { panic!("not posted") };
        assert_eq!((story.money().as_str(), show_legs(&legs).as_str()), (after, moved), "{event}");
    }
}

#[test]
fn a_contract_fill_that_uses_more_than_is_frozen_is_poison() {
    check(
        Story::perpetual,
        &[(
            "USDT 500 available, 99 frozen",
            None,
            of_reserve(perpetual("buy", "1", "1000"), "100"),
            "parked: trade.filled cannot be applied: needs 100.000000 USDT frozen, has 99.000000 USDT frozen",
            "USDT 500 available, 99 frozen",
            "",
        )],
    );
}

#[test]
fn a_credit_line_that_is_switched_off_lends_nothing_but_is_repaid() {
    let off = || {
        let mut story = Story::spot().with_credit("500 USDT");
        story.account.state.credit = Some(Credit { limit: money("500 USDT"), enabled: false });
        story
    };
    check(
        off,
        &[
            (
                "USDT 100 available",
                None,
                reserved_borrowing("300 USDT"),
                "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 0.000000",
                "USDT 100 available",
                "",
            ),
            (
                "USDT 80 borrowed",
                None,
                deposit("100 USDT"),
                "posted",
                "USDT 20 available",
                "external:bank → available 100 USDT; available → borrowed 80 USDT",
            ),
        ],
    );
}

#[test]
fn borrowing_examples_are_as_published() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/positions.json")).unwrap();
    for vector in vectors["borrowing"].as_array().unwrap() {
        let text = |field: &str| vector[field].as_str().unwrap();
        let debit = format!("{} USDT", text("debit"));
        let available = format!("USDT {} available", text("available"));
        let expected = format!("USDT {} borrowed", text("published_borrowed"));
        let mut forced = Story::spot().holding(&available);
        forced.posted(&fee(&debit));
        assert_eq!(forced.money(), expected, "{}", vector["name"]);
        let mut asked = Story::spot().holding(&available).with_credit("1000 USDT");
        asked.posted(&reserved_borrowing(&debit));
        let borrowed = asked.account.state.balances.values().next().unwrap().borrowed;
        assert_eq!(borrowed, money(&format!("{} USDT", text("published_borrowed"))));
    }
}

#[test]
fn a_card_in_another_currency_lends_nothing_wrongly_while_exchange_is_not_built() {
    let detail = "borrowing USDT on a credit line in another currency is not supported yet";
    check(
        Story::spot,
        &[
            (
                "USDT 1 available",
                Some("500 USD"),
                reserved_borrowing("10 USDT"),
                &format!("invalid_request: {detail}"),
                "USDT 1 available",
                "",
            ),
            (
                "USDT 1 available",
                Some("500 USD"),
                fee("10 USDT"),
                "parked: 10.000000 USDT would have to be borrowed on a credit line in another currency, which is not supported yet",
                "USDT 1 available",
                "",
            ),
            (
                "USD 5 borrowed",
                Some("500 USD"),
                deposit("10 USDT"),
                "posted",
                "USD 5 borrowed; USDT 10 available",
                "external:bank → available 10 USDT",
            ),
            (
                "USDT 1 available",
                Some("500 USD"),
                reserved("10 USDT"),
                "insufficient_funds: needs 10.000000 USDT, has 1.000000 available, credit left 0.000000",
                "USDT 1 available",
                "",
            ),
        ],
    );
}

/// Contract: borrowing without the rate it needs is `invalid_request` for a request.
#[test]
fn a_forced_request_that_would_need_a_rate_is_rejected_and_suspends_nothing() {
    let mut story = Story::spot().holding("USDT 1 available").with_credit("500 USD");
    let told = story.tell(&adjusted("-10 USDT", "force"));
    assert!(came_of(&told).starts_with("invalid_request: "), "{}", came_of(&told));
    assert_eq!(story.suspended(), []);
}

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

#[test]
fn a_credit_line_stays_in_its_currency_while_something_is_owed() {
    let mut story = Story::spot().with_credit("500 USDT").holding("USDT 1 available");
    story.posted(&reserved_borrowing("101 USDT"));
    let told = story.tell(&credit_changed("500 USD", true));
    assert_eq!(told.code(), "invalid_request");
    story.posted(&credit_changed("50 USDT", true));
    assert_eq!(
        came_of(&story.tell(&reserved_borrowing("1 USDT"))),
        "credit_limit_exceeded: needs 1.000000 USDT, has 0.000000 available, credit left 0.000000"
    );
    story.posted(&deposit("60 USDT"));
    story.posted(&reserved_borrowing("10 USDT"));
    story.posted(&deposit("50 USDT"));
    story.posted(&credit_changed("500 USD", true));
}

#[test]
fn the_outcome_shows_the_currencies_touched_afterwards() {
    let mut story = Story::spot().holding("USDT 20000 frozen; HKD 5 available");
    let told = story.posted(&at_fee(of_reserve(spot("buy", "0.5", "40000"), "20000"), "0.1 USDT"));
    let outcome: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        outcome["outcome"]["balances"],
        serde_json::json!([
            { "currency": "BTC", "available": "0.50000000", "frozen": "0.00000000", "margin": "0.00000000", "withdrawing": "0.00000000", "borrowed": "0.00000000" },
            { "currency": "USDT", "available": "0.000000", "frozen": "0.000000", "margin": "0.000000", "withdrawing": "0.000000", "borrowed": "0.100000" },
        ])
    );
}

// ── the net rule, for any account and any plan ─────────────────────────────────────────────

fn planned(from: Subject, to: Subject, amount: Money, shortfall: Shortfall) -> PlannedLeg {
    PlannedLeg { from, to, amount: PlannedAmount::Known(amount), shortfall }
}

fn open_account(money: &str) -> AccountState {
    AccountState {
        status: AccountStatus::Open,
        balances: balances(money),
        ..AccountState::default()
    }
}

#[test]
fn a_plan_is_posted_whole_or_not_at_all() {
    let mut account = open_account("BTC 1 available; USDT 1 available");
    let before = account.clone();
    let fees: Subject = "house:fees".parse().unwrap();
    let plan = [
        planned(Subject::Available, fees, money("1 BTC"), Shortfall::Reject),
        planned(Subject::Available, fees, money("2 USDT"), Shortfall::Reject),
    ];
    let stop = post(&mut account, "order.reserved", &plan).unwrap_err();
    assert!(matches!(stop, Stop::Refused(_)), "{stop:?}");
    assert_eq!(
        account, before,
        "the currency that had enough moved although the plan was rejected"
    );
}

#[test]
fn a_named_amount_that_nobody_computed_is_poison() {
    let mut account = open_account("USDT 1 available");
    let before = account.clone();
    let amount = PlannedAmount::Named("position.realised_loss".parse().unwrap());
    let leg = PlannedLeg {
        amount,
        ..planned(Subject::Frozen, Subject::Available, money("1 USDT"), Shortfall::Force)
    };
    let stop = post(&mut account, "trade.filled", &[leg]).unwrap_err();
    let Stop::Poisoned(poison) = stop else { panic!("{stop:?}") };
    assert_eq!(
        poison.to_string(),
        "trade.filled cannot be applied: nobody computed the amount from frozen to available"
    );
    assert_eq!(account, before);
}

#[test]
fn the_strictest_leg_decides_for_its_currency_alone() {
    let fees: Subject = "house:fees".parse().unwrap();
    let take =
        |amount: &str, shortfall| planned(Subject::Available, fees, money(amount), shortfall);
    let mut account = open_account("BTC 1 available");
    let mixed = [take("1 BTC", Shortfall::Reject), take("5 USDT", Shortfall::Force)];
    post(&mut account, "adjustment.posted", &mixed).unwrap();
    assert_eq!(show_balances(account.balances.values()), "USDT 5 borrowed");
    let strict = [take("1 USDT", Shortfall::Force), take("1 USDT", Shortfall::Reject)];
    assert!(matches!(post(&mut account, "adjustment.posted", &strict), Err(Stop::Refused(_))));
}

const POLICIES: [Shortfall; 3] = [Shortfall::Reject, Shortfall::Borrow, Shortfall::Force];

fn amounts(code: &'static str) -> impl Strategy<Value = Money> {
    (0_i128..2_000).prop_map(move |units| Money::from_units(currency(code), units).unwrap())
}

fn held(code: &'static str) -> impl Strategy<Value = Balance> {
    let shares = (-1_000_i128..1_000, 0_i128..1_000, 0_i128..1_000, 0_i128..1_000);
    shares.prop_map(move |(net, frozen, margin, withdrawing)| {
        let money = |units: i128| Money::from_units(currency(code), units.max(0)).unwrap();
        Balance {
            available: money(net),
            frozen: money(frozen),
            margin: money(margin),
            withdrawing: money(withdrawing),
            borrowed: money(-net),
        }
    })
}

fn accounts() -> impl Strategy<Value = AccountState> {
    let credit = prop::option::of((amounts("USDT"), any::<bool>()));
    (held("USDT"), held("BTC"), credit).prop_map(|(usdt, btc, credit)| AccountState {
        status: AccountStatus::Open,
        credit: credit.map(|(limit, enabled)| Credit { limit, enabled }),
        balances: BTreeMap::from([usdt, btc].map(|held| (held.available.currency().code, held))),
        ..AccountState::default()
    })
}

fn subjects() -> impl Strategy<Value = Subject> {
    let contra = |name: &str| name.parse::<Subject>().unwrap();
    prop::sample::select(vec![
        Subject::Available,
        Subject::Available,
        Subject::Frozen,
        Subject::Margin,
        Subject::Withdrawing,
        contra("house:fees"),
        contra("external:bank"),
    ])
}

fn plans() -> impl Strategy<Value = Vec<PlannedLeg>> {
    let amount = prop_oneof![3 => amounts("USDT").boxed(), 1 => amounts("BTC").boxed()];
    let leg = (subjects(), subjects(), amount, prop::sample::select(&POLICIES[..]))
        .prop_filter("a leg moves money of the account", |(from, to, ..)| {
            from != to && !(from.is_contra() && to.is_contra())
        })
        .prop_map(|(from, to, amount, shortfall)| planned(from, to, amount, shortfall));
    prop::collection::vec(leg, 0..7)
}

/// What the account has of a subject in units: what it owes counts against it.
fn own(balance: &Balance) -> i128 {
    balance.available.units()
        + balance.frozen.units()
        + balance.margin.units()
        + balance.withdrawing.units()
        - balance.borrowed.units()
}

/// The balances that `legs` make of `before`, one leg after the other.
fn replayed(
    before: &BTreeMap<cap_domain::money::CurrencyCode, Balance>,
    legs: &[Leg],
) -> Vec<Balance> {
    let mut after = before.clone();
    for leg in legs {
        let code = leg.money.currency().code;
        let balance = after.entry(code).or_insert_with(|| Balance::zero(leg.money.currency()));
        let mut add = |subject: Subject, money: Money| {
            let (share, money) = match subject {
                Subject::Available => (&mut balance.available, money),
                Subject::Frozen => (&mut balance.frozen, money),
                Subject::Margin => (&mut balance.margin, money),
                Subject::Withdrawing => (&mut balance.withdrawing, money),
                Subject::Borrowed => (&mut balance.borrowed, money.negated()),
                Subject::Contra(_) => return,
            };
            *share = share.plus(money).unwrap();
        };
        add(leg.from, leg.money.negated());
        add(leg.to, leg.money);
    }
    after.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_posted_the_net_rule_holds_and_no_money_is_made(
        before in accounts(),
        plan in plans(),
    ) {
        let mut after = before.clone();
        match post(&mut after, "a.plan", &plan) {
            Err(Stop::Refused(_) | Stop::Poisoned(_)) => {}
            Ok(posted) => {
                for (code, balance) in &after.balances {
                    let was = before.balances.get(code);
                    let net = was.map_or(0, |b| b.available.units() - b.borrowed.units());
                    let moved: i128 = plan.iter().map(|leg| match leg.amount {
                        PlannedAmount::Known(m) if m.currency().code == *code => {
                            let to = if leg.to == Subject::Available { m.units() } else { 0 };
                            let from = if leg.from == Subject::Available { m.units() } else { 0 };
                            to - from
                        }
                        _ => 0,
                    }).sum();
                    let n = net + moved;
                    prop_assert_eq!(balance.available.units(), n.max(0));
                    prop_assert_eq!(balance.borrowed.units(), (-n).max(0));
                    for (name, share) in common::shares(balance) {
                        prop_assert!(!share.is_negative(), "{} of {} is below zero", name, code);
                    }
                    let out: i128 = posted.legs.iter().filter(|leg| leg.money.currency().code == *code).map(|leg| {
                        let from = if leg.from.is_contra() { leg.money.units() } else { 0 };
                        let to = if leg.to.is_contra() { leg.money.units() } else { 0 };
                        from - to
                    }).sum();
                    prop_assert_eq!(own(balance), was.map_or(0, own) + out, "what the account gained its contras lost");
                }
                let after: Vec<_> = after.balances.into_values().collect();
                prop_assert_eq!(replayed(&before.balances, &posted.legs), after, "the legs tell the whole story");
            }
        }
    }

    #[test]
    fn what_is_refused_changes_nothing(before in accounts(), plan in plans()) {
        let mut after = before.clone();
        if post(&mut after, "a.plan", &plan).is_err() {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn borrowing_within_the_line_is_never_refused_and_beyond_it_always(
        available in 0_i128..1_000,
        owed in 0_i128..1_000,
        limit in 1_i128..1_000,
        amount in 1_i128..2_000,
    ) {
        let money = |units| Money::from_units(currency("USDT"), units).unwrap();
        let (available, owed) = if available > owed { (available - owed, 0) } else { (0, owed - available) };
        let balance = Balance { available: money(available), borrowed: money(owed), ..Balance::zero(currency("USDT")) };
        let mut account = AccountState {
            status: AccountStatus::Open,
            credit: Some(Credit { limit: money(limit), enabled: true }),
            balances: BTreeMap::from([(currency("USDT").code, balance)]),
            ..AccountState::default()
        };
        let plan = [planned(Subject::Available, Subject::Frozen, money(amount), Shortfall::Borrow)];
        let posted = post(&mut account, "order.reserved", &plan).is_ok();
        let enough = amount <= available;
        prop_assert_eq!(posted, enough || owed + amount - available <= limit);
    }
}
