//! The replay proof (C1, DESIGN §2): everything stored is what the rules make of what came in.
//!
//! Within one unmoving view of each database it proves
//! - each stage by itself: rows numbered without a gap, hash on hash, every result what the rules
//!   that decided it decide again, and lane and state the fold of it all;
//! - the stages with each other: everything a stage sent on was decided on downstream, once and
//!   unaltered, or is parked, or is still in transit;
//! - lanes with each other: what account sent into another lane arrived there, once and unaltered, is
//!   parked, or is on its way; nothing came out of transit that did not go in; and over all
//!   companies transit is what the transfers under way come to;
//! - positions with money: where both have come to the same point, an account's margin is the sum
//!   over its positions.
//!
//! It writes nothing and knows no queue. Downstream is seen first, upstream last, so that whatever
//! arrived was also sent, while messages go on flowing.

mod arrival;
mod decider;
mod fold;
mod lookup;
mod margin;
mod report;
mod stage;
mod transfers;

use cap_domain::ids::AccountKey;
use cap_domain::position::Positions;
use sqlx::{PgPool, Postgres, Transaction};

use crate::error::QueryError;
use crate::snapshot::snapshot;

use decider::{Constant, Revisions, Versions};
pub use report::{MISMATCHES_LISTED_MAX, Mismatch, VerifyReport};

/// The databases of an installation.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Clearing's.
    pub clearing: PgPool,
    /// The position service's.
    pub position: PgPool,
    /// The account service's.
    pub account: PgPool,
}

/// What to prove.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Whether the queues are known to be empty: then what is in transit is lost.
    pub settled: bool,
    /// Only this account.
    pub account: Option<AccountKey>,
}

/// One view of each database.
struct Snapshots {
    clearing: Transaction<'static, Postgres>,
    position: Transaction<'static, Postgres>,
    account: Transaction<'static, Postgres>,
}

/// Proves what `databases` hold, and reports everything that is not so.
///
/// # Errors
/// [`QueryError::Database`] if a database cannot be read; [`QueryError::Unreadable`] if a stored
/// row is not even of the form of its table, so that nothing after it can be told.
pub async fn verify(
    databases: &Databases,
    options: &VerifyOptions,
) -> Result<VerifyReport, QueryError> {
    let account = snapshot(&databases.account).await?;
    let position = snapshot(&databases.position).await?;
    let clearing = snapshot(&databases.clearing).await?;
    let mut snapshots = Snapshots { clearing, position, account };
    let mut report = VerifyReport::default();
    let only = options.account.as_ref();
    let revisions = Revisions::read(&mut snapshots.clearing).await?;
    stage::prove(&mut snapshots.clearing, &revisions, only, &mut report).await?;
    stage::prove(&mut snapshots.position, &Constant(Positions), only, &mut report).await?;
    stage::prove(&mut snapshots.account, &Versions::default(), only, &mut report).await?;
    arrival::prove(&mut snapshots, options, &mut report).await?;
    transfers::prove(&mut snapshots, options, &mut report).await?;
    Ok(report)
}
