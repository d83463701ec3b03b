//! Margin and leverage through the real queues (ADR 11): paid at account first, told twice, and the
//! same whatever crashes in between.

use cap_tests::{World, envelope};
use serde_json::{Value, json};

use crate::events::{PERPETUAL, balance, deposit, funded, opened, perpetual_fill};
use crate::tools::capctl;

/// Accounts that change their margins while services crash.
const ACCOUNTS: usize = 6;

/// What each of them does.
const ROUNDS: usize = 8;

fn isolated_fill(order: &str, side: &str, quantity: &str) -> Value {
    let mut fill = perpetual_fill(order, side, quantity, "20000", "0");
    fill["margin_mode"] = json!("isolated");
    fill
}

fn margin_changed(amount: &str) -> Value {
    json!({ "type": "margin.changed", "symbol": "BTC-USDT", "amount": amount })
}

fn leverage_changed(leverage: &str) -> Value {
    json!({ "type": "leverage.changed", "symbol": "BTC-USDT", "leverage": leverage })
}

#[tokio::test(flavor = "multi_thread")]
async fn margin_and_leverage_are_paid_first_and_told_again_once_the_position_has_them() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, PERPETUAL, "acme_perpetual").await;
    let tell = |id: &'static str, event: Value| async move {
        upstream.publish(&envelope(PERPETUAL, id, event)).await;
        upstream.outcome("acme_perpetual").await["outcome"].clone()
    };
    tell("fill", isolated_fill("o-1", "buy", "0.1")).await;

    let asked = tell("add", margin_changed("100")).await;
    assert_eq!(asked["status"], "posted", "{asked:#}");
    assert_eq!(asked["balances"][0]["margin"], "300.000000");
    assert_eq!(asked["position"]["margin"], "300.000000");
    let told = upstream.outcome("acme_perpetual").await;
    assert!(told["header"]["request_id"].as_str().unwrap().starts_with("margin:"), "{told:#}");
    assert_eq!(told["outcome"]["status"], "posted");
    assert_eq!(told["outcome"]["position"], asked["position"]);
    assert_eq!(told["outcome"]["balances"], json!([]), "account has paid before");

    let taken = tell("take", margin_changed("-40")).await;
    assert_eq!(taken["position"]["margin"], "260.000000");
    let refused = tell("too-much", margin_changed("-60.000001")).await;
    assert_eq!(
        refused["reason"],
        json!({ "code": "insufficient_funds",
            "detail": "needs 60.000001 USDT, BTC-USDT has 260.000000 margin, of which 200.000000 is its initial margin" })
    );
    let raised = tell("lower-leverage", leverage_changed("4")).await;
    assert_eq!(raised["balances"][0]["margin"], "500.000000", "{raised:#}");
    let told = upstream.outcome("acme_perpetual").await;
    assert_eq!(told["outcome"]["position"]["margin"], "500.000000");
    let lowered = tell("higher-leverage", leverage_changed("40")).await;
    assert_eq!(lowered["position"]["margin"], "50.000000");
    assert_eq!(lowered["balances"][0]["available"], "950.000000");
    tell("close", isolated_fill("o-2", "sell", "0.1")).await;
    let nothing = tell("nothing", margin_changed("1")).await;
    assert_eq!(nothing["reason"]["code"], "no_open_position", "{nothing:#}");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_position_pays_its_funding_when_available_cannot() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    upstream.publish(&envelope(PERPETUAL, "open", opened())).await;
    upstream.publish(&envelope(PERPETUAL, "fund", deposit("USDT", "201"))).await;
    upstream.publish(&envelope(PERPETUAL, "fill", isolated_fill("o-1", "buy", "0.1"))).await;
    let funding = json!({ "type": "funding.charged", "symbol": "BTC-USDT", "rate": "0.01", "mark_price": "20000" });
    upstream.publish(&envelope(PERPETUAL, "funding", funding)).await;
    let outcomes = upstream.outcomes("acme_perpetual", 5).await;
    assert_eq!(balance(&outcomes[3], "USDT")["margin"], "200.000000", "1 of 20 was available");
    assert_eq!(balance(&outcomes[4], "USDT")["margin"], "181.000000");
    assert_eq!(outcomes[4]["outcome"]["position"]["margin"], "181.000000");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn margins_agree_after_services_crashed_in_between() {
    // Given accounts with isolated positions
    let (world, stages) = World::running().await;
    let accounts: Vec<String> =
        (0..ACCOUNTS).map(|n| format!("acme/perpetual/retail/M-{n}")).collect();
    for (n, account) in accounts.iter().enumerate() {
        let events = [
            ("open", opened()),
            ("fund", deposit("USDT", "1000")),
            ("fill", isolated_fill("o-1", "buy", "0.1")),
        ];
        for (id, event) in events {
            world.upstream.publish(&envelope(account, &format!("{id}-{n}"), event)).await;
        }
    }
    world.quiet().await;
    // When they change margin and leverage while every stage crashes twice
    let mut stages = stages;
    for round in 0..ROUNDS {
        for (n, account) in accounts.iter().enumerate() {
            let event = match (round + n) % 4 {
                0 => margin_changed("30"),
                1 => leverage_changed(&format!("{}", 3 + round)),
                2 => isolated_fill(&format!("o-{round}"), "sell", "0.01"),
                _ => margin_changed("-5"),
            };
            world.upstream.publish(&envelope(account, &format!("act-{n}-{round}"), event)).await;
        }
        if round % 4 == 2 {
            stages.crash();
            stages = world.run_stages().await;
        }
    }
    world.quiet().await;
    // Then nothing is under way, and what positions have is what account holds for them
    stages.stop().await;
    let verified = capctl(&world, &["verify", "--settled", "--json"]).await;
    let report = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{}", report.chars().take(2_000).collect::<String>());
    let balance = capctl(&world, &["trial-balance", "--json"]).await;
    assert!(balance.status.success(), "{}", String::from_utf8_lossy(&balance.stdout));
}
