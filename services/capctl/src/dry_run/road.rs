//! The stages of one account in memory, one behind the other.

use std::sync::Arc;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::event::Event;
use cap_domain::ids::AccountKey;
use cap_domain::instrument::Contract;
use cap_domain::lane::{
    Body, Item, Lane, LaneStatus, Output, ParkedMessage, RedriveRefused, StageName, pack,
};
use cap_domain::position::Positions;
use cap_domain::time::Timestamp;

use super::DryRunError;
use super::lane::{RehearsedLane, Taken};
use crate::databases::Databases;

/// All stages of an account.
pub(super) struct Road {
    account: AccountKey,
    clearing: RehearsedLane<Clearing>,
    pub(super) positions: RehearsedLane<Positions>,
    pub(super) accounts: RehearsedLane<Accounts>,
    /// How many messages are under way, and were taken as having arrived.
    pub(super) in_transit: u64,
}

/// How a message went along the road.
#[derive(Default)]
pub(super) struct Went {
    /// Why it failed again where it was parked.
    pub(super) failed_again: Option<String>,
    /// Its event's type.
    pub(super) kind: Option<String>,
    /// The contract it is about.
    pub(super) contract: Option<Contract>,
    /// What upstream is told, as JSON.
    pub(super) outcome: Option<String>,
}

impl Road {
    /// As `databases` have it. The last stage is read first: what has arrived there was sent from
    /// the ones before.
    pub(super) async fn load(
        databases: &Databases,
        configuration: &Arc<Configuration>,
        account: &AccountKey,
        now: Timestamp,
    ) -> Result<Self, DryRunError> {
        let accounts =
            RehearsedLane::load(Accounts::default(), &databases.account, account, now).await?;
        let positions = RehearsedLane::load(Positions, &databases.position, account, now).await?;
        let rules = Clearing::new(Arc::clone(configuration));
        let clearing = RehearsedLane::load(rules, &databases.clearing, account, now).await?;
        Ok(Self { account: account.clone(), clearing, positions, accounts, in_transit: 0 })
    }

    /// Begins the redrive of `stage`, and tells the lane as it was before.
    pub(super) fn begin_redrive(
        &mut self,
        stage: StageName,
        through: Option<u64>,
    ) -> Result<Lane, RedriveRefused> {
        let lane = self.lane_mut(stage);
        let redriving = lane.begin_redrive(through)?;
        Ok(std::mem::replace(lane, redriving))
    }

    /// Whether the lane of `stage` takes messages again.
    pub(super) fn is_open(&mut self, stage: StageName) -> bool {
        self.lane_mut(stage).status == LaneStatus::Active
    }

    /// Takes `parked` back at `stage`, and lets what follows go to the end of the road.
    pub(super) async fn redrive(
        &mut self,
        stage: StageName,
        parked: &ParkedMessage,
    ) -> Result<Went, DryRunError> {
        let mut went = Went::default();
        let mut sent_before = self.lane_mut(stage).seq;
        let mut output = match stage {
            StageName::Clearing => {
                let taken = self.clearing.redrive(parked).await?;
                went.failed_again = taken.failed_again;
                went.kind = taken.input.map(|(kind, _)| kind);
                taken.output
            }
            StageName::Position => went.note(self.positions.redrive(parked).await?),
            StageName::Account => went.note(self.accounts.redrive(parked).await?),
        };
        while let Some(Output::Forward { to, unit }) = &output {
            let to = *to;
            let Some((_, body)) = pack(&self.account, &[unit]).pop() else { break };
            self.catch_up(to, sent_before);
            sent_before = self.lane_mut(to).seq;
            output = match to {
                // Nothing is sent back there.
                StageName::Clearing => None,
                StageName::Position => went.note(self.positions.receive(&body).await?),
                StageName::Account => went.note(self.accounts.receive(&body).await?),
            };
        }
        if let Some(Output::Outcome { body, .. }) = output {
            went.outcome = Some(body);
        }
        Ok(went)
    }

    /// What the stage before had sent to `to` by then has arrived before what is rehearsed.
    fn catch_up(&mut self, to: StageName, sent: u64) {
        let lane = self.lane_mut(to);
        let missing = sent.saturating_sub(lane.upstream_seq);
        lane.upstream_seq += missing;
        self.in_transit += missing;
    }

    fn lane_mut(&mut self, stage: StageName) -> &mut Lane {
        match stage {
            StageName::Clearing => &mut self.clearing.lane,
            StageName::Position => &mut self.positions.lane,
            StageName::Account => &mut self.accounts.lane,
        }
    }
}

impl Went {
    /// Notes what a stage between stages took, and passes on what it says.
    fn note(&mut self, taken: Taken<Item>) -> Option<Output> {
        self.failed_again = self.failed_again.take().or(taken.failed_again);
        if let Some((kind, item)) = taken.input {
            self.contract = contract_of(&item).or(self.contract.take());
            self.kind.get_or_insert(kind);
        }
        taken.output
    }
}

fn contract_of(item: &Item) -> Option<Contract> {
    let Body::Planned { event, .. } = &item.body else { return None };
    match &**event {
        Event::ContractFilled(fill) => Some(fill.contract.clone()),
        Event::FundingCharged { contract, .. } => Some(contract.clone()),
        _ => None,
    }
}
