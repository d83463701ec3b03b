//! Figures at the edge: what outgrows every amount is poison, and not the end of the service.

use cap_domain::outcome::OutcomeStatus;
use serde_json::Value;

use crate::clearing_arrivals;
use crate::common::events::*;
use crate::common::story::Story;

/// What is decided has to be readable again, or the lane can neither go on nor be parked.
fn ends_in_an_outcome(mut story: Story, events: &[Value]) {
    for event in events {
        let id = format!("e-{}", story.clearing.lane.seq + 1);
        let message = story.message(&id, event);
        let arrivals = clearing_arrivals(&story, &message);
        if let Err(error) = story.clearing.propose(&arrivals, story.now) {
            panic!("clearing can neither decide nor park {event}: {error}");
        }
        let told = story.tell_sent(&message);
        assert!(
            matches!(told.status(), OutcomeStatus::Posted | OutcomeStatus::Parked),
            "{}",
            told.body
        );
    }
}

#[test]
fn a_fill_worth_more_than_any_amount_is_poison_and_not_the_end_of_the_service() {
    ends_in_an_outcome(Story::spot(), &[spot("buy", "10000000000", "1000000000")]);
}

#[test]
fn balances_that_outgrow_every_amount_are_poison_and_not_the_end_of_the_service() {
    let most = deposit("999999999999999.999999 USDT");
    ends_in_an_outcome(Story::spot(), &[most.clone(), most]);
}

#[test]
fn a_position_worth_more_than_any_amount_is_poison_and_not_the_end_of_the_service() {
    ends_in_an_outcome(Story::perpetual(), &[perpetual("buy", "10000000000", "10000000000")]);
}
