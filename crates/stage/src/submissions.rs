//! What clearing has to learn of new submissions before it decides them: who holds their request
//! ids, and whether their transfers lead anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use cap_domain::clearing::{Clearing, Submission};
use cap_domain::event::{EventKind, door};
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Arrival, Content, StageName};
use cap_domain::routing::{Channel, Routes};
use cap_domain::time::Timestamp;
use cap_pipeline::claims::Claims;
use cap_pipeline::prepare::Prepare;

use crate::claims::ClaimRequestIds;

/// Completes submissions. What it finds becomes part of the input, and is journaled with it.
pub(crate) struct PrepareSubmissions<C> {
    pub(crate) claims: ClaimRequestIds<C>,
    pub(crate) routes: Arc<Routes>,
}

#[async_trait]
impl<C: Claims> Prepare<Clearing> for PrepareSubmissions<C> {
    async fn prepare(
        &self,
        mut arrivals: Vec<(&AccountKey, &mut Arrival<Submission>)>,
        now: Timestamp,
    ) {
        for (_, arrival) in &mut arrivals {
            if let Content::Message(message) = &mut arrival.content
                && message.kind == EventKind::TransferRequested.name()
            {
                message.input.leads_nowhere = self.leads_nowhere(&message.input);
            }
        }
        self.claims.claim_all(&mut arrivals, now).await;
    }
}

impl<C> PrepareSubmissions<C> {
    fn leads_nowhere(&self, submission: &Submission) -> bool {
        door::destination(&submission.envelope.event).is_some_and(|to| {
            self.routes.resolve(Channel::Stage(StageName::Clearing), &to).is_none()
        })
    }
}
