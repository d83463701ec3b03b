//! Jobs: a file of accounts becomes ordinary adjustments, one event a line (C15).
//!
//! ```text
//! file ── check: every line, nothing sent ──► all good? ── asked ──► post: 1,000 lines at a time
//! ```
//!
//! The whole file is read twice and never held: once to check every line as clearing's door will
//! ([`check`]), once to send ([`post`]). A line's request id is made of the job's id and of what the
//! line is about ([`request_id`]), never of its number, so the same file under the same job id
//! changes nothing, whatever lines were put in, taken out or moved meanwhile; and a line that says
//! something else now is refused by CAP as `request_id_conflict` (ADR 13). CAP has no branch for any
//! of this: its journal sees adjustments.

mod adjustment;
mod check;
mod csv;
mod draft;
mod file;
mod outcomes;
mod post;
mod totals;

use std::fmt;
use std::str::FromStr;

use cap_domain::configuration::Configuration;
use cap_domain::ids::{AccountKey, InvalidId, RequestId};
use cap_domain::money::CurrencyCode;
use cap_domain::routing::Routes;
use rust_decimal::Decimal;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use crate::arguments::Shortfall;

pub use adjustment::Adjustment;
pub use check::{Checked, ShownEvent, check};
pub use outcomes::{Outcomes, PATIENCE, Refused};
pub use post::{NotPublished, Posted, post};
pub use totals::{Total, Totals};

/// The most lines of one file: what each is about is kept in memory, sixteen bytes or so.
pub const LINES_MAX: usize = 1_000_000;

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 4_096;

/// Lines that are read, and sent, at a time.
pub const CHUNK_LINES: usize = 1_000;

/// The most lines of one kind that an answer lists; the rest is counted.
pub const LISTED_MAX: usize = 1_000;

/// Bytes of a hash that stand for a line: of a million lines, two are alike once in 10^12 files.
const KEY_BYTES: usize = 10;

/// What a job makes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// What the line says.
    Adjust,
    /// What it takes to bring a balance to zero.
    Zero {
        /// Which.
        of: ZeroOf,
        /// Why.
        reason: String,
    },
    /// A holding times a ratio, rounded half-even to the currency's decimals.
    Action {
        /// The ratio; below zero: taken.
        ratio: Decimal,
        /// Why.
        reason: String,
    },
}

/// What is brought to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ZeroOf {
    /// What the account owes: the house gives it.
    Borrowed,
    /// What is available: the house takes it. Frozen money and margin stay.
    Available,
}

/// A job.
pub struct Job<'a> {
    /// Its id.
    pub id: &'a JobId,
    /// What it makes of a line.
    pub kind: &'a Kind,
    /// What clearing decides by.
    pub configuration: &'a Configuration,
    /// Which queues there are.
    pub routes: &'a Routes,
    /// The account stage's database, read by key alone (C13); only zeroing needs it.
    pub accounts: Option<&'a PgPool>,
}

/// The id of a job: 1 to 32 of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JobId(String);

/// A text that is no id of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job {0:?} is not 1 to {JOB_ID_CHARS_MAX} characters of [A-Za-z0-9._-]")]
pub struct InvalidJobId(String);

/// The longest id of a job.
const JOB_ID_CHARS_MAX: usize = 32;

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        if is_word(text, JOB_ID_CHARS_MAX) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidJobId(text.chars().take(2 * JOB_ID_CHARS_MAX).collect()))
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str, chars_max: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=chars_max).contains(&text.len()) && text.bytes().all(allowed)
}

/// Why a line, and with it the whole file, is not posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Its number from 1, as an editor shows it.
    pub line: usize,
    /// The column.
    pub field: String,
    /// The reason, in words.
    pub reason: String,
}

/// Why a job could not be gone through with.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The file.
    #[error("reading the file")]
    Io(#[from] std::io::Error),
    /// There are too many lines.
    #[error("the file has more than {LINES_MAX} lines: split it, under a job id for each part")]
    TooManyLines,
    /// It is another file than was checked.
    #[error(
        "the file changed while it was posted (line {line}): what was sent so far is sent; look at it, then run it again under the same job id"
    )]
    Changed {
        /// Where that was seen.
        line: usize,
    },
    /// A database does not answer.
    #[error(transparent)]
    Query(#[from] cap_store::QueryError),
    /// A connection to it could not be made.
    #[error("connecting to the account database")]
    Connect(#[from] sqlx::Error),
    /// It cannot be summed up.
    #[error("the totals of {0} are out of range")]
    TotalTooLarge(CurrencyCode),
    /// A journal row makes no sense.
    #[error("reading an outcome")]
    Altered(#[from] cap_domain::refusal::Poison),
}

/// What a line is about: an account, a currency, and the name of the entry if there are several.
type LineKey = [u8; KEY_BYTES];

fn line_key(account: &AccountKey, currency: CurrencyCode, entry: &str) -> LineKey {
    let about = format!("{account}\n{currency}\n{entry}");
    let hash: [u8; 32] = Sha256::digest(about.as_bytes()).into();
    let mut key = LineKey::default();
    key.copy_from_slice(&hash[..KEY_BYTES]);
    key
}

/// The request id of a line: `job:<job id>:<what it is about>`. It holds for ever: in the account's
/// journal there is one row of it, and no line of another account has the same.
fn request_id(job: &JobId, key: LineKey) -> Result<RequestId, InvalidId> {
    RequestId::new(&format!("job:{job}:{}", hex::encode(key)))
}

/// What goes into the event as its operator: the job, so that a colleague who finishes it sends the
/// same content. The audit log says who ran it.
fn operator(job: &JobId) -> String {
    format!("job:{job}")
}

impl Shortfall {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "" | "reject" => Some(Self::Reject),
            "force" => Some(Self::Force),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_holds_for_what_the_line_is_about() {
        let job: JobId = "dividend-2026-11".parse().unwrap();
        let id = |account: &str, currency: &str, entry: &str| {
            let key = line_key(&account.parse().unwrap(), currency.parse().unwrap(), entry);
            request_id(&job, key).unwrap().to_string()
        };
        let first = id("acme_spot_retail_A-1", "USD", "");
        assert!(first.starts_with("job:dividend-2026-11:") && first.len() == 41, "{first}");
        assert_eq!(first, id("acme_spot_retail_A-1", "USD", ""));
        for other in [
            id("acme_spot_retail_A-2", "USD", ""),
            id("acme_spot_retail_A-1", "USDT", ""),
            id("acme_spot_retail_A-1", "USD", "tax"),
        ] {
            assert_ne!(first, other);
        }
        let longest: JobId = "x".repeat(JOB_ID_CHARS_MAX).parse().unwrap();
        assert!(request_id(&longest, LineKey::default()).is_ok());
    }

    #[test]
    fn a_job_id_is_a_word() {
        for wrong in ["", "a b", "a:b", "é", &"x".repeat(JOB_ID_CHARS_MAX + 1)] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong:?}");
        }
        let told = "a b".parse::<JobId>().unwrap_err().to_string();
        assert_eq!(told, "job \"a b\" is not 1 to 32 characters of [A-Za-z0-9._-]");
    }
}
