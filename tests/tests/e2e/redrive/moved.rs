//! AWS's own move of a dead-letter queue, as somebody starts it in the console.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::lane::{LaneStatus, StageName};
use cap_pipeline::Limits;
use cap_tests::{Stages, World, limits};
use serde_json::json;

use super::desk::{
    deposits, done, journaled, lane, lane_becomes, letters_become, refuse, tells, tells_parked,
};
use crate::events::{SPOT, funded};
use crate::tools::verified;

/// The ARN of a queue.
async fn arn(world: &World, queue: &str) -> String {
    let call = world.aws.sqs.get_queue_attributes().queue_url(world.upstream.url(queue).await);
    let answer = call.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    answer.attributes().unwrap()[&QueueAttributeName::QueueArn].clone()
}

/// Moves what lies in the dead-letter queue of account back to the queue it came from.
async fn move_letters(world: &World) {
    let call = world.aws.sqs.start_message_move_task();
    call.source_arn(arn(world, "account-acme_spot-dlq").await)
        .destination_arn(arn(world, "account-acme_spot").await)
        .send()
        .await
        .unwrap();
}

/// Clearing and account, with a janitor that sleeps: it may not hold what is to be moved.
async fn running(world: &World) -> Stages {
    let limits = Limits { janitor_every: Duration::from_secs(600), ..limits() };
    let mut stages = Stages::default();
    stages.run(world.pipeline::<Clearing>(limits).await);
    stages.run(world.pipeline::<Accounts>(limits).await);
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_move_of_mended_messages_ends_as_a_redrive_would() {
    let world = World::install().await;
    let stages = running(&world).await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1"]).await;
    let requests = ["r-1", "r-2", "r-3"];
    deposits(&world, SPOT, &requests).await;
    tells_parked(&world, "acme_spot", &requests).await;
    letters_become(&world, "account-acme_spot", 3).await;
    refuse(&world, StageName::Account, &[]).await;

    move_letters(&world).await;

    tells(&world, "acme_spot", &[("r-1", "posted", 3), ("r-2", "posted", 4), ("r-3", "posted", 5)])
        .await;
    lane_becomes(&world, StageName::Account, SPOT, |lane| lane.status == LaneStatus::Active).await;
    letters_become(&world, "account-acme_spot", 0).await;
    world.upstream.no_outcome("acme_spot").await;
    stages.stop().await;
    verified(&world, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_move_of_what_is_not_mended_returns_to_the_dead_letter_queue() {
    let world = World::install().await;
    let stages = running(&world).await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["r-1"]).await;
    let requests = ["r-1", "r-2", "r-3"];
    deposits(&world, SPOT, &requests).await;
    tells_parked(&world, "acme_spot", &requests).await;
    letters_become(&world, "account-acme_spot", 3).await;

    for _ in 0..2 {
        move_letters(&world).await;
        world.quiet().await;
        letters_become(&world, "account-acme_spot", 3).await;
        world.quiet().await;
        let suspended = lane(&world, StageName::Account, SPOT).await;
        assert_eq!(
            (suspended.status, suspended.redriven_seq, suspended.parked_seq),
            (LaneStatus::Suspended, 0, 3)
        );
    }

    refuse(&world, StageName::Account, &[]).await;
    let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
    assert_eq!(redriven["redrives"][0]["ending"], json!("open"));
    tells(&world, "acme_spot", &[("r-1", "posted", 3), ("r-2", "posted", 4), ("r-3", "posted", 5)])
        .await;
    assert_eq!(journaled(&world, StageName::Account, SPOT).await[2..], requests);
    letters_become(&world, "account-acme_spot", 0).await;
    stages.stop().await;
    verified(&world, 10).await;
}
