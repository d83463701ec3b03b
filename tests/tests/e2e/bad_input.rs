//! Each row of the contract's table of bad input.

use cap_tests::{Upstream, World, envelope, header};
use serde_json::{Value, json};

use crate::events::{PERPETUAL, SPOT, deposit, funded, opened, reserve};

/// Whatever is sent to the account's lane must be parked, and everything after it too.
async fn is_parked(upstream: &Upstream, body: &str, request_id: &str, error: &str) {
    funded(upstream, SPOT, "acme_spot").await;
    upstream.send("clearing-acme_spot", "retail_A-1", request_id, body).await;
    upstream.publish(&envelope(SPOT, "after", deposit("USDT", "1"))).await;
    upstream.publish(&envelope("acme/spot/retail/A-2", "other", opened())).await;

    let mut outcomes = upstream.outcomes("acme_spot", 3).await;
    outcomes.sort_by_key(|outcome| outcome["header"]["account"].as_str().unwrap().to_owned());
    let [first, behind, other] = outcomes.as_slice() else { panic!("three outcomes") };
    assert_eq!(
        (&first["outcome"]["status"], &first["outcome"]["stage"]),
        (&json!("parked"), &json!("clearing"))
    );
    assert_eq!(first["outcome"]["reason"]["code"], "lane_suspended");
    let detail = first["outcome"]["reason"]["detail"].as_str().unwrap();
    assert!(detail.contains(error), "{detail}");
    assert_eq!(
        (&behind["header"]["request_id"], &behind["outcome"]["status"]),
        (&json!("after"), &json!("parked"))
    );
    assert_eq!(other["outcome"]["status"], "posted", "other accounts never notice (C5)");

    let letters = upstream.dead_letters("clearing-acme_spot", 2).await;
    assert_eq!(letters[0].0, body, "the DLQ has the message as it came");
    assert_eq!((&*letters[0].1["parked_seq"], &*letters[1].1["parked_seq"]), ("1", "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_suspends_the_lane_of_its_message_group() {
    let (world, stages) = World::running().await;
    is_parked(&world.upstream, "nonsense", "r-1", "the body is not JSON").await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_usable_header_suspends_the_lane_of_its_message_group() {
    let (world, stages) = World::running().await;
    let mut message = envelope(SPOT, "r-1", deposit("USDT", "1"));
    message["header"]["version"] = json!(2);
    is_parked(&world.upstream, &message.to_string(), "r-1", "header.version: version 2 is not 1")
        .await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_another_account_suspends_the_lane_it_came_in() {
    let (world, stages) = World::running().await;
    let message = envelope("acme/spot/retail/A-9", "r-1", deposit("USDT", "1"));
    is_parked(&world.upstream, &message.to_string(), "r-1", "is for account acme_spot_retail_A-9")
        .await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_type_suspends_the_lane() {
    let (world, stages) = World::running().await;
    let message = envelope(SPOT, "r-1", json!({ "type": "deposit.imagined" }));
    is_parked(
        &world.upstream,
        &message.to_string(),
        "r-1",
        "\"deposit.imagined\" is not the type of any event",
    )
    .await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_nested_without_end_suspends_the_lane_and_no_process() {
    let (world, stages) = World::running().await;
    let header = header(SPOT, "r-1");
    let event = "[".repeat(25_000) + &"]".repeat(25_000);
    let body = format!("{{\"header\":{header},\"event\":{event}}}");
    is_parked(&world.upstream, &body, "r-1", "event: recursion limit exceeded").await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_that_sqs_refuses_reach_the_outcome_and_the_dead_letter_all_the_same() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, SPOT, "acme_spot").await;
    let escaped = |message: Value| message.to_string().replace('\u{ffff}', "\\uffff");
    let mut request = reserve("o-1", "USDT", "1");
    request["\u{ffff}"] = json!(1);
    let mut fact = deposit("USDT", "1");
    fact["\u{ffff}"] = json!(1);

    for (id, event) in [("request", request), ("fact", fact)] {
        let body = escaped(envelope(SPOT, id, event));
        upstream.send("clearing-acme_spot", "retail_A-1", id, &body).await;
    }

    let outcomes = upstream.outcomes("acme_spot", 2).await;
    assert_eq!(outcomes[0]["outcome"]["reason"]["code"], "invalid_request");
    assert_eq!(outcomes[1]["outcome"]["status"], "parked");
    let detail = outcomes[1]["outcome"]["reason"]["detail"].as_str().unwrap();
    assert!(detail.contains("unknown field `\u{ffff}`"), "{detail}");
    assert_eq!(upstream.dead_letters("clearing-acme_spot", 1).await.len(), 1);
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_fact_suspends_the_lane() {
    let (world, stages) = World::running().await;
    let message = envelope(SPOT, "r-1", deposit("USDT", "1.0000001"));
    is_parked(
        &world.upstream,
        &message.to_string(),
        "r-1",
        "amount: 1.0000001 has 7 decimals, USDT has 6",
    )
    .await;
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_for_an_account_that_was_never_opened_suspends_its_lane_where_it_is_found() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    upstream.publish(&envelope(SPOT, "r-1", deposit("USDT", "1"))).await;
    upstream.publish(&envelope(PERPETUAL, "r-2", deposit("USDT", "1"))).await;
    for (scope, stage) in [("acme_spot", "account"), ("acme_perpetual", "position")] {
        let outcome = upstream.outcome(scope).await;
        assert_eq!(
            (&outcome["outcome"]["status"], &outcome["outcome"]["stage"]),
            (&json!("parked"), &json!(stage))
        );
        let detail = outcome["outcome"]["reason"]["detail"].as_str().unwrap();
        assert!(detail.contains("the account was never opened"), "{detail}");
        upstream.dead_letters(&format!("{stage}-{scope}"), 1).await;
    }
    stages.stop().await;
}

/// Publishes to a funded account and tells the outcome.
async fn outcome_of(upstream: &Upstream, message: &Value) -> Value {
    upstream.publish(message).await;
    upstream.outcome("acme_spot").await["outcome"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_is_rejected_with_the_field_and_the_reason() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, SPOT, "acme_spot").await;
    let mut unknown_field = reserve("o-3", "USDT", "1");
    unknown_field["colour"] = json!("red");
    let cases = [
        (reserve("o-1", "USDT", "-5"), "amount: -5.000000 USDT is not above zero"),
        (reserve("o-2", "DOGE", "5"), "currency: DOGE is not a currency of product spot"),
        (unknown_field, "colour: unknown field `colour`"),
        (
            json!({ "type": "withdrawal.requested", "currency": "USDT", "amount": "1" }),
            "missing field `withdrawal_id`",
        ),
        (json!({ "type": "transfer.requested" }), "missing field `transfer_id`"),
    ];
    for (index, (event, detail)) in cases.into_iter().enumerate() {
        let outcome = outcome_of(upstream, &envelope(SPOT, &format!("r-{index}"), event)).await;
        assert_eq!(
            (&outcome["status"], &outcome["reason"]["code"]),
            (&json!("rejected"), &json!("invalid_request"))
        );
        let found = outcome["reason"]["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{found}");
    }
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_an_account_that_was_never_opened_is_rejected() {
    let (world, stages) = World::running().await;
    let outcome =
        outcome_of(&world.upstream, &envelope(SPOT, "r-1", reserve("o-1", "USDT", "1"))).await;
    assert_eq!(
        (&outcome["status"], &outcome["reason"]["code"]),
        (&json!("rejected"), &json!("account_not_found"))
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_more_than_five_minutes_after_it_was_made_is_expired_and_recorded() {
    let (world, stages) = World::running().await;
    let mut message = envelope(SPOT, "r-1", opened());
    message["header"]["initiated_at"] = json!("2026-01-01T00:00:00Z");
    let outcome = outcome_of(&world.upstream, &message).await;
    assert_eq!(
        (&outcome["status"], &outcome["reason"]["code"]),
        (&json!("expired"), &json!("expired"))
    );
    assert_eq!(outcome["lane_seq"], 1, "it is in the journal");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_made_more_than_a_minute_after_it_was_sent_is_rejected() {
    let (world, stages) = World::running().await;
    let mut message = envelope(SPOT, "r-1", opened());
    message["header"]["initiated_at"] = json!("2126-01-01T00:00:00Z");
    let outcome = outcome_of(&world.upstream, &message).await;
    assert_eq!(
        (&outcome["status"], &outcome["reason"]["code"]),
        (&json!("rejected"), &json!("initiated_in_the_future"))
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_group_that_stands_for_no_account_is_parked_and_never_dropped() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    let message = json!({ "header": header(SPOT, "r-1"), "event": opened() });
    upstream.send("clearing-acme_spot", "A-1", "r-1", &message.to_string()).await;
    let letters = upstream.dead_letters("clearing-acme_spot", 1).await;
    assert!(
        letters[0].1["error"]
            .contains("message group \"A-1\" stands for no account of scope acme_spot")
    );
    let outcome = upstream.outcome("acme_spot").await;
    assert_eq!(
        (&outcome["outcome"]["status"], &outcome["header"]["request_id"]),
        (&json!("parked"), &json!("r-1"))
    );
    stages.stop().await;
}
