//! What is needed is covered, borrowed or refused; what comes in repays first.

use crate::check;
use crate::common::events::*;
use crate::common::story::Story;
use crate::common::{money, vectors};

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
fn borrowing_examples_are_as_published() {
    for vector in vectors()["borrowing"].as_array().unwrap() {
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
