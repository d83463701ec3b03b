//! What CAP asks of DynamoDB, asked of the embedded one through the real SDK.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, KeysAndAttributes,
    Put, ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TransactWriteItem,
};
use cap_local::dynamodb::DynamoDb;

const TABLE: &str = "claim";
const UNCLAIMED: &str = "attribute_not_exists(pk) or expires_at < :now";

#[tokio::test]
async fn a_claim_is_taken_once_until_it_expires() {
    let (server, client) = start().await;
    claim(&client, "request-1", "account-1", 100, 50).await.unwrap();

    let refused = claim(&client, "request-1", "account-2", 200, 50).await.unwrap_err();
    let refused = refused.into_service_error();
    assert!(refused.is_conditional_check_failed_exception(), "{refused:?}");

    claim(&client, "request-1", "account-2", 200, 101).await.unwrap();
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refused_put_returns_the_item_that_stood_in_the_way() {
    let (_server, client) = start().await;
    claim(&client, "request-1", "account-1", 100, 50).await.unwrap();
    let refused = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("request-1"))
        .item("sk", text("claim"))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
        reason,
    ) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(reason.item().unwrap()["account"], text("account-1"));
}

#[tokio::test]
async fn a_refused_transaction_says_which_item_stood_in_the_way_and_writes_nothing() {
    let (_server, client) = start().await;
    claim(&client, "request-2", "account-2", 100, 50).await.unwrap();

    let refused = client
        .transact_write_items()
        .transact_items(claim_in_transaction("request-1", "account-1", 50))
        .transact_items(claim_in_transaction("request-2", "account-9", 50))
        .transact_items(claim_in_transaction("request-3", "account-3", 50))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled) =
        refused
    else {
        panic!("{refused:?}")
    };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap_or_default())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed", "None"]);
    let in_the_way = cancelled.cancellation_reasons()[1].item().unwrap();
    assert_eq!(in_the_way["account"], text("account-2"));
    assert_eq!(in_the_way["expires_at"], number(100));
    assert!(cancelled.cancellation_reasons()[0].item().is_none());

    assert_eq!(accounts_of(&client, &["request-1", "request-3"]).await, [""; 0]);
}

#[tokio::test]
async fn an_accepted_transaction_writes_everything_and_a_repeated_token_writes_once() {
    let (_server, client) = start().await;
    for _ in 0..2 {
        client
            .transact_write_items()
            .client_request_token("the-same-token")
            .transact_items(claim_in_transaction("request-1", "account-1", 50))
            .transact_items(claim_in_transaction("request-2", "account-2", 50))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(accounts_of(&client, &["request-1", "request-2"]).await, ["account-1", "account-2"]);
}

#[tokio::test]
async fn a_transaction_of_one_hundred_items_is_accepted_and_of_more_is_refused() {
    let (_server, client) = start().await;
    let items = |count: usize| {
        (0..count)
            .map(|n| claim_in_transaction(&format!("request-{count}-{n}"), "account", 50))
            .collect::<Vec<_>>()
    };
    client.transact_write_items().set_transact_items(Some(items(100))).send().await.unwrap();
    client.transact_write_items().set_transact_items(Some(items(101))).send().await.unwrap_err();
}

#[tokio::test]
async fn the_items_of_one_key_are_read_in_order_and_page_by_page() {
    let (_server, client) = start().await;
    for revision in [3, 1, 2] {
        client
            .put_item()
            .table_name(TABLE)
            .item("pk", text("rulebook"))
            .item("sk", text(&format!("r{revision}")))
            .send()
            .await
            .unwrap();
    }
    let query = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk and begins_with(sk, :r)")
        .expression_attribute_values(":pk", text("rulebook"))
        .expression_attribute_values(":r", text("r"))
        .consistent_read(true);
    let all = query.clone().send().await.unwrap();
    let revisions: Vec<_> = all.items().iter().map(|item| item["sk"].as_s().unwrap()).collect();
    assert_eq!(revisions, ["r1", "r2", "r3"]);

    let page = query.clone().limit(2).send().await.unwrap();
    assert_eq!(page.count(), 2);
    let next = query.set_exclusive_start_key(page.last_evaluated_key).send().await.unwrap();
    assert_eq!(next.items()[0]["sk"], text("r3"));
}

#[tokio::test]
async fn a_file_keeps_its_items_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dynamodb.sqlite");
    let server = DynamoDb::start_at(&file).await.unwrap();
    let client = client_of(&server);
    create_table(&client).await;
    claim(&client, "request-1", "account-1", 100, 50).await.unwrap();
    server.shutdown().await.unwrap();

    let server = DynamoDb::start_at(&file).await.unwrap();
    assert_eq!(accounts_of(&client_of(&server), &["request-1"]).await, ["account-1"]);
}

#[tokio::test]
async fn after_shutdown_the_endpoint_is_gone() {
    let (server, client) = start().await;
    let address = server.endpoint_url().strip_prefix("http://").unwrap().to_owned();
    claim(&client, "request-1", "account-1", 100, 50).await.unwrap();
    server.shutdown().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

async fn start() -> (DynamoDb, Client) {
    let started = Instant::now();
    let server = DynamoDb::start().await.unwrap();
    println!("DynamoDB started in {:?}", started.elapsed());
    let client = client_of(&server);
    create_table(&client).await;
    println!("and had its first table after {:?}", started.elapsed());
    (server, client)
}

fn client_of(server: &DynamoDb) -> Client {
    Client::from_conf(
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(server.endpoint_url())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}

async fn create_table(client: &Client) {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

type Refused =
    aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError>;

async fn claim(
    client: &Client,
    request: &str,
    account: &str,
    expires_at: u64,
    now: u64,
) -> Result<(), Box<Refused>> {
    let put = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text(request))
        .item("sk", text("claim"))
        .item("account", text(account))
        .item("expires_at", number(expires_at))
        .condition_expression(UNCLAIMED)
        .expression_attribute_values(":now", number(now));
    put.send().await.map(|_| ()).map_err(Box::new)
}

fn claim_in_transaction(request: &str, account: &str, now: u64) -> TransactWriteItem {
    let put = Put::builder()
        .table_name(TABLE)
        .item("pk", text(request))
        .item("sk", text("claim"))
        .item("account", text(account))
        .item("expires_at", number(100))
        .condition_expression(UNCLAIMED)
        .expression_attribute_values(":now", number(now))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap();
    TransactWriteItem::builder().put(put).build()
}

/// The accounts that hold these requests, sorted: a batch read promises no order.
async fn accounts_of(client: &Client, requests: &[&str]) -> Vec<String> {
    let mut keys = KeysAndAttributes::builder().consistent_read(true);
    for request in requests {
        keys =
            keys.keys([("pk".to_owned(), text(request)), ("sk".to_owned(), text("claim"))].into());
    }
    let read =
        client.batch_get_item().request_items(TABLE, keys.build().unwrap()).send().await.unwrap();
    assert!(read.unprocessed_keys().is_none_or(|keys| keys.is_empty()));
    let items = &read.responses().unwrap()[TABLE];
    let mut accounts: Vec<String> =
        items.iter().map(|item| item["account"].as_s().unwrap().clone()).collect();
    accounts.sort();
    accounts
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
