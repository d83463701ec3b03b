//! Everything that can go wrong with a cluster, each as one sentence.

use std::path::PathBuf;

use super::{BinariesError, OwnerError};

/// Why a cluster could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// PostgreSQL is not installed.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// No user can run the server there.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Another live process holds the directory.
    #[error("opening the cluster in {directory}: another process is using it")]
    InUse {
        /// The cluster's directory.
        directory: PathBuf,
    },
    /// The directory was written by another major version.
    #[error(
        "opening {data}: it was written by PostgreSQL {of_data} and the installed version is \
         {of_programs}; install that version or remove the directory"
    )]
    Version {
        /// The data directory.
        data: PathBuf,
        /// The major version that wrote it.
        of_data: String,
        /// The major version installed.
        of_programs: u32,
    },
    /// The server ended while it was starting.
    #[error("starting the PostgreSQL server: {log}")]
    Start {
        /// What it wrote to its log.
        log: String,
    },
    /// The server did not accept connections in time, and was stopped.
    #[error("starting the PostgreSQL server took more than {secs} seconds")]
    StartTimeout {
        /// The limit.
        secs: u64,
    },
    /// The server did not stop in time, and was killed.
    #[error("stopping the PostgreSQL server took more than {secs} seconds, so it was killed")]
    StopTimeout {
        /// The limit.
        secs: u64,
    },
    /// One of PostgreSQL's programs did not start.
    #[error("starting PostgreSQL's `{program}`")]
    Spawn {
        /// Which one.
        program: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("running PostgreSQL's `{program}`: {said}")]
    Command {
        /// Which one.
        program: &'static str,
        /// What it wrote to stderr.
        said: String,
    },
    /// The operating system refused something.
    #[error("{attempt}")]
    Io {
        /// What was being attempted.
        attempt: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl PostgresError {
    pub(super) fn io(attempt: &'static str, source: std::io::Error) -> Self {
        Self::Io { attempt, source }
    }
}
