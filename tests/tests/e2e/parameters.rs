//! Rulebooks and parameters: what positions live by cannot change while they are open (C6), and a
//! rulebook is rehearsed before it is pushed.

use std::path::Path;
use std::time::Duration;

use cap_aws::ConfigurationStore;
use cap_domain::lane::StageName;
use cap_pipeline::system_time;
use cap_tests::{World, envelope, repository};
use serde_json::{Value, json};

use crate::events::{PERPETUAL, SPOT, deposit, funded, perpetual_fill, reserve};
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
    let (on, off) = ("\"hedge_mode\": true", "\"hedge_mode\": false");
    changed(folder.path(), "rulebooks/perpetual.json", on, off);
    let refused = capctl(&world, &push).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
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

/// A shipped rulebook, with some of it changed.
fn rulebook(product: &str, change: impl FnOnce(&mut Value)) -> String {
    let shipped = repository().join(format!("config/rulebooks/{product}.json"));
    let mut document = serde_json::from_str(&std::fs::read_to_string(shipped).unwrap()).unwrap();
    change(&mut document);
    document["version"] = json!(99);
    document.to_string()
}

/// The rules of spot, but fees go elsewhere.
fn fees_elsewhere(rulebook: &mut Value) {
    rulebook["events"]["fee.charged"]["legs"][0]["to"] = json!("house:interest");
}

fn fee(amount: &str) -> Value {
    json!({ "type": "fee.charged", "currency": "USDT", "amount": amount, "reason": "custody" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rulebook_is_rehearsed_on_what_happened() {
    // Given two deposits and a fee, and later another fee
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    for n in 0..2 {
        let message = envelope(SPOT, &format!("fund-{n}"), deposit("USDT", "5"));
        world.upstream.publish(&message).await;
    }
    world.upstream.publish(&envelope(SPOT, "fee-1", fee("2.5"))).await;
    world.upstream.outcomes("acme_spot", 3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let later = system_time().to_string();
    world.upstream.publish(&envelope(SPOT, "fee-2", fee("1.5"))).await;
    world.upstream.outcome("acme_spot").await;
    stages.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spot.json");
    let rehearse = ["rulebook", "rehearse", file.to_str().unwrap(), "--json"];

    // When the same rules are rehearsed, nothing would differ
    std::fs::write(&file, rulebook("spot", |_| {})).unwrap();
    let same = report(&capctl(&world, &rehearse).await);
    assert_eq!(
        same,
        json!({
            "product": "spot", "version": 99, "since": "1970-01-01T00:00:00.000Z",
            "differences": [], "events": 6, "differ": 0,
        })
    );

    // When fees are to go elsewhere, every fee would differ, and nothing else
    std::fs::write(&file, rulebook("spot", fees_elsewhere)).unwrap();
    let differ = report(&capctl(&world, &rehearse).await);
    assert_eq!((&differ["events"], &differ["differ"]), (&json!(6), &json!(2)), "{differ:#}");
    let of_fee = |request_id: &str, lane_seq: u64, amount: &str| {
        json!({
            "account": "acme_spot_retail_A-1", "lane_seq": lane_seq, "request_id": request_id,
            "kind": "fee.charged",
            "was": { "moves": [format!("available → house:fees {amount} USDT (force)")] },
            "would_be": { "moves": [format!("available → house:interest {amount} USDT (force)")] },
        })
    };
    let (first, second) = (of_fee("fee-1", 5, "2.500000"), of_fee("fee-2", 6, "1.500000"));
    assert_eq!(differ["differences"], json!([first, second]));

    // When only what came later is asked for, the fee before is left out
    let since = [&rehearse[..], &["--since", &later]].concat();
    let differ = report(&capctl(&world, &since).await);
    assert_eq!((&differ["events"], &differ["differ"]), (&json!(1), &json!(1)), "{differ:#}");
    assert_eq!((&differ["since"], &differ["differences"]), (&json!(later), &json!([second])));

    // When it makes no sense, it is refused with its place
    let shipped = repository().join("config/rulebooks/spot.json");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    std::fs::write(&file, shipped.replace("event.received", "event.recieved")).unwrap();
    let refused = capctl(&world, &rehearse).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("events.trade.filled.legs[2].amount: \"event.recieved\""), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_posting_that_would_differ_is_listed_and_people_are_told_how_many_more_there_are() {
    // Given more fees than anybody reads: one that was charged, and its row again and again
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    world.upstream.publish(&envelope(SPOT, "fee", fee("2.5"))).await;
    world.upstream.outcome("acme_spot").await;
    stages.stop().await;
    let again =
        "insert into journal (account_id, seq, request_id, fingerprint, source_id, kind, sent_at,
            decided_at, rules_version, configuration, input, result, hash)
        select account_id, seq + n, request_id || n, fingerprint, source_id || n, kind, sent_at,
            decided_at, rules_version, configuration, input, result, hash
        from journal, generate_series(1, 1199) as n where request_id = 'fee'";
    let clearing = world.database(StageName::Clearing);
    sqlx::query(again).execute(&clearing).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spot.json");
    std::fs::write(&file, rulebook("spot", fees_elsewhere)).unwrap();
    let rehearse = async |more: &[&str]| {
        let line = [&["rulebook", "rehearse", file.to_str().unwrap()][..], more].concat();
        capctl(&world, &line).await
    };

    // Then a program is given all of them
    let all = report(&rehearse(&["--json"]).await);
    let listed = all["differences"].as_array().unwrap();
    assert_eq!(
        (&all["events"], &all["differ"], listed.len()),
        (&json!(1_202), &json!(1_200), 1_200)
    );
    let numbers = listed.iter().map(|difference| difference["lane_seq"].as_u64().unwrap());
    assert!(numbers.eq(3..=1_202), "each once, in order");

    // And people are shown some of them, how many more there are, and how to see those
    let texts = [
        (&[][..], 40, "\n\n… and 1160 more: see all with --limit 1200 or --json\n"),
        (&["--limit", "1"], 1, "\n\n… and 1199 more: see all with --limit 1200 or --json\n"),
        (&["--limit", "1200"], 1_200, " → house:interest 2.500000 USDT (force)\n"),
    ];
    for (more, shown, ending) in texts {
        let text = String::from_utf8(rehearse(more).await.stdout).unwrap();
        let told = "rulebook spot v99: 1202 events since 1970-01-01T00:00:00.000Z, 1200 postings would be others\n";
        assert!(text.starts_with(told), "{text}");
        assert_eq!(text.matches(" · fee.charged\n").count(), shown, "{more:?}");
        assert!(text.ends_with(ending), "{more:?}: {text}");
    }
    let refused = rehearse(&["--limit", "10001"]).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("10001 is not in 1..=10000"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_that_later_stages_compute_and_what_would_be_refused_are_rehearsed_too() {
    // Given an order and a fill of a perpetual
    let (world, stages) = World::running().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    world.upstream.publish(&envelope(PERPETUAL, "order", reserve("o-1", "USDT", "50"))).await;
    let fill = perpetual_fill("o-1", "buy", "0.1", "20000", "1");
    world.upstream.publish(&envelope(PERPETUAL, "fill", fill)).await;
    world.upstream.outcomes("acme_perpetual", 2).await;
    stages.stop().await;

    // When opening fees are to go elsewhere, and orders hold nothing any more
    let other = rulebook("perpetual", |rulebook| {
        let events = &mut rulebook["events"];
        events["order.reserved"] = json!({ "refused": "orders hold nothing" });
        let legs = events["trade.filled"]["legs"].as_array_mut().unwrap();
        let fee = legs.iter_mut().find(|leg| leg["amount"] == "position.opening_fee");
        fee.unwrap()["to"] = json!("house:interest");
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("perpetual.json");
    std::fs::write(&file, other).unwrap();
    let rehearse = ["rulebook", "rehearse", file.to_str().unwrap(), "--json"];
    let report = report(&capctl(&world, &rehearse).await);

    // Then the order would be refused, with its reason
    assert_eq!((&report["events"], &report["differ"]), (&json!(4), &json!(2)), "{report:#}");
    let [order, fill] = report["differences"].as_array().unwrap().as_slice() else {
        panic!("{report:#}")
    };
    assert_eq!(order["request_id"], "order");
    assert_eq!(order["was"], json!({ "moves": ["available → frozen 50.000000 USDT (reject)"] }));
    let refused = json!({ "refused": "invalid_request: type: orders hold nothing" });
    assert_eq!(order["would_be"], refused);

    // And of the fill's legs that one would be another, whose figure goes by its name
    assert_eq!(fill["request_id"], "fill");
    let legs = |planned: &Value| planned["moves"].as_array().unwrap().clone();
    let pairs = legs(&fill["was"]).into_iter().zip(legs(&fill["would_be"]));
    let others: Vec<_> = pairs.filter(|(was, would_be)| was != would_be).collect();
    let was = json!("available → house:fees position.opening_fee (force)");
    let would_be = json!("available → house:interest position.opening_fee (force)");
    assert_eq!(others, [(was, would_be)]);
    assert_eq!(legs(&fill["was"]).len(), legs(&fill["would_be"]).len());
}

fn report(output: &std::process::Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no answer: {text}"))
}
