//! Revisions of the configuration, through the real SDK against the embedded DynamoDB.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use cap_aws::configuration::ConfigurationStoreError;
use cap_aws::{ConfigurationStore, ConfigurationWatch};
use cap_domain::configuration::ConfigurationDocument;
use cap_domain::time::Timestamp;
use support::Stack;

const AT: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn revisions_count_from_one_and_can_all_be_read() {
    let (_stack, store) = start().await;
    assert_eq!(store.latest().await.unwrap(), None);
    let documents = [document(6), holding(&["EUR"])];
    for (revision, document) in (1..).zip(&documents) {
        assert_eq!(store.push(document, "ops", AT).await.unwrap(), revision);
    }
    let first = store.read(1).await.unwrap().unwrap();
    assert_eq!(
        (&first.document, first.pushed_at, first.pushed_by.as_str()),
        (&documents[0], AT, "ops")
    );
    assert_eq!(store.latest().await.unwrap().unwrap().document, documents[1]);
    assert_eq!(store.read(3).await.unwrap(), None);
}

#[tokio::test]
async fn two_pushes_at_once_never_become_the_same_revision() {
    let (_stack, store) = start().await;
    let mut held: Vec<String> = Vec::new();
    for round in 0..5 {
        // Both have everything so far, and one thing more each.
        let and = |more: &str| holding(&[held.clone(), vec![format!("{more}{round}")]].concat());
        let (one, two) = (and("ONE"), and("TWO"));
        held.extend(["ONE", "TWO"].map(|more| format!("{more}{round}")));
        let pushes = tokio::join!(store.push(&one, "one", AT), store.push(&two, "two", AT));
        let before = store.current_revision().await.unwrap();
        match pushes {
            (Ok(one), Ok(two)) => assert_ne!(one, two),
            (Ok(revision), Err(error)) | (Err(error), Ok(revision)) => {
                assert!(matches!(error, ConfigurationStoreError::Overtaken { .. }), "{error}");
                assert_eq!(revision, before);
            }
            (Err(one), Err(two)) => panic!("{one} {two}"),
        }
        let latest = store.latest().await.unwrap().unwrap();
        let expected = if latest.pushed_by == "one" { one } else { two };
        assert_eq!(latest.document, expected, "the document is the one of who pushed it");
    }
}

#[tokio::test]
async fn a_configuration_that_breaks_a_rule_is_not_pushed() {
    let (_stack, store) = start().await;
    let error = store.push(&document(99), "ops", AT).await.unwrap_err();
    assert!(
        error.to_string().contains("the configuration is refused: currencies.json: USDT: 99"),
        "{error}"
    );
    assert_eq!(store.current_revision().await.unwrap(), 0);
}

#[tokio::test]
async fn a_push_is_in_force_soon_after() {
    let (_stack, store) = start().await;
    let watch = ConfigurationWatch::start_polling(store.clone(), POLL).await.unwrap();
    assert_eq!(watch.current().revision, 0);
    let mut changes = watch.subscribe();
    store.push(&document(4), "ops", AT).await.unwrap();
    let changed = changes.wait_for(|in_force| in_force.configuration.revision == 1);
    tokio::time::timeout(PATIENCE, changed).await.unwrap().unwrap();
    let usdt = "USDT".parse().unwrap();
    assert_eq!(watch.current().currency(usdt).unwrap().decimals, 4);
    assert_eq!(watch.in_force().pushed.unwrap().document, document(4));
}

#[tokio::test]
async fn a_revision_that_fails_its_check_is_not_put_in_force_and_a_good_one_after_it_is() {
    let (stack, store) = start().await;
    store.push(&document(4), "ops", AT).await.unwrap();
    let watch = ConfigurationWatch::start_polling(store.clone(), POLL).await.unwrap();
    let mut changes = watch.subscribe();
    // Another release may know rules that this one does not.
    force(&stack, 2, &document(99)).await;
    tokio::time::sleep(POLL * 10).await;
    assert_eq!(watch.current().revision, 1);
    store.push(&document(6), "ops", AT).await.unwrap();
    let changed = changes.wait_for(|in_force| in_force.configuration.revision == 3);
    tokio::time::timeout(PATIENCE, changed).await.unwrap().unwrap();

    force(&stack, 4, &document(99)).await;
    let error = ConfigurationWatch::start_polling(store, POLL).await.unwrap_err();
    assert!(matches!(error, ConfigurationStoreError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_table_that_lost_its_revisions_leaves_the_configuration_in_force() {
    let (stack, store) = start().await;
    store.push(&document(4), "ops", AT).await.unwrap();
    let watch = ConfigurationWatch::start_polling(store, POLL).await.unwrap();
    let delete = stack.aws.dynamodb.delete_item().table_name("cap-configuration");
    let current = AttributeValue::S("current".to_owned());
    delete.key("item", current).send().await.unwrap();
    tokio::time::sleep(POLL * 10).await;
    assert_eq!(watch.current().revision, 1);
}

#[tokio::test]
async fn a_push_that_no_account_could_survive_is_refused() {
    let (_stack, store) = start().await;
    store.push(&document(6), "ops", AT).await.unwrap();
    let error = store.push(&document(2), "ops", AT).await.unwrap_err().to_string();
    assert!(error.contains("USDT: had 6 decimals, and balances have; 2"), "{error}");
    assert_eq!(store.current_revision().await.unwrap(), 1);
}

async fn start() -> (Stack, ConfigurationStore) {
    let stack = Stack::start().await;
    let store = ConfigurationStore::new(stack.aws.dynamodb.clone(), "");
    for _ in 0..2 {
        store.create_table().await.unwrap();
    }
    (stack, store)
}

/// The document of [`document`] with six decimals, and more currencies.
fn holding(more: &[impl AsRef<str>]) -> ConfigurationDocument {
    let mut document = document(6);
    document.currencies.extend(more.iter().map(|code| (code.as_ref().parse().unwrap(), 2)));
    document
}

fn document(decimals: u8) -> ConfigurationDocument {
    ConfigurationDocument {
        currencies: [("USDT".parse().unwrap(), decimals)].into(),
        instruments: Default::default(),
        rulebooks: Vec::new(),
    }
}

/// Makes a document the current revision without asking whether it is any good.
async fn force(stack: &Stack, revision: u64, document: &ConfigurationDocument) {
    let json = serde_json::to_string(document).unwrap();
    let item = |key: &str| {
        let call = stack.aws.dynamodb.put_item().table_name("cap-configuration");
        call.item("item", AttributeValue::S(key.to_owned()))
            .item("revision", AttributeValue::N(revision.to_string()))
    };
    let pushed = item(&format!("revision:{revision}"))
        .item("document", AttributeValue::S(json))
        .item("pushed_at", AttributeValue::S(AT.to_string()))
        .item("pushed_by", AttributeValue::S("another release".to_owned()));
    pushed.send().await.unwrap();
    item("current").send().await.unwrap();
}
