//! A dry run writes nothing, and what it foretells is what a redrive then does.

use cap_domain::lane::StageName;
use cap_tests::{World, envelope};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::desk::{done, lane, poison, refuse, support, tells_parked};
use crate::events::{PERPETUAL, SPOT, deposit, funded, perpetual_fill, reserve, spot_buy};
use crate::tools::{capctl, verified};

/// Everything of an account's story that a database of CAP holds.
const TABLES: [&str; 4] = ["lane", "journal", "parked_message", "audit"];

/// A fingerprint of everything in all databases.
async fn stored(world: &World) -> Vec<String> {
    let mut fingerprints = Vec::new();
    for stage in StageName::ALL {
        let tables = TABLES.iter().chain(match stage {
            StageName::Clearing => &["configuration"][..],
            StageName::Position => &["position"][..],
            StageName::Account => &["account", "balance"][..],
        });
        for table in tables {
            let all = format!(
                "select coalesce(md5(string_agg(of::text, '|' order by of::text)), 'empty') from {table} as of"
            );
            let fingerprint: String = sqlx::query_scalar(AssertSqlSafe(all))
                .fetch_one(&world.database(stage))
                .await
                .unwrap();
            fingerprints.push(format!("{stage} {table} {fingerprint}"));
        }
    }
    fingerprints
}

/// Rehearses the redrive of `account`, which must write nothing.
async fn rehearsed(world: &World, account: &str) -> Value {
    world.quiet().await;
    let before = stored(world).await;
    let mut answer = done(world, &format!("redrive {account} --dry-run")).await;
    assert_eq!(stored(world).await, before, "a dry run writes nothing");
    answer["rehearsals"][0].take()
}

/// An outcome without what only the real decision knows: its time.
fn timeless(outcome: &Value) -> Value {
    let mut outcome = outcome.clone();
    outcome.as_object_mut().unwrap().remove("decided_at");
    outcome
}

/// Asserts that upstream is told what the rehearsal foretold, message by message.
async fn comes_true(world: &World, scope: &str, rehearsal: &Value) {
    let foretold = rehearsal["messages"].as_array().unwrap();
    let outcomes = world.upstream.outcomes(scope, foretold.len()).await;
    for (foretold, told) in foretold.iter().zip(&outcomes) {
        assert_eq!(foretold["request_id"], told["header"]["request_id"]);
        assert_eq!(timeless(&foretold["outcome"]), timeless(&told["outcome"]));
    }
    world.upstream.no_outcome(scope).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_at_account_foretells_every_outcome_and_where_it_stops() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    refuse(&world, StageName::Account, &["first"]).await;
    let messages = [
        ("first", deposit("USDT", "5")),
        ("order", reserve("o-1", "USDT", "300")),
        ("too-much", reserve("o-2", "USDT", "9999")),
        ("fill", spot_buy("o-1", "0.01", "25000.5", "300", "0.25")),
        ("bad", poison()),
        ("behind", deposit("USDT", "1")),
    ];
    for (id, event) in messages {
        world.upstream.publish(&envelope(SPOT, id, event)).await;
    }
    tells_parked(&world, "acme_spot", &["first", "order", "too-much", "fill", "bad", "behind"])
        .await;
    refuse(&world, StageName::Account, &[]).await;

    let rehearsal = rehearsed(&world, SPOT).await;
    let statuses: Vec<_> = rehearsal["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["outcome"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["posted", "posted", "rejected", "posted"]);
    assert_eq!(rehearsal["stops_at"]["parked_seq"], 5, "{rehearsal:#}");
    assert_eq!(rehearsal["opens"], false);
    let change =
        |message: usize, change: usize| &rehearsal["messages"][message]["balances"][change];
    let of = |subject: &str, before: &str, after: &str| json!({ "currency": "USDT", "subject": subject, "before": before, "after": after });
    assert_eq!(*change(1, 0), of("available", "1005.000000", "705.000000"));
    assert_eq!(*change(1, 1), of("frozen", "0.000000", "300.000000"));
    assert_eq!(rehearsal["messages"][2]["balances"], json!([]), "a rejection changes nothing");

    let (code, stopped) = support(&world, &format!("redrive {SPOT} --yes")).await;
    let of_lane = &stopped["redrives"][0];
    assert_eq!((code, &of_lane["parked_seq"]), (1, &rehearsal["stops_at"]["parked_seq"]));
    assert_eq!(of_lane["error"], rehearsal["stops_at"]["error"]);
    comes_true(&world, "acme_spot", &rehearsal).await;
    done(&world, &format!("parked skip {SPOT} 5 --reason released-twice --yes")).await;
    let rehearsal = rehearsed(&world, SPOT).await;
    assert_eq!((&rehearsal["opens"], &rehearsal["first"]), (&json!(true), &json!(6)));
    done(&world, &format!("redrive {SPOT} --yes")).await;
    comes_true(&world, "acme_spot", &rehearsal).await;
    stages.stop().await;
    verified(&world, 8 + 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_at_clearing_and_position_goes_on_to_the_end_of_the_lane() {
    for stage in [StageName::Clearing, StageName::Position] {
        let (world, stages) = World::running().await;
        funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
        refuse(&world, stage, &["f-1"]).await;
        let fills = [("f-1", "buy", "0.1", "20000"), ("f-2", "sell", "0.15", "21000")];
        for (id, side, quantity, price) in fills {
            let fill = perpetual_fill(id, side, quantity, price, "1.5");
            world.upstream.publish(&envelope(PERPETUAL, id, fill)).await;
        }
        let hopeless = reserve("o-1", "USDT", "9999");
        world.upstream.publish(&envelope(PERPETUAL, "hopeless", hopeless)).await;
        tells_parked(&world, "acme_perpetual", &["f-1", "f-2", "hopeless"]).await;
        refuse(&world, stage, &[]).await;

        let rehearsal = rehearsed(&world, PERPETUAL).await;
        assert_eq!((&rehearsal["stage"], &rehearsal["opens"]), (&json!(stage), &json!(true)));
        let position = |message: usize| &rehearsal["messages"][message]["position"];
        assert_eq!(
            *position(0),
            json!({ "symbol": "BTC-USDT", "before": null,
                    "after": { "quantity": "0.1", "entry_price": "20000", "margin": "200.000000" } })
        );
        assert_eq!(position(1)["after"]["quantity"], "-0.05");
        assert_eq!(rehearsal["messages"][2]["outcome"]["status"], "rejected");
        is_told_to_people(&world, stage).await;

        done(&world, &format!("redrive {PERPETUAL} --yes")).await;
        comes_true(&world, "acme_perpetual", &rehearsal).await;
        stages.stop().await;
        verified(&world, 5 * 3).await;
    }
}

async fn is_told_to_people(world: &World, stage: StageName) {
    let output = capctl(world, &["redrive", PERPETUAL, "--dry-run"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let title = format!("acme_perpetual_retail_A-1 · {stage} · 3 wait, numbers 1 to 3 rehearsed");
    let lines = [
        title.as_str(),
        "     1  f-1  trade.filled  posted",
        "        USDT available    1000.000000 → 798.500000",
        "        BTC-USDT quantity     none → 0.1",
        "        BTC-USDT quantity     0.1 → -0.05",
        "2 would post, 1 would be rejected, the lane would open",
        "nothing was written; a dry run cannot know what arrives meanwhile",
    ];
    for line in lines {
        assert!(text.lines().any(|told| told.starts_with(line)), "{line}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_parked_at_a_stage_behind() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    world.upstream.publish(&envelope(SPOT, "bad", poison())).await;
    tells_parked(&world, "acme_spot", &["bad"]).await;
    refuse(&world, StageName::Clearing, &["r-1"]).await;
    world.upstream.publish(&envelope(SPOT, "r-1", deposit("USDT", "1"))).await;
    tells_parked(&world, "acme_spot", &["r-1"]).await;
    refuse(&world, StageName::Clearing, &[]).await;

    world.quiet().await;
    let answer = done(&world, &format!("redrive {SPOT} --stage clearing --dry-run")).await;
    let rehearsal = &answer["rehearsals"][0];
    let message = &rehearsal["messages"][0];
    assert_eq!(
        (&message["outcome"]["status"], &message["outcome"]["stage"], &rehearsal["opens"]),
        (&json!("parked"), &json!("account"), &json!(true))
    );
    done(&world, &format!("redrive {SPOT} --stage clearing --yes")).await;
    comes_true(&world, "acme_spot", rehearsal).await;
    assert_eq!(lane(&world, StageName::Account, SPOT).await.waiting(), 2);
    stages.stop().await;
    verified(&world, 4 + 2).await;
}
