//! Rulebooks and parameters: what positions live by cannot change while they are open (C6), and a
//! rulebook is rehearsed before it is pushed.

use std::path::Path;

use cap_aws::ConfigurationStore;
use cap_pipeline::system_time;
use cap_tests::{World, envelope, repository};
use serde_json::{Value, json};

use crate::events::{PERPETUAL, SPOT, deposit, funded, perpetual_fill};
use crate::tools::capctl;

/// A copy of the shipped configuration in which `from` is `to` in one file.
pub(crate) fn changed(folder: &Path, file: &str, from: &str, to: &str) {
    let shipped = repository().join("config");
    std::fs::create_dir_all(folder.join("rulebooks")).unwrap();
    let files = [
        "currencies.json",
        "instruments.json",
        "rulebooks/spot.json",
        "rulebooks/perpetual.json",
        "rulebooks/cfd.json",
    ];
    for name in files {
        let text = std::fs::read_to_string(shipped.join(name)).unwrap();
        let text = if name == file { text.replace(from, to) } else { text };
        std::fs::write(folder.join(name), text).unwrap();
    }
    let is = std::fs::read_to_string(folder.join(file)).unwrap();
    assert_ne!(is, std::fs::read_to_string(shipped.join(file)).unwrap(), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_open_positions_do_not_change() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    let folder = tempfile::tempdir().unwrap();
    let push = ["config", "push", folder.path().to_str().unwrap(), "--json"];
    let fill = |order: &str, side: &str| {
        envelope(PERPETUAL, order, perpetual_fill(order, side, "0.1", "20000", "0"))
    };

    // Given an open position
    world.upstream.publish(&fill("o-1", "buy")).await;
    world.upstream.outcome("acme_perpetual").await;

    // Then its symbol's figures cannot change, nor its product's rules, and the number is told
    let usdt = "\"BTC-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"1\"";
    let other = "\"BTC-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"2\"";
    changed(folder.path(), "instruments.json", usdt, other);
    let refused = capctl(&world, &push).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let why = "BTC-USDT of product perpetual cannot change: there is 1 open position (C6)";
    assert!(!refused.status.success() && told.contains(why), "{told}");
    let rules = "\"from\": \"house:funding\", \"to\": \"available\"";
    let others = "\"from\": \"house:fees\", \"to\": \"available\"";
    changed(folder.path(), "rulebooks/perpetual.json", rules, others);
    let refused = capctl(&world, &push).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let why = "the rules of product perpetual cannot change: there is 1 open position (C6)";
    assert!(!refused.status.success() && told.contains(why), "{told}");

    // But what no open position lives by can
    let eth = "\"ETH-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"1\"";
    let other_eth = "\"ETH-USDT\": {\n        \"kind\": \"linear\", \"multiplier\": \"10\"";
    changed(folder.path(), "instruments.json", eth, other_eth);
    let pushed = capctl(&world, &push).await;
    assert!(pushed.status.success(), "{pushed:?}");

    // And once it is closed, so can the rest
    world.upstream.publish(&fill("o-2", "sell")).await;
    world.upstream.outcome("acme_perpetual").await;
    changed(folder.path(), "instruments.json", usdt, other);
    let pushed = capctl(&world, &push).await;
    assert!(pushed.status.success(), "{pushed:?}");
    let pushed: Value = serde_json::from_slice(&pushed.stdout).unwrap();

    // And a revision that a fill has overtaken is taken back as a whole
    let revision = pushed["revision"].as_u64().unwrap();
    let store = ConfigurationStore::new(world.aws.dynamodb.clone(), &world.installation.prefix);
    let before = store.read(revision - 1).await.unwrap().unwrap();
    assert_eq!(store.take_back(revision, "ops", system_time()).await.unwrap(), revision + 1);
    let latest = store.latest().await.unwrap().unwrap();
    assert_eq!((latest.revision, latest.document), (revision + 1, before.document));
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rulebook_is_rehearsed_on_what_happened() {
    // Given two deposits and a fee
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    for n in 0..2 {
        let message = envelope(SPOT, &format!("fund-{n}"), deposit("USDT", "5"));
        world.upstream.publish(&message).await;
    }
    let fee = json!({
        "type": "fee.charged", "currency": "USDT", "amount": "2.5", "reason": "custody",
    });
    world.upstream.publish(&envelope(SPOT, "fee-1", fee)).await;
    world.upstream.outcomes("acme_spot", 3).await;
    stages.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spot-3.json");
    let rehearse = ["rulebook", "rehearse", file.to_str().unwrap(), "--json"];

    // When the same rules are rehearsed, nothing would differ
    let shipped = repository().join("config/rulebooks/spot.json");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    std::fs::write(&file, shipped.replace("\"version\": 3", "\"version\": 4")).unwrap();
    let same = report(&capctl(&world, &rehearse).await);
    assert_eq!((&same["events"], &same["differ"]), (&json!(5), &json!(0)), "{same:#}");

    // When fees are to go elsewhere, every fee would differ, and nothing else
    let charged = "\"from\": \"available\", \"to\": \"house:fees\", \"amount\": \"event.amount\"";
    let elsewhere = charged.replace("house:fees", "house:interest");
    let other = shipped.replace(charged, &elsewhere);
    assert_ne!(other, shipped);
    std::fs::write(&file, other.replace("\"version\": 3", "\"version\": 4")).unwrap();
    let differ = report(&capctl(&world, &rehearse).await);
    assert_eq!((&differ["events"], &differ["differ"]), (&json!(5), &json!(1)), "{differ:#}");
    let fee = &differ["differences"][0];
    assert_eq!(fee["request_id"], "fee-1");
    assert_eq!(fee["was"]["moves"], json!(["available → house:fees 2.500000 USDT (force)"]));
    assert_eq!(
        fee["would_be"]["moves"],
        json!(["available → house:interest 2.500000 USDT (force)"])
    );

    // When it makes no sense, it is refused with its place
    std::fs::write(&file, shipped.replace("event.received", "event.recieved")).unwrap();
    let refused = capctl(&world, &rehearse).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("events.trade.filled.legs[2].amount: \"event.recieved\""), "{told}");
}

fn report(output: &std::process::Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no answer: {text}"))
}
