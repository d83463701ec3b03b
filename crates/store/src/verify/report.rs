//! What a proof found.

use cap_domain::ids::AccountKey;
use cap_domain::lane::StageName;
use serde::Serialize;

/// The most mismatches that are listed; all are counted.
pub const MISMATCHES_LISTED_MAX: usize = 1_000;

/// What a proof found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many lanes were proved, over all stages.
    pub lanes: u64,
    /// How many journal rows were replayed.
    pub journal_rows: u64,
    /// How many messages one stage sent and the next has not seen yet.
    pub in_transit: u64,
    /// How many things are not as they must be.
    #[serde(rename = "mismatches")]
    pub mismatch_count: u64,
    /// The first [`MISMATCHES_LISTED_MAX`] of them.
    #[serde(rename = "details")]
    pub mismatches: Vec<Mismatch>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// In which stage's database.
    pub stage: StageName,
    /// Of which account; of an unusable key, the key.
    pub account: String,
    /// At which row of its journal, if at one.
    pub seq: Option<u64>,
    /// A sentence with the figures.
    pub what: String,
}

impl VerifyReport {
    /// Whether everything is as it must be.
    pub const fn is_clean(&self) -> bool {
        self.mismatch_count == 0
    }

    /// Adds a mismatch.
    pub(super) fn add(
        &mut self,
        stage: StageName,
        account: &str,
        seq: Option<u64>,
        what: impl Into<String>,
    ) {
        self.mismatch_count += 1;
        if self.mismatches.len() < MISMATCHES_LISTED_MAX {
            self.mismatches.push(Mismatch {
                stage,
                account: account.to_owned(),
                seq,
                what: what.into(),
            });
        }
    }

    /// Adds a mismatch at a row of a lane.
    pub(super) fn add_at(
        &mut self,
        stage: StageName,
        account: &AccountKey,
        seq: u64,
        what: impl Into<String>,
    ) {
        self.add(stage, account.as_str(), Some(seq), what);
    }

    /// Adds a mismatch of a lane as a whole.
    pub(super) fn add_of(
        &mut self,
        stage: StageName,
        account: &AccountKey,
        what: impl Into<String>,
    ) {
        self.add(stage, account.as_str(), None, what);
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.stage, self.account)?;
        if let Some(seq) = self.seq {
            write!(f, " row {seq}")?;
        }
        write!(f, ": {}", self.what)
    }
}
