//! The shipped configuration loads, and says what every kind of event does.

use cap_domain::event::EventKind;
use cap_domain::rulebook::Rule;

use crate::check;
use crate::common::shipped;

#[test]
fn the_shipped_configuration_loads() {
    let configuration = check(shipped()).unwrap();
    let products: Vec<_> = configuration.rulebooks().map(|r| r.product.to_string()).collect();
    assert_eq!(products, ["cfd", "perpetual", "spot"]);
    let decimals = |code: &str| configuration.currency(code.parse().unwrap()).map(|c| c.decimals);
    let found = ["BTC", "ETH", "USDT", "USD", "HKD", "DOGE"].map(decimals);
    assert_eq!(found, [Some(8), Some(8), Some(6), Some(2), Some(2), None]);
}

#[test]
fn every_product_says_what_every_kind_of_event_does() {
    let configuration = check(shipped()).unwrap();
    for rulebook in configuration.rulebooks() {
        for kind in EventKind::ALL {
            assert!(rulebook.rule(*kind).is_some(), "{} {kind}", rulebook.product);
        }
    }
}

#[test]
fn what_a_shipped_rulebook_refuses_says_why() {
    let configuration = check(shipped()).unwrap();
    let reasons: Vec<String> = configuration
        .rulebooks()
        .flat_map(|rulebook| EventKind::ALL.iter().map(move |kind| (rulebook, *kind)))
        .filter_map(|(rulebook, kind)| match rulebook.rule(kind) {
            Some(Rule::Refused(reason)) => Some(format!("{} {kind}: {reason}", rulebook.product)),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "spot funding.charged: spot has no positions to charge funding on",
            "spot funding.unpaid: there is no rule for funding.unpaid",
            "spot margin.changed: spot has no positions to margin",
            "spot leverage.changed: spot has no positions to leverage",
            "spot margin.posted: there is no rule for margin.posted",
        ]
    );
}
