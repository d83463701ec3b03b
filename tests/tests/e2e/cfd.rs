//! A third product is data only (C9): an account of `config/rulebooks/cfd.json` goes through the real
//! queues and databases of services that never heard of it.

use cap_domain::lane::StageName;
use cap_store::trial_balance::trial_balance;
use cap_tests::{World, envelope};
use serde_json::{Value, json};

use crate::events::{balance, deposit, opened, reserve};
use crate::tools::capctl;

const DEALER: &str = "zenith/cfd/retail/C-1";

fn fill(id: &str, side: &str, price: &str, reserved: &str, fee: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": id, "order_id": "o-1", "symbol": "EUR-USD", "side": side,
        "quantity": "0.1", "price": price, "leverage": "20", "margin_mode": "cross",
        "reserved": reserved, "fee": { "currency": "USD", "amount": fee }, "liquidity": "taker",
    })
}

/// The subjects of USD that hold something, in an outcome.
fn usd(outcome: &Value) -> String {
    let shares = balance(outcome, "USD").as_object().expect("a balance is an object");
    let shares = shares.iter().filter(|(name, amount)| *name != "currency" && *amount != "0.00");
    let mut shares: Vec<String> =
        shares.map(|(name, amount)| format!("{name} {}", amount.as_str().unwrap_or("?"))).collect();
    shares.sort();
    shares.join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_a_product_that_is_data_only_shows_its_bonus_and_its_cash() {
    // Given the shipped configuration, and company zenith, whose one queue a stage is for everything
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;

    // When an account deposits, orders, wins, pays, and asks for more than it may take
    let withdrawal = |id: &str, amount: &str| json!({ "type": "withdrawal.requested", "withdrawal_id": id, "currency": "USD", "amount": amount });
    let events = [
        ("open", opened()),
        ("fund", deposit("USD", "10000.05")),
        ("order", reserve("o-1", "USD", "600")),
        ("buy", fill("t-1", "buy", "1.1", "600", "7.77")),
        ("sell", fill("t-2", "sell", "1.15", "0", "0")),
        ("too-much", withdrawal("w-1", "9500.06")),
        ("enough", withdrawal("w-2", "9500.05")),
    ];
    for (id, event) in events {
        upstream.publish(&envelope(DEALER, id, event)).await;
    }
    let outcomes = upstream.outcomes("zenith", 7).await;

    // Then every outcome shows what is in the subjects that the rulebook declares
    let shown: Vec<String> = [1, 2, 3, 4, 6].map(|index: usize| usd(&outcomes[index])).to_vec();
    assert_eq!(
        shown,
        [
            "bonus 1000.00, cash 9000.05",
            "bonus 1000.00, cash 8400.05, frozen 600.00",
            "bonus 992.23, cash 8450.05, margin 550.00",
            "bonus 992.23, cash 9500.05",
            "bonus 992.23, withdrawing 9500.05",
        ]
    );
    assert_eq!(
        outcomes[5]["outcome"]["reason"],
        json!({ "code": "insufficient_funds", "detail": "needs 9500.06 USD, has 9500.05 cash, 0.00 available, credit left 0.00" })
    );
    let position = &outcomes[4]["outcome"]["position"];
    assert_eq!(
        (&position["symbol"], &position["side"], &position["margin"], &position["realised_profit"]),
        (&json!("EUR-USD"), &json!("flat"), &json!("0.00"), &json!("500.00"))
    );

    // And the journal proves it, and the books add up to zero with the declared subjects in them
    world.quiet().await;
    stages.stop().await;
    let verified = capctl(&world, &["verify", "--settled"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let books = trial_balance(&world.database(StageName::Account)).await.unwrap();
    assert!(books.is_zero(), "{books:#?}");
    let bonus = books.subjects.iter().find(|one| one.subject == "bonus").map(|one| one.sum);
    assert_eq!(bonus.map(|sum| sum.to_string()).as_deref(), Some("992.23"));
    let story = capctl(&world, &["lane", "show", "zenith/cfd/retail/C-1"]).await;
    assert!(story.status.success(), "{}", String::from_utf8_lossy(&story.stderr));
}
