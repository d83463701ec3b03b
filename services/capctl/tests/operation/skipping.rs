//! What CAP sent itself is not given up by mistake: behind clearing nothing sends it again, and without
//! it its account never closes.

use serde_json::{Value, json};

use crate::installed::{deposit, fill, opened, publish, running};

const ACCOUNT: &str = "acme/perpetual/retail/F-1";
const UNPAID: &str = "unpaid funding of 19.000000 USDT for BTC-USDT under way";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cap_sent_itself_is_skipped_behind_clearing_only_if_that_is_said() {
    let (world, stages) = running("skipping").await;
    let tool = &world.tool;
    // Given unpaid funding that is parked at account, behind a fact that cannot be applied
    let poison = |id: &str| json!({ "type": "withdrawal.settled", "withdrawal_id": id });
    let funding = json!({
        "type": "funding.charged", "symbol": "BTC-USDT", "rate": "0.01", "mark_price": "20000",
    });
    let events = [
        ("f-open", opened()),
        ("f-fund", deposit("201")),
        ("f-buy", fill("isolated", "buy", "20000")),
        ("f-poison-1", poison("w-1")),
        ("f-funding", funding),
        ("f-poison-2", poison("w-2")),
    ];
    publish(tool, ACCOUNT, &events).await;
    let waits = |last: u64| {
        move |lanes: &Value| {
            lanes["lanes"][0]["stage"] == "account" && lanes["lanes"][0]["parked_seq"] == last
        }
    };
    world.comes_true("lanes --status suspended", waits(3)).await;
    tool.text(&format!("parked skip {ACCOUNT} 1 --reason wrong --yes")).await;
    tool.text(&format!("redrive {ACCOUNT} --through 2 --yes")).await;
    world.comes_true("lanes --status suspended", waits(4)).await;
    tool.text(&format!("parked skip {ACCOUNT} 3 --reason wrong --yes")).await;

    // When it is skipped like any other, then it is not
    let skip = format!("parked skip {ACCOUNT} 4 --reason wrong");
    let told = tool.refused(&format!("{skip} --yes"), 1).await;
    for part in [
        "acme_perpetual_retail_F-1 at account: number 4 was not skipped: ",
        "CAP sent this funding.unpaid to itself, and nothing sends it again",
        "skipped, the funding stays unpaid and the account cannot be closed",
        "rather mend what keeps it from being applied (`capctl repair`, or a configuration), and redrive",
        "--abandon skips it all the same",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.lines().count(), 1, "{told}");
    let suspended = tool.json("lanes --status suspended").await;
    assert_eq!(suspended["lanes"][0]["parked"], 1, "it waits still: {suspended:#}");
    let told = tool.refused(&format!("{skip} --abandon"), 1).await;
    assert!(told.contains("nothing was done: nobody can be asked here"), "{told}");

    // When it is said to be wanted, then it is given up, and what was said of it comes true
    let told = tool.text(&format!("{skip} --abandon --yes")).await;
    assert!(told.contains("WARNING: CAP sent this funding.unpaid to itself"), "{told}");
    let audit = tool.text(&format!("audit --account {ACCOUNT}")).await;
    assert!(audit.contains("4 --stage account --abandon"), "{audit}");
    let story = tool.text(&format!("trace f-funding --account {ACCOUNT}")).await;
    let ending =
        "ending    posted; funding.unpaid skipped at account as message 4: it is never applied";
    assert!(story.contains(ending), "{story}");
    let empty = json!({
        "type": "adjustment.posted", "currency": "USDT", "amount": "-181", "reason": "moved",
        "operator": "ops", "shortfall": "reject",
    });
    let events = [
        ("f-sell", fill("isolated", "sell", "20000")),
        ("f-empty", empty),
        ("f-close", json!({ "type": "account.closed" })),
    ];
    publish(tool, ACCOUNT, &events).await;
    let is_told = |story: &Value| !story["outcome"].is_null();
    let trace = format!("trace f-close --account {ACCOUNT}");
    let story = world.comes_true(&trace, is_told).await;
    let reason = &story["outcome"]["reason"];
    assert_eq!(reason["code"], "account_not_empty", "{story:#}");
    assert!(reason["detail"].as_str().unwrap().contains(UNPAID), "{story:#}");
    let proof = tool.run(&format!("verify --account {ACCOUNT}")).await;
    assert_eq!(proof.code, 2, "{proof:?}");
    assert!(proof.stdout.contains("was skipped as parked message 4"), "{proof:?}");
    stages.stop().await;
    world.drop_databases().await;
}
