//! Revisions of the configuration in DynamoDB (T5): what was pushed, when and by whom.
//!
//! Guarantees that revisions are numbered without a gap, that a revision never changes, and that
//! of two pushes on top of the same revision only one goes through. A document is checked before
//! it is written.
//!
//! One table, `[prefix-]cap-configuration`, keyed by `item`: `revision:<n>` holds a document,
//! `current` the number of the latest.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use cap_domain::configuration::{Configuration, ConfigurationDocument, ConfigurationError};
use cap_domain::time::Timestamp;
use cap_pipeline::queues::Unreachable;

use crate::tables::{self, Item, number, text};
use crate::unreachable::{back_off, unreachable};

/// The longest document as JSON: a DynamoDB item holds 400 KB.
pub const DOCUMENT_BYTES_MAX: usize = 390_000;
/// How often a push is tried that meets another one under way.
const PUSH_TRIES_MAX: u32 = 5;
const PUSH_BACK_OFF_MILLIS: u64 = 20;

const TABLE: &str = "cap-configuration";
const KEY: &str = "item";
const CURRENT: &str = "current";
const REVISION: &str = "revision";
const DOCUMENT: &str = "document";
const PUSHED_AT: &str = "pushed_at";
const PUSHED_BY: &str = "pushed_by";

/// Why a configuration is not pushed or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigurationStoreError {
    /// DynamoDB does not answer, or refuses.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The document breaks a rule.
    #[error("the configuration is refused: {0}")]
    Refused(#[from] ConfigurationError),
    /// The document is too long to be stored.
    #[error("the configuration has {0} bytes as JSON, {DOCUMENT_BYTES_MAX} is the most")]
    TooLong(usize),
    /// Somebody else pushed in between.
    #[error("revision {current} was pushed meanwhile: look at it, then push again")]
    Overtaken {
        /// The revision that is current now.
        current: u64,
    },
    /// What is stored cannot be read.
    #[error("revision {revision} cannot be read: {reason}")]
    Unreadable {
        /// Which.
        revision: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// A revision as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedConfiguration {
    /// Its number, from 1.
    pub revision: u64,
    /// The document.
    pub document: ConfigurationDocument,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// By whom.
    pub pushed_by: String,
}

/// The revisions.
#[derive(Debug, Clone)]
pub struct ConfigurationStore {
    dynamodb: Client,
    table: String,
}

impl ConfigurationStore {
    /// In the table `[prefix-]cap-configuration`.
    pub fn new(dynamodb: Client, prefix: &str) -> Self {
        Self { dynamodb, table: tables::table_name(prefix, TABLE) }
    }

    /// Creates the table unless it is there, and waits until it can be used.
    ///
    /// # Errors
    /// [`Unreachable`], with what DynamoDB said.
    pub async fn create_table(&self) -> Result<(), Unreachable> {
        tables::create(&self.dynamodb, &self.table, KEY, None).await
    }

    /// Makes `document` the next revision and tells its number.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`]; nothing is written then.
    pub async fn push(
        &self,
        document: &ConfigurationDocument,
        by: &str,
        at: Timestamp,
    ) -> Result<u64, ConfigurationStoreError> {
        let base = self.current_revision().await?;
        let next = Configuration::check(base + 1, document.clone())?;
        next.check_new()?;
        // What this release cannot read, it cannot compare with either.
        if let Some(previous) = self.read(base).await?
            && let Ok(previous) = Configuration::check(base, previous.document)
        {
            next.check_after(&previous)?;
        }
        self.write(base, document, by, at).await
    }

    /// Takes back revision `taken_back`, which was just pushed: the one before it is in force
    /// again, as the next revision. Nothing is checked, because it was.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`]; [`Overtaken`](ConfigurationStoreError::Overtaken) if yet another
    /// one was pushed.
    pub async fn take_back(
        &self,
        taken_back: u64,
        by: &str,
        at: Timestamp,
    ) -> Result<u64, ConfigurationStoreError> {
        let before = taken_back.saturating_sub(1);
        let before = self
            .read(before)
            .await?
            .ok_or_else(|| unreadable(before, "it is missing".to_owned()))?;
        self.write(taken_back, &before.document, by, at).await
    }

    /// Writes `document` as the revision after `base`.
    async fn write(
        &self,
        base: u64,
        document: &ConfigurationDocument,
        by: &str,
        at: Timestamp,
    ) -> Result<u64, ConfigurationStoreError> {
        let revision = base + 1;
        let json = serde_json::to_string(document)
            .map_err(|error| unreadable(revision, error.to_string()))?;
        if json.len() > DOCUMENT_BYTES_MAX {
            return Err(ConfigurationStoreError::TooLong(json.len()));
        }
        let attempted = || format!("pushing revision {revision} to {}", self.table);
        let writes = self
            .writes(base, &json, by, at)
            .map_err(|error| Unreachable { attempted: attempted(), cause: error.to_string() })?;
        let call = self.dynamodb.transact_write_items().set_transact_items(Some(writes));
        let mut tries = 1;
        loop {
            let Err(error) = call.clone().send().await else {
                return Ok(revision);
            };
            let cancelled = matches!(
                error.as_service_error(),
                Some(TransactWriteItemsError::TransactionCanceledException(_))
            );
            if !cancelled {
                return Err(unreachable(attempted(), &error).into());
            }
            let current = self.current_revision().await?;
            if current != base {
                return Err(ConfigurationStoreError::Overtaken { current });
            }
            // Two at once can also cancel each other, and then neither is through.
            if tries == PUSH_TRIES_MAX {
                return Err(unreachable(attempted(), &error).into());
            }
            back_off(tries, PUSH_BACK_OFF_MILLIS).await;
            tries += 1;
        }
    }

    /// The number of the latest revision; 0 if nothing was pushed yet.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`].
    pub async fn current_revision(&self) -> Result<u64, ConfigurationStoreError> {
        let Some(item) = self.get(CURRENT).await? else {
            return Ok(0);
        };
        let revision = item.get(REVISION).and_then(|revision| revision.as_n().ok());
        revision.and_then(|revision| revision.parse().ok()).ok_or_else(|| {
            let cause = "the item has no usable revision".to_owned();
            Unreachable { attempted: self.reading(CURRENT), cause }.into()
        })
    }

    /// The revision of that number, if there is one.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`].
    pub async fn read(
        &self,
        revision: u64,
    ) -> Result<Option<PushedConfiguration>, ConfigurationStoreError> {
        let Some(item) = self.get(&key(revision)).await? else {
            return Ok(None);
        };
        let field = |name: &str| {
            let value = item.get(name).and_then(|value| value.as_s().ok());
            value.ok_or_else(|| unreadable(revision, format!("it has no {name}")))
        };
        let document = serde_json::from_str(field(DOCUMENT)?);
        let pushed_at = field(PUSHED_AT)?.parse::<Timestamp>();
        Ok(Some(PushedConfiguration {
            revision,
            document: document.map_err(|error| unreadable(revision, error.to_string()))?,
            pushed_at: pushed_at.map_err(|error| unreadable(revision, error.to_string()))?,
            pushed_by: field(PUSHED_BY)?.clone(),
        }))
    }

    /// The latest revision; none if nothing was pushed yet.
    ///
    /// # Errors
    /// [`ConfigurationStoreError`].
    pub async fn latest(&self) -> Result<Option<PushedConfiguration>, ConfigurationStoreError> {
        match self.current_revision().await? {
            0 => Ok(None),
            revision => match self.read(revision).await? {
                None => Err(unreadable(revision, "it is missing".to_owned())),
                latest => Ok(latest),
            },
        }
    }

    /// The document as revision `base + 1`, and the pointer to it.
    fn writes(
        &self,
        base: u64,
        json: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let revision = base + 1;
        let document = Put::builder()
            .table_name(&self.table)
            .item(KEY, text(key(revision)))
            .item(REVISION, number(revision))
            .item(DOCUMENT, text(json))
            .item(PUSHED_AT, text(at.to_string()))
            .item(PUSHED_BY, text(by))
            .condition_expression("attribute_not_exists(#item)")
            .expression_attribute_names("#item", KEY);
        let pointer = Put::builder()
            .table_name(&self.table)
            .item(KEY, text(CURRENT))
            .item(REVISION, number(revision));
        let pointer = match base {
            0 => pointer
                .condition_expression("attribute_not_exists(#item)")
                .expression_attribute_names("#item", KEY),
            _ => pointer
                .condition_expression("#revision = :base")
                .expression_attribute_names("#revision", REVISION)
                .expression_attribute_values(":base", number(base)),
        };
        let write = |put: Put| TransactWriteItem::builder().put(put).build();
        Ok(vec![write(document.build()?), write(pointer.build()?)])
    }

    async fn get(&self, key: &str) -> Result<Option<Item>, Unreachable> {
        let call = self.dynamodb.get_item().table_name(&self.table).key(KEY, text(key));
        let answer = call.consistent_read(true).send().await;
        Ok(answer.map_err(|error| unreachable(self.reading(key), &error))?.item)
    }

    fn reading(&self, key: &str) -> String {
        format!("reading {key} of {}", self.table)
    }
}

fn key(revision: u64) -> String {
    format!("{REVISION}:{revision}")
}

fn unreadable(revision: u64, reason: String) -> ConfigurationStoreError {
    ConfigurationStoreError::Unreadable { revision, reason }
}
