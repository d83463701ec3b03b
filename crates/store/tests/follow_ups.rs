//! What account asks of a position is stored until it has come back, and told if it never does: lost,
//! skipped or made up (ADR 11).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::account::{AccountState, Accounts};
use cap_domain::lane::{Output, StageName};
use cap_domain::position::{Position, PositionKey, Positions};
use cap_store::verify::{VerifyOptions, VerifyReport};
use serde_json::{Value, json};
use support::{Installation, TRADER, deposit, fill, key, load, opened};

fn isolated(side: &str, quantity: &str) -> Value {
    let mut trade = fill(side, quantity, "20000", "0");
    trade["margin_mode"] = json!("isolated");
    trade["fee"]["amount"] = json!("0");
    trade
}

fn margin_changed(amount: &str) -> Value {
    json!({"type": "margin.changed", "symbol": "BTC-USDT", "amount": amount})
}

fn leverage_changed(leverage: &str) -> Value {
    json!({"type": "leverage.changed", "symbol": "BTC-USDT", "leverage": leverage})
}

fn funding(rate: &str) -> Value {
    json!({"type": "funding.charged", "symbol": "BTC-USDT", "rate": rate, "mark_price": "20000"})
}

/// An account that holds 0.1 BTC-USDT on isolated margin of 200 USDT, and has `available` beside it.
async fn isolated_long(available: u32) -> Installation {
    let mut installation = Installation::new().await;
    let money = deposit(&(200 + available).to_string());
    for event in [opened(), money, isolated("buy", "0.1")] {
        installation.submit(TRADER, event).await;
    }
    installation
}

async fn account(installation: &Installation) -> AccountState {
    let loaded = load::<Accounts>(&installation.databases.account, &key(TRADER), &[], &[]).await;
    AccountState::clone(&loaded.state)
}

async fn position(installation: &Installation) -> Position {
    let pool = &installation.databases.position;
    let state = load::<Positions>(pool, &key(TRADER), &[], &[]).await.state;
    state.positions.get(&PositionKey::net("BTC-USDT".parse().unwrap())).unwrap().clone()
}

/// The id of what CAP sent to itself.
fn sent_id(sent: &[Output]) -> String {
    let id = sent.iter().find_map(|output| match output {
        Output::Event { deduplication_id, .. } => Some(deduplication_id.clone()),
        Output::Forward { .. } | Output::Outcome { .. } => None,
    });
    id.unwrap()
}

/// Support gave the message of that id up, in the lane of a stage.
async fn skipped(installation: &Installation, stage: StageName, id: &str) {
    let skipped = "insert into parked_message (account_id, parked_seq, request_id, source_id, raw,
            sent_at, parked_at, error, resolution, resolved_at, resolved_by, resolution_reason)
        values ($1, 1, $2, 'm-1', '', now(), now(), 'no', 'skipped', now(), 'ops', 'by mistake')";
    let skipped = sqlx::query(skipped).bind(TRADER).bind(id);
    skipped.execute(installation.pool(stage)).await.unwrap();
}

fn says(report: &VerifyReport, what: &str) {
    let told: Vec<String> = report.mismatches.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains(what)), "{what:?} is not told by {told:#?}");
}

#[tokio::test]
async fn margin_that_was_skipped_on_its_way_to_the_position_is_told() {
    for stage in StageName::ALL {
        let mut installation = isolated_long(100).await;
        let sent = installation.submit(TRADER, margin_changed("25")).await;
        let id = sent_id(&sent);
        skipped(&installation, stage, &id).await;
        let what = format!(
            "the margin.posted {id} of {TRADER} was skipped as parked message 1, and did not come again"
        );
        says(&installation.verify_with(&VerifyOptions::default()).await, &what);
    }
}

#[tokio::test]
async fn unpaid_funding_is_kept_until_it_has_come_back_and_proved_at_every_step() {
    let mut installation = isolated_long(5).await;
    let sent = installation.submit(TRADER, funding("0.01")).await;
    let id = sent_id(&sent);
    let kept: Vec<String> = account(&installation)
        .await
        .unpaid
        .iter()
        .map(|(id, kept)| format!("{id}: {} {}", kept.amount, kept.symbol))
        .collect();
    assert_eq!(kept, [format!("{id}: 15.000000 USDT BTC-USDT")]);
    let report = installation.verify_with(&VerifyOptions::default()).await;
    assert_eq!((report.mismatches.as_slice(), report.in_transit), ([].as_slice(), 1));
    let lost = format!("its funding.unpaid {id} never arrived at {TRADER}");
    says(&installation.verify().await, &lost);

    let pool = installation.pool(StageName::Account);
    sqlx::query("update account set funding_unpaid = null").execute(pool).await.unwrap();
    says(
        &installation.verify_with(&VerifyOptions::default()).await,
        &format!("funding_unpaid is [] in its table, [15.000000 USDT for BTC-USDT as {id}]"),
    );
    let later = json!({ id.as_str(): {
        "symbol": "BTC-USDT", "amount": { "currency": "USDT", "amount": "15.000000" },
        "of_a_later_release": true,
    }});
    let update = sqlx::query("update account set funding_unpaid = $1").bind(later.to_string());
    update.execute(pool).await.unwrap();
    assert_eq!(
        account(&installation).await.unpaid.len(),
        1,
        "fields of a later release are passed over"
    );

    installation.pass_on(sent).await;
    assert!(account(&installation).await.unpaid.is_empty());
    let stored: Option<String> =
        sqlx::query_scalar("select funding_unpaid from account").fetch_one(pool).await.unwrap();
    assert_eq!(stored, None, "as an account has it that never owed any");
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn unpaid_funding_that_was_skipped_is_told() {
    for stage in StageName::ALL {
        let mut installation = isolated_long(5).await;
        let sent = installation.submit(TRADER, funding("0.01")).await;
        let id = sent_id(&sent);
        skipped(&installation, stage, &id).await;
        let what = format!(
            "the funding.unpaid {id} of {TRADER} was skipped as parked message 1, and did not come again"
        );
        let report = installation.verify_with(&VerifyOptions::default()).await;
        says(&report, &what);
        assert_eq!(report.mismatches.len(), 1, "{report:#?}");
    }
}

#[tokio::test]
async fn unpaid_funding_that_account_never_asked_for_is_told_as_made_up() {
    let mut installation = isolated_long(5).await;
    let made_up = json!({"type": "funding.unpaid", "symbol": "BTC-USDT", "owed_by": "long", "currency": "USDT", "amount": "15"});
    installation.submit(TRADER, made_up).await;
    let what = format!("account {TRADER} row 4: its funding.unpaid r-4 was made up");
    says(&installation.verify().await, &what);
    let only = VerifyOptions { settled: true, account: Some(key(TRADER)) };
    says(&installation.verify_with(&only).await, &what);
}

#[tokio::test]
async fn the_number_of_a_leverage_is_stored_compared_and_left_alone_by_the_release_before() {
    let mut installation = isolated_long(1000).await;
    assert_eq!(position(&installation).await.leverage_seq, 0);
    let raised = installation.submit(TRADER, leverage_changed("5")).await;
    installation.submit(TRADER, leverage_changed("20")).await;
    assert_eq!(position(&installation).await.leverage_seq, 5);
    installation.pass_on(raised).await;
    let left = position(&installation).await;
    assert_eq!((left.margin.amount().as_str(), left.leverage_seq), ("100.000000", 5));
    assert_eq!(installation.verify().await.mismatches, []);

    let pool = installation.pool(StageName::Position);
    // As the release before writes what it knows of a position.
    sqlx::query("update position set margin = 100, leverage = 20").execute(pool).await.unwrap();
    assert_eq!(position(&installation).await, left);
    sqlx::query("update position set leverage_seq = 4").execute(pool).await.unwrap();
    says(&installation.verify().await, "BTC-USDT leverage_seq is 4 in its table, 5 by the journal");
    let below = sqlx::query("update position set leverage_seq = -1").execute(pool).await;
    let error = below.unwrap_err();
    let constraint = error.as_database_error().unwrap().constraint();
    assert_eq!(constraint, Some("position_leverage_seq_in_range"));
}
