//! A change of parameters while fills are under way: it stays only if none of them opens a position
//! under what was before (C6).

use std::time::Duration;

use cap_aws::ConfigurationStore;
use cap_aws::configuration::ConfigurationStoreError;
use cap_aws::files::read_configuration;
use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::ConfigurationDocument;
use cap_domain::lane::StageName;
use cap_domain::position::Positions;
use cap_pipeline::system_time;
use cap_store::inspect::{open_positions, show_lane};
use cap_tests::{Stages, World, envelope, limits};
use capctl::parameters::{Doubt, Push, PushError, Waits};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::events::{PERPETUAL, deposit, funded, perpetual_fill};
use crate::parameters::changed;
use crate::tools::capctl;

const USDT: &str = "\"BTC-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"1\"";
const OTHER_USDT: &str = "\"BTC-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"2\"";

/// Waits until `is_so`, for twenty seconds at most.
async fn comes_true(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come true within twenty seconds");
}

/// An installation in which clearing has decided fills of an account of that position mode, and
/// position has not taken them: it does not run.
async fn with_under_way(position_mode: &str, fills: &[Value]) -> (World, Stages) {
    let (world, stages) = World::running().await;
    let opened =
        json!({ "type": "account.opened", "customer": "C-1", "position_mode": position_mode });
    world.upstream.publish(&envelope(PERPETUAL, "open", opened)).await;
    world.upstream.publish(&envelope(PERPETUAL, "fund", deposit("USDT", "1000"))).await;
    world.upstream.outcomes("acme_perpetual", 2).await;
    stages.stop().await;
    let mut stages = Stages::default();
    stages.run(world.pipeline::<Clearing>(limits()).await);
    stages.run(world.pipeline::<Accounts>(limits()).await);
    for (index, fill) in fills.iter().enumerate() {
        world.upstream.publish(&envelope(PERPETUAL, &format!("o-{index}"), fill.clone())).await;
    }
    let clearing = world.database(StageName::Clearing);
    let account = PERPETUAL.replace('/', "_").parse().unwrap();
    comes_true("clearing decides the fills", async || {
        let lane = show_lane(&clearing, &account).await.unwrap().unwrap();
        lane.seq == 2 + fills.len() as u64
    })
    .await;
    (world, stages)
}

/// Pushes the other multiplier, and lets position run only once `revision` is in force: what is said.
async fn pushed_before_position_runs(world: &World, stages: &mut Stages, revision: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), "instruments.json", USDT, OTHER_USDT);
    let push = ["config", "push", folder.path().to_str().unwrap(), "--json"];
    let store = store(world);
    let position_starts = async {
        comes_true("the revision is pushed", async || {
            store.current_revision().await.unwrap() == revision
        })
        .await;
        stages.run(world.pipeline::<Positions>(limits()).await);
    };
    let (pushed, ()) = tokio::join!(capctl(world, &push), position_starts);
    assert!(!pushed.status.success(), "{pushed:?}");
    String::from_utf8_lossy(&pushed.stderr).into_owned()
}

fn store(world: &World) -> ConfigurationStore {
    ConfigurationStore::new(world.aws.dynamodb.clone(), &world.installation.prefix)
}

/// The shipped configuration with another multiplier for BTC-USDT.
fn other_multiplier() -> ConfigurationDocument {
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), "instruments.json", USDT, OTHER_USDT);
    read_configuration(folder.path()).unwrap()
}

/// Pushes the other multiplier, looking again after a short wait.
async fn push_other(world: &World, positions: &PgPool, taken_up: Duration) -> PushError {
    let passed = Duration::from_secs(1);
    let push = Push {
        store: &store(world),
        clearing: &world.database(StageName::Clearing),
        positions,
        document: &other_multiplier(),
        by: "ops",
        waits: Waits { taken_up, passed },
    };
    push.push(system_time).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_is_under_way_when_parameters_change_takes_the_change_back() {
    let fill = perpetual_fill("o-1", "buy", "0.1", "20000", "0");
    let (world, mut stages) = with_under_way("one_way", &[fill]).await;
    let store = store(&world);
    let first = store.read(1).await.unwrap().unwrap().document;
    let positions = world.database(StageName::Position);

    // While nobody can tell what the fill opens, the change does not stay
    let told = push_other(&world, &positions, Duration::ZERO).await;
    let PushError::TakenBack { revision: 2, by_revision: 3, doubt } = &told else {
        panic!("{told:?}")
    };
    assert!(matches!(doubt, Doubt::UnderWay { lanes: 1, .. }), "{doubt:?}");
    let why = "position had still not taken what clearing had decided for 1 of product perpetual's accounts, such as acme_perpetual_retail_A-1";
    assert!(told.to_string().contains(why), "{told}");
    assert_eq!(store.latest().await.unwrap().unwrap().document, first);

    // When position takes the fill only after the new revision is in force
    let told = pushed_before_position_runs(&world, &mut stages, 4).await;

    // Then the second look sees the position, and the one before is in force again
    let why = "revision 4 was taken back by 5: positions were opened meanwhile under the revision before, and live by BTC-USDT of product perpetual: there is 1 open position (C6)";
    assert!(told.contains(why), "{told}");
    let latest = store.latest().await.unwrap().unwrap();
    assert_eq!((latest.revision, latest.document), (5, first));
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_positions_of_a_hedge_account_are_counted_when_a_change_is_taken_back() {
    // Given one account that has bought and sold, each to a position of its own
    let of_side = |order: &str, side: &str, position_side: &str| {
        let mut fill = perpetual_fill(order, side, "0.1", "20000", "0");
        fill["position_side"] = json!(position_side);
        fill
    };
    let fills = [of_side("o-1", "buy", "long"), of_side("o-2", "sell", "short")];
    let (world, mut stages) = with_under_way("hedge", &fills).await;

    // When they come to position after the change
    let told = pushed_before_position_runs(&world, &mut stages, 2).await;

    // Then two positions are told, as many as of whoever pushes it again
    let why = "revision 2 was taken back by 3: positions were opened meanwhile under the revision before, and live by BTC-USDT of product perpetual: there are 2 open positions (C6)";
    assert!(told.contains(why), "{told}");
    let positions = world.database(StageName::Position);
    let again = push_other(&world, &positions, Duration::ZERO).await;
    let why = "BTC-USDT of product perpetual cannot change: there are 2 open positions (C6)";
    assert_eq!(again.to_string(), why);
    assert_eq!(store(&world).current_revision().await.unwrap(), 3);
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_opened_under_the_new_parameters_does_not_take_them_back() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    let store = store(&world);
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), "instruments.json", USDT, OTHER_USDT);
    let push = ["config", "push", folder.path().to_str().unwrap(), "--json"];
    let clearing = world.database(StageName::Clearing);

    // When a fill comes as soon as clearing decides by the new revision
    let fills = async {
        comes_true("clearing takes the revision up", async || {
            let kept = cap_store::configurations::latest(&clearing).await.unwrap();
            kept.is_some_and(|(revision, _)| revision == 2)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let fill = perpetual_fill("o-1", "buy", "0.1", "20000", "0");
        world.upstream.publish(&envelope(PERPETUAL, "o-1", fill)).await;
        world.upstream.outcome("acme_perpetual").await
    };
    let (pushed, outcome) = tokio::join!(capctl(&world, &push), fills);

    // Then both stay
    assert!(pushed.status.success(), "{pushed:?}");
    assert_eq!(outcome["outcome"]["status"], "posted", "{outcome:#}");
    assert_eq!(store.current_revision().await.unwrap(), 2);
    let positions = world.database(StageName::Position);
    let product = "perpetual".parse().unwrap();
    assert_eq!(open_positions(&positions, &product, None).await.unwrap(), 1);
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_goes_wrong_says_where_and_what_to_do_next() {
    let world = World::install().await;
    let store = store(&world);
    let first = store.read(1).await.unwrap().unwrap().document;
    let positions = || world.database(StageName::Position);

    // When position's database is away before the push, nothing is pushed
    let away = positions();
    away.close().await;
    let told = push_other(&world, &away, Duration::ZERO).await;
    assert!(matches!(told, PushError::NotSeen(_)), "{told:?}");
    let said = "looking for open positions before the push; nothing was pushed";
    assert_eq!(told.to_string(), said);
    assert_eq!(store.current_revision().await.unwrap(), 1);

    // When it goes away after the push, the revision is taken back
    let (pool, wait) = (positions(), Duration::from_secs(1));
    let goes_away = async {
        comes_true("it is pushed", async || store.current_revision().await.unwrap() == 2).await;
        pool.close().await;
    };
    let (told, ()) = tokio::join!(push_other(&world, &pool, wait), goes_away);
    let said = "revision 2 was taken back by 3: nobody can tell whether positions were opened meanwhile (C6): push again once the databases of clearing and position answer";
    assert_eq!(told.to_string(), said);
    assert_eq!(store.latest().await.unwrap().unwrap().document, first);

    // When somebody else pushed on top, it cannot be, and what is in force is said
    let pool = positions();
    let mut more = other_multiplier();
    more.currencies.insert("EUR".parse().unwrap(), 2);
    let somebody_else = async {
        comes_true("it is pushed", async || store.current_revision().await.unwrap() == 4).await;
        pool.close().await;
        store.push(&more, "bob", system_time()).await.unwrap()
    };
    let (told, on_top) = tokio::join!(push_other(&world, &pool, wait), somebody_else);
    let PushError::NotTakenBack { revision: 4, error, .. } = &told else { panic!("{told:?}") };
    assert!(matches!(error, ConfigurationStoreError::Overtaken { current: 5 }), "{error:?}");
    assert!(
        told.to_string().starts_with(
            "revision 4 is in force and could not be taken back, although nobody can tell"
        ),
        "{told}"
    );
    assert!(told.to_string().contains("`capctl config show --revision 3`"), "{told}");
    assert_eq!((on_top, store.current_revision().await.unwrap()), (5, 5));
}
