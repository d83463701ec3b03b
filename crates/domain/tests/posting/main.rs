//! Enough, borrow or reject, and whatever comes in repays first (A6, A7): the net rule of the
//! contract, posting by posting.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

#[path = "../common/mod.rs"]
mod common;

mod borrowing;
mod card_borrowing;
mod card_limit;
mod card_repaying;
mod card_rule;
mod card_sweep;
mod cfd;
mod credit_line;
mod declared_rule;
mod draws;
mod exchange;
mod lifecycle;
mod losses;
mod net_rule;
mod repaying_first;
mod splits;
mod trades;
mod withdrawals;

use cap_domain::account::AccountRuling;
use cap_domain::outcome::OutcomeStatus;
use serde_json::Value;

use common::story::{Story, Told};
use common::{balances, show_legs};

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
