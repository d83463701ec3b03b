//! What comes in repays what is owed on the card, through the exchange if its event carries the
//! rate (C2 to C5 of the decisions on credit).

use cap_domain::account::Credit;

use crate::check;
use crate::common::events::*;
use crate::common::money;
use crate::common::story::Story;

#[test]
fn a_credit_in_another_currency_repays_with_no_more_than_that_takes() {
    check(
        Story::spot,
        &[
            // 50.00 USD are reached from 49.995 on (the tie goes to the even cent):
            // 49.995 / 1.001 = 49.9450549…, so 49.945055, which is 49.995000055, rounded 50.00.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("100 USDT"), "USDT/USD 1.001"),
                "posted",
                "USDT 50.054945 available",
                "external:bank → available 100 USDT; available → house:exchange 49.945055 USDT; house:exchange → available 50 USD; available → borrowed 50 USD",
            ),
            // 10 / 0.9991 = 10.00900…: all of it, as it does not cover what is owed.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("10 USDT"), "USD/USDT 0.9991"),
                "posted",
                "USD 39.99 borrowed",
                "external:bank → available 10 USDT; available → house:exchange 10 USDT; house:exchange → available 10.01 USD; available → borrowed 10.01 USD",
            ),
            // The smallest unit is worth a dollar, and a cent is owed: what is over stays.
            (
                "USD 0.01 borrowed",
                Some("500 USD"),
                at_rates(deposit("0.00000002 BTC"), "BTC/USD 100000000"),
                "posted",
                "BTC 0.00000001 available; USD 0.99 available",
                "external:bank → available 0.00000002 BTC; available → house:exchange 0.00000001 BTC; house:exchange → available 1 USD; available → borrowed 0.01 USD",
            ),
            // What is worth less than half a cent is not given away for nothing.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("0.005 USDT"), "USDT/USD 1"),
                "posted",
                "USD 50 borrowed; USDT 0.005 available",
                "external:bank → available 0.005 USDT",
            ),
            // Without the rate it stays available, as the contract says.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("100 USDT"), "HKD/USD 0.128"),
                "posted",
                "USD 50 borrowed; USDT 100 available",
                "external:bank → available 100 USDT",
            ),
        ],
    );
}

#[test]
fn only_what_came_in_repays_and_its_own_debt_first() {
    check(
        Story::spot,
        &[
            // What was available before is not sold.
            (
                "USD 50 borrowed; USDT 1000 available",
                Some("500 USD"),
                at_rates(deposit("10 USDT"), "USDT/USD 1"),
                "posted",
                "USD 40 borrowed; USDT 1000 available",
                "external:bank → available 10 USDT; available → house:exchange 10 USDT; house:exchange → available 10 USD; available → borrowed 10 USD",
            ),
            // Of 40, 30 repay what is owed in the currency itself, and 10 are exchanged.
            (
                "USD 50 borrowed; USDT 30 borrowed",
                Some("500 USD"),
                at_rates(deposit("40 USDT"), "USDT/USD 1"),
                "posted",
                "USD 40 borrowed",
                "external:bank → available 40 USDT; available → house:exchange 10 USDT; house:exchange → available 10 USD; available → borrowed 10 USD; available → borrowed 30 USDT",
            ),
            (
                "USD 50 borrowed; USDT 30 borrowed",
                Some("500 USD"),
                at_rates(deposit("30 USDT"), "USDT/USD 1"),
                "posted",
                "USD 50 borrowed",
                "external:bank → available 30 USDT; available → borrowed 30 USDT",
            ),
            // The card's own currency repays at once.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                deposit("60 USD"),
                "posted",
                "USD 10 available",
                "external:bank → available 60 USD; available → borrowed 50 USD",
            ),
        ],
    );
}

#[test]
fn what_is_owed_is_repaid_on_a_line_that_is_off_or_without_a_limit() {
    for (limit, enabled) in [("500 USD", false), ("0 USD", true)] {
        let line = || {
            let mut story = Story::spot();
            story.account.state.credit = Some(Credit { limit: money(limit), enabled });
            story
        };
        check(
            line,
            &[(
                "USD 50 borrowed",
                None,
                at_rates(deposit("80 USDT"), "USDT/USD 1"),
                "posted",
                // 49.995 USDT are rounded to 50.00 USD: the tie goes to the even cent.
                "USDT 30.005 available",
                "external:bank → available 80 USDT; available → house:exchange 49.995 USDT; house:exchange → available 50 USD; available → borrowed 50 USD",
            )],
        );
    }
}

#[test]
fn an_account_without_a_line_exchanges_nothing() {
    check(
        Story::spot,
        &[(
            "USD 50 borrowed",
            None,
            at_rates(deposit("80 USDT"), "USDT/USD 1"),
            "posted",
            "USD 50 borrowed; USDT 80 available",
            "external:bank → available 80 USDT",
        )],
    );
}

#[test]
fn every_event_that_brings_money_repays_by_the_rate_it_carries() {
    let rate = "USDT/USD 1";
    let owing = || Story::spot().with_credit("500 USD");
    let repaid = |story: &Story| story.money().contains("USD 40 borrowed");
    let cases = [
        ("USD 50 borrowed", deposit("10 USDT")),
        ("USD 50 borrowed; USDT 10 frozen", released("10 USDT")),
        ("USD 50 borrowed", adjusted("10 USDT", "reject")),
        ("USD 50 borrowed; BTC 1 available", spot("sell", "1", "10")),
        ("USD 50 borrowed", at_fee(spot("buy", "1", "0.0000001"), "-10 USDT")),
    ];
    for (before, event) in cases {
        let mut story = owing().holding(before);
        story.posted(&at_rates(event.clone(), rate));
        assert!(repaid(&story), "{event}: {}", story.money());
    }
    let mut story = owing().holding("USDT 10 available");
    story.posted(&withdrawal("w-1", "10 USDT"));
    story.posted(&at_rates(fee("50 HKD"), "USD/HKD 1"));
    story.posted(&at_rates(cancelled("w-1"), rate));
    assert_eq!(story.money(), "USD 40 borrowed");
}

#[test]
fn a_position_settles_through_the_card_by_the_rates_of_its_events() {
    let mut story = Story::perpetual().holding("USDT 100 available").with_credit("500 USD");
    let at = |event| at_rates(event, "USD/USDT 1");
    let steps = [
        // Margin is 100; the fee of 5 is short.
        (at_fee(perpetual("buy", "1", "1000"), "5 USDT"), "USD 5 borrowed; USDT 100 margin"),
        // Longs pay 20.
        (funding("0.02", "1000"), "USD 25 borrowed; USDT 100 margin"),
        // Longs receive 10.
        (funding("-0.01", "1000"), "USD 15 borrowed; USDT 100 margin"),
        // The margin comes back with a profit of 50. 14.995 USDT are rounded to 15.00 USD: the tie
        // goes to the even cent.
        (perpetual("sell", "1", "1050"), "USDT 135.005 available"),
    ];
    for (event, after) in steps {
        story.posted(&at(event));
        assert_eq!(story.money(), after);
    }
}

#[test]
fn what_a_fill_receives_repays_what_it_borrowed_if_it_carries_both_rates() {
    check(
        Story::spot,
        &[
            // Without a rate of BTC the card is owed.
            (
                "",
                Some("500 USD"),
                at_rates(spot("buy", "1", "100"), "USD/USDT 1"),
                "posted",
                "BTC 1 available; USD 100 borrowed",
                "available → house:trading 100 USDT; house:trading → available 1 BTC; available → house:exchange 100 USD; house:exchange → available 100 USDT; borrowed → available 100 USD",
            ),
            // With it: 99.995 USD or more round to 100.00, so 0.99995 BTC.
            (
                "",
                Some("500 USD"),
                at_rates(spot("buy", "1", "100"), "USD/USDT 1, BTC/USD 100"),
                "posted",
                "BTC 0.00005 available",
                "available → house:trading 100 USDT; house:trading → available 1 BTC; available → house:exchange 100 USD; house:exchange → available 100 USDT; available → house:exchange 0.99995 BTC; house:exchange → available 100 USD",
            ),
        ],
    );
}

#[test]
fn what_an_exchange_leaves_over_stays_available_though_something_is_owed() {
    // 0.000001 USDT short takes a cent, of which 0.009999 USDT are over; they did not come in.
    check(
        Story::spot,
        &[(
            "USD 5 borrowed",
            Some("500 USD"),
            at_rates(fee("0.000001 USDT"), "USD/USDT 1"),
            "posted",
            "USD 5.01 borrowed; USDT 0.009999 available",
            "available → house:fees 0.000001 USDT; available → house:exchange 0.01 USD; house:exchange → available 0.01 USDT; borrowed → available 0.01 USD",
        )],
    );
}

/// What an earlier release journaled carries no rates; it is read, and written, as it was.
#[test]
fn without_rates_every_journal_says_what_it_always_said() {
    let mut story = Story::of("perpetual");
    story.posted(&opened());
    story.posted(&deposit("100 USDT"));
    story.posted(&perpetual("buy", "1", "10"));
    let rows = story.clearing.journal.iter().chain(&story.position.journal);
    for row in rows.chain(&story.account.journal) {
        assert!(!row.input.contains("rates") && !row.result.contains("rates"), "{}", row.input);
        assert!(!row.result.contains("cancelled"), "{}", row.result);
    }
    story.posted(&at_rates(deposit("1 USDT"), "USD/USDT 1"));
    assert!(story.clearing.journal[3].result.ends_with(r#""rates":{"USD/USDT":"1"}}}"#));
    story.clearing.prove();
    story.position.prove();
    story.account.prove();
}

#[test]
fn a_card_is_used_and_repaid_through_all_stages_and_the_journals_prove_it() {
    let mut story = Story::of("spot");
    story.posted(&opened_with_credit("500 USD"));
    story.posted(&deposit("100 USDT"));
    story.posted(&at_rates(reserved_borrowing("300 USDT"), "USD/USDT 0.9991"));
    assert_eq!(story.money(), "USD 200.19 borrowed; USDT 0.009829 available, 300 frozen");
    story.posted(&at_rates(released("300 USDT"), "USD/USDT 0.9991"));
    // 200.19 USD are reached above 200.185, whose tie goes to 200.18, the even cent:
    // 200.185 · 0.9991 = 200.0048335, so it takes 200.004834 USDT.
    assert_eq!(story.money(), "USDT 100.004995 available");
    story.clearing.prove();
    story.account.prove();
}
