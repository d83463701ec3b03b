//! Support staff: looks for suspended lanes, skips what cannot be saved, repairs what can, and
//! redrives, in every way there is, sometimes clumsily.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, StageName};
use cap_pipeline::system_time;
use cap_reference::script::{Account, Nature, Script};
use cap_store::audit::Entry;
use cap_store::inspect::{Parked, list_lanes, show_lane, show_parked};
use cap_store::operate::{OperateError, skip};
use capctl::redrive::{Redrive, Through};
use tokio_util::sync::CancellationToken;

use crate::arena::{Arena, stage_name};
use crate::aside::Aside;
use crate::letters;
use crate::trouble::{Trouble, lock};
use crate::yard::Yard;

/// The most suspended lanes that are looked at in one round.
const LANES_MAX: u32 = 1_000;

/// How long a redrive may take nothing: its services are crashing all the time.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(8);

/// What support does, and what it saw that must not be.
pub struct Support {
    arena: Arc<Arena>,
    script: Arc<Script>,
    /// The script's accounts, and those beside it.
    accounts: Vec<Account>,
    trouble: Arc<Trouble>,
    /// If set, most redrives are made by `capctl` as a process, which may be killed.
    yard: Option<Arc<Yard>>,
    /// By stage and account: the number a lane had when it was first seen suspended there.
    seen: Mutex<HashMap<(StageName, AccountKey), Seen>>,
    violations: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    redriven_seq: u64,
    seq: u64,
}

impl Support {
    /// For the accounts of `script` and those `beside` it, whose messages nothing is the matter with.
    pub fn new(
        arena: Arc<Arena>,
        script: Arc<Script>,
        beside: &[&Aside],
        trouble: Arc<Trouble>,
        yard: Option<Arc<Yard>>,
    ) -> Self {
        let beside = beside.iter().flat_map(|aside| &aside.accounts);
        let accounts = script.accounts.iter().chain(beside).cloned().collect();
        let (seen, violations) = Default::default();
        Self { arena, script, accounts, trouble, yard, seen, violations }
    }

    /// What was seen that must not be.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// Whether any lane is not open.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn has_work(&self) -> anyhow::Result<bool> {
        for stage in StageName::ALL {
            if !self.troubled(stage).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Works until `stop`; begins when `from` is done.
    pub async fn run(&self, from: CancellationToken, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = stop.cancelled() => return,
            }
            for stage in StageName::ALL {
                if let Err(error) = self.look(stage, from.is_cancelled()).await {
                    tracing::debug!(%error, "support could not look after {stage}");
                }
            }
        }
    }

    async fn troubled(&self, stage: StageName) -> anyhow::Result<Vec<(AccountKey, Lane)>> {
        let pool = self.arena.database(stage);
        let mut lanes = list_lanes(pool, Some(LaneStatus::Suspended), None, LANES_MAX).await?;
        lanes.extend(list_lanes(pool, Some(LaneStatus::Redriving), None, LANES_MAX).await?);
        let ours =
            |account: &AccountKey| self.accounts.iter().any(|one| one.key() == account.as_str());
        lanes.retain(|(account, _)| ours(account));
        Ok(lanes)
    }

    async fn look(&self, stage: StageName, may_act: bool) -> anyhow::Result<()> {
        for (account, lane) in self.troubled(stage).await? {
            if lane.status == LaneStatus::Suspended {
                self.note(stage, &account, &lane);
            }
            if may_act {
                self.attend(stage, &account, &lane).await?;
            }
        }
        Ok(())
    }

    /// Nothing may be applied while a lane is suspended.
    fn note(&self, stage: StageName, account: &AccountKey, lane: &Lane) {
        let now = Seen { redriven_seq: lane.redriven_seq, seq: lane.seq };
        let mut seen = lock(&self.seen);
        let before = seen.insert((stage, account.clone()), now);
        if let Some(before) = before
            && before.redriven_seq == now.redriven_seq
            && before.seq != now.seq
        {
            lock(&self.violations).push(format!(
                "suspended lane {account} of {stage} went from number {} to {} with {} redriven",
                before.seq, now.seq, now.redriven_seq
            ));
        }
    }

    async fn attend(
        &self,
        stage: StageName,
        account: &AccountKey,
        lane: &Lane,
    ) -> anyhow::Result<()> {
        let pool = self.arena.database(stage);
        let next = lane.redriven_seq + 1;
        let Some(parked) = show_parked(pool, account, next).await? else {
            let now = show_lane(pool, account).await?;
            if now.as_ref() == Some(lane) {
                let what =
                    format!("{account} of {stage} waits for number {next}, which is not parked");
                lock(&self.violations).push(what);
            }
            return Ok(());
        };
        match self.nature(account, &parked) {
            Some(nature) if nature.is_skipped() && self.is_found_at(nature, account, stage) => {
                if self.trouble.happens("poison redriven in vain", 200) {
                    self.redrive(stage, account).await?;
                } else {
                    self.skip(stage, account, lane, &parked).await?;
                }
            }
            nature => {
                self.suspect(stage, account, nature, &parked);
                if let Some(Nature::RefusedOnce { stage: at }) = nature
                    && stage_name(at) == stage
                {
                    self.arena.repair(stage, parked.message.request_id.as_str()).await?;
                }
                self.redrive(stage, account).await?;
            }
        }
        Ok(())
    }

    /// What stopped a lane must be what the script says, or a message behind that.
    fn suspect(
        &self,
        stage: StageName,
        account: &AccountKey,
        nature: Option<Nature>,
        parked: &Parked,
    ) {
        let error = &parked.message.error;
        let explained = error.starts_with("parked untried behind")
            || error.contains("times without being finished")
            || matches!(nature, Some(Nature::RefusedOnce { stage: at }) if stage_name(at) == stage);
        if !explained {
            let (number, request) = (parked.message.parked_seq, &parked.message.request_id);
            let what = format!(
                "{account} of {stage} was suspended at number {number} by request {request}, which is {nature:?}: {error}"
            );
            let mut violations = lock(&self.violations);
            if !violations.contains(&what) {
                violations.push(what);
            }
        }
    }

    fn nature(&self, account: &AccountKey, parked: &Parked) -> Option<Nature> {
        let of = |index: usize| self.script.accounts[index].key() == account.as_str();
        // A repetition or a conflict has the request id of the message before it; whichever of
        // them it is, it is not what stops a lane.
        let message = self.script.messages.iter().find(|message| {
            of(message.account) && message.request_id == parked.message.request_id.as_str()
        });
        message.map(|message| message.nature)
    }

    fn is_found_at(&self, nature: Nature, account: &AccountKey, stage: StageName) -> bool {
        let account = self.script.accounts.iter().find(|one| one.key() == account.as_str());
        let found_at = account.and_then(|account| nature.found_at(account));
        found_at.is_some_and(|found_at| stage_name(found_at) == stage)
    }

    async fn skip(
        &self,
        stage: StageName,
        account: &AccountKey,
        lane: &Lane,
        parked: &Parked,
    ) -> anyhow::Result<()> {
        let pool = self.arena.database(stage);
        let number = parked.message.parked_seq;
        let behind = show_parked(pool, account, number + 1).await?;
        let behind = behind.as_ref().map(|parked| &parked.message);
        let at = system_time();
        let after = lane.skip(stage, &parked.message, behind, at)?;
        let entry = Entry {
            at,
            operator: "chaos".to_owned(),
            command: format!("parked skip {account} {number} --stage {stage}"),
            account: Some(account.clone()),
            reason: Some("cannot be saved".to_owned()),
            result: "skipped".to_owned(),
        };
        match skip(pool, account, lane, &after, &entry).await {
            Ok(()) => self.trouble.count("skipped"),
            Err(OperateError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn redrive(&self, stage: StageName, account: &AccountKey) -> anyhow::Result<()> {
        let once = || Redrive {
            pool: self.arena.database(stage),
            queues: &*self.arena.queues,
            routes: &self.arena.routes,
            stage,
            account,
            operator: "chaos",
            through: Through::UntilOpen,
            shown_last: None,
            patience: GIVEN_UP_AFTER,
        };
        if self.trouble.happens("native redrive", 120) {
            return letters::move_all(&self.arena, stage, &self.scope(account)?).await;
        }
        if self.trouble.happens("letters moved by hand", 120) {
            let scope = self.scope(account)?;
            return letters::move_by_hand(&self.arena, stage, &scope, account).await;
        }
        if let Some(yard) = &self.yard
            && self.trouble.below(3) > 0
        {
            self.trouble.count("capctl redrive");
            return yard.redrive(&self.arena.installation, stage, account, &self.trouble).await;
        }
        if self.trouble.happens("redrive killed half-way", 250) {
            let patience = Duration::from_millis(self.trouble.below(40));
            let _ = tokio::time::timeout(patience, once().run(|_| {})).await;
            return Ok(());
        }
        if self.trouble.happens("canary", 150) {
            let next = show_lane(self.arena.database(stage), account).await?;
            let next = next.map_or(1, |lane| lane.redriven_seq + 1);
            let canary = Redrive { through: Through::Number(next), ..once() };
            return self.patiently(canary).await;
        }
        if self.trouble.happens("two redrives at once", 250) {
            let (one, other) = tokio::join!(self.patiently(once()), self.patiently(once()));
            return one.and(other);
        }
        self.trouble.count("redrive");
        self.patiently(once()).await
    }

    /// A redrive whose services are crashing all the time is given up, and begun again later.
    async fn patiently(&self, redrive: Redrive<'_>) -> anyhow::Result<()> {
        let ended = tokio::time::timeout(GIVEN_UP_AFTER, redrive.run(|_| {})).await;
        if let Ok(Err(error)) = ended {
            tracing::debug!(error = %error, "redrive ended");
        }
        Ok(())
    }

    fn scope(&self, account: &AccountKey) -> anyhow::Result<String> {
        let of = |one: &&Account| one.key() == account.as_str();
        Ok(self.accounts.iter().find(of).context("an account of ours")?.scope())
    }
}
