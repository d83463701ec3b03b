//! What the stages have of one request: its rows, and where it was parked.

use cap_domain::clearing::ClearingRuling;
use cap_domain::envelope::Fingerprint;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Row, StageName};
use cap_domain::outcome::{Outcome, OutcomeMessage};
use cap_store::inspect::{list_parked, show_lane};
use cap_store::journal::row_of_request;
use sqlx::PgPool;

use super::{ParkedTold, by_position, telling};
use crate::databases::{Databases, of};

/// Parked messages read at a time.
const PARKED_PAGE_MESSAGES: u32 = 500;

/// The most parked messages of a lane that are searched for the request.
const PARKED_SEARCHED_MAX: u64 = 100_000;

/// The rows of a request, by stage, and every time it was parked.
pub(super) struct Trail {
    pub(super) clearing: Option<Row>,
    pub(super) position: Option<Row>,
    pub(super) account: Option<Row>,
    pub(super) parked: Vec<ParkedTold>,
}

impl Trail {
    /// Reads it downstream first: whatever is found there, its causes are found after it.
    pub(super) async fn find(
        databases: &Databases,
        account: &AccountKey,
        request_id: &RequestId,
    ) -> anyhow::Result<Self> {
        let last = row_of_request(&databases.account, account, request_id).await?;
        let middle = row_of_request(&databases.position, account, request_id).await?;
        let first = row_of_request(&databases.clearing, account, request_id).await?;
        let mut parked = Vec::new();
        for stage in StageName::ALL {
            parked.extend(parked_at(stage, of(databases, stage), account, request_id).await?);
        }
        Ok(Self { clearing: first, position: middle, account: last, parked })
    }

    /// The same without rows of another content: somebody may have used the id for something else.
    pub(super) fn of_content(self, content: Fingerprint) -> Self {
        let only = |row: Option<Row>| row.filter(|row| row.fingerprint == content);
        Self {
            clearing: only(self.clearing),
            position: only(self.position),
            account: only(self.account),
            parked: self.parked,
        }
    }

    /// Whether no stage knows the request.
    pub(super) const fn is_empty(&self) -> bool {
        self.clearing.is_none()
            && self.position.is_none()
            && self.account.is_none()
            && self.parked.is_empty()
    }

    /// What upstream was told.
    pub(super) fn outcome(&self) -> anyhow::Result<Option<Outcome>> {
        let told = self.account.as_ref().map(OutcomeMessage::of_row).transpose()?;
        Ok(told.map(|message| message.outcome))
    }

    /// How it ended, or where it is now.
    pub(super) fn ending(&self) -> anyhow::Result<String> {
        if let Some(outcome) = self.outcome()? {
            return Ok(telling::outcome(&outcome));
        }
        if let Some(parked) = self.parked.iter().find(|parked| parked.waits) {
            let ParkedTold { stage, parked_seq, error, .. } = parked;
            return Ok(format!("parked at {stage} as message {parked_seq}: {error}"));
        }
        let never_taken = |parked: &&ParkedTold| parked.skipped && self.row(parked.stage).is_none();
        if let Some(ParkedTold { stage, parked_seq, .. }) = self.parked.iter().find(never_taken) {
            return Ok(format!("skipped at {stage} as message {parked_seq}: it is never applied"));
        }
        let Some(cleared) = &self.clearing else { return Ok("on its way to clearing".to_owned()) };
        let ruling: ClearingRuling = cleared.ruling()?;
        let next = if by_position(&ruling) && self.position.is_none() {
            StageName::Position
        } else {
            StageName::Account
        };
        Ok(format!("on its way to {next}"))
    }

    /// The row of a stage.
    pub(super) const fn row(&self, stage: StageName) -> Option<&Row> {
        match stage {
            StageName::Clearing => self.clearing.as_ref(),
            StageName::Position => self.position.as_ref(),
            StageName::Account => self.account.as_ref(),
        }
    }
}

/// Where `request_id` is parked in `stage`: every time it was.
async fn parked_at(
    stage: StageName,
    pool: &PgPool,
    account: &AccountKey,
    request_id: &RequestId,
) -> anyhow::Result<Vec<ParkedTold>> {
    let parked_seq = show_lane(pool, account).await?.map_or(0, |lane| lane.parked_seq);
    let mut found = Vec::new();
    // The latest are asked for most; of more than anybody parks, the first are left out.
    let mut after = parked_seq.saturating_sub(PARKED_SEARCHED_MAX);
    while after < parked_seq {
        let page = list_parked(pool, account, after, PARKED_PAGE_MESSAGES).await?;
        let Some(last) = page.last() else { break };
        after = last.message.parked_seq;
        let of_request = page.into_iter().filter(|parked| parked.message.request_id == *request_id);
        found.extend(of_request.map(|parked| ParkedTold {
            stage,
            parked_seq: parked.message.parked_seq,
            parked_at: parked.message.parked_at,
            error: parked.message.error,
            waits: parked.resolution.is_none(),
            skipped: parked.resolution.is_some_and(|resolution| resolution.skipped),
        }));
    }
    Ok(found)
}
