//! The services as processes: draining, and doing without root.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use cap_domain::lane::StageName;
use cap_stack::{Service, Services};
use cap_tests::{World, binaries, envelope};

use serde_json::Value;

use crate::events::{SPOT, balance, deposit, opened, reserve};
use crate::tools::verified;

/// How long a service may take from SIGTERM to its end (C20).
const DRAIN_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_service_told_to_stop_under_load_drains_within_ten_seconds_and_loses_nothing() {
    let world = World::install().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |stage: StageName| {
        let (world, log) = (&world, logs.path().join(format!("{stage}.log")));
        async move { Service::start(stage, &binaries(), &world.installation, &[], log).await.unwrap() }
    };
    let (mut clearing, mut account) =
        (start(StageName::Clearing).await, start(StageName::Account).await);
    world.upstream.publish(&envelope(SPOT, "open", opened())).await;
    for round in 0..4 {
        for n in 0..40 {
            let id = format!("d-{round}-{n}");
            world.upstream.publish(&envelope(SPOT, &id, deposit("USDT", "1"))).await;
        }
        let begun = Instant::now();
        clearing.stop().await.unwrap();
        account.stop().await.unwrap();
        assert!(begun.elapsed() < DRAIN_MAX * 2, "both drained in {:?}", begun.elapsed());
        (clearing, account) = (start(StageName::Clearing).await, start(StageName::Account).await);
    }

    let outcomes = world.upstream.outcomes("acme_spot", 161).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["outcome"]["lane_seq"], index + 1, "lost, twice or out of order");
    }
    assert_eq!(balance(outcomes.last().unwrap(), "USDT")["available"], "160.000000");
    clearing.stop().await.unwrap();
    account.stop().await.unwrap();
    verified(&world, 161 * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_need_no_root() {
    let world = World::install().await;
    let folder = tempfile::tempdir().unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open_to_all.clone()).unwrap();
    // Whoever runs this test, the services run as nobody, who owns nothing.
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let is_root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")));
    for stage in StageName::ALL {
        let program = folder.path().join(format!("{stage}-program"));
        std::fs::copy(binaries().join(stage.as_str()), &program).unwrap();
        let as_whom = if is_root { as_nobody } else { "" };
        let starter = folder.path().join(stage.as_str());
        std::fs::write(&starter, format!("#!/bin/sh\nexec {as_whom} {}\n", program.display()))
            .unwrap();
        std::fs::set_permissions(&starter, open_to_all.clone()).unwrap();
    }
    let logs = folder.path().join("logs");
    let services = Services::start(folder.path(), &world.installation, &logs).await.unwrap();

    world.upstream.publish(&envelope(SPOT, "open", opened())).await;
    assert_eq!(world.upstream.outcome("acme_spot").await["outcome"]["status"], "posted");
    world.upstream.publish(&envelope(SPOT, "too-much", reserve("o-1", "USDT", "1"))).await;
    assert_eq!(world.upstream.outcome("acme_spot").await["outcome"]["status"], "rejected");

    services.stop().await.unwrap();
    let log = std::fs::read_to_string(logs.join("account.log")).unwrap();
    assert!(!log.contains("running as root"), "{log}");
    // The log is JSON lines, and a refused request is found in it by any of its ids.
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    let refused: Vec<Value> = lines.filter(|line| line["message"] == "refused").collect();
    let [line] = refused.as_slice() else { panic!("one was refused: {log}") };
    assert_eq!(
        (&line["request_id"], &line["account_id"], &line["lane_seq"]),
        (&"too-much".into(), &"acme_spot_retail_A-1".into(), &2.into())
    );
}
