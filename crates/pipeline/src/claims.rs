//! Claims on request ids (DESIGN §7): the only place where two accounts can meet over one id.

use async_trait::async_trait;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::time::Timestamp;

use crate::queues::Unreachable;

/// How long a claim is remembered (C4).
pub const CLAIM_SECS: i64 = 8 * 60;

/// A request id, and whose it is to be. What it is used for is for the account's own journal to
/// compare: that does it in the order of the lane, which claims do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The id.
    pub request_id: RequestId,
    /// By whom.
    pub account: AccountKey,
}

/// Who has a claimed request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The claimant: from now on, or already.
    Granted,
    /// Another account.
    HeldBy(AccountKey),
}

/// A memory of request ids that all clearing services share.
#[async_trait]
pub trait Claims: Send + Sync + 'static {
    /// Claims each id for [`CLAIM_SECS`] from `now`; one answer a claim, in order. The ids are
    /// all different.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, Unreachable>;
}
