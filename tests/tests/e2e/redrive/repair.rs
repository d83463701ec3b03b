//! A repair is posted to a suspended account; and whatever an operator changes is on record.

use cap_domain::lane::StageName;
use cap_tests::{World, envelope};
use serde_json::{Value, json};

use super::desk::{deposits, done, lane, poison, refuse, refused, support, tells, tells_parked};
use crate::events::{PERPETUAL, SPOT, balance, deposit, funded, perpetual_fill};
use crate::tools::{capctl, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_posted_at_once_and_everything_is_on_record() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    world.upstream.publish(&envelope(SPOT, "bad", poison())).await;
    deposits(&world, SPOT, &["behind"]).await;
    tells_parked(&world, "acme_spot", &["bad", "behind"]).await;

    let repair =
        format!("repair {SPOT} --currency USDT --amount -50 --reason ticket-7 --request-id fix-1");
    let told = refused(&world, &repair).await;
    assert!(told.contains("nothing was done: nobody can be asked"), "{told}");
    let repaired = done(&world, &format!("{repair} --yes")).await;
    assert_eq!(repaired["outcome"]["status"], "posted", "{repaired:#}");
    assert_eq!(balance(&repaired, "USDT")["available"], "950.000000");
    tells(&world, "acme_spot", &[("fix-1", "posted", 3)]).await;
    let again = done(&world, &format!("{repair} --yes")).await;
    assert_eq!(again["outcome"], repaired["outcome"], "nothing is posted twice");
    let other = repair.replace("-50", "-60");
    let told = refused(&world, &format!("{other} --yes")).await;
    assert!(told.contains("request id fix-1 was used for something else"), "{told}");
    let hopeless = repair.replace("-50", "-5000").replace("fix-1", "fix-2");
    let (code, rejected) = support(&world, &format!("{hopeless} --yes")).await;
    assert_eq!((code, &rejected["outcome"]["status"]), (1, &json!("rejected")));
    assert_eq!(lane(&world, StageName::Account, SPOT).await.waiting(), 2, "it stays suspended");
    // Of what was sent twice SQS keeps one: there is no second outcome.
    tells(&world, "acme_spot", &[("fix-2", "rejected", 4)]).await;
    // Clearing has all but the echoes, account what was opened, funded and repaired.
    verified(&world, 6 + 4).await;

    done(&world, &format!("parked skip {SPOT} 1 --reason ticket-7 --yes")).await;
    done(&world, &format!("redrive {SPOT} --yes")).await;
    tells(&world, "acme_spot", &[("behind", "posted", 5)]).await;
    stages.stop().await;
    verified(&world, 6 + 5).await;
    everything_is_on_record(&world).await;
}

async fn everything_is_on_record(world: &World) {
    let audit = done(world, &format!("audit --account {SPOT}")).await;
    let entries = audit["entries"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let acts: Vec<(String, String)> = entries
        .iter()
        .rev()
        .map(|entry| {
            let words: Vec<String> =
                text(&entry["command"]).split(' ').take(2).map(str::to_owned).collect();
            (words.join(" ").replace(" acme_spot_retail_A-1", ""), text(&entry["result"]))
        })
        .collect();
    let acts: Vec<(&str, &str)> =
        acts.iter().map(|(act, result)| (act.as_str(), result.as_str())).collect();
    let expected = [
        ("repair", "begun"),
        ("repair", "posted"),
        ("repair", "begun"),
        ("repair", "posted"),
        ("repair", "begun"),
        ("repair", "failed: request id fix-1 was used for something else: nothing was posted now"),
        ("repair", "begun"),
        (
            "repair",
            "rejected, insufficient_funds: needs 5000.000000 USDT, has 950.000000 available, credit left 0.000000",
        ),
        ("parked skip", "skipped request bad"),
        ("redrive", "begun, numbers 2 to 2 wait"),
        ("redrive", "number 2 redriven; the lane is open"),
    ];
    assert_eq!(acts, expected);
    assert!(entries.iter().all(|entry| entry["operator"] == "ann"), "{audit:#}");
    let reasons = entries.iter().filter(|entry| entry["reason"] == "ticket-7");
    assert_eq!(reasons.count(), 9, "repairs and skips have reasons: {audit:#}");
    for stage in [StageName::Clearing, StageName::Account] {
        for change in
            ["update audit set operator = 'nobody'", "delete from audit", "truncate audit"]
        {
            let refused = sqlx::query(change).execute(&world.database(stage)).await.unwrap_err();
            assert!(refused.to_string().contains("the audit log is append-only"), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_passes_every_stage_that_is_suspended() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    for stage in StageName::ALL.into_iter().rev() {
        let request = format!("stop-{stage}");
        refuse(&world, stage, &[&request]).await;
        deposits(&world, PERPETUAL, &[&request]).await;
        tells_parked(&world, "acme_perpetual", &[&request]).await;
        refuse(&world, stage, &[]).await;
    }
    let repair = "--currency USDT --amount 7 --reason ticket-8 --shortfall force --yes";
    let repaired = done(&world, &format!("repair {PERPETUAL} {repair}")).await;
    assert_eq!(balance(&repaired, "USDT")["available"], "1007.000000");
    let id = repaired["request_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("repair-"), "{id}");
    tells(&world, "acme_perpetual", &[(&id, "posted", 3)]).await;
    verified(&world, 5 + 4 + 3).await;

    done(&world, &format!("redrive {PERPETUAL} --yes")).await;
    let after = [("stop-account", "posted", 4), ("stop-position", "posted", 5)];
    let after = [&after[..], &[("stop-clearing", "posted", 6)]].concat();
    tells(&world, "acme_perpetual", &after).await;
    stages.stop().await;
    verified(&world, 6 * 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_a_fill_that_position_has_applied_is_warned_of() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, PERPETUAL, "acme_perpetual").await;
    refuse(&world, StageName::Account, &["fill"]).await;
    let fill = perpetual_fill("o-1", "buy", "0.1", "20000", "1");
    world.upstream.publish(&envelope(PERPETUAL, "fill", fill)).await;
    deposits(&world, PERPETUAL, &["behind"]).await;
    tells_parked(&world, "acme_perpetual", &["fill", "behind"]).await;

    let skipped = done(&world, &format!("parked skip {PERPETUAL} 1 --reason r --yes")).await;
    let warning = skipped["warning"].as_str().unwrap();
    assert!(warning.starts_with("position has applied this fill already"), "{warning}");
    let skipped = done(&world, &format!("parked skip {PERPETUAL} 2 --reason r --yes")).await;
    assert_eq!((&skipped["warning"], &skipped["status"]), (&Value::Null, &json!("active")));
    world.quiet().await;
    let proof = capctl(&world, &["verify", "--settled", "--json"]).await;
    assert_eq!(proof.status.code(), Some(2), "money and position are apart: {proof:?}");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_change_is_on_record_too() {
    let world = World::install().await;
    let envelopes = tempfile::NamedTempFile::new().unwrap();
    let lines = [envelope(SPOT, "d-1", deposit("USDT", "1")).to_string(), "nonsense".to_owned()];
    std::fs::write(envelopes.path(), lines.join("\n")).unwrap();
    done(&world, "migrate").await;
    done(&world, "queue create acme_cfd").await;
    let configuration = cap_tests::repository().join("config");
    done(&world, &format!("config push {}", configuration.display())).await;
    let (code, _) = support(&world, &format!("publish {}", envelopes.path().display())).await;
    assert_eq!(code, 1, "one was refused");

    let audit = done(&world, "audit --limit 4").await;
    let told: Vec<(&str, &str)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let command = entry["command"].as_str().unwrap();
            (command.split(' ').next().unwrap(), entry["result"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("publish", "1 published, 1 refused"),
            ("config", "revision 2"),
            ("queue", "7 of 7 queues created"),
            ("migrate", "everything was up to date"),
        ]
    );
}
