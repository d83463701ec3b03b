//! What CAP stands on goes away for a while: nothing is parked, nothing is lost.

use cap_domain::lane::StageName;
use cap_stack::Stack;
use cap_tests::{World, envelope};
use serde_json::json;

use crate::events::{SPOT, balance, deposit, funded, opened};
use crate::tools::verified;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_everything_waits_and_nothing_is_parked() {
    let mut stack = Stack::start().await.unwrap();
    let world = World::install_on(&stack).await;
    let stages = world.run_stages().await;
    funded(&world.upstream, SPOT, "acme_spot").await;

    // When PostgreSQL is killed as by a power cut, and requests go on coming
    let postgres = stack.postgres().unwrap();
    tokio::task::block_in_place(|| postgres.kill()).unwrap();
    for n in 0..20 {
        let id = format!("d-{n}");
        world.upstream.publish(&envelope(SPOT, &id, deposit("USDT", "1"))).await;
    }
    world.upstream.no_outcome("acme_spot").await;
    tokio::task::block_in_place(|| postgres.restart()).unwrap();

    let outcomes = world.upstream.outcomes("acme_spot", 20).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["outcome"]["status"], "posted");
        assert_eq!(outcome["outcome"]["lane_seq"], index + 3);
    }
    assert_eq!(balance(&outcomes[19], "USDT")["available"], "1020.000000");
    stages.stop().await;
    verified(&world, 22 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dynamodb_the_journal_alone_decides() {
    let stack = Stack::start().await.unwrap();
    let world = World::install_on(&stack).await;
    let stages = world.run_stages().await;
    funded(&world.upstream, SPOT, "acme_spot").await;

    stack.stop_dynamodb();
    let message = envelope(SPOT, "d-1", deposit("USDT", "1"));
    world.upstream.publish(&message).await;
    let first = world.upstream.outcome("acme_spot").await;
    world.upstream.send("clearing-acme_spot", "retail_A-1", "again", &message.to_string()).await;
    let again = world.upstream.outcome("acme_spot").await;

    assert_eq!(balance(&first, "USDT")["available"], "1001.000000");
    assert_eq!(
        (&again["outcome"]["replayed"], &again["outcome"]["lane_seq"]),
        (&json!(true), &json!(3))
    );
    stages.stop().await;
    verified(&world, 3 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_gone_holds_back_its_own_accounts_and_no_others() {
    let (world, stages) = World::running().await;
    let url = world.upstream.url("account-acme_spot").await;
    world.aws.sqs.delete_queue().queue_url(url).send().await.unwrap();

    for n in 0..3 {
        let account = format!("acme/spot/retail/G-{n}");
        world.upstream.publish(&envelope(&account, &format!("gone-{n}"), opened())).await;
    }
    for n in 0..10 {
        let account = format!("zenith/spot/retail/H-{n}");
        world.upstream.publish(&envelope(&account, &format!("here-{n}"), opened())).await;
    }

    assert_eq!(world.upstream.outcomes("zenith", 10).await.len(), 10);
    stages.stop().await;
    let lanes = world.database(StageName::Clearing);
    let journaled: i64 =
        sqlx::query_scalar("select count(*) from journal where account_id like 'acme%'")
            .fetch_one(&lanes)
            .await
            .unwrap();
    assert_eq!(
        journaled, 3,
        "what could not go on is in the journal, and its message in the queue"
    );
}
