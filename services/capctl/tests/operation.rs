//! An operator's day: envelopes are published, requests traced, books proved; then a lane is
//! suspended, and at last somebody changes a balance by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up stops there")]

#[path = "operation/installed.rs"]
mod installed;
#[path = "operation/skipping.rs"]
mod skipping;
#[path = "operation/stories.rs"]
mod stories;
mod support;
#[path = "support/world.rs"]
mod world;

use serde_json::{Value, json};
use support::Tool;
use world::World;

const SPOT: &str = "acme_spot_retail_A-1";
const PERPETUAL: &str = "acme_perpetual_retail_A-1";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_are_published_traced_and_proved_and_what_is_wrong_is_loud() {
    let (world, stages) = installed::running("day").await;
    let tool = &world.tool;

    refused_lines_are_told_by_number_and_hold_nobody_up(tool).await;
    for (account, seq) in [(SPOT, 3), ("acme/perpetual/retail/A-1", 4)] {
        let at = |lane: &Value| lane["stage"] == "account" && lane["seq"] == seq;
        let settled = |shown: &Value| shown["lanes"].as_array().unwrap().iter().any(at);
        world.comes_true(&format!("lane show {account}"), settled).await;
    }
    lanes_are_found_and_listed_within_bounds(tool).await;
    a_request_is_told_from_event_to_outcome(tool).await;
    let proof = tool.text("verify").await;
    assert!(proof.contains("verdict: PROVED, everything"), "{proof}");
    let books = tool.text("trial-balance").await;
    assert!(books.contains("verdict: ZERO for every company and currency (1)"), "{books}");
    poison_is_seen_where_it_is_parked(&world).await;
    stages.stop().await;
    a_balance_changed_by_hand_is_loud(&world).await;
    world.drop_databases().await;
}

fn envelope(request_id: &str, product: &str, event: &Value) -> String {
    installed::envelope(&format!("acme/{product}/retail/A-1"), request_id, event)
}

async fn refused_lines_are_told_by_number_and_hold_nobody_up(tool: &Tool) {
    let (open, deposit) = (installed::opened(), installed::deposit("1000.00"));
    let reserve = |amount: &str| json!({ "type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": amount });
    let fill = json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "BTC-USDT", "side": "buy",
        "quantity": "0.1", "price": "40000.00", "leverage": "10", "margin_mode": "cross", "reserved": "400.00",
        "fee": { "currency": "USDT", "amount": "2.00" }, "liquidity": "taker",
    });
    let lines = [
        envelope("spot-open", "spot", &open),
        envelope("spot-deposit", "spot", &deposit),
        String::new(),
        envelope("spot-hopeless", "spot", &reserve("5000.00")),
        "{ \"header\": {} }".to_owned(),
        envelope("perp-open", "perpetual", &open),
        envelope("perp-deposit", "perpetual", &deposit),
        envelope("perp-reserve", "perpetual", &reserve("400.00")),
        envelope("perp-fill", "perpetual", &fill),
        envelope("cfd-deposit", "cfd", &deposit),
    ];
    let published = tool.run_with("publish - --json", &lines.join("\n")).await;
    assert_eq!(published.code, 1, "not all were published: {published:?}");
    let report = published.json();
    assert_eq!(report["published"], 7, "{report}");
    let refused = report["refused"].as_array().unwrap();
    assert_eq!(
        refused.iter().map(|refused| &refused["line"]).collect::<Vec<_>>(),
        [5, 10],
        "{report}"
    );
    assert_eq!(refused[1]["request_id"], "cfd-deposit", "{report}");
    assert!(published.stderr.contains("\"operator\":\"ann\""), "{published:?}");
}

async fn lanes_are_found_and_listed_within_bounds(tool: &Tool) {
    let told = tool.refused("lane show A-1", 1).await;
    assert!(
        told.contains(&format!("A-1 names 2 accounts, say which: {PERPETUAL}, {SPOT}")),
        "{told}"
    );
    let lanes = tool.json("lanes").await;
    assert_eq!(lanes["lanes"].as_array().unwrap().len(), 5, "spot has no positions: {lanes}");
    let bounded = tool.text("lanes --stage account --limit 1").await;
    assert!(
        bounded.contains(&format!("account has more: --stage account --after {PERPETUAL}")),
        "{bounded}"
    );
    let rest = tool.json(&format!("lanes --stage account --after {PERPETUAL}")).await;
    assert_eq!(rest["lanes"][0]["account"], SPOT, "{rest}");
    assert_eq!(tool.text("lanes --status suspended").await, "no such lanes\n");
}

async fn a_request_is_told_from_event_to_outcome(tool: &Tool) {
    let story = tool.text(&format!("trace perp-fill --account {PERPETUAL}")).await;
    for part in [
        "perp-fill · trade.filled · acme_perpetual_retail_A-1",
        "planned by rulebook version 4, by its rule for trade.filled",
        "nothing was held before",
        "position.margin_from_reserve  400.000000 USDT",
        "BTC-USDT is long 0.1 at 40000, margin 400.000000",
        "had USDT: available 600.000000, frozen 400.000000",
        "then USDT: available 598.000000, margin 400.000000",
        "the position's liquidation at 30140.562249",
        "ending    posted",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    let words: Vec<&str> = story.split_whitespace().collect();
    assert!(
        words.windows(5).any(|leg| leg == ["frozen", "→", "margin", "400.000000", "USDT"]),
        "{story}"
    );
    assert_eq!(tool.text("trace perp-fill").await, story, "the request's id is enough");
    let told = tool.refused("trace nobody", 1).await;
    assert!(told.contains("name its --account"), "{told}");
    let story =
        tool.json(&format!("trace spot-hopeless --account {}", SPOT.replace('_', "/"))).await;
    assert_eq!(story["outcome"]["reason"]["code"], "insufficient_funds", "{story}");
    assert_eq!(story["position"], Value::Null, "{story}");
    let told = tool.refused(&format!("trace nobody --account {SPOT}"), 1).await;
    assert!(told.contains("no stage knows request nobody"), "{told}");
}

async fn poison_is_seen_where_it_is_parked(world: &World) {
    let tool = &world.tool;
    // A fact about a withdrawal that never was: it can neither be applied nor refused.
    let event = json!({ "type": "withdrawal.settled", "withdrawal_id": "w-none" });
    let published = tool.run_with("publish -", &envelope("spot-poison", "spot", &event)).await;
    assert_eq!(published.code, 0, "{published:?}");
    let is_parked = |lanes: &Value| lanes["lanes"][0]["parked"] == 1;
    let suspended = world.comes_true("lanes --status suspended", is_parked).await;
    assert_eq!(suspended["lanes"][0]["stage"], "account", "{suspended}");
    let lane = tool.text(&format!("lane show {SPOT}")).await;
    assert!(lane.contains("account is suspended since 2"), "{lane}");
    let parked = tool.text(&format!("parked list {SPOT}")).await;
    assert!(parked.contains("spot-poison") && parked.contains("waits"), "{parked}");
    let shown = tool.text(&format!("parked show {SPOT} 1 --stage account")).await;
    assert!(shown.contains("now        it waits") && shown.contains("\"w-none\""), "{shown}");
    let told = tool.refused(&format!("parked show {SPOT} 2"), 1).await;
    assert!(told.contains("has no parked message 2"), "{told}");
    let story = tool.text(&format!("trace spot-poison --account {SPOT}")).await;
    assert!(story.contains("ending    parked at account as message 1: "), "{story}");
    let proof = tool.json(&format!("verify --account {SPOT}")).await;
    assert_eq!(proof["clean"], true, "{proof}");
    assert_eq!(proof["account"], SPOT, "{proof}");
}

async fn a_balance_changed_by_hand_is_loud(world: &World) {
    let database = cap_store::connect(world.setting("ACCOUNT_DATABASE_URL"), "test", 1).unwrap();
    let steal = "update balance set available = available + 1 where account_id = $1";
    sqlx::query(steal).bind(SPOT).execute(&database).await.unwrap();
    database.close().await;
    let proof = world.tool.run("verify --settled").await;
    assert_eq!(proof.code, 2, "{proof:?}");
    assert!(proof.stdout.contains(&format!("MISMATCH  account {SPOT}")), "{proof:?}");
    assert!(proof.stdout.contains("verdict: NOT PROVED, 1 mismatch"), "{proof:?}");
    let proof = world.tool.run("verify --json").await;
    assert_eq!((proof.code, &proof.json()["clean"]), (2, &json!(false)), "{proof:?}");
    let books = world.tool.run("trial-balance").await;
    assert_eq!(books.code, 2, "{books:?}");
    assert!(
        books.stdout.contains("verdict: NOT ZERO for 1 of 1 companies and currencies"),
        "{books:?}"
    );
}
