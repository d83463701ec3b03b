//! Redrives that meet: each other, their own end, and live traffic.

use std::sync::Arc;
use std::time::Duration;

use cap_aws::{QueueDirectory, SqsQueues};
use cap_domain::lane::{LaneStatus, RedriveRefused, StageName};
use cap_tests::{World, envelope, limits};
use capctl::redrive::{Ending, REDRIVE_PATIENCE, Redrive, RedriveError, Through};

use super::desk::{
    deposits, done, journaled, key, killed, lane, lane_becomes, letters_become, refuse, tells,
    tells_parked,
};
use crate::events::{SPOT, deposit, funded};
use crate::tools::verified;

/// The requests r-1 to r-`count`.
fn requests(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("r-{n}")).collect()
}

/// Suspends a funded account with `count` deposits parked at account, and removes the cause.
async fn parked(world: &World, count: usize) -> Vec<String> {
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(world, StageName::Account, &["r-1"]).await;
    let requests = requests(count);
    let names: Vec<&str> = requests.iter().map(String::as_str).collect();
    deposits(world, SPOT, &names).await;
    tells_parked(world, "acme_spot", &names).await;
    refuse(world, StageName::Account, &[]).await;
    requests
}

/// Asserts that upstream is told of each request once, in order, and that the lane is open.
async fn all_is_told_once(world: &World, requests: &[String]) {
    let expected: Vec<(&str, &str, u64)> =
        requests.iter().zip(3..).map(|(request, seq)| (request.as_str(), "posted", seq)).collect();
    tells(world, "acme_spot", &expected).await;
    world.upstream.no_outcome("acme_spot").await;
    assert_eq!(lane(world, StageName::Account, SPOT).await.status, LaneStatus::Active);
    letters_become(world, "account-acme_spot", 0).await;
}

async fn queues(world: &World) -> SqsQueues {
    let directory = QueueDirectory::load(world.aws.sqs.clone(), &world.installation.prefix).await;
    SqsQueues::new(&world.aws.sqs, Arc::new(directory.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_redrives_at_once_apply_everything_once_and_in_order() {
    let (world, stages) = World::running().await;
    let requests = parked(&world, 240).await;
    let queues = queues(&world).await;
    let (pool, account) = (world.database(StageName::Account), key(SPOT));
    let routes = queues.directory().routes();
    let redrive = |operator| Redrive {
        pool: &pool,
        queues: &queues,
        routes: &routes,
        stage: StageName::Account,
        account: &account,
        operator,
        through: Through::UntilOpen,
        shown_last: None,
        patience: REDRIVE_PATIENCE,
    };
    let (ann, bob) = (redrive("ann"), redrive("bob"));

    let (anns, bobs) = tokio::join!(ann.run(|_| ()), bob.run(|_| ()));

    // Who comes when the other is done finds nothing to do.
    let late = [&anns, &bobs]
        .into_iter()
        .filter(|redriven| matches!(redriven, Err(RedriveError::Refused(RedriveRefused::Active))));
    assert!(late.count() <= 1, "{anns:?} {bobs:?}");
    for redriven in [anns, bobs] {
        match redriven {
            Ok(redriven) => {
                assert_eq!((redriven.ending, redriven.status), (Ending::Open, LaneStatus::Active));
            }
            Err(RedriveError::Refused(RedriveRefused::Active)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    all_is_told_once(&world, &requests).await;
    stages.stop().await;
    verified(&world, 242 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_set_that_was_shown_is_redriven() {
    let (world, stages) = World::running().await;
    let requests = parked(&world, 3).await;
    let queues = queues(&world).await;
    let (pool, account) = (world.database(StageName::Account), key(SPOT));
    let redrive = Redrive {
        pool: &pool,
        queues: &queues,
        routes: &queues.directory().routes(),
        stage: StageName::Account,
        account: &account,
        operator: "ann",
        through: Through::UntilOpen,
        shown_last: Some(2),
        patience: REDRIVE_PATIENCE,
    };

    match redrive.run(|_| ()).await {
        Err(RedriveError::MoreParked { more: 1, first: 1, last: 3 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(lane(&world, StageName::Account, SPOT).await.status, LaneStatus::Suspended);
    let shown_again = Redrive { shown_last: Some(3), ..redrive };
    let redriven = shown_again.run(|_| ()).await.unwrap();
    assert_eq!((redriven.first, redriven.last, redriven.redriven), (1, 3, 3));
    all_is_told_once(&world, &requests).await;
    stages.stop().await;
    verified(&world, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_nobody_takes_says_so_and_is_ended_by_the_next_one() {
    let (world, stages) = World::running().await;
    let requests = parked(&world, 3).await;
    stages.stop().await;
    let queues = queues(&world).await;
    let (pool, account) = (world.database(StageName::Account), key(SPOT));
    let redrive = Redrive {
        pool: &pool,
        queues: &queues,
        routes: &queues.directory().routes(),
        stage: StageName::Account,
        account: &account,
        operator: "ann",
        through: Through::UntilOpen,
        shown_last: None,
        patience: Duration::from_secs(1),
    };

    let told = redrive.run(|_| ()).await.unwrap_err().to_string();
    assert!(told.starts_with("account has not taken number 1 within 1 s"), "{told}");
    assert_eq!(lane(&world, StageName::Account, SPOT).await.status, LaneStatus::Redriving);
    let stages = world.run_stages().await;
    // The copies of the first are in the queue, and those of the second come behind them.
    let again = Redrive { patience: REDRIVE_PATIENCE, ..redrive }.run(|_| ()).await;
    assert!(matches!(again, Ok(_) | Err(RedriveError::Refused(_))), "{again:?}");
    all_is_told_once(&world, &requests).await;
    stages.stop().await;
    verified(&world, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_killed_before_its_first_copy_is_taken_up_by_the_next_one() {
    let (world, stages) = World::running().await;
    let requests = parked(&world, 12).await;
    killed(&world, &format!("redrive {SPOT} --yes"), "redrive_begun=kill").await;
    let left = lane(&world, StageName::Account, SPOT).await;
    assert_eq!((left.status, left.redriven_seq), (LaneStatus::Redriving, 0));
    let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
    assert_eq!(redriven["redrives"][0]["redriven"], 12, "{redriven:#}");
    all_is_told_once(&world, &requests).await;
    stages.stop().await;
    verified(&world, 14 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_goes_on_by_itself_when_the_tool_is_killed_after_its_first_copy() {
    for failpoint in ["mid_redrive=kill", "redrive_ended=kill"] {
        let (world, stages) = World::running().await;
        let requests = parked(&world, 12).await;
        killed(&world, &format!("redrive {SPOT} --yes"), failpoint).await;
        lane_becomes(&world, StageName::Account, SPOT, |lane| lane.status == LaneStatus::Active)
            .await;
        all_is_told_once(&world, &requests).await;
        stages.stop().await;
        verified(&world, 14 * 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lane_opens_while_messages_arrive_all_the_time_and_none_overtakes_another() {
    let (world, stages) = World::running().await;
    let parked = parked(&world, 30).await;
    let world = Arc::new(world);
    let publisher = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for n in 0..200 {
                let message = envelope(SPOT, &format!("live-{n}"), deposit("USDT", "1"));
                world.upstream.publish(&message).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };

    let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
    assert!(!publisher.is_finished(), "it opened under traffic");
    let of_lane = &redriven["redrives"][0];
    assert_eq!(of_lane["status"], "active", "{of_lane:#}");
    assert!(of_lane["redriven"].as_u64() >= Some(30), "{of_lane:#}");
    let (last, behind) = (of_lane["last"].as_u64(), of_lane["behind"].as_u64());
    assert!(last > Some(30) || behind > Some(0), "messages came in between: {of_lane:#}");
    publisher.await.unwrap();
    world.quiet().await;

    let live = (0..200).map(|n| format!("live-{n}"));
    let expected: Vec<String> = parked.into_iter().chain(live).collect();
    for stage in [StageName::Clearing, StageName::Account] {
        assert_eq!(journaled(&world, stage, SPOT).await[2..], expected, "the order at {stage}");
    }
    assert_eq!(lane(&world, StageName::Account, SPOT).await.status, LaneStatus::Active);
    letters_become(&world, "account-acme_spot", 0).await;
    stages.stop().await;
    verified(&world, 232 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_parked_messages_are_redriven_run_by_run() {
    let world = World::install().await;
    let mut stages = cap_tests::Stages::default();
    stages.run(world.pipeline::<cap_domain::clearing::Clearing>(limits()).await);
    stages.run(world.pipeline::<cap_domain::account::Accounts>(limits()).await);
    let requests = parked(&world, 300).await;
    let redriven = done(&world, &format!("redrive {SPOT} --yes")).await;
    assert_eq!(redriven["redrives"][0]["redriven"], 300, "{redriven:#}");
    all_is_told_once(&world, &requests).await;
    stages.stop().await;
    verified(&world, 302 * 2).await;
}
