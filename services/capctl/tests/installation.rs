//! An installation is made by `capctl` alone, and a bad configuration never gets in.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up stops there")]

mod support;
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use serde_json::json;
use support::Tool;
use world::{World, configuration};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_installation_is_made_and_looked_at() {
    let world = World::start("made").await;
    migrations_are_applied_once(&world.tool).await;
    queues_are_created_once(&world).await;
    configurations_are_numbered(&world.tool).await;
    for (proof, verdict) in [("verify --settled", "clean"), ("trial-balance", "zero")] {
        assert_eq!(world.tool.json(proof).await[verdict], true, "{proof} of nothing");
    }
    let told = world.tool.refused("lane show A-1", 1).await;
    assert!(told.contains("no lane is of an account named A-1"), "{told}");
    world.drop_databases().await;
}

async fn migrations_are_applied_once(tool: &Tool) {
    let told = tool.refused("lanes", 1).await;
    assert!(told.starts_with("capctl: listing lanes: database "), "{told}");
    assert!(told.ends_with("does not exist; run `capctl migrate` first\n"), "{told}");
    let migrated = tool.run("migrate").await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    for line in [
        "clearing  created, applied 0001 lanes, 0002 configurations, 0003 redrive",
        "query     created; it has no schema yet",
    ] {
        assert!(migrated.stdout.contains(line), "{migrated:?}");
    }
    assert!(migrated.stderr.contains("\"operator\":\"ann\""), "who did it is logged: {migrated:?}");
    let again = tool.json("migrate").await;
    for database in again["databases"].as_array().unwrap() {
        assert_eq!(database["created"], false, "{again}");
        assert_eq!(database["applied"], json!([]), "{again}");
    }
}

async fn queues_are_created_once(world: &World) {
    let tool = &world.tool;
    assert!(tool.text("queue list").await.contains("there are no queues yet"));
    let created = tool.json("queue create acme_spot acme/perpetual").await;
    let queues = created["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 14, "three stages with dead letters, and outcomes, twice: {created}");
    assert!(queues.iter().all(|queue| queue["created"] == true), "{created}");
    // SQS lists a new queue about a second later.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let again = tool.text("queue create acme/spot").await;
    assert!(again.lines().skip(1).all(|line| line.ends_with("is there")), "{again}");
    let listed = tool.text("queue list").await;
    assert_eq!(listed.lines().count(), 15, "{listed}");
    let dlq = format!("{}-clearing-acme_spot-dlq.fifo", world.prefix);
    assert!(listed.lines().any(|line| line.starts_with(&dlq) && line.ends_with("DLQ")), "{listed}");
    assert_eq!(tool.json("queue list").await["queues"].as_array().unwrap().len(), 14);
}

async fn configurations_are_numbered(tool: &Tool) {
    let told = tool.refused("config show", 1).await;
    assert!(told.contains("push one with `capctl config push DIR`"), "{told}");
    let push = format!("config push {}", configuration().display());
    assert_eq!(tool.json(&push).await["revision"], 1);
    let pushed = tool.run(&format!("{push} --operator bob")).await;
    assert!(pushed.stdout.starts_with("revision 2 pushed by bob: 5 currencies"), "{pushed:?}");
    assert!(pushed.stderr.contains("\"operator\":\"bob\""), "{pushed:?}");
    let shown = tool.text("config show").await;
    assert!(shown.starts_with("revision 2, pushed 2"), "{shown}");
    assert!(shown.contains("clearing → position → account"), "{shown}");
    let first = tool.json("config show --revision 1").await;
    assert_eq!(first["pushed_by"], "ann");
    assert_eq!(first["document"]["currencies"]["USDT"], 6);
    let told = tool.refused("config show --revision 9", 1).await;
    assert!(told.contains("there is no revision 9: they are numbered from 1 to 2"), "{told}");
    who_is_not_named_is_the_user_of_the_process(tool, &push).await;
}

async fn who_is_not_named_is_the_user_of_the_process(tool: &Tool, push: &str) {
    let system = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(system.stdout).unwrap().trim().to_owned();
    for named in [None, Some("  ")] {
        let mut environment = tool.environment.clone();
        environment.retain(|(name, _)| name != "USER");
        environment.extend(named.map(|name| ("USER".to_owned(), name.to_owned())));
        let unnamed = Tool { environment };
        assert_eq!(unnamed.json(push).await["pushed_by"], user.as_str(), "{named:?}");
    }
    let audit = tool.json("audit --limit 2").await;
    let entries = audit["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["operator"] == user.as_str()), "{audit:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bad_configuration_is_refused_with_file_place_and_reason() {
    let world = World::start("bad").await;
    world.tool.text("migrate").await;
    let folder = std::env::temp_dir().join(format!("capctl-bad-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("rulebooks")).unwrap();
    let files = [
        "currencies.json",
        "instruments.json",
        "rulebooks/spot.json",
        "rulebooks/perpetual.json",
        "rulebooks/cfd.json",
    ];
    for file in files {
        std::fs::copy(configuration().join(file), folder.join(file)).unwrap();
    }
    let file = folder.join("rulebooks/spot.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let cases = [
        ("\"version\": 3", "\"version\": \"one\"", "version: invalid type: string \"one\""),
        ("external:bank", "external bank", "\"external bank\" is not a subject"),
        ("event.amount", "event.amuont", "event.amuont"),
        ("{", "[", " at line 2 column"),
    ];
    for (right, wrong, reason) in cases {
        std::fs::write(&file, good.replacen(right, wrong, 1)).unwrap();
        let told = world.tool.refused(&format!("config push {}", folder.display()), 1).await;
        let start = format!("capctl: the configuration is refused: {}: ", file.display());
        assert!(told.starts_with(&start) && told.contains(reason), "{reason}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    std::fs::remove_dir_all(folder).unwrap();
    let told = world.tool.refused("config show", 1).await;
    assert!(told.contains("there is no configuration yet"), "nothing was pushed: {told}");
    world.drop_databases().await;
}
