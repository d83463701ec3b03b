//! What trading looks like from upstream.

use cap_tests::{World, envelope};
use serde_json::json;

use crate::events::{
    PERPETUAL, SPOT, balance, deposit, funded, opened, perpetual_fill, reserve, spot_buy,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reserved_filled_and_its_rest_given_back() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, SPOT, "acme_spot").await;

    upstream.publish(&envelope(SPOT, "ord-1", reserve("o-1", "USDT", "300"))).await;
    upstream
        .publish(&envelope(SPOT, "fill-1", spot_buy("o-1", "0.01", "25000.5", "300", "0.25")))
        .await;
    let outcomes = upstream.outcomes("acme_spot", 2).await;

    assert_eq!(balance(&outcomes[0], "USDT")["frozen"], "300.000000");
    let filled = &outcomes[1];
    assert_eq!(filled["header"]["request_id"], "fill-1");
    assert_eq!(
        (&filled["outcome"]["status"], &filled["outcome"]["lane_seq"]),
        (&json!("posted"), &json!(4))
    );
    assert_eq!(
        *balance(filled, "USDT"),
        json!({ "currency": "USDT", "available": "749.745000", "frozen": "0.000000", "margin": "0.000000",
                "withdrawing": "0.000000", "borrowed": "0.000000" })
    );
    assert_eq!(balance(filled, "BTC")["available"], "0.01000000");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_opens_flips_and_closes_with_its_profit_in_the_account() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, PERPETUAL, "acme_perpetual").await;

    let fills = [
        ("f-1", "buy", "0.1", "20000"),
        ("f-2", "sell", "0.15", "21000"),
        ("f-3", "buy", "0.05", "20000"),
    ];
    for (id, side, quantity, price) in fills {
        upstream
            .publish(&envelope(PERPETUAL, id, perpetual_fill(id, side, quantity, price, "1.5")))
            .await;
    }
    let outcomes = upstream.outcomes("acme_perpetual", 3).await;

    let position = |index: usize| &outcomes[index]["outcome"]["position"];
    assert_eq!(
        (&position(0)["side"], &position(0)["entry_price"]),
        (&json!("long"), &json!("20000"))
    );
    assert_eq!(balance(&outcomes[0], "USDT")["margin"], "200.000000");
    // (998.5 − 2000) / (0.1 · (0.004 − 1))
    assert_eq!(position(0)["liquidation_price"], "10055.22088353");
    // 0.1 closed with (21000 − 20000) · 0.1 = 100 won, 0.05 opened short at 21000.
    assert_eq!((&position(1)["side"], &position(1)["quantity"]), (&json!("short"), &json!("0.05")));
    assert_eq!(position(1)["realised_profit"], "100.000000");
    assert_eq!(balance(&outcomes[1], "USDT")["margin"], "105.000000");
    // The short wins (21000 − 20000) · 0.05 = 50; three fees of 1.5 are paid.
    assert_eq!(
        (&position(2)["side"], &position(2)["margin"]),
        (&json!("flat"), &json!("0.000000"))
    );
    assert_eq!(balance(&outcomes[2], "USDT")["available"], "1145.500000");
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_every_queue_level_are_served_and_told_in_their_own_order() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    let accounts = [
        ("acme/spot/retail/B-1", "acme_spot"),
        ("acme/perpetual/retail/B-1", "acme_perpetual"),
        ("acme/perpetual/vip/B-1", "acme_perpetual_vip"),
        ("zenith/spot/retail/B-1", "zenith"),
        ("zenith/perpetual/retail/B-1", "zenith"),
    ];
    for (index, (account, _)) in accounts.iter().enumerate() {
        upstream.publish(&envelope(account, &format!("open-{index}"), opened())).await;
        for n in 0..20 {
            upstream
                .publish(&envelope(account, &format!("d-{index}-{n}"), deposit("USDT", "1")))
                .await;
        }
    }
    for (scope, expected) in
        [("acme_spot", 21), ("acme_perpetual", 21), ("acme_perpetual_vip", 21), ("zenith", 42)]
    {
        let outcomes = upstream.outcomes(scope, expected).await;
        for product in ["spot", "perpetual"] {
            let seqs = outcomes
                .iter()
                .filter(|o| o["header"]["product"] == product)
                .map(|o| o["outcome"]["lane_seq"].as_u64().unwrap());
            assert!(
                seqs.enumerate().all(|(index, seq)| seq == index as u64 + 1),
                "{scope} {product} is out of order"
            );
        }
    }
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_money_does_not_allow_is_rejected_with_the_figures() {
    let (world, stages) = World::running().await;
    let upstream = &world.upstream;
    funded(upstream, SPOT, "acme_spot").await;

    upstream.publish(&envelope(SPOT, "ord-1", reserve("o-1", "USDT", "1000.01"))).await;
    let rejected = upstream.outcome("acme_spot").await;

    assert_eq!(rejected["outcome"]["status"], "rejected");
    assert_eq!(
        rejected["outcome"]["reason"],
        json!({ "code": "insufficient_funds", "detail": "needs 1000.010000 USDT, has 1000.000000 available, credit left 0.000000" })
    );
    stages.stop().await;
}
