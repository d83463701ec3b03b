//! Whatever is credited repays first (A7), also where it is credited to subjects that the rulebook
//! declares: from outside or out of a hold, in the debt's own currency or through the exchange.

use cap_domain::account::{AccountState, AccountStatus, Credit, post};
use cap_domain::money::Rates;
use cap_domain::plan::Shortfall;
use cap_domain::subject::Subject;

use crate::check;
use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{balances, money, show_balances, show_legs};
use crate::net_rule::planned;

#[test]
fn what_comes_in_repays_part_by_part_in_the_order_it_comes() {
    check(
        || Story::of("cfd").opened(),
        &[
            (
                "USD 60 borrowed",
                None,
                deposit("100 USD"),
                "posted",
                "USD 40 cash",
                "external:bank → bonus 10 USD; external:bank → cash 90 USD; bonus → available 10 USD; cash → available 50 USD; available → borrowed 60 USD",
            ),
            (
                "USD 4 borrowed",
                None,
                deposit("100 USD"),
                "posted",
                "USD 6 bonus, 90 cash",
                "external:bank → bonus 10 USD; external:bank → cash 90 USD; bonus → available 4 USD; available → borrowed 4 USD",
            ),
            (
                "USD 200 borrowed",
                None,
                deposit("100 USD"),
                "posted",
                "USD 100 borrowed",
                "external:bank → bonus 10 USD; external:bank → cash 90 USD; bonus → available 10 USD; cash → available 90 USD; available → borrowed 100 USD",
            ),
            // What was there before stays: it was not credited now.
            (
                "USD 60 borrowed, 500 cash",
                None,
                deposit("10 USD"),
                "posted",
                "USD 50 borrowed, 500 cash",
                "external:bank → bonus 1 USD; external:bank → cash 9 USD; bonus → available 1 USD; cash → available 9 USD; available → borrowed 10 USD",
            ),
            // What comes free repays as what comes in does.
            (
                "USD 60 borrowed, 100 frozen",
                None,
                released("100 USD"),
                "posted",
                "USD 40 cash",
                "frozen → cash 100 USD; cash → available 60 USD; available → borrowed 60 USD",
            ),
            // In another currency nothing is owed.
            (
                "USD 60 borrowed",
                None,
                deposit("100 HKD"),
                "posted",
                "HKD 10 bonus, 90 cash; USD 60 borrowed",
                "external:bank → bonus 10 HKD; external:bank → cash 90 HKD",
            ),
        ],
    );
}

#[test]
fn through_the_exchange_it_repays_what_is_owed_on_the_card() {
    check(
        || Story::of("cfd").opened(),
        &[
            // 50.00 USD are reached from 49.995 on: 389.961 HKD, so 389.97 of 1,000.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("1000 HKD"), "USD/HKD 7.8"),
                "posted",
                "HKD 610.03 cash",
                "external:bank → bonus 100 HKD; external:bank → cash 900 HKD; bonus → available 100 HKD; cash → available 289.97 HKD; available → house:exchange 389.97 HKD; house:exchange → available 50 USD; available → borrowed 50 USD",
            ),
            (
                "USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("78 HKD"), "USD/HKD 7.8"),
                "posted",
                "USD 40 borrowed",
                "external:bank → bonus 7.8 HKD; external:bank → cash 70.2 HKD; bonus → available 7.8 HKD; cash → available 70.2 HKD; available → house:exchange 78 HKD; house:exchange → available 10 USD; available → borrowed 10 USD",
            ),
            // What was available before stays: what is credited repays.
            (
                "HKD 1000 available; USD 50 borrowed",
                Some("500 USD"),
                at_rates(deposit("78 HKD"), "USD/HKD 7.8"),
                "posted",
                "HKD 1000 available; USD 40 borrowed",
                "external:bank → bonus 7.8 HKD; external:bank → cash 70.2 HKD; bonus → available 7.8 HKD; cash → available 70.2 HKD; available → house:exchange 78 HKD; house:exchange → available 10 USD; available → borrowed 10 USD",
            ),
            // Without the rate it stays where it was credited.
            (
                "USD 50 borrowed",
                Some("500 USD"),
                deposit("78 HKD"),
                "posted",
                "HKD 7.8 bonus, 70.2 cash; USD 50 borrowed",
                "external:bank → bonus 7.8 HKD; external:bank → cash 70.2 HKD",
            ),
        ],
    );
}

#[test]
fn what_a_card_buys_is_repaid_by_what_came_in_beside_it() {
    let rates = Rates::read(&[("USD/HKD".into(), "7.8".into())].into(), |_| true).unwrap();
    let mut account = AccountState {
        status: AccountStatus::Open,
        credit: Some(Credit { limit: money("500 USD"), enabled: true }),
        balances: balances("USD 5 cash"),
        ..AccountState::default()
    };
    let contra = |name: &str| name.parse::<Subject>().unwrap();
    let plan = [
        planned(contra("external:bank"), contra("cash"), money("40 USD"), Shortfall::Force),
        planned(Subject::Available, contra("house:fees"), money("780 HKD"), Shortfall::Force),
    ];
    let posted = post(&mut account, "an.event", &plan, &rates).unwrap();
    // 780.00 HKD are short, which 100.00 USD buy; 40 USD came in, the 5 that were there stay.
    assert_eq!(
        show_legs(&posted.legs),
        "external:bank → cash 40 USD; available → house:fees 780 HKD; available → house:exchange 100 USD; house:exchange → available 780 HKD; cash → available 40 USD; borrowed → available 60 USD"
    );
    assert_eq!(show_balances(account.balances.values()), "USD 60 borrowed, 5 cash");
}

#[test]
fn what_came_in_and_went_out_again_is_not_there_to_repay() {
    let mut account = AccountState {
        status: AccountStatus::Open,
        balances: balances("USD 60 borrowed, 5 cash"),
        ..AccountState::default()
    };
    let subject = |name: &str| name.parse::<Subject>().unwrap();
    let plan = [
        planned(subject("house:pnl"), subject("cash"), money("40 USD"), Shortfall::Force),
        planned(subject("cash"), subject("house:fees"), money("30 USD"), Shortfall::Force),
    ];
    post(&mut account, "an.event", &plan, &Rates::default()).unwrap();
    // 10 stayed on balance, and repay; the 5 of before stay.
    assert_eq!(show_balances(account.balances.values()), "USD 50 borrowed, 5 cash");
}
