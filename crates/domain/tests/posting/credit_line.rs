//! A credit line lends in its own currency, while it is switched on.

use cap_domain::account::Credit;

use crate::common::events::*;
use crate::common::money;
use crate::common::story::Story;
use crate::{came_of, check};

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
