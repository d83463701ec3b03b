//! Claims on request ids (DESIGN §7): the only place where two accounts can meet over one id.

use std::collections::HashMap;

use async_trait::async_trait;
use cap_domain::clearing::{Clearing, Submission};
use cap_domain::envelope::Fingerprint;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Arrival, Content};
use cap_domain::time::Timestamp;

use crate::prepare::Prepare;
use crate::queues::Unreachable;

/// How long a claim is remembered (C4).
pub const CLAIM_SECS: i64 = 8 * 60;

/// A request id, and what it is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The id.
    pub request_id: RequestId,
    /// By whom.
    pub account: AccountKey,
    /// For what.
    pub fingerprint: Fingerprint,
}

/// Who has a claimed request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The claimant: from now on, or already, with the same content.
    Granted,
    /// Another account, or this one with another content.
    HeldBy(AccountKey),
}

/// A memory of request ids that all clearing services share.
#[async_trait]
pub trait Claims: Send + Sync + 'static {
    /// Claims each id for [`CLAIM_SECS`] from `now`; one answer a claim, in order. The ids are
    /// all different.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, Unreachable>;
}

/// Claims the request ids of new submissions before they are decided.
pub struct ClaimRequestIds<C>(pub C);

#[async_trait]
impl<C: Claims> Prepare<Clearing> for ClaimRequestIds<C> {
    async fn prepare(
        &self,
        arrivals: Vec<(&AccountKey, &mut Arrival<Submission>)>,
        now: Timestamp,
    ) {
        let mut claims: Vec<Claim> = Vec::with_capacity(arrivals.len());
        let mut first: HashMap<RequestId, usize> = HashMap::with_capacity(arrivals.len());
        for (account, arrival) in &arrivals {
            if let Content::Message(message) = &arrival.content {
                first.entry(arrival.request_id.clone()).or_insert_with(|| {
                    claims.push(Claim {
                        request_id: arrival.request_id.clone(),
                        account: (*account).clone(),
                        fingerprint: message.fingerprint,
                    });
                    claims.len() - 1
                });
            }
        }
        if claims.is_empty() {
            return;
        }
        let claimed = match self.0.claim(&claims, now).await {
            Ok(claimed) => claimed,
            Err(error) => {
                // The journal's unique key still holds per account; only ids that cross accounts
                // go unnoticed until DynamoDB is back.
                metrics::counter!("cap_claims_skipped_total").increment(claims.len() as u64);
                tracing::error!(%error, requests = claims.len(), "request ids are not claimed: clearing goes on with the journal alone");
                return;
            }
        };
        for (account, arrival) in arrivals {
            let Content::Message(message) = &mut arrival.content else {
                continue;
            };
            let Some(index) = first.get(&arrival.request_id) else {
                continue;
            };
            let (claim, claimed) = (&claims[*index], &claimed[*index]);
            let same = claim.account == *account && claim.fingerprint == message.fingerprint;
            message.input.held_by = match claimed {
                Claimed::HeldBy(holder) => Some(holder.clone()),
                Claimed::Granted if same => None,
                Claimed::Granted => Some(claim.account.clone()),
            };
        }
    }
}
