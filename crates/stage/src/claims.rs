//! Claims on the request ids of new submissions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cap_domain::clearing::Submission;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Arrival, Content};
use cap_domain::time::Timestamp;
use cap_pipeline::claims::{Claim, Claimed, Claims};

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

impl<C: Claims> ClaimRequestIds<C> {
    /// Claims the ids of `arrivals` and notes who else holds one.
    pub(crate) async fn claim_all(
        &self,
        arrivals: &mut [(&AccountKey, &mut Arrival<Submission>)],
        now: Timestamp,
    ) {
        let mut claims: Vec<Claim> = Vec::with_capacity(arrivals.len());
        let mut first: HashMap<RequestId, usize> = HashMap::with_capacity(arrivals.len());
        for (account, arrival) in &mut *arrivals {
            if let Content::Message(message) = &mut arrival.content {
                // An earlier attempt's answer may have run out since.
                message.input.held_by = None;
                first.entry(arrival.request_id.clone()).or_insert_with(|| {
                    claims.push(Claim {
                        request_id: arrival.request_id.clone(),
                        account: (*account).clone(),
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
            let holder = match &claimed[*index] {
                Claimed::HeldBy(holder) => holder,
                Claimed::Granted => &claims[*index].account,
            };
            message.input.held_by = (holder != *account).then(|| holder.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use async_trait::async_trait;
    use cap_domain::clearing::Clearing;
    use cap_domain::lane::{RawMessage, Stage as _};
    use cap_pipeline::queues::Unreachable;

    use super::*;

    /// Answers every claim alike.
    struct All(Claimed);

    #[async_trait]
    impl Claims for All {
        async fn claim(&self, claims: &[Claim], _: Timestamp) -> Result<Vec<Claimed>, Unreachable> {
            Ok(vec![self.0.clone(); claims.len()])
        }
    }

    const ALICE: &str = "acme_spot_retail_A-1";
    const BOB: &str = "acme_spot_retail_B-1";

    #[tokio::test]
    async fn an_id_that_its_own_account_holds_is_left_to_the_journal() {
        // As if it was claimed by a later message of the same id while claims were away: the
        // message in front, parked meanwhile, must not be refused for it.
        let held_by = held_by_of(All(Claimed::HeldBy(ALICE.parse().unwrap())), &[ALICE]).await;
        assert_eq!(held_by, [None]);
    }

    #[tokio::test]
    async fn an_id_that_another_account_holds_is_refused() {
        let bob: AccountKey = BOB.parse().unwrap();
        let held_by = held_by_of(All(Claimed::HeldBy(bob.clone())), &[ALICE]).await;
        assert_eq!(held_by, [Some(bob)]);
    }

    #[tokio::test]
    async fn of_two_accounts_in_one_batch_the_first_gets_the_id() {
        let held_by = held_by_of(All(Claimed::Granted), &[ALICE, BOB, ALICE]).await;
        assert_eq!(held_by, [None, Some(ALICE.parse().unwrap()), None]);
    }

    /// Who holds the one id that messages of `accounts` share, after it was claimed for them.
    async fn held_by_of(claims: All, accounts: &[&str]) -> Vec<Option<AccountKey>> {
        let accounts: Vec<AccountKey> = accounts.iter().map(|key| key.parse().unwrap()).collect();
        let mut arrivals: Vec<Arrival<Submission>> = Vec::new();
        for (number, account) in accounts.iter().enumerate() {
            let (company, product, customer_group, name) = account.parts();
            let body = serde_json::json!({
                "header": { "version": 1, "request_id": "r-1",
                    "initiated_at": "2026-11-21T10:00:00Z", "company": company,
                    "product": product, "customer_group": customer_group, "account": name },
                "event": { "type": "deposit.received", "currency": "USDT",
                    "amount": format!("{number}.50"), "reference": "tx-1" },
            });
            let message = RawMessage {
                message_id: "m-1",
                deduplication_id: None,
                sent_at: Timestamp::from_millis(1_795_000_000_000),
                receives: 1,
                repair: false,
                body: &body.to_string(),
            };
            arrivals.extend(Clearing::read(account, message));
        }
        let now = Timestamp::from_millis(1_795_000_000_000);
        let mut asked: Vec<_> = accounts.iter().zip(&mut arrivals).collect();
        ClaimRequestIds::new(claims).claim_all(&mut asked, now).await;
        let held_by = |arrival: &Arrival<Submission>| match &arrival.content {
            Content::Message(message) => message.input.held_by.clone(),
            other => panic!("{other:?} is no message"),
        };
        arrivals.iter().map(held_by).collect()
    }
}
