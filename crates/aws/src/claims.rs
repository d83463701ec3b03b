//! Claims on request ids over DynamoDB (C4): one item an id, written only if nobody else holds it.
//!
//! Guarantees that of rival claimants exactly one is granted, because DynamoDB decides in the
//! condition of the write; expiry is decided there too, by the claimant's `now`, and DynamoDB's
//! time to live only tidies. Up to a hundred ids are claimed in one call, first as new ones. A transaction that
//! one known id cancels has claimed none of its neighbours: then all are claimed again, with every
//! condition, and again without those that another account holds.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
};
use cap_domain::ids::AccountKey;
use cap_domain::time::Timestamp;
use cap_pipeline::claims::{CLAIM_SECS, Claim, Claimed, Claims};
use cap_pipeline::queues::Unreachable;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::tables::{self, Item, number, text};
use crate::unreachable::{back_off, unreachable};

/// The most claims of one call: what a DynamoDB transaction holds.
pub const TRANSACTION_CLAIMS_MAX: usize = 100;
/// Calls of one batch at the same time, transactions or single claims.
const CALLS_IN_FLIGHT_MAX: usize = 4;
/// How often claims are tried that meet a rival's write under way.
const CONFLICT_TRIES_MAX: u32 = 5;
const CONFLICT_BACK_OFF_MILLIS: u64 = 10;

const TABLE: &str = "cap-claims";
const KEY: &str = "request_id";
const ACCOUNT: &str = "account";
const EXPIRES_AT: &str = "expires_at";
/// What almost every id is, and cheap to ask: it needs no values, which would be half of the call.
const IS_NEW: &str = "attribute_not_exists(request_id)";
const IS_FREE_OR_OURS: &str = "attribute_not_exists(#request_id) or #expires_at < :now \
     or #account = :account";

/// The shared memory of request ids, a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoClaims {
    dynamodb: Client,
    table: String,
}

impl DynamoClaims {
    /// In the table `[prefix-]cap-claims`.
    pub fn new(dynamodb: Client, prefix: &str) -> Self {
        Self { dynamodb, table: tables::table_name(prefix, TABLE) }
    }

    /// Creates the table unless it is there, and waits until it can be used.
    ///
    /// # Errors
    /// [`Unreachable`], with what DynamoDB said.
    pub async fn create_table(&self) -> Result<(), Unreachable> {
        tables::create(&self.dynamodb, &self.table, KEY, Some(EXPIRES_AT)).await
    }

    /// Claims up to [`TRANSACTION_CLAIMS_MAX`] ids.
    async fn claim_together(
        &self,
        claims: &[Claim],
        now: Timestamp,
    ) -> Result<Vec<Claimed>, Unreachable> {
        let all: Vec<usize> = (0..claims.len()).collect();
        if claims.len() > 1 && self.transact(claims, &all, now, Condition::New).await?.is_none() {
            return Ok(vec![Claimed::Granted; claims.len()]);
        }
        let mut answers: Vec<Option<Claimed>> = vec![None; claims.len()];
        let mut open = all;
        let mut conflicts = 0;
        while open.len() > 1 && conflicts < CONFLICT_TRIES_MAX {
            let attempt = self.transact(claims, &open, now, Condition::FreeOrOurs);
            let Some(reasons) = attempt.await? else {
                open.iter().for_each(|index| answers[*index] = Some(Claimed::Granted));
                open.clear();
                break;
            };
            let held = open.iter().zip(&reasons).filter_map(|(index, reason)| {
                Some((*index, Claimed::HeldBy(holder(reason.item()?)?)))
            });
            let held: HashMap<usize, Claimed> = held.collect();
            if held.is_empty() {
                conflicts += 1;
                back_off(conflicts, CONFLICT_BACK_OFF_MILLIS).await;
            }
            open.retain(|index| !held.contains_key(index));
            held.into_iter().for_each(|(index, answer)| answers[index] = Some(answer));
        }
        // One left, or rivals that do not let a transaction through.
        let singly = stream::iter(open)
            .map(|index| async move { Ok((index, self.claim_one(&claims[index], now).await?)) })
            .buffer_unordered(CALLS_IN_FLIGHT_MAX);
        let singly: Vec<(usize, Claimed)> = singly.try_collect().await?;
        singly.into_iter().for_each(|(index, answer)| answers[index] = Some(answer));
        answers.into_iter().collect::<Option<_>>().ok_or_else(|| Unreachable {
            attempted: self.attempted(claims.len()),
            cause: "an id was left without an answer".to_owned(),
        })
    }

    /// Claims the `open` ones of `claims` all together. None: all are granted; else none is, and
    /// there is a reason for each.
    async fn transact(
        &self,
        claims: &[Claim],
        open: &[usize],
        now: Timestamp,
        condition: Condition,
    ) -> Result<Option<Vec<CancellationReason>>, Unreachable> {
        let attempted = || self.attempted(open.len());
        let mut items = Vec::with_capacity(open.len());
        for index in open {
            let put =
                Put::builder().table_name(&self.table).set_item(Some(item(&claims[*index], now)));
            let put = match condition {
                Condition::New => put.condition_expression(IS_NEW),
                Condition::FreeOrOurs => put
                    .condition_expression(IS_FREE_OR_OURS)
                    .set_expression_attribute_names(Some(names()))
                    .set_expression_attribute_values(Some(values(&claims[*index], now)))
                    .return_values_on_condition_check_failure(OnFailure::AllOld),
            };
            let put = put.build().map_err(|error| Unreachable {
                attempted: attempted(),
                cause: error.to_string(),
            })?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        let call = self.dynamodb.transact_write_items().set_transact_items(Some(items));
        match call.send().await {
            Ok(_) => Ok(None),
            Err(error) => match cancellation(&error) {
                Some(reasons) if reasons.len() == open.len() => Ok(Some(reasons.to_vec())),
                _ => Err(unreachable(attempted(), &error)),
            },
        }
    }

    async fn claim_one(&self, claim: &Claim, now: Timestamp) -> Result<Claimed, Unreachable> {
        let call = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(claim, now)))
            .condition_expression(IS_FREE_OR_OURS)
            .set_expression_attribute_names(Some(names()))
            .set_expression_attribute_values(Some(values(claim, now)))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let attempted = || format!("claiming request id {} in {}", claim.request_id, self.table);
        let mut tries = 1;
        loop {
            let error = match call.clone().send().await {
                Ok(_) => return Ok(Claimed::Granted),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    return failed.item().and_then(holder).map(Claimed::HeldBy).ok_or_else(|| {
                        let cause = "DynamoDB did not say who holds it".to_owned();
                        Unreachable { attempted: attempted(), cause }
                    });
                }
                Some(PutItemError::TransactionConflictException(_))
                    if tries < CONFLICT_TRIES_MAX =>
                {
                    back_off(tries, CONFLICT_BACK_OFF_MILLIS).await;
                    tries += 1;
                }
                _ => return Err(unreachable(attempted(), &error)),
            }
        }
    }

    fn attempted(&self, claims: usize) -> String {
        format!("claiming {claims} request ids in {}", self.table)
    }
}

#[async_trait]
impl Claims for DynamoClaims {
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, Unreachable> {
        let together = claims.chunks(TRANSACTION_CLAIMS_MAX);
        let together: Vec<_> = together.map(|claims| self.claim_together(claims, now)).collect();
        let answers = stream::iter(together).buffered(CALLS_IN_FLIGHT_MAX);
        Ok(answers.try_collect::<Vec<_>>().await?.concat())
    }
}

/// When a claim of a transaction is granted.
#[derive(Debug, Clone, Copy)]
enum Condition {
    /// Nobody ever claimed the id, or that was tidied away.
    New,
    /// Nobody else holds it.
    FreeOrOurs,
}

fn item(claim: &Claim, now: Timestamp) -> Item {
    Item::from([
        (KEY.to_owned(), text(claim.request_id.as_str())),
        (ACCOUNT.to_owned(), text(claim.account.as_str())),
        (EXPIRES_AT.to_owned(), number(now.plus_seconds(CLAIM_SECS).seconds())),
    ])
}

fn names() -> HashMap<String, String> {
    let named = |name: &str| (format!("#{name}"), name.to_owned());
    [KEY, ACCOUNT, EXPIRES_AT].into_iter().map(named).collect()
}

fn values(claim: &Claim, now: Timestamp) -> Item {
    Item::from([
        (":now".to_owned(), number(now.seconds())),
        (":account".to_owned(), text(claim.account.as_str())),
    ])
}

fn holder(item: &Item) -> Option<AccountKey> {
    item.get(ACCOUNT)?.as_s().ok()?.parse().ok()
}

/// The reasons of a transaction that was cancelled for what its items met: who holds them, a
/// rival's write, too many writes. None if it failed for what trying again cannot mend.
fn cancellation(error: &SdkError<TransactWriteItemsError>) -> Option<&[CancellationReason]> {
    const MET: [&str; 5] = [
        "None",
        "ConditionalCheckFailed",
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
    ];
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons();
            let met = |reason: &CancellationReason| MET.contains(&reason.code().unwrap_or("None"));
            reasons.iter().all(met).then_some(reasons)
        }
        _ => None,
    }
}
