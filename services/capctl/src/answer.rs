//! What a command says: one JSON document for programs or a text for people, and an exit code.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use cap_aws::Unreachable;
use cap_service::environment::EnvironmentError;
use cap_service::logs::{self, LogFilter, Logs, LogsError};
use serde::Serialize;

/// The exit code of a command that could not be carried out.
pub const EXIT_FAILED: u8 = 1;

/// The exit code of a proof that failed: the books are wrong, not the command.
pub const EXIT_MISMATCH: u8 = 2;

/// What a command found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    text: String,
    json: String,
    exit_code: u8,
}

impl Answer {
    /// `report`, told both ways.
    ///
    /// # Errors
    /// If the report cannot be written as JSON.
    pub fn new(report: &(impl Serialize + Display)) -> anyhow::Result<Self> {
        let (text, json) = (report.to_string(), serde_json::to_string_pretty(report)?);
        Ok(Self { text, json, exit_code: 0 })
    }

    /// Nothing more: the command wrote what it found as it found it.
    pub const fn written() -> Self {
        Self { text: String::new(), json: String::new(), exit_code: 0 }
    }

    /// The same answer with [`EXIT_MISMATCH`] unless `proved`.
    #[must_use]
    pub fn proved(self, proved: bool) -> Self {
        let exit_code = if proved { self.exit_code } else { EXIT_MISMATCH };
        Self { exit_code, ..self }
    }

    /// The same answer with [`EXIT_FAILED`] unless `done`: some of what was asked for was refused.
    #[must_use]
    pub fn done(self, done: bool) -> Self {
        let exit_code = if done { self.exit_code } else { EXIT_FAILED };
        Self { exit_code, ..self }
    }

    /// How the process is to end.
    pub const fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// Writes the answer to stdout.
    ///
    /// # Errors
    /// If nobody reads it any more.
    pub fn print(&self, json: bool) -> io::Result<()> {
        let said = if json { self.json.as_str() } else { self.text.trim_end() };
        if said.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{said}")?;
        stdout.flush()
    }
}

/// Starts the log of changes, on stderr.
///
/// # Errors
/// If its thread cannot be started.
pub fn start_log() -> Result<Logs, LogsError> {
    // Only what this tool did is logged; what failed is told once, as the command's error.
    let filter: LogFilter = "off,capctl=info".parse().unwrap_or_default();
    logs::start("capctl", &filter)
}

/// Says on stderr why a command failed, and what to do about it.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let mut sentence = sentence(error);
    if let Some(hint) = hint(error) {
        sentence.push_str("; ");
        sentence.push_str(hint);
    }
    let _ = writeln!(io::stderr(), "capctl: {sentence}");
    ExitCode::from(EXIT_FAILED)
}

/// What was attempted and every cause that adds to it, on one line unless the error lists several
/// things.
fn sentence(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let refusal = match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(database)) => Some(database.message()),
            _ => None,
        };
        let words = refusal.map_or_else(|| cause.to_string(), str::to_owned);
        if !told.contains(&words) {
            let colon = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{colon}{words}");
        }
        if refusal.is_some() {
            // Its cause is the same again, with the line of the server's source code.
            break;
        }
    }
    told
}

/// What usually helps.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.chain().any(|cause| cause.is::<EnvironmentError>()) {
        return None;
    }
    if error.chain().any(|cause| cause.is::<Unreachable>()) {
        return Some(
            "check AWS_REGION, the credentials and, on the local stack, AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_DYNAMODB",
        );
    }
    let database = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>())?;
    match database {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("3D000" | "42P01") => Some("run `capctl migrate` first"),
            Some("28000" | "28P01") => Some("check user and password in the database's URL"),
            _ => None,
        },
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => {
            Some("check that the database runs and that its URL is right")
        }
        _ => None,
    }
}

/// Whether somebody watches: progress is shown then, and only then.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
