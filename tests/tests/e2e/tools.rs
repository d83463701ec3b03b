//! `capctl` and `cargo xtask` as their users run them.

use std::process::Output;

use cap_domain::lane::StageName;
use cap_tests::{World, binaries, envelope, repository};
use serde_json::Value;
use tokio::process::Command;

use crate::events::{PERPETUAL, SPOT, deposit, funded, perpetual_fill, reserve};

/// Who runs the tools, where a test names nobody else.
const OPERATOR: (&str, &str) = ("USER", "e2e");

/// Runs `capctl` against the installation.
pub(crate) async fn capctl(world: &World, arguments: &[&str]) -> Output {
    capctl_with(world, arguments, &[]).await
}

/// The same, with more in its environment.
pub(crate) async fn capctl_with(
    world: &World,
    arguments: &[&str],
    extra: &[(&str, &str)],
) -> Output {
    let environment = world.installation.environment.iter().map(|(name, value)| (name, value));
    Command::new(binaries().join("capctl"))
        .args(arguments)
        .envs(environment)
        .env(OPERATOR.0, OPERATOR.1)
        .envs(extra.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap()
}

/// Asserts that the replay proof holds over so many journal rows, with nothing under way.
pub(crate) async fn verified(world: &World, journal_rows: u64) {
    world.quiet().await;
    let output = capctl(world, &["verify", "--settled", "--json"]).await;
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["mismatches"], 0, "{report:#}");
    assert_eq!(report["journal_rows"], journal_rows, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_fails_loudly_when_one_figure_is_altered_by_hand() {
    let (world, stages) = World::running().await;
    funded(&world.upstream, SPOT, "acme_spot").await;
    world.upstream.publish(&envelope(SPOT, "ord-1", reserve("o-1", "USDT", "300"))).await;
    world.upstream.outcome("acme_spot").await;
    let account = PERPETUAL;
    world.upstream.publish(&envelope(account, "p-open", crate::events::opened())).await;
    world.upstream.publish(&envelope(account, "p-fund", deposit("USDT", "1000"))).await;
    world
        .upstream
        .publish(&envelope(account, "p-fill", perpetual_fill("o-2", "buy", "0.1", "20000", "1")))
        .await;
    world.upstream.outcomes("acme_perpetual", 3).await;
    stages.stop().await;
    verified(&world, 6 + 9).await;

    let alterations = [
        (
            StageName::Account,
            "update journal set result = replace(result, '300.000000', '301.000000') where kind = 'order.reserved'",
            "update journal set result = replace(result, '301.000000', '300.000000') where kind = 'order.reserved'",
        ),
        (
            StageName::Account,
            "update balance set available = available + 0.000001 where account_id like 'acme_spot%'",
            "update balance set available = available - 0.000001 where account_id like 'acme_spot%'",
        ),
        (
            StageName::Position,
            "update position set quantity = quantity + 0.1, cost = cost + 1",
            "update position set quantity = quantity - 0.1, cost = cost - 1",
        ),
        (
            StageName::Clearing,
            "update journal set input = replace(input, '\"1000\"', '\"2000\"') where kind = 'deposit.received'",
            "update journal set input = replace(input, '\"2000\"', '\"1000\"') where kind = 'deposit.received'",
        ),
    ];
    for (stage, alter, restore) in alterations {
        let database = world.database(stage);
        sqlx::query(sqlx::AssertSqlSafe(alter)).execute(&database).await.unwrap();
        let output = capctl(&world, &["verify"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{alter}: {said}");
        assert!(said.to_lowercase().contains("mismatch"), "{said}");
        sqlx::query(sqlx::AssertSqlSafe(restore)).execute(&database).await.unwrap();
        verified(&world, 6 + 9).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_replays_real_trades_and_proves_them() {
    let trades = repository().join("../shared/data/btcusdt-trades.csv");
    let mut arguments = vec!["demo".to_owned(), "--built".to_owned(), "--json".to_owned()];
    let real = trades.exists();
    if real {
        arguments.extend(["--trades".to_owned(), trades.display().to_string()]);
    }
    let output = Command::new(binaries().join("xtask")).args(&arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");

    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let count = |name: &str| {
        report[name].as_u64().unwrap_or_else(|| panic!("{name} is missing: {report:#}"))
    };
    assert_eq!(
        count("posted") + count("rejected") + count("parked") + count("expired"),
        count("events")
    );
    assert!(count("events") >= 2_000 * 4, "{report:#}");
    assert_eq!((count("parked"), report["verify"]["mismatches"].as_u64()), (0, Some(0)));
    assert!(
        report["publish_to_outcome_ms"]["p99"].is_number()
            && report["events_per_second"].is_number()
    );
    let sums = report["trial_balance"].as_object().unwrap();
    assert!(sums.contains_key("acme/USDT") && sums.contains_key("zenith/BTC"), "{sums:?}");
    let is_zero = |sum: &Value| sum.as_str().unwrap().trim_matches(['0', '.']).is_empty();
    assert!(sums.values().all(is_zero), "{sums:?}");
}
