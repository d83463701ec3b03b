//! What clearing does with new submissions before they are decided: it claims their request ids.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cap_domain::clearing::{Clearing, Submission};
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Arrival, Content};
use cap_domain::time::Timestamp;
use cap_pipeline::claims::{Claim, Claimed, Claims};
use cap_pipeline::prepare::Prepare;

/// How long a batch waits for its claims.
pub(crate) const CLAIM_WAIT: Duration = Duration::from_secs(2);

/// How long no claim is tried after one failed, so that an outage costs one wait and not one a
/// batch.
pub(crate) const CLAIM_REST_SECS: i64 = 5;

/// Claims the request ids of new submissions before they are decided.
pub(crate) struct ClaimRequestIds<C> {
    claims: C,
    /// Until when claims are left out, in microseconds since the epoch.
    resting_until: AtomicI64,
}

impl<C: Claims> ClaimRequestIds<C> {
    /// Over a memory that all clearing services share.
    pub(crate) const fn new(claims: C) -> Self {
        Self { claims, resting_until: AtomicI64::new(i64::MIN) }
    }

    /// What came of `claims`; none if the memory is away. The journal's unique key still holds
    /// per account then; only ids that cross accounts go unnoticed until it is back.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Option<Vec<Claimed>> {
        let skipped =
            |count: usize| metrics::counter!("cap_claims_skipped_total").increment(count as u64);
        if now.micros() < self.resting_until.load(Ordering::Relaxed) {
            skipped(claims.len());
            return None;
        }
        let error = match tokio::time::timeout(CLAIM_WAIT, self.claims.claim(claims, now)).await {
            Ok(Ok(claimed)) => return Some(claimed),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CLAIM_WAIT:?}"),
        };
        skipped(claims.len());
        self.resting_until.store(now.plus_seconds(CLAIM_REST_SECS).micros(), Ordering::Relaxed);
        tracing::error!(
            error,
            requests = claims.len(),
            "request ids are not claimed: clearing goes on with the journal alone"
        );
        None
    }
}

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
        let Some(claimed) = self.claim(&claims, now).await else { return };
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
