//! What is in subjects that a rulebook declares is kept, adds up and is proved, and tasks of the
//! release before go on beside it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::account::Accounts;
use cap_domain::lane::StageName;
use cap_store::trial_balance::trial_balance;
use serde_json::{Value, json};
use sqlx::PgPool;
use support::{Installation, key, load};

const DEALER: &str = "acme_cfd_retail_D-1";

fn deposit(amount: &str) -> Value {
    json!({"type": "deposit.received", "currency": "USD", "amount": amount, "reference": "tx-1"})
}

fn fill(side: &str, price: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "EUR-USD",
        "side": side, "quantity": "0.1", "price": price, "leverage": "20", "margin_mode": "cross",
        "liquidity": "taker", "fee": {"currency": "USD", "amount": "7.77"},
    })
}

/// An account with a bonus, cash and a position, beside those of products that declare nothing.
async fn dealing() -> Installation {
    let mut installation = Installation::with_history().await;
    for event in [
        json!({"type": "account.opened", "customer": "c-7"}),
        deposit("10000.05"),
        fill("buy", "1.1"),
        json!({"type": "withdrawal.requested", "withdrawal_id": "w-1", "currency": "USD", "amount": "100"}),
        json!({"type": "withdrawal.settled", "withdrawal_id": "w-1"}),
    ] {
        installation.submit(DEALER, event).await;
    }
    installation
}

async fn money(pool: &PgPool) -> Vec<String> {
    let state = load::<Accounts>(pool, &key(DEALER), &[], &[]).await.state;
    let balance = &state.balances[&"USD".parse().unwrap()];
    balance.shares().map(|(name, money)| format!("{name} {}", money.amount())).collect()
}

const DEALT: [&str; 7] = [
    "available 0.00",
    "frozen 0.00",
    "margin 550.00",
    "withdrawing 0.00",
    "borrowed 0.00",
    "bonus 992.23",
    "cash 8350.05",
];

#[tokio::test]
async fn declared_subjects_are_loaded_as_they_were_left_and_prove_themselves() {
    let mut installation = dealing().await;
    let pool = installation.pool(StageName::Account).clone();
    assert_eq!(money(&pool).await, DEALT);
    assert_eq!(installation.verify().await.mismatches, []);
    // A drained subject is kept at zero: what was there once is shown.
    let all = json!({"type": "fee.charged", "currency": "USD", "amount": "992.23", "reason": "f"});
    installation.submit(DEALER, all).await;
    assert_eq!(money(&pool).await[5..], ["bonus 0.00", "cash 8350.05"]);
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn products_that_declare_nothing_write_nothing_of_it() {
    let installation = dealing().await;
    let written = "select count(*) from balance where declared is not null";
    let pool = installation.pool(StageName::Account);
    let written: i64 = sqlx::query_scalar(written).fetch_one(pool).await.unwrap();
    assert_eq!(written, 1, "the dealer's USD alone");
}

#[tokio::test]
async fn the_trial_balance_has_declared_subjects_and_is_zero() {
    let installation = dealing().await;
    let pool = installation.pool(StageName::Account);
    let books = trial_balance(pool).await.unwrap();
    assert!(books.is_zero(), "{books:?}");
    let sum = |subject: &str| {
        let found = books
            .subjects
            .iter()
            .find(|sum| (sum.currency.as_str(), sum.subject.as_str()) == ("USD", subject));
        found.map(|sum| sum.sum.to_string())
    };
    for (subject, amount) in [
        ("bonus", "992.23"),
        ("cash", "8350.05"),
        ("margin", "550.00"),
        ("house:partner", "1.55"),
        ("house:fees", "6.22"),
        ("external:bank", "-9900.05"),
    ] {
        assert_eq!(sum(subject).as_deref(), Some(amount), "{subject}");
    }
    // A cent more in a declared subject and the books are off by it.
    let more = "update balance set declared = declared || '{\"bonus\": 992.24}' where declared is not null";
    sqlx::query(more).execute(pool).await.unwrap();
    assert!(!trial_balance(pool).await.unwrap().is_zero());
}

#[tokio::test]
async fn whatever_is_altered_of_declared_subjects_is_told() {
    let cases = [
        (
            "update balance set declared = declared || '{\"cash\": 8350.06}' where declared is not null",
            "cash is 8350.06 USD in its table, 8350.05 USD by the journal",
        ),
        (
            "update balance set declared = declared - 'bonus' where declared is not null",
            "bonus is nothing in its table, 992.23 USD by the journal",
        ),
        (
            "update balance set declared = declared || '{\"points\": 1}' where declared is not null",
            "points is 1.00 USD in its table, nothing by the journal",
        ),
        (
            "delete from balance where declared is not null",
            "there is no USD balance, and one of 0.00 available, 0.00 frozen, 550.00 margin, 0.00 withdrawing, 0.00 borrowed, 992.23 bonus, 8350.05 cash by the journal",
        ),
    ];
    for (alteration, what) in cases {
        let installation = dealing().await;
        let pool = installation.pool(StageName::Account);
        let altered = sqlx::query(alteration).execute(pool).await.unwrap();
        assert_eq!(altered.rows_affected(), 1, "{alteration}");
        let told: Vec<_> =
            installation.verify().await.mismatches.iter().map(|m| m.what.clone()).collect();
        assert!(told.iter().any(|told| told == what), "{alteration}: {told:?}");
    }
}

#[tokio::test]
async fn the_database_refuses_what_no_declared_subject_can_hold() {
    let installation = dealing().await;
    let pool = installation.pool(StageName::Account);
    let cases = [
        (r#"[1]"#, "balance_declared_by_name"),
        (r#"{"Cash": 1}"#, "balance_declared_by_name"),
        (r#"{"house:fees": 1}"#, "balance_declared_by_name"),
        (r#"{"abcdefghijklmnopqrstuvwxy": 1}"#, "balance_declared_by_name"),
        (r#"{"cash": -0.01}"#, "balance_declared_in_range"),
        (r#"{"cash": 1000000000000000}"#, "balance_declared_in_range"),
        (r#"{"cash": "1.00"}"#, "balance_declared_in_range"),
        (r#"{"cash": null}"#, "balance_declared_in_range"),
        (r#"{"cash": [1]}"#, "balance_declared_in_range"),
        (r#"{"bonus": 1, "cash": 0.001}"#, "balance_declared_in_smallest_units"),
    ];
    for (declared, constraint) in cases {
        let write = "update balance set declared = $1::text::jsonb where declared is not null";
        let error = sqlx::query(write).bind(declared).execute(pool).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.constraint(), Some(constraint), "{declared}: {error}");
    }
    let fine = "update balance set declared = '{\"bonus\": 0.00, \"cash\": 999999999999999.99}' where declared is not null";
    sqlx::query(fine).execute(pool).await.unwrap();
    assert_eq!(money(pool).await[5..], ["bonus 0.00", "cash 999999999999999.99"]);
}

/// What the release before declared subjects writes of a balance.
const WRITTEN_BEFORE: &str = "insert into balance (
        account_id, currency, decimals, available, frozen, margin, withdrawing, borrowed
    ) values ('acme_spot_retail_S-1', 'USDT', 6, $1::numeric, 0, 0, 0, 0)
    on conflict (account_id, currency) do update set
        decimals = excluded.decimals, available = excluded.available, frozen = excluded.frozen,
        margin = excluded.margin, withdrawing = excluded.withdrawing, borrowed = excluded.borrowed";

#[tokio::test]
async fn tasks_of_the_release_before_read_and_write_beside_this_one() {
    let mut installation = dealing().await;
    let pool = installation.pool(StageName::Account).clone();
    sqlx::query(WRITTEN_BEFORE).bind("50").execute(&pool).await.unwrap();
    assert_eq!(installation.verify().await.mismatches, []);
    let more =
        json!({"type": "deposit.received", "currency": "USDT", "amount": "1", "reference": "t"});
    installation.submit("acme_spot_retail_S-1", more).await;
    let read_before = "select available::text from balance
        where account_id = 'acme_spot_retail_S-1' and declared is null";
    let available: String = sqlx::query_scalar(read_before).fetch_one(&pool).await.unwrap();
    assert_eq!(available, "51.000000");
    assert_eq!(installation.verify().await.mismatches, []);
}
