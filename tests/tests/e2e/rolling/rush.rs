//! A rush: many accounts of one product, thousands of events, and every outcome that is due, in its
//! account's order, each once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use cap_domain::lane::StageName;
use cap_tests::{World, envelope};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::events::{deposit, opened, perpetual_fill};
use crate::tools::{capctl, verified};

/// A product whose accounts go through all three stages.
pub(crate) const SCOPE: &str = "acme_perpetual";

/// How long outcomes that are due may stay away: longer than a frozen process can hold a lane.
const PATIENCE: Duration = Duration::from_secs(40);

/// Entries of one call.
const ENTRIES_MAX: usize = 10;

/// Many accounts, and what was published for them.
pub(crate) struct Rush<'a> {
    world: &'a World,
    accounts: usize,
    /// Events published for each account, all as many.
    published: usize,
    /// The last number told of each account.
    told: HashMap<String, u64>,
    outcomes: usize,
}

impl<'a> Rush<'a> {
    /// Opens the accounts and gives them money; these events are published too.
    pub(crate) async fn open(world: &'a World, accounts: usize) -> Self {
        let (told, outcomes) = Default::default();
        let mut rush = Self { world, accounts, published: 0, told, outcomes };
        rush.wave(|_| opened()).await;
        rush.wave(|_| deposit("USDT", "1000")).await;
        rush
    }

    /// One more event for every account: now a deposit, now a fill.
    pub(crate) async fn publish(&mut self) {
        let nth = self.published;
        self.wave(|account| {
            if nth.is_multiple_of(3) {
                perpetual_fill(&format!("o-{account}-{nth}"), "buy", "0.001", "20000", "0.01")
            } else {
                deposit("USDT", "1")
            }
        })
        .await;
    }

    async fn wave(&mut self, event: impl Fn(usize) -> Value) {
        self.published += 1;
        let url = self.world.upstream.url(&format!("clearing-{SCOPE}")).await;
        let numbers: Vec<usize> = (0..self.accounts).collect();
        for ten in numbers.chunks(ENTRIES_MAX) {
            let entries = ten.iter().map(|number| {
                let (account, request) =
                    (format!("R-{number}"), format!("e-{number}-{}", self.published));
                let key = format!("acme/perpetual/retail/{account}");
                SendMessageBatchRequestEntry::builder()
                    .id(number.to_string())
                    .message_group_id(format!("retail_{account}"))
                    .message_deduplication_id(&request)
                    .message_body(envelope(&key, &request, event(*number)).to_string())
                    .build()
                    .unwrap()
            });
            let call = self.world.aws.sqs.send_message_batch().queue_url(&url);
            let sent = call.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(sent.failed().is_empty(), "{:?}", sent.failed());
        }
    }

    /// Reads the outcomes that are there, or waits a little for some. Each must be the next one of
    /// its account, and posted.
    pub(crate) async fn listen(&mut self) {
        let url = self.world.upstream.url(&format!("outcome-{SCOPE}")).await;
        let call = self.world.aws.sqs.receive_message().queue_url(&url);
        let received = call.max_number_of_messages(10).wait_time_seconds(1).send().await.unwrap();
        let mut entries = Vec::new();
        for (index, message) in received.messages().iter().enumerate() {
            self.note(&serde_json::from_str(message.body().unwrap()).unwrap());
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entries.push(entry.receipt_handle(message.receipt_handle().unwrap()).build().unwrap());
        }
        if !entries.is_empty() {
            let call = self.world.aws.sqs.delete_message_batch().queue_url(&url);
            call.set_entries(Some(entries)).send().await.unwrap();
        }
    }

    fn note(&mut self, told: &Value) {
        let account = told["header"]["account"].as_str().unwrap().to_owned();
        let last = self.told.entry(account.clone()).or_default();
        *last += 1;
        let outcome = &told["outcome"];
        assert_eq!(outcome["lane_seq"], *last, "lost, twice or out of order: {told:#}");
        assert_eq!(told["header"]["request_id"], format!("e-{}-{last}", &account[2..]), "{told:#}");
        assert_eq!(outcome["status"], "posted", "{told:#}");
        assert!(outcome.get("replayed").is_none(), "nothing was sent twice: {told:#}");
        self.outcomes += 1;
    }

    /// How many events were published.
    pub(crate) fn events(&self) -> i64 {
        (self.accounts * self.published) as i64
    }

    /// How many outcomes are due still.
    pub(crate) fn due(&self) -> usize {
        self.accounts * self.published - self.outcomes
    }

    /// Reads outcomes until none is due.
    pub(crate) async fn all_told(&mut self) {
        let mut quiet_since = Instant::now();
        while self.due() > 0 {
            let due = self.due();
            self.listen().await;
            if self.due() < due {
                quiet_since = Instant::now();
            }
            assert!(quiet_since.elapsed() < PATIENCE, "{due} outcomes are due and do not come");
        }
    }

    /// Asserts, with every outcome told, that nothing more is told, that replay finds nothing, that
    /// all money comes to zero, and that every account holds what it was given.
    pub(crate) async fn proved(&mut self) {
        assert_eq!(self.due(), 0);
        self.world.upstream.no_outcome(SCOPE).await;
        verified(self.world, (self.accounts * self.published * StageName::ALL.len()) as u64).await;
        let books = capctl(self.world, &["trial-balance", "--json"]).await;
        assert!(books.status.success(), "{books:?}");
        assert_eq!(serde_json::from_slice::<Value>(&books.stdout).unwrap()["zero"], json!(true));
        let held = "select count(*), count(distinct (available, margin)) from balance";
        let database = self.world.database(StageName::Account);
        let held: (i64, i64) = sqlx::query_as(held).fetch_one(&database).await.unwrap();
        assert_eq!(held, (self.accounts as i64, 1), "all were given the same");
    }
}

/// How many rows the journal of a stage has.
pub(crate) async fn journal_rows(database: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from journal").fetch_one(database).await.unwrap()
}

/// Waits until the journal has more than so many rows.
pub(crate) async fn journal_passes(database: &PgPool, rows: i64) {
    let begun = Instant::now();
    while journal_rows(database).await <= rows {
        assert!(begun.elapsed() < PATIENCE, "the journal has not passed {rows} rows");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
