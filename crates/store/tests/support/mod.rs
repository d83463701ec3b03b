//! Databases of one real cluster, and an installation whose stages are advanced by hand.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, which may fail")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::{Configuration, ConfigurationDocument};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Arrival, Output, RawMessage, StageName, Step, advance, pack};
use cap_domain::position::Positions;
use cap_domain::time::Timestamp;
use cap_local::postgres::PostgresCluster;
use cap_pipeline::lane_store::{LaneChange, LaneStore, Loaded, Wanted};
use cap_store::verify::{Databases, VerifyOptions, VerifyReport, verify};
use cap_store::{PostgresLanes, StateTables};
use serde_json::{Value, json};
use sqlx::PgPool;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_763_719_200_000);

/// The account of the tests that need only one.
pub(crate) const TRADER: &str = "acme_perpetual_retail_T-1";

/// An account of a product without positions.
pub(crate) const SAVER: &str = "acme_spot_retail_S-1";

static CLUSTER: OnceLock<Option<PostgresCluster>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(1);

/// The address of a database of that name on the cluster of `CAP_TEST_POSTGRES_URL`, or on one
/// that this test program starts.
fn url(database: &str) -> String {
    if let Ok(url) = std::env::var("CAP_TEST_POSTGRES_URL") {
        let (server, _) = url.rsplit_once('/').expect("the URL names a database");
        return format!("{server}/{database}");
    }
    let cluster = CLUSTER.get_or_init(|| Some(PostgresCluster::start_temporary().unwrap()));
    cluster.as_ref().unwrap().url(database)
}

/// A new, migrated database.
pub(crate) async fn database(stage: StageName) -> PgPool {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("store_{}_{number}_{stage}", std::process::id());
    let url = url(&name);
    cap_store::migrations::migrate(stage, &url).await.unwrap();
    cap_store::connect(&url, "test", 4).unwrap()
}

pub(crate) fn key(text: &str) -> AccountKey {
    text.parse().unwrap()
}

/// The configuration of the repository.
pub(crate) fn configuration() -> ConfigurationDocument {
    let text = |path: &str| {
        let path = format!("{}/../../config/{path}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    serde_json::from_value(json!({
        "currencies": text("currencies.json"),
        "instruments": text("instruments.json"),
        "rulebooks": [
            text("rulebooks/spot.json"), text("rulebooks/perpetual.json"), text("rulebooks/cfd.json"),
        ],
    }))
    .unwrap()
}

/// An installation without queues: what a stage says is handed to the next at once.
pub(crate) struct Installation {
    pub(crate) databases: Databases,
    pub(crate) clearing: Clearing,
    requests: u32,
}

impl Installation {
    /// Three new databases, and the configuration kept as revision 1.
    pub(crate) async fn new() -> Self {
        let databases = Databases {
            clearing: database(StageName::Clearing).await,
            position: database(StageName::Position).await,
            account: database(StageName::Account).await,
        };
        let document = configuration();
        cap_store::configurations::remember(&databases.clearing, 1, &document).await.unwrap();
        let configuration = Configuration::check(1, document).unwrap();
        Self { databases, clearing: Clearing::new(Arc::new(configuration)), requests: 0 }
    }

    /// One with a trader who holds a position and a saver who holds money.
    pub(crate) async fn with_history() -> Self {
        let mut installation = Self::new().await;
        for event in [
            opened(),
            deposit("1000.00"),
            json!({"type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": "300"}),
            fill("buy", "0.1", "20000", "300"),
            fill("sell", "0.04", "21000", "0"),
            json!({"type": "order.reserved", "order_id": "o-2", "currency": "USDT", "amount": "9999"}),
        ] {
            installation.submit(TRADER, event).await;
        }
        for event in [opened(), deposit("50.00"), json!({"type": "account.closed"})] {
            installation.submit(SAVER, event).await;
        }
        installation
    }

    /// Takes one event through all stages.
    pub(crate) async fn submit(&mut self, account: &str, event: Value) -> Vec<Output> {
        let account = key(account);
        let sent = self.clear(&account, event).await;
        self.deliver(&account, sent).await
    }

    /// Takes the events that account sent into other lanes there; what is said in the end.
    pub(crate) async fn pass_on(&self, sent: Vec<Output>) -> Vec<Output> {
        let mut said = Vec::new();
        for output in sent {
            let Output::Event { account, deduplication_id, body } = output else { continue };
            let id = RequestId::new(&deduplication_id).unwrap();
            let arrivals = <Clearing as cap_domain::lane::Stage>::read(
                &account,
                message(&format!("m-{id}"), Some(&id), &body),
            );
            let cleared = settle(&self.databases.clearing, &self.clearing, &account, arrivals);
            said.extend(self.deliver(&account, outputs(cleared.await)).await);
        }
        said
    }

    /// Takes one event through clearing; what clearing says is not delivered.
    pub(crate) async fn clear(&mut self, account: &AccountKey, event: Value) -> Vec<Output> {
        self.requests += 1;
        let arrivals = self.submission(account, &format!("r-{}", self.requests), event);
        outputs(settle(&self.databases.clearing, &self.clearing, account, arrivals).await)
    }

    /// The arrivals of an event as the caller sends it.
    pub(crate) fn submission(
        &self,
        account: &AccountKey,
        request_id: &str,
        event: Value,
    ) -> Vec<Arrival<<Clearing as cap_domain::lane::Stage>::Input>> {
        let (company, product, customer_group, name) = account.parts();
        let body = json!({
            "header": {
                "version": 1, "request_id": request_id, "initiated_at": NOW, "company": company,
                "product": product, "customer_group": customer_group, "account": name,
            },
            "event": event,
        });
        let id = RequestId::new(request_id).unwrap();
        <Clearing as cap_domain::lane::Stage>::read(
            account,
            message(&format!("m-{request_id}"), Some(&id), &body.to_string()),
        )
    }

    /// Takes what a stage said to the next, and so on to the end; what is said there.
    pub(crate) async fn deliver(&self, account: &AccountKey, sent: Vec<Output>) -> Vec<Output> {
        let mut sent = sent;
        while let Some(Output::Forward { to, .. }) = sent.first() {
            sent = match to {
                StageName::Position => {
                    self.take(&self.databases.position, &Positions, account, sent).await
                }
                _ => self.take(&self.databases.account, &Accounts::default(), account, sent).await,
            };
        }
        sent
    }

    /// Takes what a stage said to the next one only.
    pub(crate) async fn take<S: StateTables>(
        &self,
        pool: &PgPool,
        stage: &S,
        account: &AccountKey,
        sent: Vec<Output>,
    ) -> Vec<Output> {
        let units: Vec<&str> = sent
            .iter()
            .filter_map(|output| match output {
                Output::Forward { unit, .. } => Some(unit.as_str()),
                Output::Outcome { .. } | Output::Event { .. } => None,
            })
            .collect();
        let mut said = Vec::new();
        for (id, body) in pack(account, &units) {
            let arrivals = S::read(account, message(&id, None, &body));
            said.extend(outputs(settle(pool, stage, account, arrivals).await));
        }
        said
    }

    pub(crate) async fn verify(&self) -> VerifyReport {
        self.verify_with(&VerifyOptions { settled: true, account: None }).await
    }

    pub(crate) async fn verify_with(&self, options: &VerifyOptions) -> VerifyReport {
        verify(&self.databases, options).await.unwrap()
    }

    pub(crate) fn pool(&self, stage: StageName) -> &PgPool {
        match stage {
            StageName::Clearing => &self.databases.clearing,
            StageName::Position => &self.databases.position,
            StageName::Account => &self.databases.account,
        }
    }
}

pub(crate) fn message<'a>(
    id: &'a str,
    deduplication_id: Option<&'a RequestId>,
    body: &'a str,
) -> RawMessage<'a> {
    RawMessage { message_id: id, deduplication_id, sent_at: NOW, receives: 1, repair: false, body }
}

fn outputs(steps: Vec<Step>) -> Vec<Output> {
    steps.into_iter().flat_map(|step| step.outputs).collect()
}

/// Reads one lane.
pub(crate) async fn load<S: StateTables>(
    pool: &PgPool,
    account: &AccountKey,
    request_ids: &[&str],
    source_ids: &[&str],
) -> Loaded<S> {
    let wanted = Wanted {
        account: account.clone(),
        request_ids: request_ids.iter().map(|id| RequestId::new(id).unwrap()).collect(),
        taken_for_new: false,
        source_ids: source_ids.iter().map(|id| (*id).to_owned()).collect(),
        parked_seqs: Vec::new(),
    };
    let lanes = PostgresLanes::<S>::new(pool.clone());
    lanes.load(&[wanted]).await.unwrap().remove(account).unwrap()
}

/// Decides `arrivals` from what was loaded; nothing is written.
pub(crate) fn decide<S: StateTables>(
    stage: &S,
    account: &AccountKey,
    loaded: Loaded<S>,
    arrivals: &[Arrival<S::Input>],
) -> (LaneChange<S>, Vec<Step>) {
    let Loaded { lane, state, memory } = loaded;
    let (before, state_before) = (lane.clone(), state.clone());
    let now = NOW.plus_seconds(1);
    let advanced = advance(stage, account, lane.unwrap_or_default(), state, memory, arrivals, now);
    LaneChange::of(account.clone(), before, state_before, advanced.unwrap(), now)
}

/// Loads, decides and commits, as the pipeline does.
pub(crate) async fn settle<S: StateTables>(
    pool: &PgPool,
    stage: &S,
    account: &AccountKey,
    arrivals: Vec<Arrival<S::Input>>,
) -> Vec<Step> {
    let requests: Vec<&str> = arrivals.iter().map(|arrival| arrival.request_id.as_str()).collect();
    let sources: Vec<&str> = arrivals.iter().map(|arrival| arrival.source_id.as_str()).collect();
    let loaded = load::<S>(pool, account, &requests, &sources).await;
    let (change, steps) = decide(stage, account, loaded, &arrivals);
    PostgresLanes::<S>::new(pool.clone()).commit(&[change]).await.unwrap();
    steps
}

pub(crate) fn opened() -> Value {
    json!({"type": "account.opened", "customer": "c-1"})
}

pub(crate) fn deposit(amount: &str) -> Value {
    json!({"type": "deposit.received", "currency": "USDT", "amount": amount, "reference": "tx-1"})
}

pub(crate) fn fill(side: &str, quantity: &str, price: &str, reserved: &str) -> Value {
    json!({
        "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "symbol": "BTC-USDT",
        "side": side, "quantity": quantity, "price": price, "leverage": "10",
        "margin_mode": "cross", "reserved": reserved, "liquidity": "taker",
        "fee": {"currency": "USDT", "amount": "0.50"},
    })
}
