//! A program with none of our code: Python and boto3, against a running `cargo xtask up`.

use std::time::Duration;

use cap_tests::{binaries, repository};
use tokio::process::{Child, Command};

/// How long `up` may take until `.local/env` is there.
const UP_SECS_MAX: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_boto3_program_trades_and_reads_its_outcomes() {
    let python = Command::new("python3").args(["-c", "import boto3"]).output().await;
    if !python.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "python3 with boto3 is needed here: pip install boto3"
        );
        eprintln!("SKIPPED: python3 with boto3 is not installed (pip install boto3)");
        return;
    }
    let folder = std::env::temp_dir().join(format!("cap-up-{}", std::process::id()));
    let mut up = Command::new(binaries().join("xtask"))
        .args(["up", "--built", "--env-file"])
        .arg(folder.join("env"))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    wait_for_env(&folder, &mut up).await;

    let program = repository().join("tests/python/first_trade.py");
    let output =
        Command::new("python3").arg(program).arg(folder.join("env")).output().await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");

    let id = up.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    let status =
        tokio::time::timeout(Duration::from_secs(30), up.wait()).await.expect("up stops").unwrap();
    assert!(status.success(), "up stops cleanly: {status}");
    assert!(!folder.join("env").exists(), "the addresses are gone with the stack");
    let _ = std::fs::remove_dir_all(folder);
}

async fn wait_for_env(folder: &std::path::Path, up: &mut Child) {
    for _ in 0..UP_SECS_MAX * 10 {
        if folder.join("env").exists() {
            return;
        }
        assert!(up.try_wait().unwrap().is_none(), "up ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("up was not ready within {UP_SECS_MAX} s");
}
