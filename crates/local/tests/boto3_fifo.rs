//! Python's boto3, unchanged, against the broker.

use std::process::Command;

use cap_local::sqs::{Broker, BrokerConfig};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boto3_fifo.py");

#[tokio::test(flavor = "multi_thread")]
async fn boto3_works_against_the_broker() {
    let boto3 = Command::new("python3").args(["-c", "import boto3"]).output();
    if !boto3.is_ok_and(|import| import.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "python3 with boto3 is missing, and in CI this test must run"
        );
        eprintln!(
            "SKIPPED: boto3_works_against_the_broker needs python3 with boto3: pip install boto3"
        );
        return;
    }
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let script = Command::new("python3").arg(SCRIPT).arg(broker.endpoint_url()).output().unwrap();
    let said = String::from_utf8_lossy(&script.stdout);
    assert!(script.status.success(), "{said}\n{}", String::from_utf8_lossy(&script.stderr));
    println!("{said}");
}
