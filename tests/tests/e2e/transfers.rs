//! Money between accounts and products of a company (A1, C10): conserved at every instant.

use std::time::Duration;

use cap_domain::lane::StageName;
use cap_store::trial_balance::{TrialBalance, trial_balance};
use cap_tests::{World, envelope};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::events::{balance, deposit, opened};
use crate::tools::capctl;

/// Accounts of both products and several groups, with the scope of their outcomes.
const ACCOUNTS: [(&str, &str); 5] = [
    ("acme/spot/retail/T-1", "acme_spot"),
    ("acme/spot/vip/T-2", "acme_spot"),
    ("acme/perpetual/vip/T-3", "acme_perpetual_vip"),
    ("acme/perpetual/retail/T-4", "acme_perpetual"),
    ("acme/perpetual/vip/T-5", "acme_perpetual_vip"),
];

/// Transfers in the rush.
const TRANSFERS: usize = 120;

/// How often the books are looked at during it.
const LOOKS: usize = 12;

fn transfer(id: &str, to: &str, amount: &str) -> Value {
    let to: Vec<&str> = to.split('/').collect();
    json!({
        "type": "transfer.requested", "transfer_id": id, "currency": "USDT", "amount": amount,
        "to": { "company": to[0], "product": to[1], "customer_group": to[2], "account": to[3] },
    })
}

async fn books(world: &World) -> TrialBalance {
    trial_balance(&world.database(StageName::Account)).await.unwrap()
}

/// The sum of a subject over all companies.
fn sum(books: &TrialBalance, subject: &str) -> Decimal {
    books.subjects.iter().filter(|one| one.subject == subject).map(|one| one.sum).sum()
}

async fn open_all(world: &World) {
    for (index, (account, _)) in ACCOUNTS.iter().enumerate() {
        world.upstream.publish(&envelope(account, &format!("open-{index}"), opened())).await;
        let fund = envelope(account, &format!("fund-{index}"), deposit("USDT", "1000"));
        world.upstream.publish(&fund).await;
    }
    world.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_conserved_at_every_instant_while_services_crash() {
    // Given accounts of two products and groups with 5,000 USDT between them
    let (world, stages) = World::running().await;
    open_all(&world).await;

    // When they send money to each other, and some of it nowhere, while services crash
    for n in 0..TRANSFERS {
        let (from, _) = ACCOUNTS[n % ACCOUNTS.len()];
        let to = match n % 7 {
            0 => "acme/spot/retail/nobody",
            other => ACCOUNTS[(n + other) % ACCOUNTS.len()].0,
        };
        let amount = format!("{}.25", 1 + n % 9);
        if from != to {
            let event = transfer(&format!("t-{n}"), to, &amount);
            world.upstream.publish(&envelope(from, &format!("transfer-{n}"), event)).await;
        }
        if n == TRANSFERS / 2 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    stages.crash();
    let stages = world.run_stages().await;

    // Then the books of every company add up to zero whenever one looks, and in the end nothing
    // is in transit and nothing was lost
    for _ in 0..LOOKS {
        let books = books(&world).await;
        assert!(books.is_zero(), "{books:#?}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    world.quiet().await;
    let books = books(&world).await;
    assert!(books.is_zero(), "{books:#?}");
    assert_eq!(sum(&books, "transit"), Decimal::ZERO, "{books:#?}");
    assert_eq!(sum(&books, "available"), Decimal::from(5_000), "{books:#?}");
    stages.stop().await;
    let verified = capctl(&world, &["verify", "--settled", "--json"]).await;
    let report = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{}", report.chars().take(2_000).collect::<String>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_told_on_both_sides_and_what_cannot_land_comes_back() {
    let (world, stages) = World::running().await;
    open_all(&world).await;
    world.upstream.outcomes("acme_spot", 4).await;
    world.upstream.outcomes("acme_perpetual", 2).await;
    let (from, to) = (ACCOUNTS[0].0, ACCOUNTS[3].0);

    // It lands in another product
    world.upstream.publish(&envelope(from, "give", transfer("t-1", to, "40"))).await;
    let sent = world.upstream.outcome("acme_spot").await;
    assert_eq!(sent["outcome"]["status"], "posted");
    assert_eq!(balance(&sent, "USDT")["available"], "960.000000");
    let landed = world.upstream.outcome("acme_perpetual").await;
    assert_eq!(landed["outcome"]["status"], "posted", "{landed:#}");
    assert_eq!(landed["header"]["account"], "T-4");
    assert_eq!(balance(&landed, "USDT")["available"], "1040.000000");

    // It cannot land: the account does not exist
    let nowhere = transfer("t-2", "acme/perpetual/retail/nobody", "40");
    world.upstream.publish(&envelope(from, "lose", nowhere)).await;
    let sent = world.upstream.outcome("acme_spot").await;
    assert_eq!(balance(&sent, "USDT")["available"], "920.000000");
    let refused = world.upstream.outcome("acme_perpetual").await;
    assert_eq!(refused["outcome"]["reason"]["code"], "account_not_found");
    let back = world.upstream.outcome("acme_spot").await;
    assert_eq!(back["outcome"]["status"], "posted", "{back:#}");
    assert_eq!(balance(&back, "USDT")["available"], "960.000000");

    // Another company: refused at once, until CAP can tell its own arrivals from others
    let unknown = transfer("t-3", "zenith/spot/retail/T-9", "40");
    world.upstream.publish(&envelope(from, "miss", unknown)).await;
    let refused = world.upstream.outcome("acme_spot").await;
    assert_eq!(refused["outcome"]["reason"]["code"], "invalid_request");
    assert_eq!(
        refused["outcome"]["reason"]["detail"],
        "to: zenith_spot_retail_T-9 is of another company, which is not supported yet"
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_holds_arrivals_until_it_is_redriven() {
    let (world, stages) = World::running().await;
    open_all(&world).await;
    let (from, to) = (ACCOUNTS[0].0, ACCOUNTS[3].0);
    let queue = ("clearing-acme_perpetual", "retail_T-4");
    world.upstream.send(queue.0, queue.1, "broken", "no json").await;
    world.quiet().await;
    world.upstream.publish(&envelope(from, "give", transfer("t-1", to, "40"))).await;
    world.quiet().await;
    let held = books(&world).await;
    assert!(held.is_zero());
    assert_eq!(sum(&held, "transit"), Decimal::from(40), "on its way: {held:#?}");

    let account = "acme_perpetual_retail_T-4";
    let skip = ["parked", "skip", account, "1", "--reason", "no json", "--yes"];
    let skipped = capctl(&world, &skip).await;
    assert!(skipped.status.success(), "{skipped:?}");
    let redriven = capctl(&world, &["redrive", account, "--yes"]).await;
    assert!(redriven.status.success(), "{redriven:?}");
    world.quiet().await;
    let landed = books(&world).await;
    assert_eq!(sum(&landed, "transit"), Decimal::ZERO, "{landed:#?}");
    assert_eq!(sum(&landed, "available"), Decimal::from(5_000));
    stages.stop().await;
}
