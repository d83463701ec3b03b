//! Money between accounts, products and companies (A1, C10): conserved at every instant.

use std::pin::pin;
use std::time::Duration;

use cap_domain::lane::StageName;
use cap_store::trial_balance::{TrialBalance, trial_balance};
use cap_tests::{Stages, World, envelope};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::events::{balance, deposit, opened};
use crate::tools::capctl;

/// Accounts of both companies and products and of several groups, with the scope of their outcomes.
const ACCOUNTS: [(&str, &str); 7] = [
    ("acme/spot/retail/T-1", "acme_spot"),
    ("acme/spot/vip/T-2", "acme_spot"),
    ("acme/perpetual/vip/T-3", "acme_perpetual_vip"),
    ("acme/perpetual/retail/T-4", "acme_perpetual"),
    ("acme/perpetual/vip/T-5", "acme_perpetual_vip"),
    ("zenith/spot/retail/T-6", "zenith"),
    ("zenith/perpetual/vip/T-7", "zenith"),
];

/// Transfers in the rush.
const TRANSFERS: usize = 120;

/// The account that is suspended during the rush: what is for it is held on its way.
const HELD: usize = 3;

/// What all accounts have together, in USDT.
const MONEY: i64 = 7_000;

/// How long after a look at the books the next one is taken, and how many there must be in a rush.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);
const LOOKS_MIN: usize = 12;

fn transfer(id: &str, to: &str, amount: &str) -> Value {
    let to: Vec<&str> = to.split('/').collect();
    json!({
        "type": "transfer.requested", "transfer_id": id, "currency": "USDT", "amount": amount,
        "to": { "company": to[0], "product": to[1], "customer_group": to[2], "account": to[3] },
    })
}

async fn books(world: &World) -> TrialBalance {
    books_of(&world.database(StageName::Account)).await
}

async fn books_of(database: &PgPool) -> TrialBalance {
    trial_balance(database).await.unwrap()
}

/// The sum of a subject over all companies.
fn sum(books: &TrialBalance, subject: &str) -> Decimal {
    books.subjects.iter().filter(|one| one.subject == subject).map(|one| one.sum).sum()
}

/// What was seen of money that was on its way.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    in_transit: usize,
}

/// Does something while the books are looked at over and over: at every instant each company's add up
/// to zero, and what accounts have is, with what is on its way between them, what they had.
async fn watched<T>(world: &World, deed: impl Future<Output = T>) -> (T, Seen) {
    let database = world.database(StageName::Account);
    let mut deed = pin!(deed);
    let mut seen = Seen::default();
    loop {
        let look = async {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            books_of(&database).await
        };
        let books = tokio::select! {
            done = &mut deed => return (done, seen),
            books = look => books,
        };
        assert!(books.is_zero(), "{books:#?}");
        let (available, transit) = (sum(&books, "available"), sum(&books, "transit"));
        assert_eq!(available + transit, Decimal::from(MONEY), "{books:#?}");
        assert!(transit >= Decimal::ZERO, "more landed than left: {books:#?}");
        seen.looks += 1;
        seen.in_transit += usize::from(transit > Decimal::ZERO);
    }
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
    // Given accounts of two companies with 7,000 USDT between them, one of them suspended
    let (world, stages) = World::running().await;
    open_all(&world).await;
    let held = ACCOUNTS[HELD].0;
    world.upstream.send("clearing-acme_perpetual", "retail_T-4", "broken", "no json").await;
    world.quiet().await;

    // When they send money to each other, and some of it nowhere, while services crash, then the
    // books are right whenever one looks
    let ((stages, due), seen) = watched(&world, rush(&world, stages)).await;
    assert!(seen.looks >= LOOKS_MIN && seen.in_transit > 0, "{seen:?}");

    // And what is for the suspended account is on its way, until it is redriven
    assert_eq!(sum(&books(&world).await, "transit"), due, "to {held}");
    let key = held.replace('/', "_");
    let redriven = async {
        let skip = ["parked", "skip", &key, "1", "--reason", "no json", "--yes"];
        for command in [&skip[..], &["redrive", &key, "--yes"]] {
            let done = capctl(&world, command).await;
            assert!(done.status.success(), "{done:?}");
        }
        world.quiet().await;
    };
    let ((), seen) = watched(&world, redriven).await;
    assert!(seen.in_transit > 0, "{seen:?}");
    let books = books(&world).await;
    assert!(books.is_zero(), "{books:#?}");
    assert_eq!(sum(&books, "transit"), Decimal::ZERO, "{books:#?}");
    assert_eq!(sum(&books, "available"), Decimal::from(MONEY), "{books:#?}");
    stages.stop().await;
    let verified = capctl(&world, &["verify", "--settled", "--json"]).await;
    let report = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{}", report.chars().take(2_000).collect::<String>());
}

/// Many transfers at once, with a crash of all services amid them; how much of it is for the account
/// that is suspended.
async fn rush(world: &World, stages: Stages) -> (Stages, Decimal) {
    let mut due = Decimal::ZERO;
    for n in 0..TRANSFERS {
        let (from, _) = ACCOUNTS[n % ACCOUNTS.len()];
        let to = match n % 7 {
            0 => "acme/spot/retail/nobody",
            4 => "zenith/perpetual/retail/nobody",
            other => ACCOUNTS[(n + other) % ACCOUNTS.len()].0,
        };
        let amount = format!("{}.25", 1 + n % 9);
        if from != to {
            let event = transfer(&format!("t-{n}"), to, &amount);
            world.upstream.publish(&envelope(from, &format!("transfer-{n}"), event)).await;
        }
        if to == ACCOUNTS[HELD].0 && from != to {
            due += amount.parse::<Decimal>().unwrap();
        }
        if n == TRANSFERS / 2 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    stages.crash();
    let stages = world.run_stages().await;
    world.quiet().await;
    (stages, due)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_told_on_both_sides_and_what_cannot_land_comes_back() {
    let (world, stages) = World::running().await;
    open_all(&world).await;
    for (scope, outcomes) in
        [("acme_spot", 4), ("acme_perpetual", 2), ("acme_perpetual_vip", 4), ("zenith", 4)]
    {
        world.upstream.outcomes(scope, outcomes).await;
    }
    let next = async |scope: &str| world.upstream.outcome(scope).await;
    let is_posted = |told: &Value, account: &str, available: Option<&str>| {
        assert_eq!(told["outcome"]["status"], "posted", "{told:#}");
        assert_eq!(told["header"]["account"], account, "{told:#}");
        assert_eq!(told["outcome"]["transfer_id"], "t-1", "both sides know it by that: {told:#}");
        match available {
            Some(available) => assert_eq!(balance(told, "USDT")["available"], available),
            None => assert_eq!(told["outcome"]["balances"], json!([]), "{told:#}"),
        }
    };

    // Between products of a company, and between companies, both ways
    for (from, to, left, reached) in [
        (0, 3, "960.000000", "1040.000000"),
        (0, 6, "920.000000", "1040.000000"),
        (6, 0, "1000.000000", "960.000000"),
    ] {
        let ((from, here), (to, there)) = (ACCOUNTS[from], ACCOUNTS[to]);
        let name = |account: &str| account.rsplit('/').next().unwrap().to_owned();
        let give = envelope(
            from,
            &format!("give-{from}-{to}").replace('/', "."),
            transfer("t-1", to, "40"),
        );
        world.upstream.publish(&give).await;
        is_posted(&next(here).await, &name(from), Some(left));
        is_posted(&next(there).await, &name(to), Some(reached));
        is_posted(&next(here).await, &name(from), None);
    }

    // It cannot land: the account does not exist, or was closed, in the company or in another one
    let (from, _) = ACCOUNTS[0];
    for (gone, there) in
        [("acme/perpetual/retail/gone", "acme_perpetual"), ("zenith/spot/retail/gone", "zenith")]
    {
        for event in [opened(), json!({ "type": "account.closed" })] {
            let id = format!("{}-{there}", event["type"].as_str().unwrap());
            world.upstream.publish(&envelope(gone, &id, event)).await;
            assert_eq!(next(there).await["outcome"]["status"], "posted");
        }
    }
    for (n, (nobody, there, code)) in [
        ("acme/perpetual/retail/nobody", "acme_perpetual", "account_not_found"),
        ("zenith/spot/retail/nobody", "zenith", "account_not_found"),
        ("acme/perpetual/retail/gone", "acme_perpetual", "account_closed"),
        ("zenith/spot/retail/gone", "zenith", "account_closed"),
    ]
    .into_iter()
    .enumerate()
    {
        let nowhere = envelope(from, &format!("lose-{n}"), transfer("t-1", nobody, "40"));
        world.upstream.publish(&nowhere).await;
        is_posted(&next("acme_spot").await, "T-1", Some("920.000000"));
        let refused = next(there).await;
        assert_eq!(refused["outcome"]["reason"]["code"], code, "{refused:#}");
        assert_eq!(refused["outcome"]["transfer_id"], "t-1");
        is_posted(&next("acme_spot").await, "T-1", Some("960.000000"));
    }

    // A company that has no queue: refused at once, it could never come back
    let unknown = transfer("t-3", "nova/spot/retail/T-9", "40");
    world.upstream.publish(&envelope(from, "miss", unknown)).await;
    let refused = next("acme_spot").await;
    assert_eq!(refused["outcome"]["reason"]["code"], "invalid_request");
    assert_eq!(
        refused["outcome"]["reason"]["detail"],
        "to: there is no queue for nova_spot_retail_T-9"
    );
    stages.stop().await;
    let verified = capctl(&world, &["verify", "--settled", "--json"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_holds_arrivals_until_it_is_redriven() {
    // In the company, and in another one; all services crash while the money is on its way
    for (to, queue, group, key) in [
        (3, "clearing-acme_perpetual", "retail_T-4", "acme_perpetual_retail_T-4"),
        (6, "clearing-zenith", "perpetual_vip_T-7", "zenith_perpetual_vip_T-7"),
    ] {
        let (world, stages) = World::running().await;
        open_all(&world).await;
        let (from, to) = (ACCOUNTS[0].0, ACCOUNTS[to].0);
        world.upstream.send(queue, group, "broken", "no json").await;
        world.quiet().await;
        world.upstream.publish(&envelope(from, "give", transfer("t-1", to, "40"))).await;
        stages.crash();
        let stages = world.run_stages().await;
        world.quiet().await;
        let held = books(&world).await;
        assert!(held.is_zero());
        assert_eq!(sum(&held, "transit"), Decimal::from(40), "on its way: {held:#?}");
        let empty = envelope(
            from,
            "empty",
            json!({
                "type": "adjustment.posted", "currency": "USDT", "amount": "-960", "reason": "move",
                "operator": "ops", "shortfall": "reject",
            }),
        );
        world.upstream.publish(&empty).await;
        world.upstream.publish(&envelope(from, "close", json!({ "type": "account.closed" }))).await;
        world.quiet().await;
        let told = world.upstream.outcome_of("acme_spot", "close").await;
        let refused = &told["outcome"]["reason"];
        assert_eq!(refused["code"], "account_not_empty", "{told:#?}");
        assert_eq!(
            refused["detail"],
            format!("still has transfer t-1 of 40.000000 USDT to {key} under way")
        );

        let skip = ["parked", "skip", key, "1", "--reason", "no json", "--yes"];
        let skipped = capctl(&world, &skip).await;
        assert!(skipped.status.success(), "{skipped:?}");
        let redriven = capctl(&world, &["redrive", key, "--yes"]).await;
        assert!(redriven.status.success(), "{redriven:?}");
        world.quiet().await;
        let landed = books(&world).await;
        assert!(landed.is_zero());
        assert_eq!(sum(&landed, "transit"), Decimal::ZERO, "{landed:#?}");
        assert_eq!(sum(&landed, "available"), Decimal::from(7_000 - 960));
        stages.stop().await;
        let verified = capctl(&world, &["verify", "--settled", "--json"]).await;
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}
