//! What the pipeline asks of a queue service; implemented over SQS by `cap-aws`.

use std::sync::Arc;

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{StageName, Ticket};
use cap_domain::routing::{QueueName, Routes};
use cap_domain::time::Timestamp;

/// The most entries of one batch call (Q1).
pub const BATCH_ENTRIES_MAX: usize = 10;

/// A service is unreachable, throttles, or failed: nothing is wrong with the message, and the
/// same call may work later.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{attempted}: {cause}")]
pub struct Unreachable {
    /// What was being attempted.
    pub attempted: String,
    /// What came back.
    pub cause: String,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// SQS's id of the message.
    pub message_id: String,
    /// The right to delete or extend this receipt of it.
    pub receipt_handle: String,
    /// Its message group.
    pub message_group_id: String,
    /// Its deduplication id.
    pub deduplication_id: String,
    /// When it was first put into the queue (`SentTimestamp`).
    pub sent_at: Timestamp,
    /// How often it was received, this time included.
    pub receives: u32,
    /// Its body.
    pub body: String,
    /// Those of its message attributes that [`attribute`] names.
    pub attributes: Vec<(String, String)>,
}

impl Received {
    /// The value of one of its attributes.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The message attributes that CAP's own messages carry.
pub mod attribute {
    /// Of a dead letter: the account's key.
    pub const ACCOUNT_ID: &str = "account_id";
    /// Of a dead letter: the stage that parked it.
    pub const STAGE: &str = "stage";
    /// Of a dead letter: its number among the lane's parked messages.
    pub const PARKED_SEQ: &str = "parked_seq";
    /// Of a dead letter: the error's own words.
    pub const ERROR: &str = "error";
    /// Of a copy of a parked message: which redrive of the lane sends it, by its number.
    pub const REDRIVE: &str = "redrive";
    /// Of an adjustment that is to be applied though the lane be suspended: who wants it so.
    pub const REPAIR: &str = "repair";

    /// Those that decide how a message is taken.
    pub const READ: [&str; 5] = [ACCOUNT_ID, STAGE, PARKED_SEQ, REDRIVE, REPAIR];
}

/// The copy for which it is `ticket`'s turn, on its way back to the queue of its stage. What is
/// tried again is what was parked, which is in the database: the copy only calls for it.
pub fn copy_of_parked(
    account: &AccountKey,
    stage: StageName,
    ticket: Ticket,
    message_group_id: String,
    deduplication_id: String,
) -> Outgoing {
    let Ticket { parked_seq, redrive_seq } = ticket;
    Outgoing {
        message_group_id,
        deduplication_id,
        body: format!("redrive {redrive_seq} of {account}: parked messages from {parked_seq} on"),
        attributes: vec![
            (attribute::ACCOUNT_ID, account.to_string()),
            (attribute::STAGE, stage.to_string()),
            (attribute::PARKED_SEQ, parked_seq.to_string()),
            (attribute::REDRIVE, redrive_seq.to_string()),
        ],
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its message group.
    pub message_group_id: String,
    /// Under which id SQS recognises it again for five minutes.
    pub deduplication_id: String,
    /// Its body.
    pub body: String,
    /// String message attributes, by name.
    pub attributes: Vec<(&'static str, String)>,
}

/// What became of one entry of a batch (Q21).
pub type EntryResult = Result<(), EntryFailure>;

/// Why one entry of a batch failed although the call succeeded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EntryFailure {
    /// SQS's code.
    pub code: String,
    /// SQS's words.
    pub message: String,
    /// Whether the entry itself is at fault, so that sending it again cannot help.
    pub sender_fault: bool,
}

/// Queues, addressed by name.
#[async_trait]
pub trait Queues: Send + Sync + 'static {
    /// Waits up to `wait_secs` for up to ten messages and hides them for `visibility_secs`.
    /// A receive that fails in transit is repeated with the same attempt id (Q15).
    async fn receive(
        &self,
        queue: &QueueName,
        wait_secs: u32,
        visibility_secs: u32,
    ) -> Result<Vec<Received>, Unreachable>;

    /// Sends up to [`BATCH_ENTRIES_MAX`] messages; one result an entry, in order.
    async fn send(
        &self,
        queue: &QueueName,
        messages: &[&Outgoing],
    ) -> Result<Vec<EntryResult>, Unreachable>;

    /// Deletes up to [`BATCH_ENTRIES_MAX`] received messages; one result an entry, in order.
    async fn delete(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
    ) -> Result<Vec<EntryResult>, Unreachable>;

    /// Hides up to [`BATCH_ENTRIES_MAX`] received messages for another `visibility_secs` from now
    /// (0: gives them back); one result an entry, in order.
    async fn extend(
        &self,
        queue: &QueueName,
        receipt_handles: &[&str],
        visibility_secs: u32,
    ) -> Result<Vec<EntryResult>, Unreachable>;

    /// The queues there are now. Only asked for when one is missing that is needed.
    async fn list_again(&self) -> Result<Arc<Routes>, Unreachable>;
}
