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
