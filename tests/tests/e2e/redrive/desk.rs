//! What support does and sees.

use std::process::Output;
use std::time::Duration;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, StageName};
use cap_store::inspect::show_lane;
use cap_tests::{World, envelope};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::events::deposit;
use crate::tools::{capctl, capctl_with};

/// How long something may take to come true, and how often it is looked at.
const SETTLE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `acme/spot/retail/A-1` as a key.
pub(crate) fn key(account: &str) -> AccountKey {
    account.replace('/', "_").parse().unwrap()
}

/// More is released than any order has frozen: account can neither apply nor refuse it.
pub(crate) fn poison() -> Value {
    json!({ "type": "order.released", "order_id": "o-none", "currency": "USDT", "amount": "5" })
}

/// A deposit that clearing cannot read: more decimals than there are.
pub(crate) fn poison_at_clearing() -> Value {
    deposit("USDT", "1.00000001")
}

/// From now on the database of `stage` refuses the journal rows of these requests; of none: it
/// takes all again.
pub(crate) async fn refuse(world: &World, stage: StageName, requests: &[&str]) {
    let database = world.database(stage);
    let drop = "alter table journal drop constraint if exists refused_by_the_test";
    sqlx::query(drop).execute(&database).await.unwrap();
    if !requests.is_empty() {
        let requests = requests.join("', '");
        let add = format!(
            "alter table journal add constraint refused_by_the_test check (request_id not in ('{requests}')) not valid"
        );
        sqlx::query(AssertSqlSafe(add)).execute(&database).await.unwrap();
    }
}

/// Publishes a deposit of 1 USDT for each of `requests`, in order.
pub(crate) async fn deposits(world: &World, account: &str, requests: &[&str]) {
    for request in requests {
        world.upstream.publish(&envelope(account, request, deposit("USDT", "1"))).await;
    }
}

/// The next outcomes of a scope: request, status, lane sequence.
pub(crate) async fn told(world: &World, scope: &str, count: usize) -> Vec<(String, String, u64)> {
    let outcomes = world.upstream.outcomes(scope, count).await;
    let told = outcomes.iter().map(|outcome| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&outcome["header"]["request_id"]),
            text(&outcome["outcome"]["status"]),
            outcome["outcome"]["lane_seq"].as_u64().unwrap(),
        )
    });
    told.collect()
}

/// Asserts that the next outcomes of a scope are these: request, status, lane sequence.
pub(crate) async fn tells(world: &World, scope: &str, expected: &[(&str, &str, u64)]) {
    let told = told(world, scope, expected.len()).await;
    let told: Vec<_> = told
        .iter()
        .map(|(request, status, seq)| (request.as_str(), status.as_str(), *seq))
        .collect();
    assert_eq!(told, expected);
}

/// Asserts that the next outcomes of a scope are `parked`, of these requests.
pub(crate) async fn tells_parked(world: &World, scope: &str, requests: &[&str]) {
    let told = told(world, scope, requests.len()).await;
    assert!(told.iter().all(|(_, status, _)| status == "parked"), "{told:?}");
    let of: Vec<&str> = told.iter().map(|(request, ..)| request.as_str()).collect();
    assert_eq!(of, requests);
}

/// The lane of `account` at `stage`.
pub(crate) async fn lane(world: &World, stage: StageName, account: &str) -> Lane {
    show_lane(&world.database(stage), &key(account)).await.unwrap().unwrap()
}

/// Waits until the lane of `account` at `stage` is as wanted.
pub(crate) async fn lane_becomes(
    world: &World,
    stage: StageName,
    account: &str,
    wanted: impl Fn(&Lane) -> bool,
) {
    let deadline = tokio::time::Instant::now() + SETTLE;
    loop {
        let found = lane(world, stage, account).await;
        if wanted(&found) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not come true: {found:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The requests in the journal of `account` at `stage`, in order.
pub(crate) async fn journaled(world: &World, stage: StageName, account: &str) -> Vec<String> {
    let rows = "select request_id from journal where account_id = $1 order by seq";
    let rows = sqlx::query_scalar(rows).bind(key(account).as_str().to_owned());
    rows.fetch_all(&world.database(stage)).await.unwrap()
}

/// How many letters lie in the dead-letter queue of a stage.
pub(crate) async fn letters(world: &World, stage_queue: &str) -> u64 {
    let prefix = &world.installation.prefix;
    let name = format!("{prefix}-{stage_queue}-dlq.fifo");
    let queues = cap_aws::provision::list_queues(&world.aws.sqs, prefix).await.unwrap();
    let queue = queues.iter().find(|listed| listed.name == name).unwrap();
    queue.visible + queue.in_flight
}

/// Waits until so many letters lie in the dead-letter queue of a stage.
pub(crate) async fn letters_become(world: &World, stage_queue: &str, count: u64) {
    let deadline = tokio::time::Instant::now() + SETTLE;
    loop {
        let found = letters(world, stage_queue).await;
        if found == count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found} letters in {stage_queue}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Runs `capctl` with the words of `line`; its exit code and its JSON.
pub(crate) async fn support(world: &World, line: &str) -> (i32, Value) {
    answered(&capctl(world, &words(line)).await)
}

/// Runs `capctl`, which must do what it is asked for.
pub(crate) async fn done(world: &World, line: &str) -> Value {
    let (code, answer) = support(world, line).await;
    assert_eq!(code, 0, "capctl {line}: {answer:#}");
    answer
}

/// Runs `capctl`, which must refuse, and gives what it says.
pub(crate) async fn refused(world: &World, line: &str) -> String {
    let output = capctl(world, &words(line)).await;
    assert_eq!(output.status.code(), Some(1), "capctl {line}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Runs `capctl` until it is killed at `failpoint`.
pub(crate) async fn killed(world: &World, line: &str, failpoint: &str) {
    let output = capctl_with(world, &words(line), &[("CAP_FAILPOINTS", failpoint)]).await;
    assert_eq!(output.status.code(), None, "capctl {line} was killed: {output:?}");
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().chain(["--json", "--operator", "ann"]).collect()
}

fn answered(output: &Output) -> (i32, Value) {
    let answer = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), answer.unwrap_or_else(|_| panic!("{output:?}")))
}
