//! What the replay proof promises: clean when nothing was touched, and every alteration is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::account::Accounts;
use cap_domain::lane::StageName;
use cap_domain::position::Positions;
use cap_store::trial_balance::trial_balance;
use cap_store::verify::VerifyOptions;
use sqlx::AssertSqlSafe;
use support::{Installation, SAVER, TRADER, deposit, key, message, opened};

#[tokio::test]
async fn an_untouched_installation_is_proved() {
    let installation = Installation::with_history().await;
    let report = installation.verify().await;
    assert_eq!(report.mismatches, []);
    assert_eq!((report.lanes, report.journal_rows, report.in_transit), (5, 24, 0));

    let only = VerifyOptions { settled: true, account: Some(key(SAVER)) };
    let report = installation.verify_with(&only).await;
    assert_eq!(report.mismatches, []);
    assert_eq!((report.lanes, report.journal_rows), (2, 6));
}

/// Alters one thing by hand and expects that the proof tells it, with figures, where it is.
async fn check(stage: StageName, alteration: &str, account: &str, seq: Option<u64>, says: &str) {
    let installation = Installation::with_history().await;
    let pool = installation.pool(stage);
    let altered = sqlx::query(AssertSqlSafe(alteration.to_owned())).execute(pool).await.unwrap();
    assert_eq!(altered.rows_affected(), 1, "{alteration}");
    let report = installation.verify().await;
    assert!(!report.is_clean());
    let told = report.mismatches.iter().any(|mismatch| {
        (mismatch.stage, mismatch.account.as_str(), mismatch.seq) == (stage, account, seq)
            && mismatch.what.contains(says)
    });
    let listed: Vec<String> = report.mismatches.iter().map(ToString::to_string).collect();
    assert!(told, "{alteration}\nis not told as {says:?} but as\n{}", listed.join("\n"));
}

macro_rules! alterations {
    ($($name:ident: $stage:ident $alteration:expr, $account:expr, $seq:expr, $says:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            check(StageName::$stage, $alteration, $account, $seq, $says).await;
        })*
    };
}

alterations! {
    an_altered_amount_is_told: Account
        "update journal set input = replace(input, '\"amount\":\"50.000000\"', '\"amount\":\"60.000000\"')
         where account_id like '%S-1' and seq = 2",
        SAVER, Some(2), "replaying it gives …";
    an_altered_result_is_told: Account
        "update journal set result = replace(result, '50.000000', '60.000000')
         where account_id like '%S-1' and seq = 2",
        SAVER, Some(2), "\"amount\":\"60.000000\"";
    an_altered_plan_is_told: Clearing
        "update journal set result = replace(result, 'external:bank', 'house:fees')
         where account_id like '%S-1' and seq = 2",
        SAVER, Some(2), "house:fees";
    an_altered_hash_is_told: Position
        "update journal set hash = sha256('') where seq = 3",
        TRADER, Some(3), "its hash is e3b0c442";
    a_deleted_row_is_told: Position
        "delete from journal where seq = 3",
        TRADER, Some(4), "the row before it is number 2";
    a_deleted_last_row_is_told: Clearing
        "delete from journal where account_id like '%S-1' and seq = 3",
        SAVER, None, "the lane is at number 3, its journal ends at 2";
    an_altered_lane_is_told: Account
        "update lane set seq = 7 where account_id like '%T-1'",
        TRADER, None, "the lane is at number 7, its journal ends at 6";
    an_altered_upstream_number_is_told: Account
        "update lane set upstream_seq = 5 where account_id like '%T-1'",
        TRADER, None, "the lane has taken upstream number 5";
    an_altered_balance_is_told: Account
        "update balance set available = available + 1 where account_id like '%S-1'",
        SAVER, None, "available is 51.000000 USDT in its table, 50.000000 USDT by the journal";
    a_balance_added_by_hand_is_told: Account
        "insert into balance values ('acme_spot_retail_S-1', 'BTC', 8, 1, 0, 0, 0, 0)",
        SAVER, None, "there is a BTC balance of 1.00000000 available";
    a_deleted_balance_is_told: Account
        "delete from balance where account_id like '%S-1'",
        SAVER, None, "there is no USDT balance, and one of 50.000000 available";
    a_balance_without_a_lane_is_told: Account
        "insert into balance values ('acme_spot_retail_X-1', 'BTC', 8, 1, 0, 0, 0, 0)",
        "acme_spot_retail_X-1", None, "there is state of this account, but no lane";
    an_altered_account_is_told: Account
        "update account set customer = 'c-2' where account_id like '%S-1'",
        SAVER, None, "customer is c-2 in its table, c-1 by the journal";
    an_altered_position_is_told: Position
        "update position set quantity = 0.07",
        TRADER, None, "BTC-USDT quantity is 0.07 in its table, 0.06 by the journal";
    an_altered_margin_is_told: Position
        "update position set margin = margin + 1",
        TRADER, None, "BTC-USDT margin is 121.000000 USDT in its table, 120.000000 USDT by the journal";
    a_lane_that_was_deleted_is_told: Account
        "delete from lane where account_id like '%S-1'",
        SAVER, None, "the journal has 3 rows, but there is no lane";
    rules_nobody_knows_are_told: Account
        "update journal set rules_version = 9 where account_id like '%S-1' and seq = 1",
        SAVER, Some(1), "decided by version 9 of the rules, which this release does not know";
    a_configuration_nobody_kept_is_told: Clearing
        "delete from configuration",
        SAVER, Some(1), "configuration 1, which decided it, was not kept";
}

#[tokio::test]
async fn one_account_is_proved_without_its_neighbours() {
    let installation = Installation::with_history().await;
    let pool = installation.pool(StageName::Account);
    let alteration = "insert into balance values ('acme_spot_retail_X-1', 'BTC', 8, 1, 0, 0, 0, 0)";
    sqlx::query(alteration).execute(pool).await.unwrap();
    for (account, mismatches) in [(SAVER, 0), (TRADER, 0), ("acme_spot_retail_X-1", 1)] {
        let only = VerifyOptions { settled: true, account: Some(key(account)) };
        let report = installation.verify_with(&only).await;
        assert_eq!(report.mismatch_count, mismatches, "{account}: {:?}", report.mismatches);
    }
}

#[tokio::test]
async fn lanes_longer_and_more_than_a_page_are_proved() {
    let mut installation = Installation::with_history().await;
    let clearing = installation.databases.clearing.clone();
    let long = key(SAVER);
    let mut arrivals = Vec::new();
    for number in 0..1_100 {
        let request = format!("long-{number}");
        arrivals.extend(installation.submission(&long, &request, deposit("1")));
    }
    let steps = support::settle(&clearing, &installation.clearing, &long, arrivals).await;
    let sent = steps.into_iter().flat_map(|step| step.outputs).collect();
    installation.deliver(&long, sent).await;
    for number in 0..550 {
        installation.clear(&key(&format!("acme_spot_retail_N-{number}")), opened()).await;
    }

    let report = installation.verify_with(&VerifyOptions::default()).await;
    assert_eq!(report.mismatches, []);
    assert_eq!((report.lanes, report.in_transit), (5 + 550, 550));
    assert_eq!(report.journal_rows, 24 + 2 * 1_100 + 550);

    let alteration = "update journal set source_id = 'x' where seq = 1000";
    sqlx::query(alteration).execute(&clearing).await.unwrap();
    let report = installation.verify_with(&VerifyOptions::default()).await;
    assert_eq!(report.mismatch_count, 1);
    assert_eq!(report.mismatches[0].seq, Some(1_000));
}

#[tokio::test]
async fn margin_that_is_not_the_sum_over_positions_is_told() {
    let installation = Installation::with_history().await;
    let pool = installation.pool(StageName::Account);
    let alteration =
        "update balance set margin = margin + 1, available = available - 1 where margin > 0";
    sqlx::query(alteration).execute(pool).await.unwrap();
    let report = installation.verify().await;
    let says = "margin is 121 USDT, the sum over its positions 120 USDT";
    assert!(
        report.mismatches.iter().any(|mismatch| mismatch.what == says),
        "{:?}",
        report.mismatches
    );
}

#[tokio::test]
async fn what_is_in_transit_is_counted_and_lost_only_when_settled() {
    let mut installation = Installation::with_history().await;
    let account = key(TRADER);
    let sent = installation.clear(&account, deposit("7")).await;
    let unsettled = VerifyOptions::default();
    let report = installation.verify_with(&unsettled).await;
    assert_eq!((report.mismatches.as_slice(), report.in_transit), ([].as_slice(), 1));
    let report = installation.verify().await;
    assert_eq!(report.mismatch_count, 1);
    let what = &report.mismatches[0].what;
    assert_eq!(what, "1 messages of clearing never arrived, number 7 the first");

    let pool = &installation.databases.position;
    let sent = installation.take(pool, &Positions, &account, sent).await;
    let report = installation.verify_with(&unsettled).await;
    assert_eq!((report.mismatches.as_slice(), report.in_transit), ([].as_slice(), 1));

    installation.deliver(&account, sent).await;
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn what_is_parked_has_arrived() {
    let mut installation = Installation::with_history().await;
    let account = key(SAVER);
    // A withdrawal nobody requested: a fact that cannot be, which suspends the account's lane.
    let settled = serde_json::json!({"type": "withdrawal.settled", "withdrawal_id": "w-9"});
    installation.submit(SAVER, settled).await;
    installation.submit(SAVER, deposit("7")).await;
    let lane = cap_store::inspect::show_lane(&installation.databases.account, &account).await;
    let lane = lane.unwrap().unwrap();
    assert_eq!((lane.seq, lane.parked_seq, lane.upstream_seq), (3, 2, 5));
    assert_eq!(installation.verify().await.mismatches, []);

    let alteration = "delete from parked_message where parked_seq = 1";
    sqlx::query(alteration).execute(&installation.databases.account).await.unwrap();
    let report = installation.verify().await;
    let says = "number 4 of clearing, request r-10, was taken but neither journaled nor parked";
    assert!(
        report.mismatches.iter().any(|mismatch| mismatch.what == says),
        "{:?}",
        report.mismatches
    );
}

#[tokio::test]
async fn a_row_that_nobody_sent_is_told() {
    let mut installation = Installation::with_history().await;
    let account = key(SAVER);
    let sent = installation.clear(&account, deposit("7")).await;
    installation.take(&installation.databases.account, &Accounts::default(), &account, sent).await;
    let pool = &installation.databases.clearing;
    sqlx::query("delete from journal where seq = 4 and account_id like '%S-1'")
        .execute(pool)
        .await
        .unwrap();
    let report = installation.verify().await;
    let says = "it is of upstream number 4, which clearing sent never, or not then";
    assert!(
        report.mismatches.iter().any(|mismatch| mismatch.what == says),
        "{:?}",
        report.mismatches
    );
}

#[tokio::test]
async fn an_input_that_was_swapped_on_the_way_is_told() {
    let mut installation = Installation::with_history().await;
    let account = key(SAVER);
    let sent = installation.clear(&account, deposit("7")).await;
    let cap_domain::lane::Output::Forward { unit, .. } = &sent[0] else { panic!("forwarded") };
    let unit = unit.replace("7.000000", "8.000000");
    let (id, body) = cap_domain::lane::pack(&account, &[&unit]).remove(0);
    let arrivals = <Accounts as cap_domain::lane::Stage>::read(&account, message(&id, None, &body));
    support::settle(&installation.databases.account, &Accounts::default(), &account, arrivals)
        .await;
    let report = installation.verify().await;
    assert_eq!(report.mismatch_count, 1, "{:?}", report.mismatches);
    assert_eq!(report.mismatches[0].what, "its input is not what row 4 of clearing says");
}

#[tokio::test]
async fn the_trial_balance_is_zero_until_somebody_touches_it() {
    let installation = Installation::with_history().await;
    let pool = &installation.databases.account;
    let balance = trial_balance(pool).await.unwrap();
    assert!(balance.is_zero(), "{balance:?}");
    let sum = |company: &str, subject: &str| {
        let found = balance
            .subjects
            .iter()
            .find(|sum| (sum.company.as_str(), sum.subject.as_str()) == (company, subject));
        found.map(|sum| sum.sum.normalize().to_string())
    };
    assert_eq!(sum("acme", "external:bank").as_deref(), Some("-1050"));
    assert_eq!(sum("acme", "house:fees").as_deref(), Some("1"));
    assert_eq!(sum("acme", "house:pnl").as_deref(), Some("-40"));
    assert_eq!(sum("acme", "margin").as_deref(), Some("120"));

    sqlx::query("update balance set frozen = frozen + 0.01 where margin > 0")
        .execute(pool)
        .await
        .unwrap();
    let altered = trial_balance(pool).await.unwrap();
    assert!(!altered.is_zero());
    let total = &altered.totals[0];
    assert_eq!((total.accounts + total.contra).normalize().to_string(), "0.01");
}
