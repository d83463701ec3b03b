//! Every movement of money is told from its cause to its last effect (T45): what was borrowed and
//! repaid, what CAP sent itself, and when each of it was where.

use cap_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::installed::{deposit, fill, opened, publish, running};
use crate::support::Tool;
use crate::world::World;

const SAVER: &str = "acme/spot/retail/S-1";
const BORROWER: &str = "acme/spot/retail/B-1";
const ISOLATED: &str = "acme/perpetual/retail/I-1";
const LIQUIDATED: &str = "acme/perpetual/retail/L-1";
const REACHED: &str = "acme/perpetual/retail/R-1";
const NOBODY: &str = "acme/perpetual/retail/nobody";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stories_lead_from_the_cause_of_a_movement_to_its_last_effect() {
    let (world, stages) = running("stories").await;
    publish(&world.tool, REACHED, &[("r-open", opened())]).await;
    ended(&world, "r-open", REACHED).await;

    what_is_borrowed_and_repaid_are_legs_of_their_own(&world).await;
    margin_is_followed_to_its_position(&world).await;
    a_withdrawal_that_losses_took_is_named(&world).await;
    a_transfer_is_told_until_it_landed_or_came_back(&world).await;
    what_nobody_sent_has_no_cause(&world).await;
    let proof = world.tool.text("verify").await;
    assert!(proof.contains("verdict: PROVED, everything"), "{proof}");
    stages.stop().await;
    world.drop_databases().await;
}

/// The story of a request once it ended, and with it all that followed.
async fn ended(world: &World, request_id: &str, account: &str) -> Value {
    let is_ended = |story: &Value| {
        let followed = story["followed_by"].as_array().unwrap();
        !story["outcome"].is_null() && followed.iter().all(|one| !one["posting"].is_null())
    };
    world.comes_true(&format!("trace {request_id} --account {account}"), is_ended).await
}

/// Asserts that the story of a request has these lines, in this order, whatever is between them;
/// of a line, the words that matter.
async fn tells(tool: &Tool, request_id: &str, account: &str, lines: &[&str]) {
    let story = tool.text(&format!("trace {request_id} --account {account}")).await;
    let mut rest = story.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    for expected in lines {
        assert!(
            rest.any(|line| line.contains(expected)),
            "no {expected:?} where it is due in\n{story}"
        );
    }
}

fn transfer(id: &str, to: &str, amount: &str) -> Value {
    let to: Vec<&str> = to.split('/').collect();
    json!({
        "type": "transfer.requested", "transfer_id": id, "currency": "USDT", "amount": amount,
        "to": { "company": to[0], "product": to[1], "customer_group": to[2], "account": to[3] },
    })
}

async fn what_is_borrowed_and_repaid_are_legs_of_their_own(world: &World) {
    let with_credit = json!({
        "type": "account.opened", "customer": "C-1",
        "credit": { "currency": "USDT", "limit": "500" },
    });
    let reserve = json!({
        "type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": "300",
        "may_borrow": true,
    });
    let events = [
        ("b-open", with_credit),
        ("b-fund", deposit("100")),
        ("b-reserve", reserve),
        ("b-repay", deposit("250")),
    ];
    publish(&world.tool, BORROWER, &events).await;
    let repaid = ended(world, "b-repay", BORROWER).await;
    let opening = ["b-open · account.opened", "credit currency USDT, limit 500", "no money moved"];
    tells(&world.tool, "b-open", BORROWER, &opening).await;
    let borrowing = [
        "b-reserve · order.reserved · acme_spot_retail_B-1",
        "amount 300",
        "planned by rulebook version",
        "event.amount 300.000000 USDT",
        "available → frozen 300.000000 USDT",
        "position not on the road of this product",
        "had USDT: available 100.000000",
        "available → frozen 300.000000 USDT",
        "borrowed → available 200.000000 USDT",
        "then USDT: frozen 300.000000, borrowed 200.000000",
        "ending posted",
    ];
    tells(&world.tool, "b-reserve", BORROWER, &borrowing).await;
    let repaying = [
        "had USDT: frozen 300.000000, borrowed 200.000000",
        "external:bank → available 250.000000 USDT",
        "available → borrowed 200.000000 USDT",
        "then USDT: available 50.000000, frozen 300.000000",
        "ending posted",
    ];
    tells(&world.tool, "b-repay", BORROWER, &repaying).await;
    hops_are_told_with_their_times(&world.tool, &repaid).await;
}

/// The text has the times of the JSON, in order, each with how long after the queue it was.
async fn hops_are_told_with_their_times(tool: &Tool, story: &Value) {
    let at = |value: &Value| -> Timestamp { value.as_str().unwrap().parse().unwrap() };
    let (made, queued) = (at(&story["event"]["initiated_at"]), at(&story["event"]["sent_at"]));
    let mut due = vec![
        format!("made {made}"),
        format!("queued {queued} {} ms after it was made", queued.millis_since(made)),
    ];
    let mut before = queued;
    assert!(made <= queued, "{story:#}");
    for (stage, chapter) in [("clearing", "clearing"), ("account", "posting")] {
        let (decided, seq) = (at(&story[chapter]["decided_at"]), &story[chapter]["seq"]);
        assert!(before <= decided, "{stage} decided before it had it: {story:#}");
        let age = decided.millis_since(queued);
        due.push(format!("{stage} {decided} {age} ms after it was queued, row {seq}"));
        before = decided;
    }
    let due: Vec<&str> = due.iter().map(String::as_str).collect();
    tells(tool, story["request_id"].as_str().unwrap(), BORROWER, &due).await;
}

async fn margin_is_followed_to_its_position(world: &World) {
    let more = json!({ "type": "margin.changed", "symbol": "BTC-USDT", "amount": "100" });
    let events = [
        ("i-open", opened()),
        ("i-fund", deposit("1000")),
        ("i-fill", fill("isolated", "buy", "20000")),
        ("i-add", more),
    ];
    publish(&world.tool, ISOLATED, &events).await;
    let story = ended(world, "i-add", ISOLATED).await;
    let followed = story["followed_by"].as_array().unwrap();
    assert_eq!(followed.len(), 1, "{story:#}");
    let id = followed[0]["request_id"].as_str().unwrap();
    assert!(id.starts_with("margin:"), "{story:#}");
    let head = format!("followed {id} · margin.posted · acme_perpetual_retail_I-1");
    let lines = [
        "before: BTC-USDT is long 0.1 at 20000, margin 200.000000",
        "BTC-USDT is long 0.1 at 20000, margin 300.000000",
        "had USDT: available 800.000000, margin 200.000000",
        "available → margin 100.000000 USDT",
        "then USDT: available 700.000000, margin 300.000000",
        head.as_str(),
        "made 2",
        "ms after it was made",
        "clearing 2",
        "position 2",
        "account 2",
        "BTC-USDT is long 0.1 at 20000, margin 300.000000",
        "no money moved",
        "posted",
        "ending posted; margin.posted posted",
    ];
    tells(&world.tool, "i-add", ISOLATED, &lines).await;
    let lines = [
        format!("{id} · margin.posted · acme_perpetual_retail_I-1"),
        "cause i-add · margin.changed · acme_perpetual_retail_I-1".to_owned(),
        "ending posted".to_owned(),
    ];
    tells(&world.tool, id, ISOLATED, &lines.each_ref().map(String::as_str)).await;
}

async fn a_withdrawal_that_losses_took_is_named(world: &World) {
    let withdrawal = json!({
        "type": "withdrawal.requested", "withdrawal_id": "w-1", "currency": "USDT", "amount": "100",
    });
    let events = [
        ("l-open", opened()),
        ("l-fund", deposit("300")),
        ("l-buy", fill("cross", "buy", "20000")),
        ("l-start", json!({ "type": "liquidation.started" })),
        ("l-take", withdrawal),
        // It loses 250, and 200 of it were margin.
        ("l-sell", fill("cross", "sell", "17500")),
    ];
    publish(&world.tool, LIQUIDATED, &events).await;
    ended(world, "l-sell", LIQUIDATED).await;
    let lines = ["available → withdrawing 100.000000 USDT", "ending posted, payable at 2"];
    tells(&world.tool, "l-take", LIQUIDATED, &lines).await;
    let lines = [
        "before: BTC-USDT is long 0.1 at 20000, margin 200.000000",
        "BTC-USDT is closed, realised -250.000000",
        "had USDT: margin 200.000000, withdrawing 100.000000",
        "withdrawal w-1 of 100.000000 USDT, request l-take, was cancelled: its money was needed for losses",
        "withdrawing → available 100.000000 USDT",
        "then USDT: available 50.000000",
        "ending posted",
    ];
    tells(&world.tool, "l-sell", LIQUIDATED, &lines).await;
}

async fn a_transfer_is_told_until_it_landed_or_came_back(world: &World) {
    let tool = &world.tool;
    let events = [
        ("s-open", opened()),
        ("s-fund", deposit("1000")),
        ("s-give", transfer("t-1", REACHED, "40")),
        ("s-lose", transfer("t-2", NOBODY, "60")),
    ];
    publish(tool, SAVER, &events).await;
    let ids = async |request_id: &str| -> [String; 2] {
        let story = ended(world, request_id, SAVER).await;
        let followed = story["followed_by"].as_array().unwrap();
        assert_eq!(followed.len(), 2, "{story:#}");
        [0, 1].map(|step: usize| followed[step]["request_id"].as_str().unwrap().to_owned())
    };

    let [arrival, landing] = ids("s-give").await;
    assert!(arrival.starts_with("transfer:") && landing.starts_with("landing:"));
    let to_there = format!("followed {arrival} · transfer.arrived · acme_perpetual_retail_R-1");
    let and_back = format!("followed {landing} · transfer.landed · acme_spot_retail_S-1");
    let lines = [
        "to account R-1, company acme, customer_group retail, product perpetual",
        "had USDT: available 1000.000000",
        "available → transit 40.000000 USDT",
        "then USDT: available 960.000000",
        to_there.as_str(),
        "made 2",
        "queued 2",
        "clearing 2",
        "position 2",
        "account 2",
        "transit → available 40.000000 USDT",
        "then USDT: available 40.000000",
        "posted",
        and_back.as_str(),
        "account 2",
        "no money moved",
        "posted",
        "ending posted; transfer.landed posted",
    ];
    tells(tool, "s-give", SAVER, &lines).await;

    let [away, back] = ids("s-lose").await;
    let to_nobody = format!("followed {away} · transfer.arrived · acme_perpetual_retail_nobody");
    let and_back = format!("followed {back} · transfer.returned · acme_spot_retail_S-1");
    let lines = [
        "available → transit 60.000000 USDT",
        to_nobody.as_str(),
        "rejected, account_not_found: the account was never opened",
        and_back.as_str(),
        "transit → available 60.000000 USDT",
        "ending posted; transfer.returned posted",
    ];
    tells(tool, "s-lose", SAVER, &lines).await;

    // And back from whatever CAP sent to what it was sent for.
    for (id, account, arrival, cause) in [
        (&arrival, REACHED, None, "s-give"),
        (&landing, SAVER, Some((&arrival, "R-1")), "s-give"),
        (&back, SAVER, Some((&away, "nobody")), "s-lose"),
    ] {
        let arrival = arrival.map(|(id, account)| {
            format!("cause {id} · transfer.arrived · acme_perpetual_retail_{account}")
        });
        let first = format!("cause {cause} · transfer.requested · acme_spot_retail_S-1");
        let lines: Vec<&str> = arrival.iter().chain([&first]).map(String::as_str).collect();
        tells(tool, id, account, &lines).await;
    }
    assert_eq!(
        tool.text(&format!("trace {arrival}")).await,
        tool.text(&format!("trace {arrival} --account {REACHED}")).await,
        "the id is enough"
    );
}

async fn what_nobody_sent_has_no_cause(world: &World) {
    let mut made_up = transfer("t-3", REACHED, "5");
    made_up["type"] = json!("transfer.landed");
    made_up["arrival"] = json!("transfer:0123");
    publish(&world.tool, SAVER, &[("s-made-up", made_up)]).await;
    ended(world, "s-made-up", SAVER).await;
    let lines = ["cause not found: no lane is seen to have sent it", "ending rejected"];
    tells(&world.tool, "s-made-up", SAVER, &lines).await;
}
