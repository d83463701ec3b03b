//! What a card in another currency lends at most, and when it is none (C1, C2, C6 of the decisions
//! on credit).

use cap_domain::account::Credit;

use crate::check;
use crate::common::events::*;
use crate::common::money;
use crate::common::story::Story;

/// USD 1.00 buys 0.9991 USDT.
const DOWN: &str = "USD/USDT 0.9991";

#[test]
fn the_limit_holds_to_the_last_cent_and_counts_every_currency_that_is_owed() {
    let over = |left: &str| {
        format!(
            "credit_limit_exceeded: needs 300.000000 USDT, has 100.000000 available, credit left {left}"
        )
    };
    let reserve = || at_rates(reserved_borrowing("300 USDT"), DOWN);
    // 780 HKD are 100 USD: with the 200 USD that are borrowed 300 are owed.
    let both = || at_rates(reserved_borrowing("300 USDT"), "USD/USDT 1, USD/HKD 7.8");
    check(
        Story::spot,
        &[
            (
                "USDT 100 available",
                Some("200.19 USD"),
                reserve(),
                "posted",
                "USD 200.19 borrowed; USDT 0.009829 available, 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200.19 USD; house:exchange → available 200.009829 USDT; borrowed → available 200.19 USD",
            ),
            (
                "USDT 100 available",
                Some("200.18 USD"),
                reserve(),
                &over("200.18 USD"),
                "USDT 100 available",
                "",
            ),
            (
                "USD 400 borrowed; USDT 100 available",
                Some("500 USD"),
                reserve(),
                &over("100.00 USD"),
                "USD 400 borrowed; USDT 100 available",
                "",
            ),
            (
                "HKD 780 borrowed; USDT 100 available",
                Some("300 USD"),
                both(),
                "posted",
                "HKD 780 borrowed; USD 200 borrowed; USDT 300 frozen",
                "available → frozen 300 USDT; available → house:exchange 200 USD; house:exchange → available 200 USDT; borrowed → available 200 USD",
            ),
            (
                "HKD 780 borrowed; USDT 100 available",
                Some("299.99 USD"),
                both(),
                &over("199.99 USD"),
                "HKD 780 borrowed; USDT 100 available",
                "",
            ),
            (
                "HKD 780 borrowed; USDT 100 available",
                Some("500 USD"),
                reserve(),
                "invalid_request: rates: HKD/USD is missing, 780.00 HKD owed count against the credit line in USD",
                "HKD 780 borrowed; USDT 100 available",
                "",
            ),
            // In the card's own currency nothing is exchanged, and other debts count all the same.
            (
                "HKD 780 borrowed",
                Some("150 USD"),
                at_rates(reserved_borrowing("60 USD"), "USD/HKD 7.8"),
                "credit_limit_exceeded: needs 60.00 USD, has 0.00 available, credit left 50.00",
                "HKD 780 borrowed",
                "",
            ),
        ],
    );
}

#[test]
fn a_line_that_is_off_or_without_a_limit_is_no_card() {
    for (limit, enabled) in [("500 USD", false), ("0 USD", true)] {
        let line = || {
            let mut story = Story::spot();
            story.account.state.credit = Some(Credit { limit: money(limit), enabled });
            story
        };
        let no = "insufficient_funds: needs 300.000000 USDT, has 100.000000 available, credit left 0.000000";
        check(
            line,
            &[
                (
                    "USDT 100 available",
                    None,
                    at_rates(reserved_borrowing("300 USDT"), DOWN),
                    no,
                    "USDT 100 available",
                    "",
                ),
                (
                    "USDT 100 available",
                    None,
                    at_rates(reserved("300 USDT"), DOWN),
                    no,
                    "USDT 100 available",
                    "",
                ),
                // A fact is owed in its own currency then, as without any line.
                (
                    "USD 5 available; USDT 100 available",
                    None,
                    at_rates(fee("300 USDT"), DOWN),
                    "posted",
                    "USD 5 available; USDT 200 borrowed",
                    "available → house:fees 300 USDT; borrowed → available 200 USDT",
                ),
            ],
        );
    }
}
