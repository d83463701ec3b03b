//! What a card borrows and what losses take is kept, adds up and is proved.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

mod support;

use cap_domain::lane::StageName;
use cap_store::trial_balance::trial_balance;
use serde_json::{Value, json};
use support::{Installation, TRADER, deposit};

const BORROWER: &str = "acme_spot_retail_B-1";

fn withdrawal(id: &str, amount: &str) -> Value {
    json!({"type": "withdrawal.requested", "withdrawal_id": id, "currency": "HKD", "amount": amount})
}

/// 200 USDT are short, which 200.19 USD buy with 0.009829 to spare; and two withdrawals on hold.
async fn borrowing() -> Installation {
    let mut installation = Installation::with_history().await;
    let credit = json!({"currency": "USD", "limit": "500"});
    for event in [
        json!({"type": "account.opened", "customer": "c-9", "credit": credit}),
        deposit("100"),
        json!({"type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": "300",
            "may_borrow": true, "rates": {"USD/USDT": "0.9991"}}),
        json!({"type": "deposit.received", "currency": "HKD", "amount": "50", "reference": "tx-2"}),
        withdrawal("w-1", "30"),
        withdrawal("w-2", "20"),
    ] {
        installation.submit(BORROWER, event).await;
    }
    installation
}

#[tokio::test]
async fn the_house_exchange_is_not_zero_and_the_trial_balance_is() {
    let installation = borrowing().await;
    let balance = trial_balance(installation.pool(StageName::Account)).await.unwrap();
    assert!(balance.is_zero(), "{balance:?}");
    let sum = |currency: &str, subject: &str| {
        let found = balance.subjects.iter().find(|sum| {
            (sum.company.as_str(), sum.currency.as_str(), sum.subject.as_str())
                == ("acme", currency, subject)
        });
        found.map(|sum| sum.sum.normalize().to_string())
    };
    assert_eq!(sum("USD", "house:exchange").as_deref(), Some("200.19"));
    assert_eq!(sum("USD", "borrowed").as_deref(), Some("200.19"));
    assert_eq!(sum("USDT", "house:exchange").as_deref(), Some("-200.009829"));
    assert_eq!(installation.verify().await.mismatches, []);
}

#[tokio::test]
async fn withdrawals_that_losses_took_are_gone_and_the_proof_agrees() {
    // Asked for during the liquidation, with margin in use, they wait; so losses may take them.
    let mut installation = Installation::with_history().await;
    for event in [
        json!({"type": "liquidation.started"}),
        json!({"type": "deposit.received", "currency": "HKD", "amount": "50", "reference": "tx-2"}),
        withdrawal("w-1", "30"),
        withdrawal("w-2", "20"),
        json!({"type": "fee.charged", "currency": "HKD", "amount": "5", "reason": "custody"}),
    ] {
        installation.submit(TRADER, event).await;
    }
    let pool = installation.pool(StageName::Account);
    let withdrawals = "select withdrawals from account where account_id = $1";
    let withdrawals: String =
        sqlx::query_scalar(withdrawals).bind(TRADER).fetch_one(pool).await.unwrap();
    assert!(withdrawals.contains("w-1") && !withdrawals.contains("w-2"), "{withdrawals}");
    assert_eq!(installation.verify().await.mismatches, []);
    assert!(trial_balance(pool).await.unwrap().is_zero());
}

#[tokio::test]
async fn withdrawals_that_an_earlier_release_stored_without_their_request_are_no_mismatch() {
    let installation = borrowing().await;
    let without = "update account set withdrawals = regexp_replace(
            withdrawals, ',\"request\":\\{[^}]*\\}', '', 'g'
        ) where account_id = $1 and withdrawals like '%request%'";
    let pool = installation.pool(StageName::Account);
    let altered = sqlx::query(without).bind(BORROWER).execute(pool).await.unwrap();
    assert_eq!(altered.rows_affected(), 1);
    assert_eq!(installation.verify().await.mismatches, []);

    let other = "update account set withdrawals = replace(withdrawals, '30.00', '31.00')
        where account_id = $1";
    sqlx::query(other).bind(BORROWER).execute(pool).await.unwrap();
    let report = installation.verify().await;
    assert_eq!(report.mismatch_count, 1, "{:?}", report.mismatches);
    assert!(
        report.mismatches[0]
            .what
            .starts_with("withdrawals is [w-1 of 31.00 HKD, w-2 of 20.00 HKD] in its table"),
        "{:?}",
        report.mismatches
    );
}
