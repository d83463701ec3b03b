//! Positions of every kind survive their tables, prove themselves, and live beside the tasks of an
//! earlier release.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use std::sync::Arc;

use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::lane::StageName;
use cap_domain::position::{MarginMode, PositionKey, PositionMode, PositionState, Positions};
use cap_store::configurations::remember;
use cap_store::verify::VerifyOptions;
use serde_json::{Value, json};
use sqlx::PgPool;
use support::{Installation, TRADER, configuration, deposit, fill, key, load, opened};

/// What the release before hedge mode and isolated margin writes of a position.
const WRITTEN_BEFORE: &str = "insert into position (
        account_id, symbol, currency, decimals, quantity, cost, margin, leverage, realised_profit, closed_at
    ) values ($1, 'BTC-USDT', 'USDT', 6, $2, $3, $4, 10, 40, $5)
    on conflict (account_id, symbol) do update set
        currency = excluded.currency, decimals = excluded.decimals, quantity = excluded.quantity,
        cost = excluded.cost, margin = excluded.margin, leverage = excluded.leverage,
        realised_profit = excluded.realised_profit, closed_at = excluded.closed_at";

fn with(mut event: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

fn inverse(side: &str, quantity: &str) -> Value {
    let fee = json!({ "currency": "BTC", "amount": "0.00001" });
    with(fill(side, quantity, "20000", "0"), json!({ "symbol": "BTC-USD", "fee": fee }))
}

/// A hedge account with a long isolated and a short cross position, and an inverse one.
async fn hedged() -> Installation {
    let mut installation = Installation::new().await;
    let side = |side: &str| json!({ "position_side": side });
    let isolated = json!({ "margin_mode": "isolated" });
    for event in [
        with(opened(), json!({ "position_mode": "hedge" })),
        deposit("5000.00"),
        json!({"type": "deposit.received", "currency": "BTC", "amount": "1", "reference": "tx-2"}),
        with(with(fill("buy", "0.5", "20000", "0"), isolated), side("long")),
        with(fill("sell", "0.2", "21000", "0"), side("short")),
        with(fill("buy", "0.2", "20000", "0"), side("short")),
        with(fill("sell", "0.3", "20500", "0"), side("short")),
        with(inverse("buy", "1000"), side("long")),
        json!({"type": "funding.charged", "symbol": "BTC-USDT", "rate": "0.0001", "mark_price": "20000"}),
    ] {
        installation.submit(TRADER, event).await;
    }
    installation
}

async fn state(installation: &Installation) -> PositionState {
    let loaded = load::<Positions>(&installation.databases.position, &key(TRADER), &[], &[]).await;
    PositionState::clone(&loaded.state)
}

#[tokio::test]
async fn positions_of_every_kind_are_loaded_as_they_were_left_and_prove_themselves() {
    let installation = hedged().await;
    let state = state(&installation).await;
    assert_eq!((state.opened, state.mode), (true, PositionMode::Hedge));
    let shown: Vec<_> = state
        .positions
        .iter()
        .map(|(key, position)| {
            let tiers = position.opened_under.as_ref().map(|it| it.maintenance.is_some());
            let (quantity, margin) = (position.quantity.normalize(), position.margin);
            format!("{key} {quantity} {margin} {} {tiers:?}", position.margin_mode.as_str())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "BTC-USD:long 1000 0.00500000 BTC cross Some(true)",
            "BTC-USDT:long 0.5 1000.000000 USDT isolated Some(true)",
            "BTC-USDT:short -0.3 615.000000 USDT cross Some(true)",
        ]
    );
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn rows_under_the_rulebook_before_prove_themselves_beside_those_under_this_one() {
    let isolated = |event| with(event, json!({ "margin_mode": "isolated" }));
    let of_eth = |event| with(event, json!({ "symbol": "ETH-USDT" }));
    let mut installation = Installation::new().await;
    let newest = installation.clearing.clone();
    let mut before = configuration();
    before.rulebooks[1].cross_liquidation_prices = false;
    remember(&installation.databases.clearing, 2, &before).await.unwrap();
    let before = Configuration::check(2, before).unwrap();
    installation.clearing = Clearing::new(Arc::new(before));
    for event in [
        opened(),
        deposit("5000.00"),
        isolated(fill("buy", "0.1", "20000", "0")),
        of_eth(fill("buy", "1", "3000", "0")),
    ] {
        installation.submit(TRADER, event).await;
    }
    let contracts = "select contract from position order by symbol";
    let pool = installation.pool(StageName::Position).clone();
    let before: Vec<String> = sqlx::query_scalar(contracts).fetch_all(&pool).await.unwrap();
    assert!(before[0].contains(r#""maintenance":[{"up_to":"50000","rate":"0.004"},"#));
    assert!(!before[1].contains("maintenance"));

    installation.clearing = newest;
    installation.submit(TRADER, isolated(fill("buy", "0.1", "20000", "0"))).await;
    let grown: Vec<String> = sqlx::query_scalar(contracts).fetch_all(&pool).await.unwrap();
    assert_eq!(grown, before, "open positions keep their figures, as they were written");
    installation.submit(TRADER, isolated(fill("sell", "0.2", "20000", "0"))).await;
    installation.submit(TRADER, fill("sell", "0.1", "20000", "0")).await;
    installation.submit(TRADER, of_eth(fill("sell", "2", "3000", "0"))).await;
    let opened_again: Vec<String> = sqlx::query_scalar(contracts).fetch_all(&pool).await.unwrap();
    assert!(opened_again[0].contains(r#""maintenance":"50000:0.004;250000:0.005;"#));
    assert!(opened_again[1].contains(r#""maintenance":"10000:0.005;100000:0.0065;"#));
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn a_position_that_is_not_what_its_journal_says_is_told() {
    let installation = hedged().await;
    let alterations = [
        (
            "update position_account set position_mode = 'one_way'",
            "position mode is one_way in its table, hedge by the journal",
        ),
        (
            "update position set margin_mode = 'cross' where symbol = 'BTC-USDT:long'",
            "BTC-USDT:long margin mode is cross in its table, isolated by the journal",
        ),
        (
            "update position set contract = null where symbol = 'BTC-USDT:short'",
            "BTC-USDT:short contract is none in its table, {\"symbol\":\"BTC-USDT\",\"kind\":\"linear\",\"multiplier\":\"1\",\"settled_in\":{\"code\":\"USDT\",\"decimals\":6},\"maintenance\":\"50000:0.004;250000:0.005;1000000:0.01;5000000:0.025;20000000:0.05;50000000:0.1;100000000:0.125;200000000:0.15;300000000:0.25;0.5\"} by the journal",
        ),
    ];
    for (alteration, _) in alterations {
        sqlx::query(alteration).execute(installation.pool(StageName::Position)).await.unwrap();
    }
    let told = installation.verify().await.mismatches;
    for (_, says) in alterations {
        assert!(told.iter().any(|mismatch| mismatch.what.ends_with(says)), "{says}\n{told:#?}");
    }
}

#[tokio::test]
async fn margins_of_both_sides_are_the_accounts_margin() {
    let installation = hedged().await;
    let pool = installation.pool(StageName::Account);
    let alteration =
        "update balance set margin = margin + 1, available = available - 1 where currency = 'USDT'";
    sqlx::query(alteration).execute(pool).await.unwrap();
    let says = "margin is 1616 USDT, the sum over its positions 1615 USDT";
    let told = installation.verify().await.mismatches;
    assert!(told.iter().any(|mismatch| mismatch.what == says), "{told:#?}");
}

#[tokio::test]
async fn margin_that_is_put_aside_and_not_with_its_position_yet_is_counted() {
    let mut installation = hedged().await;
    // What follows of it is an event for clearing, which nobody delivers here.
    let event = json!({"type": "margin.changed", "symbol": "BTC-USDT", "position_side": "long", "amount": "25"});
    installation.submit(TRADER, event).await;
    let flowing = VerifyOptions { settled: false, account: None };
    let report = installation.verify_with(&flowing).await;
    assert_eq!(report.mismatches, [], "account has it, and says what for");
    let told = installation.verify().await.mismatches;
    let [lost] = told.as_slice() else { panic!("{told:#?}") };
    assert!(lost.what.starts_with("its margin.posted margin:"), "{}", lost.what);
    assert!(lost.what.ends_with(&format!("never arrived at {TRADER}")), "{}", lost.what);

    let pool = installation.pool(StageName::Account);
    let alteration = "update balance set margin = margin - 25, available = available + 25 where currency = 'USDT'";
    sqlx::query(alteration).execute(pool).await.unwrap();
    let says = "margin is 1615 USDT, the sum over its positions 1615 USDT, and 25 USDT is under way to them";
    let told = installation.verify().await.mismatches;
    assert!(told.iter().any(|mismatch| mismatch.what == says), "{told:#?}");
}

#[tokio::test]
async fn margin_that_nobody_put_aside_is_told_as_made_up() {
    let mut installation = hedged().await;
    let made_up = json!({"type": "margin.posted", "symbol": "BTC-USDT", "position_side": "long", "currency": "USDT", "amount": "25"});
    installation.submit(TRADER, made_up).await;
    let told = installation.verify().await.mismatches;
    let says =
        |what: &str| what.starts_with("its margin.posted r-") && what.contains("was made up");
    assert!(told.iter().any(|mismatch| says(&mismatch.what)), "{told:#?}");
}

/// Writes the trader's position as a task of the release before does.
async fn written_before(pool: &PgPool, quantity: &str, cost: &str, margin: &str) {
    let decimal = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
    let closed_at = (quantity == "0").then_some(time::OffsetDateTime::UNIX_EPOCH);
    sqlx::query(WRITTEN_BEFORE)
        .bind(TRADER)
        .bind(decimal(quantity))
        .bind(decimal(cost))
        .bind(decimal(margin))
        .bind(closed_at)
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_task_of_the_release_before_goes_on_writing_what_it_knows() {
    let installation = Installation::with_history().await;
    let pool = installation.pool(StageName::Position);
    let net = PositionKey::net("BTC-USDT".parse().unwrap());
    let known = state(&installation).await.positions.remove(&net).unwrap();
    assert!(known.opened_under.is_some());

    written_before(pool, "0.06", "1200", "120").await;
    let after = state(&installation).await.positions.remove(&net).unwrap();
    assert_eq!(after, known, "what it does not know stays");
    assert_eq!(installation.verify().await.mismatches, []);

    written_before(pool, "0", "0", "0").await;
    let closed = state(&installation).await.positions.remove(&net).unwrap();
    assert_eq!(
        closed.opened_under, None,
        "what stands there of a closed position counts for nothing"
    );

    sqlx::query("delete from position").execute(pool).await.unwrap();
    written_before(pool, "0.06", "1200", "120").await;
    let opened = state(&installation).await.positions.remove(&net).unwrap();
    assert_eq!((opened.margin_mode, opened.opened_under), (MarginMode::Cross, None));
    assert_eq!(installation.verify().await.mismatches, [], "it has no figures of its own yet");

    let account = "insert into position_account (account_id, opened) values ('a_b_c_D', true)
        on conflict (account_id) do update set opened = excluded.opened
        returning position_mode";
    let mode: String = sqlx::query_scalar(account).fetch_one(pool).await.unwrap();
    assert_eq!(mode, "one_way");
}

#[tokio::test]
async fn the_database_holds_what_the_rules_hold() {
    let installation = hedged().await;
    let pool = installation.pool(StageName::Position);
    let cases = [
        (
            "update position set symbol = 'BTC-USDT:both' where symbol = 'BTC-USDT:long'",
            "position_side_known",
        ),
        (
            "update position set quantity = -quantity where symbol = 'BTC-USDT:long'",
            "position_on_its_side",
        ),
        (
            "update position set quantity = 1 where symbol = 'BTC-USDT:short'",
            "position_on_its_side",
        ),
        ("update position set margin_mode = 'shared'", "position_margin_mode_known"),
        ("update position_account set position_mode = 'netting'", "position_account_mode_known"),
    ];
    for (alteration, constraint) in cases {
        let error = sqlx::query(alteration).execute(pool).await.unwrap_err();
        assert_eq!(
            error.as_database_error().unwrap().constraint(),
            Some(constraint),
            "{alteration}"
        );
    }
}
