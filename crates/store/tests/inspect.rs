//! What support and clearing ask of a stage's database beside the lanes at work.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::clearing::Clearing;
use cap_domain::ids::RequestId;
use cap_domain::lane::{LaneStatus, StageName};
use support::{Installation, SAVER, TRADER, database, deposit, key, message};

#[tokio::test]
async fn lanes_are_found_and_listed() {
    let mut installation = Installation::with_history().await;
    let pool = installation.databases.clearing.clone();
    let (trader, name) = (key(TRADER), "S-1".parse().unwrap());
    let found = cap_store::inspect::find_lanes(&pool, &name).await.unwrap();
    assert_eq!(found.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>(), [SAVER]);

    let list = async |status, after, limit| {
        let lanes = cap_store::inspect::list_lanes(&pool, status, after, limit).await.unwrap();
        lanes.into_iter().map(|(account, _)| account.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, [TRADER, SAVER]);
    assert_eq!(list(Some(LaneStatus::Active), Some(&trader), 10).await, [SAVER]);
    assert!(list(Some(LaneStatus::Suspended), None, 10).await.is_empty());

    let unreadable =
        <Clearing as cap_domain::lane::Stage>::read(&key(SAVER), message("m", None, "?"));
    support::settle(&pool, &installation.clearing, &key(SAVER), unreadable).await;
    assert_eq!(list(Some(LaneStatus::Suspended), None, 10).await, [SAVER]);
    installation.clear(&key(TRADER), deposit("1")).await;
    assert_eq!(list(Some(LaneStatus::Active), None, 10).await, [TRADER]);
}

#[tokio::test]
async fn a_request_is_found_with_and_without_its_account() {
    let installation = Installation::with_history().await;
    let pool = &installation.databases.account;
    let request = RequestId::new("r-2").unwrap();
    let row =
        cap_store::journal::row_of_request(pool, &key(TRADER), &request).await.unwrap().unwrap();
    assert_eq!(row.kind, "deposit.received");
    assert_eq!(
        cap_store::journal::rows_of_request(pool, &request).await.unwrap(),
        [(key(TRADER), row)]
    );
}

#[tokio::test]
async fn a_configuration_is_kept_once() {
    let pool = database(StageName::Clearing).await;
    let mut document = support::configuration();
    for _ in 0..2 {
        cap_store::configurations::remember(&pool, 7, &document).await.unwrap();
    }
    assert_eq!(cap_store::configurations::read(&pool, 7).await.unwrap().as_ref(), Some(&document));
    document.rulebooks[0].version += 1;
    let again = cap_store::configurations::remember(&pool, 7, &document).await;
    assert_eq!(
        again.unwrap_err().to_string(),
        "configuration 7 was kept before with another content"
    );
}
