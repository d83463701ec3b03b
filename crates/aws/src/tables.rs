//! The DynamoDB tables, and values as DynamoDB writes them.
//!
//! In production the tables come from the infrastructure's templates; here they are made for the
//! local stack, in the same shape. Creating is idempotent.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use cap_pipeline::queues::Unreachable;

use crate::unreachable::unreachable;

/// How long a new table may take to be usable.
const ACTIVE_SECS_MAX: u64 = 60;
const ACTIVE_POLL_MILLIS: u64 = 250;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The name of a table of the installation: `[prefix-]<table>`.
pub(crate) fn table_name(prefix: &str, table: &str) -> String {
    let dash = if prefix.is_empty() { "" } else { "-" };
    format!("{prefix}{dash}{table}")
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Creates a table whose key is the text `key`, and waits until it can be used. Items expire by
/// the attribute `expires_by`, if there is one.
pub(crate) async fn create(
    dynamodb: &Client,
    table: &str,
    key: &str,
    expires_by: Option<&str>,
) -> Result<(), Unreachable> {
    let attempted = || format!("creating table {table}");
    let unusable = |error: aws_sdk_dynamodb::error::BuildError| Unreachable {
        attempted: attempted(),
        cause: error.to_string(),
    };
    let definition = AttributeDefinition::builder()
        .attribute_name(key)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(unusable)?;
    let schema = KeySchemaElement::builder()
        .attribute_name(key)
        .key_type(KeyType::Hash)
        .build()
        .map_err(unusable)?;
    let call = dynamodb
        .create_table()
        .table_name(table)
        .attribute_definitions(definition)
        .key_schema(schema)
        .billing_mode(BillingMode::PayPerRequest);
    match call.send().await {
        Ok(_) => {}
        Err(error)
            if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {}
        Err(error) => return Err(unreachable(attempted(), &error)),
    }
    wait_until_active(dynamodb, table).await?;
    match expires_by {
        Some(attribute) => expire(dynamodb, table, attribute).await,
        None => Ok(()),
    }
}

async fn wait_until_active(dynamodb: &Client, table: &str) -> Result<(), Unreachable> {
    for _ in 0..ACTIVE_SECS_MAX * 1_000 / ACTIVE_POLL_MILLIS {
        let described = dynamodb.describe_table().table_name(table).send().await;
        let described =
            described.map_err(|error| unreachable(format!("describing table {table}"), &error))?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(ACTIVE_POLL_MILLIS)).await;
    }
    Err(Unreachable {
        attempted: format!("creating table {table}"),
        cause: format!("it was not active after {ACTIVE_SECS_MAX} s"),
    })
}

async fn expire(dynamodb: &Client, table: &str, attribute: &str) -> Result<(), Unreachable> {
    let attempted = || format!("letting items of table {table} expire by {attribute}");
    let described = dynamodb.describe_time_to_live().table_name(table).send().await;
    let described = described.map_err(|error| unreachable(attempted(), &error))?;
    let status = described.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
    if let Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) = status {
        return Ok(());
    }
    let specification =
        TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
    let specification = specification
        .map_err(|error| Unreachable { attempted: attempted(), cause: error.to_string() })?;
    let call = dynamodb.update_time_to_live().table_name(table);
    call.time_to_live_specification(specification)
        .send()
        .await
        .map(|_| ())
        .map_err(|error| unreachable(attempted(), &error))
}
