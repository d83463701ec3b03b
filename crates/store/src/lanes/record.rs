//! A row of the `lane` table.

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, RowHash, Suspension};
use sqlx::FromRow;
use time::OffsetDateTime;

use crate::error::QueryError;
use crate::values::{counter, timestamp};

/// The columns of a [`LaneRecord`], by name: after `select *`, a column that a newer release adds
/// would break every statement that a running one has prepared.
macro_rules! lane_columns {
    () => {
        "account_id, seq, head, upstream_seq, status, parked_seq, redriven_seq, redrive_seq, redrive_through, \
         suspended_at, suspended_reason"
    };
}
pub(crate) use lane_columns;

/// A row of the `lane` table.
#[derive(Debug, FromRow)]
pub(crate) struct LaneRecord {
    account_id: String,
    seq: i64,
    head: Vec<u8>,
    upstream_seq: i64,
    status: String,
    parked_seq: i64,
    redriven_seq: i64,
    redrive_seq: i64,
    redrive_through: Option<i64>,
    suspended_at: Option<OffsetDateTime>,
    suspended_reason: Option<String>,
}

impl LaneRecord {
    /// The lane it stands for.
    pub(crate) fn read(self) -> Result<(AccountKey, Lane), QueryError> {
        let account: AccountKey = self
            .account_id
            .parse()
            .map_err(|error| QueryError::unreadable(&self.account_id, error))?;
        let lane = self.lane().map_err(|reason| QueryError::unreadable(&account, reason))?;
        Ok((account, lane))
    }

    fn lane(self) -> Result<Lane, String> {
        let suspension = match (self.suspended_at, self.suspended_reason) {
            (Some(at), Some(reason)) => Some(Suspension { at: timestamp(at), reason }),
            _ => None,
        };
        Ok(Lane {
            seq: counter("seq", self.seq)?,
            head: hash("head", &self.head)?,
            upstream_seq: counter("upstream_seq", self.upstream_seq)?,
            status: self.status.parse().map_err(|error| format!("{error}"))?,
            parked_seq: counter("parked_seq", self.parked_seq)?,
            redriven_seq: counter("redriven_seq", self.redriven_seq)?,
            redrive_seq: counter("redrive_seq", self.redrive_seq)?,
            redrive_through: self
                .redrive_through
                .map(|through| counter("redrive_through", through))
                .transpose()?,
            suspension,
        })
    }
}

/// A hash that was stored as `bytea`.
pub(crate) fn hash(name: &str, stored: &[u8]) -> Result<RowHash, String> {
    stored.try_into().map(RowHash).map_err(|_| format!("{name} has {} bytes, not 32", stored.len()))
}
