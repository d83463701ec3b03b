//! What a commit promises: whole or not at all, behind the fence, and read back as it was.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::RequestId;
use cap_domain::lane::{LaneStatus, StageName};
use cap_domain::position::Positions;
use cap_pipeline::lane_store::{CommitError, LaneStore, LoadError, Wanted};
use cap_store::PostgresLanes;
use serde_json::json;
use sqlx::{Connection, PgPool};
use support::{Installation, SAVER, TRADER, decide, deposit, key, load, message, opened};

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    let count = match table {
        "journal" => "select count(*) from journal",
        "lane" => "select count(*) from lane",
        _ => "select count(*) from parked_message",
    };
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn what_is_committed_is_loaded_again() {
    let mut installation = Installation::new().await;
    let pool = installation.databases.clearing.clone();
    let account = key(TRADER);
    let arrivals = installation.submission(&account, "r-1", opened());

    let (change, _) = decide(
        &installation.clearing,
        &account,
        load::<Clearing>(&pool, &account, &["r-1"], &[]).await,
        &arrivals,
    );
    let lanes = PostgresLanes::<Clearing>::new(pool.clone());
    lanes.commit(std::slice::from_ref(&change)).await.unwrap();

    let loaded = load::<Clearing>(&pool, &account, &["r-1", "r-2"], &[]).await;
    assert_eq!(loaded.lane.as_ref(), Some(&change.after));
    assert_eq!(loaded.memory.rows.len(), 1);
    assert_eq!(loaded.memory.rows[&RequestId::new("r-1").unwrap()], change.rows[0]);
    assert!(loaded.memory.parked.is_empty());

    // State of every kind survives the tables, too.
    installation.submit(SAVER, opened()).await;
    installation.submit(SAVER, deposit("12.345678")).await;
    let withdrawal = json!({
        "type": "withdrawal.requested", "withdrawal_id": "w-1", "currency": "USDT", "amount": "2.5",
    });
    installation.submit(SAVER, withdrawal).await;
    let credit = json!({
        "type": "credit.changed", "currency": "USDT", "limit": "100", "enabled": false,
    });
    installation.submit(SAVER, credit).await;
    let state =
        load::<Accounts>(&installation.databases.account, &key(SAVER), &[], &[]).await.state;
    assert_eq!(state.withdrawals.len(), 1);
    assert_eq!(state.credit.unwrap().limit.amount(), "100.000000");
    let balance = state.balances.values().next().unwrap();
    assert_eq!(balance.available.amount(), "9.845678");
    assert_eq!(balance.withdrawing.amount(), "2.500000");
}

#[tokio::test]
async fn a_position_is_loaded_as_it_was_left() {
    let installation = Installation::with_history().await;
    let state =
        load::<Positions>(&installation.databases.position, &key(TRADER), &[], &[]).await.state;
    assert!(state.opened);
    let position = state.positions.values().next().unwrap();
    assert_eq!(position.quantity.normalize().to_string(), "0.06");
    assert_eq!(position.cost, 1_200_000_000_000_000);
    assert_eq!(position.margin.amount(), "120.000000");
    assert_eq!(position.realised_profit.amount(), "40.000000");
}

#[tokio::test]
async fn many_lanes_are_loaded_and_committed_at_once() {
    let installation = Installation::new().await;
    let pool = &installation.databases.clearing;
    let lanes = PostgresLanes::<Clearing>::new(pool.clone());
    let keys: Vec<_> = (0..50).map(|n| key(&format!("acme_spot_retail_A-{n}"))).collect();
    let wanted = keys.iter().map(|account| Wanted {
        account: account.clone(),
        request_ids: vec![RequestId::new("r-1").unwrap()],
        taken_for_new: false,
        source_ids: vec!["m-r-1".to_owned()],
        parked_seqs: vec![],
    });
    let wanted: Vec<Wanted> = wanted.collect();
    for round in 1..=3 {
        let mut loaded = lanes.load(&wanted).await.unwrap();
        let changes: Vec<_> = keys
            .iter()
            .map(|account| {
                let id = format!("r-{account}-{round}");
                let arrivals = installation.submission(account, &id, opened());
                decide(&installation.clearing, account, loaded.remove(account).unwrap(), &arrivals)
                    .0
            })
            .collect();
        lanes.commit(&changes).await.unwrap();
        assert_eq!(count(pool, "journal").await, 50 * round);
    }
    assert_eq!(count(pool, "lane").await, 50);
}

#[tokio::test]
async fn a_rivals_commit_is_fenced_and_writes_nothing() {
    let mut installation = Installation::new().await;
    let (account, other) = (key(TRADER), key(SAVER));
    installation.clear(&account, opened()).await;
    let pool = installation.databases.clearing.clone();
    let lanes = PostgresLanes::<Clearing>::new(pool.clone());

    let zombie = load::<Clearing>(&pool, &account, &[], &[]).await;
    installation.clear(&account, deposit("1")).await;

    let arrivals = installation.submission(&account, "late", deposit("2"));
    let innocent = installation.submission(&other, "other", opened());
    let changes = [
        decide(&installation.clearing, &account, zombie, &arrivals).0,
        decide(&installation.clearing, &other, load(&pool, &other, &[], &[]).await, &innocent).0,
    ];
    let fenced = lanes.commit(&changes).await;
    assert!(matches!(fenced, Err(CommitError::Fenced)), "{fenced:?}");
    assert_eq!(count(&pool, "journal").await, 2);
    assert_eq!(
        count(&pool, "lane").await,
        1,
        "the innocent lane of the batch was not created either"
    );
}

#[tokio::test]
async fn a_request_that_was_taken_for_new_is_refused_as_repeated_and_nothing_is_written() {
    let mut installation = Installation::new().await;
    let account = key(TRADER);
    installation.clear(&account, opened()).await;
    let pool = installation.databases.clearing.clone();
    let lanes = PostgresLanes::<Clearing>::new(pool.clone());
    for expected in [2, 2] {
        // Nothing of the journal is asked for.
        let loaded = load::<Clearing>(&pool, &account, &[], &[]).await;
        let arrivals = installation.submission(&account, "dep-1", deposit("5"));
        let (change, _) = decide(&installation.clearing, &account, loaded, &arrivals);
        let committed = lanes.commit(&[change]).await;
        assert_eq!(count(&pool, "journal").await, expected);
        match committed {
            Ok(()) => {}
            Err(CommitError::Repeated(reason)) => {
                assert!(reason.contains("journal_request_once"), "{reason}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the second was committed too");
}

#[tokio::test]
async fn what_a_rival_wrote_is_read_though_the_state_before_it_was_kept() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.submit(SAVER, opened()).await;
    let pool = installation.databases.account.clone();
    let lanes = PostgresLanes::<Accounts>::new(pool.clone());
    let wanted = [Wanted {
        account: account.clone(),
        request_ids: vec![],
        taken_for_new: false,
        source_ids: vec![],
        parked_seqs: vec![],
    }];
    let sent = installation.clear(&account, deposit("5")).await;
    let cap_domain::lane::Output::Forward { unit, .. } = &sent[0] else { panic!("forwarded") };
    let (id, body) = cap_domain::lane::pack(&account, &[unit]).remove(0);
    let arrivals = <Accounts as cap_domain::lane::Stage>::read(&account, message(&id, None, &body));
    let loaded = lanes.load(&wanted).await.unwrap().remove(&account).unwrap();
    let change = decide(&Accounts::default(), &account, loaded, &arrivals).0;
    let (head, kept) = (change.after.head, change.state_after.clone());
    lanes.commit(&[change]).await.unwrap();
    let again = lanes.load(&wanted).await.unwrap().remove(&account).unwrap();
    assert_eq!((again.lane.unwrap().head, again.state), (head, kept.clone()));

    installation.submit(SAVER, deposit("7")).await;

    let after = lanes.load(&wanted).await.unwrap().remove(&account).unwrap();
    assert_ne!(after.state, kept);
    assert_eq!(after.state, load::<Accounts>(&pool, &account, &[], &[]).await.state);
}

#[tokio::test]
async fn a_kept_lane_that_a_rival_moved_is_fenced_and_then_lanes_are_read() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.submit(SAVER, opened()).await;
    let lanes = PostgresLanes::<Accounts>::new(installation.databases.account.clone());
    assert!(lanes.kept(&[&account]).is_empty(), "nothing was written yet");
    let mut sent = Vec::new();
    for amount in ["5", "6", "7"] {
        let outputs = installation.clear(&account, deposit(amount)).await;
        let cap_domain::lane::Output::Forward { unit, .. } = &outputs[0] else { panic!("sent on") };
        let (id, body) = cap_domain::lane::pack(&account, &[unit]).remove(0);
        sent.push(<Accounts as cap_domain::lane::Stage>::read(&account, message(&id, None, &body)));
    }
    let pool = &installation.databases.account;
    let read = load::<Accounts>(pool, &account, &[], &[]).await;
    let first = decide(&Accounts::default(), &account, read, &sent[0]).0;
    lanes.commit(&[first]).await.unwrap();

    let rival = PostgresLanes::<Accounts>::new(pool.clone());
    let read = load::<Accounts>(pool, &account, &[], &[]).await;
    let second = decide(&Accounts::default(), &account, read, &sent[1]).0;
    rival.commit(&[second]).await.unwrap();

    let (_, kept) = lanes.kept(&[&account]).remove(0);
    assert_eq!(kept.lane.as_ref().unwrap().seq, 2, "the rival's row is not known here");
    let again = decide(&Accounts::default(), &account, kept, &sent[1]).0;
    let fenced = lanes.commit(&[again]).await;
    assert!(matches!(fenced, Err(CommitError::Fenced)), "{fenced:?}");
    assert!(lanes.kept(&[&account]).is_empty(), "a rival is about");
    let read = load::<Accounts>(pool, &account, &[], &[]).await;
    assert_eq!(read.lane.as_ref().unwrap().seq, 3);
    let third = decide(&Accounts::default(), &account, read, &sent[2]).0;
    lanes.commit(&[third]).await.unwrap();
    assert_eq!(count(pool, "journal").await, 4);
}

#[tokio::test]
async fn of_two_who_create_a_lane_at_once_one_is_fenced() {
    let installation = Installation::new().await;
    let pool = installation.databases.clearing.clone();
    let account = key(TRADER);
    let mut changes = Vec::new();
    for request in ["r-1", "r-2"] {
        let loaded = load::<Clearing>(&pool, &account, &[], &[]).await;
        let arrivals = installation.submission(&account, request, opened());
        changes.push(decide(&installation.clearing, &account, loaded, &arrivals).0);
    }
    let lanes = PostgresLanes::<Clearing>::new(pool.clone());
    let (one, other) = tokio::join!(lanes.commit(&changes[..1]), lanes.commit(&changes[1..]));
    let fenced =
        [&one, &other].iter().filter(|result| matches!(result, Err(CommitError::Fenced))).count();
    assert_eq!(fenced, 1, "{one:?} {other:?}");
    assert!(one.is_ok() || other.is_ok());
    assert_eq!(count(&pool, "journal").await, 1);
}

#[tokio::test]
async fn what_a_constraint_refuses_names_the_constraint() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.submit(SAVER, opened()).await;
    let pool = installation.databases.account.clone();
    let sent = installation.clear(&account, deposit("5")).await;
    let cap_domain::lane::Output::Forward { unit, .. } = &sent[0] else { panic!("forwarded") };
    let (id, body) = cap_domain::lane::pack(&account, &[unit]).remove(0);
    let arrivals = <Accounts as cap_domain::lane::Stage>::read(&account, message(&id, None, &body));
    let (mut change, _) =
        decide(&Accounts::default(), &account, load(&pool, &account, &[], &[]).await, &arrivals);
    for (_, balance) in &mut std::sync::Arc::make_mut(&mut change.state_after).balances {
        balance.borrowed = balance.available;
    }

    let lanes = PostgresLanes::<Accounts>::new(pool.clone());
    let refused = lanes.commit(&[change]).await;
    let Err(CommitError::Refused(reason)) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("balance_available_or_borrowed"), "{reason}");
    assert_eq!(count(&pool, "journal").await, 1, "nothing was written");
}

#[tokio::test]
async fn a_journal_that_is_ahead_of_its_lane_is_no_rival() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.clear(&account, opened()).await;
    installation.clear(&account, deposit("5")).await;
    let pool = installation.databases.clearing.clone();
    sqlx::query("update lane set seq = 1").execute(&pool).await.unwrap();
    let arrivals = installation.submission(&account, "r-9", deposit("6"));
    let (change, _) =
        decide(&installation.clearing, &account, load(&pool, &account, &[], &[]).await, &arrivals);
    let refused = PostgresLanes::<Clearing>::new(pool).commit(&[change]).await;
    let Err(CommitError::Refused(reason)) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("journal_pkey"), "{reason}");
}

#[tokio::test]
async fn parked_messages_come_back_by_source_id() {
    let installation = Installation::new().await;
    let pool = &installation.databases.clearing;
    let account = key(TRADER);
    let bodies = ["nonsense", "{\"header\": \"a \\u0000 is quoted\"}"];
    for (index, body) in bodies.iter().enumerate() {
        let arrivals = <Clearing as cap_domain::lane::Stage>::read(
            &account,
            message(&format!("m-{index}"), None, body),
        );
        support::settle(pool, &installation.clearing, &account, arrivals).await;
    }
    let loaded = load::<Clearing>(pool, &account, &[], &["m-1", "m-7"]).await;
    assert_eq!(loaded.lane.unwrap().status, LaneStatus::Suspended);
    assert_eq!(loaded.memory.parked.len(), 1);
    let letter = &loaded.memory.parked["m-1"];
    assert_eq!((letter.parked_seq, letter.parked_at), (2, support::NOW.plus_seconds(1)));
    assert!(loaded.memory.parked["m-1"].error.starts_with("parked untried behind"));

    let parked = cap_store::inspect::list_parked(pool, &account, 0, 10).await.unwrap();
    assert_eq!(
        parked.iter().map(|parked| parked.message.body.as_str()).collect::<Vec<_>>(),
        bodies
    );
    let shown = cap_store::inspect::show_parked(pool, &account, 2).await.unwrap().unwrap();
    assert_eq!((shown.message.source_id.as_str(), shown.resolution), ("m-1", None));
}

#[tokio::test]
async fn a_poison_whose_words_hold_a_nul_can_be_parked() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.clear(&account, opened()).await;
    let strange = json!({"type": "deposit.received", "a\u{0}b": 1});
    let arrivals = installation.submission(&account, "r-2", strange);
    let pool = &installation.databases.clearing;
    support::settle(pool, &installation.clearing, &account, arrivals).await;
    let lane = cap_store::inspect::show_lane(pool, &account).await.unwrap().unwrap();
    assert_eq!(lane.status, LaneStatus::Suspended);
}

#[tokio::test]
async fn a_row_that_was_altered_by_hand_is_unreadable() {
    let mut installation = Installation::new().await;
    let account = key(SAVER);
    installation.submit(SAVER, opened()).await;
    let pool = installation.databases.account.clone();
    sqlx::query("update account set withdrawals = 'none'").execute(&pool).await.unwrap();
    let wanted = Wanted {
        account: account.clone(),
        request_ids: vec![],
        taken_for_new: false,
        source_ids: vec![],
        parked_seqs: vec![],
    };
    let loaded = PostgresLanes::<Accounts>::new(pool).load(&[wanted]).await;
    let Err(LoadError::Unreadable { account: whose, reason }) = loaded else {
        panic!("{loaded:?}")
    };
    assert_eq!(whose, account);
    assert!(reason.starts_with("withdrawals: "), "{reason}");
}

#[tokio::test]
async fn a_database_that_is_away_is_unreachable() {
    let pool = cap_store::connect("postgres://nobody@127.0.0.1:1/none", "test", 1).unwrap();
    let wanted = Wanted {
        account: key(SAVER),
        request_ids: vec![],
        taken_for_new: false,
        source_ids: vec![],
        parked_seqs: vec![],
    };
    let loaded = PostgresLanes::<Accounts>::new(pool.clone()).load(&[wanted]).await;
    assert!(matches!(loaded, Err(LoadError::Unreachable(_))), "{loaded:?}");
}

#[tokio::test]
async fn every_hot_statement_finds_its_rows_by_an_index() {
    let mut installation = Installation::with_history().await;
    // The plan that counts is the one made while the tables were empty and kept ever since.
    for _ in 0..8 {
        installation.submit(TRADER, deposit("1")).await;
    }
    for stage in StageName::ALL {
        let pool = installation.pool(stage);
        let options = pool.connect_options();
        // A connection tells what it did when it is closed, if not before.
        pool.close().await;
        let mut connection = sqlx::PgConnection::connect_with(&options).await.unwrap();
        let (by_key, from_end_to_end) = rows_read(&mut connection).await;
        assert!(by_key > 0, "{stage}: the statistics are there");
        assert_eq!(from_end_to_end, 0, "{stage}");
    }
}

/// How many rows of CAP's tables were read by an index, and how many without one.
async fn rows_read(connection: &mut sqlx::PgConnection) -> (i64, i64) {
    let rows = "select sum(idx_tup_fetch)::bigint, sum(seq_tup_read)::bigint
        from pg_stat_user_tables where relname not in ('_sqlx_migrations', 'configuration')";
    let mut found = (0, 0);
    for _ in 0..50 {
        found = sqlx::query_as(rows).fetch_one(&mut *connection).await.unwrap();
        if found.0 > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    found
}
