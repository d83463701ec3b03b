//! An operator's day on the real stack: install, publish, look, prove; then something is wrong.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up stops there"
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::position::Positions;
use cap_domain::time::Timestamp;
use cap_pipeline::Limits;
use cap_stack::Stack;
use cap_stage::{Connections, Wired, pipeline};
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::migrate::MigrateDatabase as _;
use support::Tool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long messages may take through all stages.
const SETTLE_SECS_MAX: u64 = 30;

fn configuration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// A stack, and an installation that `capctl` itself is to make.
struct World {
    stack: Stack,
    tool: Tool,
    prefix: String,
}

impl World {
    async fn start(name: &str) -> Self {
        let stack = match std::env::var("CAP_TEST_POSTGRES_URL") {
            Ok(url) => Stack::start_with(url).await.unwrap(),
            Err(_) => Stack::start().await.unwrap(),
        };
        let prefix = format!("{name}-{}", std::process::id());
        // An installation beside the one that is tested: neither must see the other.
        let other = stack
            .install(&format!("{prefix}-other"), &configuration())
            .await
            .unwrap();
        let variables = other.environment.iter().map(|(name, value)| {
            let mine = value.replace("-other", "").replace("_other", "");
            (name.clone(), mine)
        });
        let mut environment: Vec<_> = variables.collect();
        environment.push(("USER".to_owned(), "ann".to_owned()));
        let tool = Tool { environment };
        Self {
            stack,
            tool,
            prefix,
        }
    }

    fn setting(&self, name: &str) -> &str {
        let found = self
            .tool
            .environment
            .iter()
            .find(|(found, _)| found == name);
        &found.unwrap().1
    }

    async fn run_stages(&self) -> (CancellationToken, Vec<JoinHandle<()>>) {
        let stop = CancellationToken::new();
        let stages = vec![
            self.run_stage::<Clearing>(&stop).await,
            self.run_stage::<Positions>(&stop).await,
            self.run_stage::<Accounts>(&stop).await,
        ];
        (stop, stages)
    }

    async fn run_stage<S: Wired>(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let database = cap_store::connect(self.setting(S::DATABASE_URL), "test", 4).unwrap();
        let aws = self.stack.aws.clone();
        let connections = Connections {
            aws,
            database,
            prefix: self.prefix.clone(),
        };
        let limits = Limits {
            receive_wait_secs: 1,
            ..Limits::default()
        };
        tokio::spawn(
            pipeline::<S>(&connections, limits)
                .await
                .unwrap()
                .run(stop.clone()),
        )
    }

    /// Waits until the lane of `account` has come to `seq` at the account stage.
    async fn settled(&self, account: &str, seq: u64) {
        for _ in 0..SETTLE_SECS_MAX * 5 {
            let ended = self.tool.run(&format!("lane show {account} --json")).await;
            let at = |lane: &Value| lane["stage"] == "account" && lane["seq"] == seq;
            if ended.code == 0 && ended.json()["lanes"].as_array().unwrap().iter().any(at) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!(
            "{account} has not come to {seq}: {:?}",
            self.tool.run("lanes").await
        );
    }

    async fn drop_databases(&self) {
        for name in ["CLEARING", "POSITION", "ACCOUNT", "QUERY"] {
            let url = self.setting(&format!("{name}_DATABASE_URL"));
            Postgres::force_drop_database(url).await.unwrap();
        }
    }
}

fn envelope(request_id: &str, product: &str, account: &str, event: Value) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let initiated_at = Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap());
    let header = json!({ "version": 1, "request_id": request_id, "initiated_at": initiated_at, "company": "acme",
        "product": product, "customer_group": "retail", "account": account });
    json!({ "header": header, "event": event }).to_string()
}

fn deposit(amount: &str) -> Value {
    json!({ "type": "deposit.received", "currency": "USDT", "amount": amount, "reference": "tx-1" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_installation_is_made_and_looked_at() {
    let world = World::start("made").await;
    let tool = &world.tool;

    let told = tool.refused("lanes", 1).await;
    assert!(told.contains("run `capctl migrate` first"), "{told}");
    let migrated = tool.run("migrate").await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert!(
        migrated
            .stdout
            .contains("clearing  created, applied 0001 lanes and configurations"),
        "{migrated:?}"
    );
    assert!(
        migrated
            .stdout
            .contains("query     created; it has no schema yet"),
        "{migrated:?}"
    );
    assert!(
        migrated.stderr.contains("\"operator\":\"ann\""),
        "who did it is logged: {migrated:?}"
    );
    let again = tool.json("migrate").await;
    for database in again["databases"].as_array().unwrap() {
        assert_eq!(
            (&database["created"], &database["applied"]),
            (&json!(false), &json!([])),
            "{again}"
        );
    }

    assert!(
        tool.text("queue list")
            .await
            .contains("there are no queues yet")
    );
    let told = tool.refused("config show", 1).await;
    assert!(
        told.contains("push one with `capctl config push DIR`"),
        "{told}"
    );
    let created = tool.json("queue create acme_spot acme/perpetual").await;
    let queues = created["queues"].as_array().unwrap();
    assert_eq!(
        queues.len(),
        14,
        "three stages with dead letters, and outcomes, twice: {created}"
    );
    assert!(
        queues.iter().all(|queue| queue["created"] == true),
        "{created}"
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let again = tool.text("queue create acme/spot").await;
    assert!(
        again.lines().skip(1).all(|line| line.ends_with("is there")),
        "{again}"
    );
    let listed = tool.text("queue list").await;
    assert_eq!(listed.lines().count(), 15, "{listed}");
    assert!(
        listed.contains(&format!("{}-clearing-acme_spot-dlq.fifo", world.prefix)),
        "{listed}"
    );
    assert_eq!(
        tool.json("queue list").await["queues"]
            .as_array()
            .unwrap()
            .len(),
        14
    );

    let folder = configuration();
    let push = format!("config push {}", folder.display());
    assert_eq!(tool.json(&push).await["revision"], 1);
    let pushed = tool.run(&format!("{push} --operator bob")).await;
    assert!(
        pushed
            .stdout
            .starts_with("revision 2 pushed by bob: 5 currencies"),
        "{pushed:?}"
    );
    assert!(pushed.stderr.contains("\"operator\":\"bob\""), "{pushed:?}");
    let shown = tool.text("config show").await;
    assert!(shown.starts_with("revision 2, pushed 2"), "{shown}");
    assert!(shown.contains("clearing → position → account"), "{shown}");
    let first = tool.json("config show --revision 1").await;
    assert_eq!(
        (
            &first["pushed_by"],
            &first["document"]["currencies"]["USDT"]
        ),
        (&json!("ann"), &json!(6))
    );
    let told = tool.refused("config show --revision 9", 1).await;
    assert!(
        told.contains("there is no revision 9: they are numbered from 1 to 2"),
        "{told}"
    );

    for proof in ["verify --settled", "trial-balance"] {
        let found = tool.json(proof).await;
        assert!(found["clean"] == true || found["zero"] == true, "{found}");
    }
    let told = tool.refused("lane show A-1", 1).await;
    assert!(
        told.contains("no lane is of an account named A-1"),
        "{told}"
    );
    world.drop_databases().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bad_configuration_is_refused_with_file_place_and_reason() {
    let world = World::start("bad").await;
    world.tool.text("migrate").await;
    let folder = std::env::temp_dir().join(format!("capctl-bad-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("rulebooks")).unwrap();
    for file in [
        "currencies.json",
        "instruments.json",
        "rulebooks/spot.json",
        "rulebooks/perpetual.json",
    ] {
        std::fs::copy(configuration().join(file), folder.join(file)).unwrap();
    }
    let file = folder.join("rulebooks/spot.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let cases = [
        (
            good.replacen("\"version\": 1", "\"version\": \"one\"", 1),
            "version: invalid type: string \"one\"",
        ),
        (
            good.replacen("external:bank", "external bank", 1),
            "spot.json: ",
        ),
        (
            good.replacen("event.amount", "event.amuont", 1),
            "event.amuont",
        ),
        (good.replacen("{", "[", 1), "at line 1 column"),
    ];
    for (text, reason) in cases {
        std::fs::write(&file, text).unwrap();
        let told = world
            .tool
            .refused(&format!("config push {}", folder.display()), 1)
            .await;
        assert!(
            told.starts_with(&format!(
                "capctl: the configuration is refused: {}",
                file.display()
            )),
            "{told}"
        );
        assert!(told.contains(reason), "{reason}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    std::fs::remove_dir_all(folder).unwrap();
    let told = world.tool.refused("config show", 1).await;
    assert!(
        told.contains("there is no configuration yet"),
        "nothing was pushed: {told}"
    );
    world.drop_databases().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_are_published_traced_and_proved_and_what_is_wrong_is_loud() {
    let world = World::start("day").await;
    let tool = &world.tool;
    tool.text("migrate").await;
    tool.text("queue create acme_spot acme_perpetual").await;
    tool.text(&format!("config push {}", configuration().display()))
        .await;
    let (stop, stages) = world.run_stages().await;

    let open = json!({ "type": "account.opened", "customer": "C-1" });
    let reserve = |amount: &str| json!({ "type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": amount });
    let fill = json!({ "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "BTC-USDT", "side": "buy",
        "quantity": "0.1", "price": "40000.00", "leverage": "10", "margin_mode": "cross", "reserved": "400.00",
        "fee": { "currency": "USDT", "amount": "2.00" }, "liquidity": "taker" });
    let lines = [
        envelope("spot-open", "spot", "A-1", open.clone()),
        envelope("spot-deposit", "spot", "A-1", deposit("1000.00")),
        String::new(),
        envelope("spot-hopeless", "spot", "A-1", reserve("5000.00")),
        "{ \"header\": {} }".to_owned(),
        envelope("perp-open", "perpetual", "A-1", open),
        envelope("perp-deposit", "perpetual", "A-1", deposit("1000.00")),
        envelope("perp-reserve", "perpetual", "A-1", reserve("400.00")),
        envelope("perp-fill", "perpetual", "A-1", fill),
        envelope("cfd-open", "cfd", "A-1", deposit("1.00")),
    ];
    let published = tool.run_with("publish - --json", &lines.join("\n")).await;
    assert_eq!(published.code, 1, "some were refused: {published:?}");
    let report = published.json();
    assert_eq!(report["published"], 7, "{report}");
    let refused: Vec<_> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| &refused["line"])
        .collect();
    assert_eq!(refused, [5, 10], "by the number of their lines: {report}");
    assert!(
        published.stderr.contains("\"operator\":\"ann\""),
        "{published:?}"
    );
    world.settled("acme_spot_retail_A-1", 3).await;
    world.settled("acme/perpetual/retail/A-1", 4).await;

    let told = tool.refused("lane show A-1", 1).await;
    assert!(
        told.contains("say which: acme_perpetual_retail_A-1, acme_spot_retail_A-1"),
        "{told}"
    );
    let lanes = tool.json("lanes").await;
    assert_eq!(
        lanes["lanes"].as_array().unwrap().len(),
        5,
        "spot has no positions: {lanes}"
    );
    let bounded = tool.text("lanes --stage account --limit 1").await;
    assert!(
        bounded.contains("account has more: --stage account --after acme_perpetual_retail_A-1"),
        "{bounded}"
    );
    assert_eq!(
        tool.text("lanes --status suspended").await,
        "no such lanes\n"
    );

    let story = tool
        .text("trace perp-fill --account acme_perpetual_retail_A-1")
        .await;
    for part in [
        "perp-fill · trade.filled · acme_perpetual_retail_A-1",
        "planned by rulebook version",
        "position.margin_from_reserve",
        "BTC-USDT is long 0.1 at 40000, margin 400.000000",
        "frozen    → margin      400.000000 USDT",
        "then USDT: available 598.000000, margin 400.000000",
        "ending    posted",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    let story = tool
        .json("trace spot-hopeless --account acme/spot/retail/A-1")
        .await;
    assert_eq!(
        story["outcome"]["reason"]["code"], "insufficient_funds",
        "{story}"
    );
    assert_eq!(story["position"], Value::Null, "{story}");
    let told = tool
        .refused("trace nobody --account acme_spot_retail_A-1", 1)
        .await;
    assert!(told.contains("no stage knows request nobody"), "{told}");

    let proof = tool.text("verify").await;
    assert!(proof.contains("verdict: PROVED, everything"), "{proof}");
    { let db = cap_store::connect(world.setting("ACCOUNT_DATABASE_URL"), "test", 1).unwrap();
      let rows: Vec<(String,)> = sqlx::query_as("select result from journal").fetch_all(&db).await.unwrap(); eprintln!("{rows:#?}");
      let rows: Vec<(String,)> = sqlx::query_as("select leg::text from journal cross join lateral jsonb_array_elements(case when starts_with(result, '{\"posted\"') then result::jsonb #> '{posted,legs}' else '[]' end) as leg").fetch_all(&db).await.unwrap(); eprintln!("{rows:#?}"); }
    let books = tool.text("trial-balance").await;
    assert!(books.contains("verdict: ZERO in all 1 pairs"), "{books}");

    // A fill without its money: a fact that cannot be applied suspends the lane.
    let settled = json!({ "type": "withdrawal.settled", "withdrawal_id": "w-none" });
    let poison = envelope("spot-poison", "spot", "A-1", settled);
    assert_eq!(tool.run_with("publish -", &poison).await.code, 0);
    let mut suspended = Value::Null;
    for _ in 0..SETTLE_SECS_MAX * 5 {
        suspended = tool.json("lanes --status suspended").await;
        if suspended["lanes"][0]["parked"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(suspended["lanes"][0]["stage"], "account", "{suspended}");
    let lane = tool.text("lane show acme_spot_retail_A-1").await;
    assert!(lane.contains("account is suspended since 2"), "{lane}");
    let parked = tool.text("parked list acme_spot_retail_A-1").await;
    assert!(
        parked.contains("spot-poison") && parked.contains("waits"),
        "{parked}"
    );
    let shown = tool
        .text("parked show acme_spot_retail_A-1 1 --stage account")
        .await;
    assert!(
        shown.contains("now        it waits") && shown.contains("w-none"),
        "{shown}"
    );
    let told = tool.refused("parked show acme_spot_retail_A-1 2", 1).await;
    assert!(told.contains("has no parked message 2"), "{told}");
    let story = tool
        .text("trace spot-poison --account acme_spot_retail_A-1")
        .await;
    assert!(
        story.contains("ending    parked at account as message 1: "),
        "{story}"
    );
    let proof = tool.json("verify --account acme_spot_retail_A-1").await;
    assert_eq!(
        (&proof["clean"], &proof["account"]),
        (&json!(true), &json!("acme_spot_retail_A-1")),
        "{proof}"
    );

    stop.cancel();
    for stage in stages {
        stage.await.unwrap();
    }
    let database = cap_store::connect(world.setting("ACCOUNT_DATABASE_URL"), "test", 1).unwrap();
    let steal =
        "update balance set available = available + 1 where account_id = 'acme_spot_retail_A-1'";
    sqlx::query(steal).execute(&database).await.unwrap();
    database.close().await;
    let proof = tool.run("verify --settled").await;
    assert_eq!(proof.code, 2, "{proof:?}");
    assert!(
        proof
            .stdout
            .contains("MISMATCH  account acme_spot_retail_A-1"),
        "{proof:?}"
    );
    assert!(
        proof.stdout.contains("verdict: NOT PROVED, 1 mismatch"),
        "{proof:?}"
    );
    let proof = tool.run("verify --json").await;
    assert_eq!(
        (proof.code, &proof.json()["clean"]),
        (2, &json!(false)),
        "{proof:?}"
    );
    let books = tool.run("trial-balance").await;
    assert_eq!(books.code, 2, "{books:?}");
    assert!(
        books.stdout.contains("verdict: NOT ZERO in 1 of 1 pairs"),
        "{books:?}"
    );
    world.drop_databases().await;
}
