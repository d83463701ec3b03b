//! Transfers as they are stored and proved: kept under way, and every one of them accounted for.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::account::Accounts;
use cap_domain::lane::Output;
use cap_store::verify::{VerifyOptions, VerifyReport};
use serde_json::{Value, json};
use support::{Installation, SAVER, TRADER, key, load};

const FOREIGN: &str = "zenith_spot_retail_Z-1";

fn transfer(to: &str, amount: &str) -> Value {
    let parts: Vec<&str> = to.split('_').collect();
    json!({
        "type": "transfer.requested", "transfer_id": "t-1", "currency": "USDT", "amount": amount,
        "to": { "company": parts[0], "product": parts[1], "customer_group": parts[2],
                "account": parts[3] },
    })
}

/// The id under which what was sent arrives.
fn arrival(sent: &[Output]) -> String {
    let id = sent.iter().find_map(|output| match output {
        Output::Event { deduplication_id, .. } => Some(deduplication_id.clone()),
        Output::Forward { .. } | Output::Outcome { .. } => None,
    });
    id.unwrap()
}

async fn under_way(installation: &Installation, account: &str) -> Vec<String> {
    let pool = &installation.databases.account;
    let state = load::<Accounts>(pool, &key(account), &[], &[]).await.state;
    let kept = state.under_way.iter();
    kept.map(|(id, kept)| format!("{id}: {} {} {}", kept.transfer_id, kept.amount, kept.to))
        .collect()
}

fn says(report: &VerifyReport, what: &str) {
    let told: Vec<String> = report.mismatches.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains(what)), "{what:?} is not told by {told:#?}");
}

#[tokio::test]
async fn a_transfer_is_kept_until_it_has_landed_and_proved_at_every_step() {
    let mut installation = Installation::with_history().await;
    let flowing = VerifyOptions::default();
    for to in [TRADER, FOREIGN] {
        let mut sent = installation.submit(SAVER, transfer(to, "20")).await;
        let id = arrival(&sent);
        let kept = format!("{id}: t-1 20.000000 USDT {to}");
        assert_eq!(under_way(&installation, SAVER).await, [kept]);
        let report = installation.verify_with(&flowing).await;
        assert_eq!((report.mismatches.as_slice(), report.in_transit), ([].as_slice(), 1));
        says(
            &installation.verify().await,
            &format!("its transfer.arrived {id} never arrived at {to}"),
        );
        // It lands, or comes back, and that is told.
        while !sent.is_empty() {
            sent = installation.pass_on(sent).await;
            let report = installation.verify_with(&flowing).await;
            assert_eq!(report.mismatches, [], "{to}");
        }
        assert!(under_way(&installation, SAVER).await.is_empty());
        assert_eq!(installation.verify().await.mismatches, []);
        let only = VerifyOptions { settled: true, account: Some(key(to)) };
        assert_eq!(installation.verify_with(&only).await.mismatches, []);
    }
}

#[tokio::test]
async fn what_was_skipped_is_told_with_what_stays_in_transit() {
    let mut installation = Installation::with_history().await;
    let sent = installation.submit(SAVER, transfer(TRADER, "20")).await;
    let id = arrival(&sent);
    let skip = "insert into parked_message (account_id, parked_seq, request_id, source_id, raw,
            sent_at, parked_at, error, resolution, resolved_at, resolved_by, resolution_reason)
        values ($1, 1, $2, 'm-1', '', now(), now(), 'no', $3, now(), 'ops', 'by mistake')";
    let park = |resolution: &'static str| {
        let pool = installation.databases.clearing.clone();
        let id = id.clone();
        async move {
            sqlx::query("delete from parked_message").execute(&pool).await.unwrap();
            let bound = sqlx::query(skip).bind(TRADER).bind(&id).bind(resolution);
            bound.execute(&pool).await.unwrap();
        }
    };
    park("skipped").await;
    let what = format!(
        "the transfer.arrived {id} of {SAVER} was skipped as parked message 1, and did not come again: 20.000000 USDT stay in transit"
    );
    says(&installation.verify_with(&VerifyOptions::default()).await, &what);
    // Sent again, it lands, and is no longer told.
    let sent = installation.pass_on(sent).await;
    installation.pass_on(sent).await;
    let report = installation.verify().await;
    assert!(report.mismatches.iter().all(|told| !told.what.contains("skipped")), "{report:#?}");
}

#[tokio::test]
async fn what_nobody_sent_is_told_and_transit_does_not_add_up() {
    let mut installation = Installation::with_history().await;
    let mut made_up = transfer(TRADER, "5");
    made_up["type"] = json!("transfer.arrived");
    made_up["from"] = made_up["to"].take();
    made_up.as_object_mut().unwrap().remove("to");
    installation.submit(SAVER, made_up).await;
    let report = installation.verify().await;
    says(&report, "account acme_spot_retail_S-1 row 4: its transfer.arrived r-10 was made up");
    says(&report, "transit holds -5.000000 USDT, the transfers under way come to 0");
    let only = VerifyOptions { settled: true, account: Some(key(SAVER)) };
    says(&installation.verify_with(&only).await, "was made up");
    let only = VerifyOptions { settled: true, account: Some(key(TRADER)) };
    assert_eq!(installation.verify_with(&only).await.mismatches, []);
}

#[tokio::test]
async fn what_is_kept_is_compared_and_what_another_release_wrote_is_read() {
    let mut installation = Installation::with_history().await;
    let sent = installation.submit(SAVER, transfer(TRADER, "20")).await;
    let pool = installation.databases.account.clone();
    let id = arrival(&sent);
    // Fields of a later release are passed over.
    let later = json!({ id.as_str(): {
        "transfer_id": "t-1", "to": TRADER, "amount": { "currency": "USDT", "amount": "20.000000" },
        "of_a_later_release": true,
    }});
    let withdrawals = json!({ "w-1": {
        "amount": { "currency": "USDT", "amount": "1.000000" }, "of_a_later_release": 1,
    }});
    let update =
        "update account set transfers_under_way = $1, withdrawals = $2 where account_id = $3";
    let update = sqlx::query(update).bind(later.to_string()).bind(withdrawals.to_string());
    update.bind(SAVER).execute(&pool).await.unwrap();
    let kept = format!("{id}: t-1 20.000000 USDT {TRADER}");
    assert_eq!(under_way(&installation, SAVER).await, [kept]);
    // The release before writes rows without the column.
    let before = "insert into account (account_id, status, liquidating, withdrawals)
        values ('acme_spot_retail_B-1', 'open', false, '{}')";
    sqlx::query(before).execute(&pool).await.unwrap();
    assert!(under_way(&installation, "acme_spot_retail_B-1").await.is_empty());
    sqlx::query("update account set transfers_under_way = '{}'").execute(&pool).await.unwrap();
    let report = installation.verify_with(&VerifyOptions::default()).await;
    says(
        &report,
        &format!(
            "transfers_under_way is [] in its table, [t-1 of 20.000000 USDT to {TRADER} as {id}]"
        ),
    );
}
