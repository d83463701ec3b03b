//! A clearing task that a push has not reached yet leaves what CAP sends itself in the queue, in its
//! place, until the rule is there (ADR 11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::{Configuration, ConfigurationDocument};
use cap_domain::lane::{RULE_AWAITED_RECEIVES_MAX, StageName};
use cap_domain::position::Positions;
use cap_pipeline::Pipeline;
use cap_tests::{Stages, World, envelope, limits};
use serde_json::json;

use crate::events::{PERPETUAL, deposit, funded, opened, perpetual_fill};
use crate::tools::verified;

/// The account beside the one that waits.
const OTHER: &str = "acme/perpetual/retail/A-2";

/// A revision that lacks one rule: its number is far from those that are pushed.
const BEFORE: u64 = 1_000;

/// The shipped configuration without a rule for `margin.posted`, kept as clearing keeps what it decides by.
async fn before(world: &World) -> Arc<Clearing> {
    let store =
        cap_aws::ConfigurationStore::new(world.aws.dynamodb.clone(), &world.installation.prefix);
    let pushed = store.latest().await.unwrap().unwrap();
    let mut document = serde_json::to_value(&pushed.document).unwrap();
    for rulebook in document["rulebooks"].as_array_mut().unwrap() {
        rulebook["events"].as_object_mut().unwrap().remove("margin.posted");
    }
    let document: ConfigurationDocument = serde_json::from_value(document).unwrap();
    let database = world.database(StageName::Clearing);
    cap_store::configurations::remember(&database, BEFORE, &document).await.unwrap();
    Arc::new(Clearing::new(Arc::new(Configuration::check(BEFORE, document).unwrap())))
}

/// Clearing by the rules of `before` as long as `behind` says so.
async fn overtaken(
    world: &World,
    before: &Arc<Clearing>,
    behind: &Arc<AtomicBool>,
) -> Pipeline<Clearing> {
    let mut clearing = world.pipeline::<Clearing>(limits()).await;
    let (now, before, behind) =
        (Arc::clone(&clearing.stage), Arc::clone(before), Arc::clone(behind));
    clearing.stage =
        Arc::new(move || if behind.load(Ordering::SeqCst) { Arc::clone(&before) } else { now() });
    clearing
}

/// What clearing's lane of the account that waits has: its rows, its parked messages, its status.
async fn lane(world: &World) -> (i64, i64, String) {
    let lane = "select seq, parked_seq, status from lane
        where account_id = 'acme_perpetual_retail_A-1'";
    let pool = world.database(StageName::Clearing);
    sqlx::query_as(lane).fetch_one(&pool).await.unwrap()
}

/// Puts margin of an account aside for its position, and stops clearing before it hears of that; the
/// other stages, which run.
async fn margin_put_aside(world: &World) -> Stages {
    let stages = world.run_stages().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    let mut fill = perpetual_fill("o-1", "buy", "0.1", "20000", "0");
    fill["margin_mode"] = json!("isolated");
    world.upstream.publish(&envelope(PERPETUAL, "fill", fill)).await;
    world.upstream.outcome("acme_perpetual").await;
    stages.stop().await;
    let mut clearing = Stages::default();
    clearing.run(world.pipeline::<Clearing>(limits()).await);
    let change = json!({ "type": "margin.changed", "symbol": "BTC-USDT", "amount": "100" });
    world.upstream.publish(&envelope(PERPETUAL, "add", change)).await;
    while lane(world).await.0 < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clearing.stop().await;
    let mut others = Stages::default();
    others.run(world.pipeline::<Positions>(limits()).await);
    others.run(world.pipeline::<Accounts>(limits()).await);
    let asked = world.upstream.outcome("acme_perpetual").await;
    assert_eq!(asked["outcome"]["status"], "posted", "{asked:#}");
    others
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cap_sends_itself_waits_for_its_rule_and_keeps_its_lane_in_order() {
    // Given margin that is put aside, and clearing tasks that a push has not reached
    let world = World::install().await;
    let before = before(&world).await;
    let others = margin_put_aside(&world).await;
    let mut clearing = Stages::default();
    let behind = Arc::new(AtomicBool::new(true));
    for _ in 0..2 {
        clearing.run(overtaken(&world, &before, &behind).await);
    }

    // When more comes behind it, and for another account
    world.upstream.publish(&envelope(PERPETUAL, "behind", deposit("USDT", "1"))).await;
    world.upstream.publish(&envelope(OTHER, "open-2", opened())).await;

    // Then the other account is served, and the lane waits: nothing of it is decided or parked
    let told = world.upstream.outcome("acme_perpetual").await;
    assert_eq!(told["header"]["request_id"], "open-2");
    world.upstream.no_outcome("acme_perpetual").await;
    assert_eq!(lane(&world).await, (4, 0, "active".to_owned()));

    // And when the push has come, all of it goes on, soon and in its order
    behind.store(false, Ordering::SeqCst);
    let told = world.upstream.outcomes("acme_perpetual", 2).await;
    let first = told[0]["header"]["request_id"].as_str().unwrap();
    assert!(first.starts_with("margin:"), "{told:#?}");
    assert_eq!(told[0]["outcome"]["status"], "posted");
    assert_eq!(told[0]["outcome"]["position"]["margin"], "300.000000");
    assert_eq!(told[1]["header"]["request_id"], "behind");
    clearing.stop().await;
    others.stop().await;
    verified(&world, 7 * 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_too_often_is_parked_with_all_behind_it() {
    // Given the same, received as often as it may wait
    let world = World::install().await;
    let before = before(&world).await;
    let others = margin_put_aside(&world).await;
    let mut clearing = Stages::default();
    world.upstream.publish(&envelope(PERPETUAL, "behind", deposit("USDT", "1"))).await;
    for _ in 0..RULE_AWAITED_RECEIVES_MAX {
        world.upstream.receive_and_give_back("clearing-acme_perpetual", 2).await;
    }

    // When a task takes it that still has no rule
    clearing.run(overtaken(&world, &before, &Arc::new(AtomicBool::new(true))).await);

    // Then it is poison, as what no rulebook knows
    let told = world.upstream.outcomes("acme_perpetual", 2).await;
    assert!(told.iter().all(|told| told["outcome"]["status"] == "parked"), "{told:#?}");
    let detail = told[0]["outcome"]["reason"]["detail"].as_str().unwrap();
    assert_eq!(detail, "margin.posted is not valid: type: there is no rule for margin.posted");
    assert_eq!(told[1]["header"]["request_id"], "behind");
    assert_eq!(lane(&world).await, (4, 2, "suspended".to_owned()));
    clearing.stop().await;
    others.stop().await;
}
