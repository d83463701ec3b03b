//! A trade service in a few lines: it publishes envelopes and reads outcomes.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test waits to see that nothing comes.
const SILENCE: Duration = Duration::from_millis(1_500);

/// An upstream service.
pub struct Upstream {
    sqs: Client,
    prefix: String,
    urls: Mutex<HashMap<String, String>>,
}

impl Upstream {
    /// Of the installation with this prefix.
    pub fn new(sqs: Client, prefix: String) -> Self {
        Self { sqs, prefix, urls: Mutex::default() }
    }

    /// The URL of `name`, without the installation's prefix: `clearing-acme_spot`.
    pub async fn url(&self, name: &str) -> String {
        let mut urls = self.urls.lock().await;
        if let Some(url) = urls.get(name) {
            return url.clone();
        }
        let full = format!("{}-{name}.fifo", self.prefix);
        let url =
            self.sqs.get_queue_url().queue_name(&full).send().await.expect("the queue exists");
        let url = url.queue_url().expect("it has a URL").to_owned();
        urls.insert(name.to_owned(), url.clone());
        url
    }

    /// Publishes an envelope for an account of acme's spot retail customers.
    pub async fn publish(&self, envelope: &Value) {
        let header = &envelope["header"];
        let text = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
        let (product, group, account) = (text("product"), text("customer_group"), text("account"));
        let (queue, message_group) =
            match (text("company").as_str(), product.as_str(), group.as_str()) {
                ("acme", "perpetual", "vip") => ("clearing-acme_perpetual_vip", account),
                ("acme", "perpetual", _) => {
                    ("clearing-acme_perpetual", format!("{group}_{account}"))
                }
                ("acme", ..) => ("clearing-acme_spot", format!("{group}_{account}")),
                _ => ("clearing-zenith", format!("{product}_{group}_{account}")),
            };
        self.send(queue, &message_group, &text("request_id"), &envelope.to_string()).await;
    }

    /// Sends any body to any queue.
    pub async fn send(&self, queue: &str, message_group: &str, deduplication_id: &str, body: &str) {
        let url = self.url(queue).await;
        let call = self.sqs.send_message().queue_url(url).message_group_id(message_group);
        call.message_deduplication_id(deduplication_id)
            .message_body(body)
            .send()
            .await
            .expect("is sent");
    }

    /// The next `count` outcomes of a scope, in the order they come; they are deleted.
    pub async fn outcomes(&self, scope: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut outcomes = Vec::new();
        while outcomes.len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} outcomes came: {outcomes:#?}",
                outcomes.len()
            );
            outcomes.extend(self.receive(&format!("outcome-{scope}"), 1).await);
        }
        assert_eq!(outcomes.len(), count, "too many outcomes came: {outcomes:#?}");
        outcomes
    }

    /// The next outcome of a scope.
    pub async fn outcome(&self, scope: &str) -> Value {
        self.outcomes(scope, 1).await.remove(0)
    }

    /// The outcome of a request; those that come before it are passed over.
    pub async fn outcome_of(&self, scope: &str, request_id: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no outcome of {request_id} came");
            let received = self.receive(&format!("outcome-{scope}"), 1).await;
            let mut received = received.into_iter();
            if let Some(told) = received.find(|told| told["header"]["request_id"] == request_id) {
                return told;
            }
        }
    }

    /// Asserts that no further outcome comes.
    pub async fn no_outcome(&self, scope: &str) {
        tokio::time::sleep(SILENCE).await;
        let more = self.receive(&format!("outcome-{scope}"), 0).await;
        assert!(more.is_empty(), "more outcomes came: {more:#?}");
    }

    /// What lies in the dead-letter queue of a stage, with its message attributes as `_attributes`.
    pub async fn dead_letters(
        &self,
        stage_queue: &str,
        count: usize,
    ) -> Vec<(String, HashMap<String, String>)> {
        let url = self.url(&format!("{stage_queue}-dlq")).await;
        let deadline = Instant::now() + PATIENCE;
        let mut letters = Vec::new();
        while letters.len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} dead letters came",
                letters.len()
            );
            let call = self
                .sqs
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .wait_time_seconds(1);
            let received = call.message_attribute_names("All").send().await.expect("is received");
            for message in received.messages() {
                let attributes = message.message_attributes().into_iter().flatten();
                let attributes = attributes.filter_map(|(name, value)| {
                    Some((name.clone(), value.string_value()?.to_owned()))
                });
                letters.push((message.body().unwrap_or_default().to_owned(), attributes.collect()));
            }
        }
        letters
    }

    /// Receives `count` messages of a queue and gives them back at once, as a consumer does that
    /// never finishes.
    pub async fn receive_and_give_back(&self, queue: &str, count: usize) {
        let url = self.url(queue).await;
        let deadline = Instant::now() + PATIENCE;
        let mut handles = Vec::new();
        while handles.len() < count {
            assert!(Instant::now() < deadline, "only {} of {count} messages came", handles.len());
            let call = self.sqs.receive_message().queue_url(&url).max_number_of_messages(10);
            let received = call.wait_time_seconds(1).send().await.expect("is received");
            let held = received.messages().iter().filter_map(|message| message.receipt_handle());
            handles.extend(held.map(str::to_owned));
        }
        for handle in handles {
            let call = self.sqs.change_message_visibility().queue_url(&url).visibility_timeout(0);
            call.receipt_handle(handle).send().await.expect("is given back");
        }
    }

    async fn receive(&self, queue: &str, wait_secs: i32) -> Vec<Value> {
        let url = self.url(queue).await;
        let call = self
            .sqs
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10)
            .wait_time_seconds(wait_secs);
        let received = call
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .expect("is received");
        let mut bodies = Vec::new();
        for message in received.messages() {
            bodies.push(
                serde_json::from_str(message.body().unwrap_or_default())
                    .expect("an outcome is JSON"),
            );
            let handle = message.receipt_handle().unwrap_or_default();
            self.sqs
                .delete_message()
                .queue_url(&url)
                .receipt_handle(handle)
                .send()
                .await
                .expect("is deleted");
        }
        bodies
    }
}

/// A header for `account` (`acme/spot/retail/A-1`), made now.
pub fn header(account: &str, request_id: &str) -> Value {
    let parts: Vec<&str> = account.split('/').collect();
    let [company, product, customer_group, account] = parts.as_slice() else {
        panic!("{account} is not company/product/group/account");
    };
    let now =
        OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).expect("a time can be written");
    json!({
        "version": 1, "request_id": request_id, "initiated_at": now, "company": company, "product": product,
        "customer_group": customer_group, "account": account,
    })
}

/// An envelope for `account`, made now.
pub fn envelope(account: &str, request_id: &str, event: Value) -> Value {
    json!({ "header": header(account, request_id), "event": event })
}
