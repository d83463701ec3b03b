//! What the explorer found: each of these was a defect and is kept from coming back.

use cap_domain::ids::RequestId;
use cap_domain::lane::{RawMessage, read_pack};

use crate::case::{Case, PLAIN};
use crate::cases::check;
use crate::toy::{Flaw, account, noon};

#[test]
fn outputs_keep_their_order_when_a_redrive_is_begun_again() {
    check(&Case { messages: 2, published: 2, redrives: 2, ..PLAIN }, 120_000);
}

#[test]
fn outputs_are_not_lost_between_two_redrives() {
    let case = Case { published: 2, redrivers: 2, redrives: 2, batch: 1, ..PLAIN };
    check(&case, 94_000);
}

#[test]
fn outputs_keep_their_order_when_letters_come_in_another() {
    check(&Case { published: 2, redrives: 0, moves: 3, consumers: 1, ..PLAIN }, 40_000);
}

#[test]
fn an_unreadable_unit_of_another_stage_is_parked_once() {
    check(&Case { flaw: Flaw::Unreadable, upstream: true, ..PLAIN }, 29_000);
}

#[test]
fn a_skip_does_not_break_a_chain() {
    let case = Case { published: 2, redrives: 0, moves: 1, skips: 1, batch: 1, ..PLAIN };
    check(&case, 1);
}

#[test]
fn an_unreadable_unit_is_parked_under_its_own_request_id() {
    let lane = account();
    let unit = r#"{"item":{"upstream_seq":"two","header":{"request_id":"r-2"}}}"#;
    let body = format!("{{\"account\":\"{lane}\",\"units\":[{unit}]}}");
    let deduplication_id = RequestId::new("0c5a").unwrap();
    let message = RawMessage {
        message_id: "m-1",
        deduplication_id: Some(&deduplication_id),
        sent_at: noon(),
        receives: 1,
        repair: false,
        body: &body,
    };
    let arrivals = read_pack(&lane, message);
    assert_eq!(arrivals[0].request_id.as_str(), "r-2");
}
