//! What a failure of the database means: unreachable, refused, or a row nobody can read.

use std::error::Error;

use cap_pipeline::lane_store::{CommitError, LoadError};
use cap_pipeline::queues::Unreachable;

/// Why a question to a database has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database is unreachable, or did not take the question.
    #[error("{attempted}")]
    Database {
        /// What was being attempted.
        attempted: &'static str,
        /// What came back.
        #[source]
        source: sqlx::Error,
    },
    /// A stored row cannot be read as what it must be: it was altered by hand, or by a newer release.
    #[error("a stored row of {key} is not readable: {reason}")]
    Unreadable {
        /// Whose row it is.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A revision already stands for something else: two pushes were given one number.
    #[error("configuration {revision} was kept before with another content")]
    Conflict {
        /// The revision.
        revision: u64,
    },
}

impl QueryError {
    /// A row of `key` that is not what it must be.
    pub(crate) fn unreadable(key: impl ToString, reason: impl ToString) -> Self {
        Self::Unreadable { key: key.to_string(), reason: reason.to_string() }
    }
}

/// Names what was attempted when `source` came back.
pub(crate) fn failed(attempted: &'static str) -> impl Fn(sqlx::Error) -> QueryError {
    move |source| QueryError::Database { attempted, source }
}

impl From<QueryError> for LoadError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Database { attempted, source } => unreachable(attempted, &source).into(),
            QueryError::Unreadable { key, reason } => match key.parse() {
                Ok(account) => Self::Unreadable { account, reason },
                // Rows are asked for by valid keys, so no other can come back.
                Err(error) => unreachable("reading lanes", &error).into(),
            },
            QueryError::Conflict { .. } => unreachable("reading lanes", &error).into(),
        }
    }
}

/// The constraint that keeps a request from being journaled twice.
const REQUEST_ONCE: &str = "journal_request_once";

/// What a failed write comes to. The classes of SQLSTATE tell bad data (22, 23) from a database
/// that is unreachable, overloaded, shutting down or chose a victim (08, 53, 57, 40, 55P03, …).
pub(crate) fn refused(attempted: &'static str) -> impl Fn(sqlx::Error) -> CommitError {
    move |error| match &error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("23505") if database.constraint() == Some(REQUEST_ONCE) => {
                CommitError::Repeated(database.message().to_owned())
            }
            Some(code) if code.starts_with("22") || code.starts_with("23") => {
                CommitError::Refused(format!("{attempted}: {} ({code})", database.message()))
            }
            _ => unreachable(attempted, &error).into(),
        },
        // A value that cannot even be sent is the data's fault, wherever it is sent to.
        sqlx::Error::Encode(_) => CommitError::Refused(format!("{attempted}: {error}")),
        _ => unreachable(attempted, &error).into(),
    }
}

fn unreachable(attempted: &str, error: &dyn Error) -> Unreachable {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !cause.contains(&text) {
            cause = format!("{cause}: {text}");
        }
        source = error.source();
    }
    Unreachable { attempted: attempted.to_owned(), cause }
}
