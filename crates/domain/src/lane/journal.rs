//! One compact row per message, accepted or refused: the lane's history and its proof (C1, A4).

use std::fmt;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::envelope::Fingerprint;
use crate::ids::{AccountKey, RequestId};
use crate::refusal::Poison;
use crate::time::Timestamp;

/// The hash of a journal row and, through it, of all rows before it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RowHash(pub [u8; 32]);

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A journal row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1, 2, 3, … without gaps.
    pub seq: u64,
    /// The caller's idempotency key; unique in the lane.
    pub request_id: RequestId,
    /// The content's fingerprint: tells a repetition from another content under the same id.
    pub fingerprint: Fingerprint,
    /// What a redelivery of the same message is recognised by.
    pub source_id: SmolStr,
    /// The upstream stage's number of the message.
    pub upstream_seq: Option<u64>,
    /// The event's type.
    pub kind: SmolStr,
    /// When the message first entered a queue of CAP.
    pub sent_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The version of the deciding code.
    pub rules_version: u16,
    /// The configuration revision it was decided under; 0 if none was used.
    pub configuration: u64,
    /// What was decided on, as JSON.
    pub input: String,
    /// What was decided, as JSON.
    pub result: String,
    /// Over everything above and the previous row's hash.
    pub hash: RowHash,
}

impl Row {
    /// What was decided, read back.
    ///
    /// # Errors
    /// If it is no ruling of this stage.
    pub fn ruling<R: DeserializeOwned>(&self) -> Result<R, Poison> {
        serde_json::from_str(&self.result).map_err(|error| Poison::Unreadable(error.to_string()))
    }

    /// Whether the stage refused the message: every stage's ruling writes a refusal as `refused`.
    pub fn is_refusal(&self) -> bool {
        self.result.starts_with("{\"refused\"")
    }

    /// The hash this row must have as the successor of `previous` in the journal of `account`.
    pub fn hash_after(&self, account: &AccountKey, previous: RowHash) -> RowHash {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(&previous.0);
        field(account.as_str().as_bytes());
        field(&self.seq.to_be_bytes());
        field(self.request_id.as_str().as_bytes());
        field(&self.fingerprint.0);
        field(self.source_id.as_bytes());
        field(&self.upstream_seq.map_or([0; 8], u64::to_be_bytes));
        field(self.kind.as_bytes());
        field(&self.sent_at.micros().to_be_bytes());
        field(&self.decided_at.micros().to_be_bytes());
        field(&self.rules_version.to_be_bytes());
        field(&self.configuration.to_be_bytes());
        field(self.input.as_bytes());
        field(self.result.as_bytes());
        RowHash(hasher.finalize().into())
    }
}
