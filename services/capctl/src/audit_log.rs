//! Who did what, for the acts that are no stage's own: they are written down in clearing's database
//! (T25). What changes a lane is written down where the lane is.

use anyhow::Context as _;
use cap_domain::ids::AccountKey;
use cap_pipeline::system_time;
use cap_store::audit::{self, Entry};
use sqlx::PgPool;

/// The audit log, of one command.
pub struct AuditLog {
    clearing: PgPool,
    operator: String,
    command: String,
}

impl AuditLog {
    /// The log in the database of `clearing`, which is asked whether it is there: what could not be
    /// written down afterwards is not begun.
    ///
    /// # Errors
    /// If the database cannot be reached, or has no audit log yet.
    pub async fn open(clearing: PgPool, operator: &str, command: String) -> anyhow::Result<Self> {
        audit::latest(&clearing, None, 1).await?;
        Ok(Self::of(clearing, operator, command))
    }

    /// The same without asking.
    pub fn of(clearing: PgPool, operator: &str, command: String) -> Self {
        Self { clearing, operator: operator.to_owned(), command }
    }

    /// Writes down what came of the command.
    ///
    /// # Errors
    /// If the database does not take it: then what was done is done, and the error says so.
    pub async fn write(&self, result: String) -> anyhow::Result<()> {
        self.write_of(None, None, result).await
    }

    /// The same, of an account and for a reason.
    ///
    /// # Errors
    /// As [`AuditLog::write`].
    pub async fn write_of(
        &self,
        account: Option<&AccountKey>,
        reason: Option<&str>,
        result: String,
    ) -> anyhow::Result<()> {
        let entry = Entry {
            at: system_time(),
            operator: self.operator.clone(),
            command: self.command.clone(),
            account: account.cloned(),
            reason: reason.map(str::to_owned),
            result: result.clone(),
        };
        let written = audit::append(&self.clearing, &entry).await;
        written.with_context(|| format!("this was done, but is not in the audit log: {result}"))
    }

    /// Passes on what came of the command, once it is written down: as `told`, or that it failed.
    ///
    /// # Errors
    /// What came of the command, or as [`AuditLog::write`].
    pub async fn conclude<T>(
        &self,
        outcome: anyhow::Result<T>,
        told: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<T> {
        match outcome {
            Ok(done) => {
                self.write(told(&done)).await?;
                Ok(done)
            }
            Err(error) => {
                // The command's own error is the one to be told.
                let _ = self.write(format!("failed: {error:#}")).await;
                Err(error)
            }
        }
    }
}
