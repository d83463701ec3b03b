//! A request that comes again changes nothing, whenever it comes (C4).

use cap_tests::{World, envelope};
use serde_json::json;

use crate::events::{SPOT, balance, deposit, funded, opened};

/// Sends a message again as SQS would not recognise it: under another deduplication id.
async fn again(world: &World, message: &serde_json::Value, deduplication_id: &str) {
    world
        .upstream
        .send("clearing-acme_spot", "retail_A-1", deduplication_id, &message.to_string())
        .await;
}

/// A funded account's deposit of 5 USDT as request `dep-1`: the message, and its outcome.
async fn deposited(world: &World) -> (serde_json::Value, serde_json::Value) {
    funded(&world.upstream, SPOT, "acme_spot").await;
    let message = envelope(SPOT, "dep-1", deposit("USDT", "5"));
    world.upstream.publish(&message).await;
    let outcome = world.upstream.outcome("acme_spot").await;
    (message, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_gets_its_first_outcome_again() {
    let (world, stages) = World::running().await;
    let (message, first) = deposited(&world).await;

    again(&world, &message, "second").await;
    let mut second = world.upstream.outcome("acme_spot").await;

    assert_eq!(second["outcome"]["replayed"], true);
    second["outcome"].as_object_mut().unwrap().remove("replayed");
    assert_eq!(second["outcome"], first["outcome"]);
    again(&world, &envelope(SPOT, "look", deposit("USDT", "1")), "look").await;
    assert_eq!(
        balance(&world.upstream.outcome("acme_spot").await, "USDT")["available"],
        "1006.000000"
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_recognised_after_all_services_were_restarted() {
    let (world, stages) = World::running().await;
    let (message, _) = deposited(&world).await;
    stages.stop().await;

    let stages = world.run_stages().await;
    again(&world, &message, "second").await;
    let second = world.upstream.outcome("acme_spot").await;

    assert_eq!(
        (&second["outcome"]["replayed"], &second["outcome"]["lane_seq"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(balance(&second, "USDT")["available"], "1005.000000");
    stages.stop().await;
}

/// Clearing takes what it receives for the first time for new, and looks again before it parks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_to_a_suspended_account_is_answered_and_not_parked() {
    let (world, stages) = World::running().await;
    let (message, first) = deposited(&world).await;
    world.upstream.send("clearing-acme_spot", "retail_A-1", "garbage", "not json").await;
    let suspended = world.upstream.outcome("acme_spot").await;
    assert_eq!(suspended["outcome"]["reason"]["code"], "lane_suspended");

    again(&world, &message, "second").await;
    let second = world.upstream.outcome("acme_spot").await;

    assert_eq!(second["outcome"]["replayed"], true);
    assert_eq!(second["outcome"]["lane_seq"], first["outcome"]["lane_seq"]);
    stages.stop().await;
}

/// One that was journaled among many that are new: the batch is read again, and none of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_among_new_ones_holds_none_of_them_back() {
    let (world, stages) = World::running().await;
    let (message, _) = deposited(&world).await;
    stages.stop().await;

    for number in 0..4 {
        let id = format!("new-{number}");
        world.upstream.publish(&envelope(SPOT, &id, deposit("USDT", "1"))).await;
    }
    again(&world, &message, "second").await;
    world.upstream.publish(&envelope(SPOT, "new-4", deposit("USDT", "1"))).await;
    let stages = world.run_stages().await;

    let outcomes = world.upstream.outcomes("acme_spot", 6).await;
    let said = outcomes.iter().map(|outcome| {
        let id = outcome["header"]["request_id"].as_str().unwrap().to_owned();
        (id, outcome["outcome"]["replayed"] == true)
    });
    let said: Vec<_> = said.collect();
    let expected = [
        ("new-0", false),
        ("new-1", false),
        ("new-2", false),
        ("new-3", false),
        ("dep-1", true),
        ("new-4", false),
    ];
    assert_eq!(said, expected.map(|(id, replayed)| (id.to_owned(), replayed)));
    stages.stop().await;
}

/// In one batch: a lane that the journal refuses as a whole, one that would be suspended if nobody looked, and
/// a new one. Each is answered as if it had come alone.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_have_to_be_looked_into_do_not_disturb_each_other() {
    const OTHER: &str = "acme/spot/retail/A-2";
    const NEW: &str = "acme/spot/retail/A-3";
    let (world, stages) = World::running().await;
    let (message, _) = deposited(&world).await;
    world.upstream.publish(&envelope(OTHER, "open-2", opened())).await;
    world.upstream.outcome("acme_spot").await;
    stages.stop().await;

    again(&world, &message, "second").await;
    let clearing = "clearing-acme_spot";
    world.upstream.send(clearing, "retail_A-2", "poison-2", "not json").await;
    let behind = envelope(OTHER, "dep-2", deposit("USDT", "2"));
    world.upstream.send(clearing, "retail_A-2", "dep-2", &behind.to_string()).await;
    world.upstream.publish(&envelope(NEW, "open-3", opened())).await;
    let stages = world.run_stages().await;

    let outcomes = world.upstream.outcomes("acme_spot", 4).await;
    let of = |account: &str| {
        let of_account = outcomes.iter().filter(|outcome| outcome["header"]["account"] == account);
        let said = of_account.map(|outcome| {
            let replayed = outcome["outcome"]["replayed"] == true;
            (outcome["outcome"]["status"].as_str().unwrap(), replayed)
        });
        said.collect::<Vec<_>>()
    };
    assert_eq!(of("A-1"), [("posted", true)]);
    assert_eq!(of("A-2"), [("parked", false), ("parked", false)]);
    assert_eq!(of("A-3"), [("posted", false)]);
    stages.stop().await;
}

/// Though everything that comes new to a suspended account is parked.
#[tokio::test(flavor = "multi_thread")]
async fn another_content_under_a_used_id_is_a_conflict_for_a_suspended_account_too() {
    let (world, stages) = World::running().await;
    deposited(&world).await;
    world.upstream.send("clearing-acme_spot", "retail_A-1", "garbage", "not json").await;
    world.upstream.outcome("acme_spot").await;

    again(&world, &envelope(SPOT, "dep-1", deposit("USDT", "6")), "second").await;
    let conflict = world.upstream.outcome("acme_spot").await;

    assert_eq!(conflict["outcome"]["status"], "rejected");
    assert_eq!(conflict["outcome"]["reason"]["code"], "request_id_conflict");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_under_the_same_id_is_a_conflict() {
    let (world, stages) = World::running().await;
    deposited(&world).await;

    again(&world, &envelope(SPOT, "dep-1", deposit("USDT", "6")), "second").await;
    let conflict = world.upstream.outcome("acme_spot").await;

    assert_eq!(conflict["outcome"]["status"], "rejected");
    assert_eq!(conflict["outcome"]["reason"]["code"], "request_id_conflict");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_of_another_account_is_a_conflict() {
    let (world, stages) = World::running().await;
    world.upstream.publish(&envelope(SPOT, "r-1", opened())).await;
    assert_eq!(world.upstream.outcome("acme_spot").await["outcome"]["status"], "posted");

    world.upstream.publish(&envelope("acme/spot/retail/A-2", "r-1", opened())).await;
    let conflict = world.upstream.outcome("acme_spot").await;

    assert_eq!(conflict["header"]["account"], "A-2");
    assert_eq!(conflict["outcome"]["reason"]["code"], "request_id_conflict");
    stages.stop().await;
}
