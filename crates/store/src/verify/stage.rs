//! Proving one stage by itself: lanes, journal and state, in the order of their keys.

use std::collections::BTreeMap;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::Lane;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};
use crate::journal::JournalPages;
use crate::lanes::LanePages;
use crate::state::StateTables;
use crate::values::counter;

use super::decider::Decider;
use super::fold::Fold;
use super::report::{MISMATCHES_LISTED_MAX, VerifyReport};

/// A message parked in a lane, as far as a proof needs it.
#[derive(Debug)]
pub(super) struct ParkedHere {
    /// Its request.
    pub(super) request_id: RequestId,
    /// The upstream number it came under, if it had one that could be read.
    pub(super) upstream_seq: Option<u64>,
    /// Whether it was redriven, and so must be journaled.
    pub(super) redriven: bool,
    /// Whether there is a journal row of its request.
    journaled: bool,
    resolved: bool,
}

impl ParkedHere {
    /// Whether an operator skipped it without anybody having been able to read its number.
    pub(super) fn is_given_up(&self) -> bool {
        self.resolved && !self.redriven && self.upstream_seq.is_none()
    }
}

/// Proves the stage in the database of `connection`.
pub(super) async fn prove<S: StateTables>(
    connection: &mut PgConnection,
    deciders: &impl Decider<S>,
    only: Option<&AccountKey>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let mut lanes = LanePages::new(only);
    let mut journal = JournalPages::new(only);
    let mut proved = 0;
    loop {
        let page = lanes.next_page(connection).await?;
        if page.is_empty() {
            break;
        }
        let accounts: Vec<&str> = page.iter().map(|(account, _)| account.as_str()).collect();
        let mut states = S::load_states(connection, &accounts).await?;
        for (account, lane) in &page {
            pass_rows_without_lane::<S>(connection, &mut journal, Some(account), report).await?;
            let fold = fold_journal(connection, &mut journal, account, deciders, report).await?;
            let parked = if lane.parked_seq > 0 {
                parked_here(connection, account).await?
            } else {
                BTreeMap::new()
            };
            compare_lane(account, lane, &fold, &parked, report);
            let stored = states.remove(account).unwrap_or_default();
            for what in S::differences(&stored, &fold.state) {
                report.add_of(S::NAME, account, what);
            }
            proved += 1;
        }
    }
    pass_rows_without_lane::<S>(connection, &mut journal, None, report).await?;
    if only.is_none() || proved == 0 {
        prove_no_state_without_lane::<S>(connection, only, report).await?;
    }
    report.lanes += proved;
    Ok(())
}

async fn fold_journal<S: StateTables>(
    connection: &mut PgConnection,
    journal: &mut JournalPages,
    account: &AccountKey,
    deciders: &impl Decider<S>,
    report: &mut VerifyReport,
) -> Result<Fold<S>, QueryError> {
    let mut fold = Fold::<S>::default();
    while let Some(row) = journal.next_of(connection, account).await? {
        for what in fold.take(account, &row, deciders.of(&row)) {
            report.add_at(S::NAME, account, row.seq, what);
        }
        report.journal_rows += 1;
    }
    Ok(fold)
}

fn compare_lane<S: StateTables>(
    account: &AccountKey,
    lane: &Lane,
    fold: &Fold<S>,
    parked: &BTreeMap<u64, ParkedHere>,
    report: &mut VerifyReport,
) {
    let mut wrong = Vec::new();
    if lane.seq != fold.seq {
        wrong.push(format!("the lane is at number {}, its journal ends at {}", lane.seq, fold.seq));
    }
    if lane.head != fold.head {
        wrong.push(format!(
            "the lane's head is {}, its journal's last hash {}",
            lane.head, fold.head
        ));
    }
    // What is parked was taken from upstream too.
    let given_up = parked.values().filter(|parked| parked.is_given_up()).count() as u64;
    let taken = parked.values().any(|parked| parked.upstream_seq == Some(lane.upstream_seq))
        || (fold.upstream_seq..=fold.upstream_seq + given_up).contains(&lane.upstream_seq);
    if lane.upstream_seq < fold.upstream_seq || (lane.upstream_seq != fold.upstream_seq && !taken) {
        let (stored, journaled) = (lane.upstream_seq, fold.upstream_seq);
        wrong.push(format!("the lane has taken upstream number {stored}, its journal and what is parked say {journaled}"));
    }
    if !parked.keys().copied().eq(1..=lane.parked_seq) {
        let (stored, found) = (lane.parked_seq, parked.len());
        wrong.push(format!("the lane has parked {stored} messages, the table has {found} numbers, or not 1 to {stored}"));
    }
    if let Some((number, _)) =
        parked.iter().find(|(number, parked)| **number <= lane.redriven_seq && !parked.resolved)
    {
        let redriven = lane.redriven_seq;
        wrong.push(format!(
            "parked message {number} is not resolved, but the lane is redriven up to {redriven}"
        ));
    }
    let redriven = parked.iter().filter(|(_, parked)| parked.redriven);
    for (number, parked) in redriven {
        if !parked.journaled {
            let of = &parked.request_id;
            wrong.push(format!(
                "parked message {number}, request {of}, was redriven but is not journaled"
            ));
        }
        if *number > lane.redriven_seq {
            let redriven = lane.redriven_seq;
            wrong.push(format!(
                "parked message {number} was redriven, the lane is redriven up to {redriven}"
            ));
        }
    }
    for what in wrong {
        report.add_of(S::NAME, account, what);
    }
}

/// Passes over the rows of accounts before `next`, none of which has a lane.
async fn pass_rows_without_lane<S: StateTables>(
    connection: &mut PgConnection,
    journal: &mut JournalPages,
    next: Option<&AccountKey>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    while let Some((account, _)) = journal.peek(connection).await? {
        if next.is_some_and(|next| account >= next) {
            break;
        }
        let account = account.clone();
        let mut rows = 0_u64;
        while journal.next_of(connection, &account).await?.is_some() {
            rows += 1;
        }
        report.journal_rows += rows;
        report.add_of(
            S::NAME,
            &account,
            format!("the journal has {rows} rows, but there is no lane"),
        );
    }
    Ok(())
}

/// Proves that nobody has state without a lane; `only`, if given, is known to have none.
async fn prove_no_state_without_lane<S: StateTables>(
    connection: &mut PgConnection,
    only: Option<&AccountKey>,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let accounts = match only {
        Some(account) => {
            let states = S::load_states(connection, &[account.as_str()]).await?;
            states.into_keys().map(|account| account.to_string()).collect()
        }
        None => {
            let limit = i64::try_from(MISMATCHES_LISTED_MAX).unwrap_or(i64::MAX);
            S::states_without_lane(connection, limit).await?
        }
    };
    for account in accounts {
        report.add(S::NAME, &account, None, "there is state of this account, but no lane");
    }
    Ok(())
}

/// What is parked in the lane of `account`, by its number there.
pub(super) async fn parked_here(
    connection: &mut PgConnection,
    account: &AccountKey,
) -> Result<BTreeMap<u64, ParkedHere>, QueryError> {
    let parked = "select parked_seq, request_id, source_id, resolution,
            exists (
                select from journal
                where journal.account_id = $1 and journal.request_id = parked_message.request_id
            )
        from parked_message where account_id = $1";
    let parked: Vec<(i64, String, String, Option<String>, bool)> = sqlx::query_as(parked)
        .bind(account.as_str())
        .fetch_all(connection)
        .await
        .map_err(failed("reading what a lane has parked"))?;
    let unreadable = |reason: String| QueryError::unreadable(account, reason);
    let read = |(parked_seq, request_id, source_id, resolution, journaled): (
        i64,
        String,
        String,
        Option<String>,
        bool,
    )| {
        let number = counter("parked_seq", parked_seq).map_err(unreadable)?;
        let request_id =
            RequestId::new(&request_id).map_err(|error| unreadable(error.to_string()))?;
        let upstream_seq = source_id.strip_prefix('u').and_then(|number| number.parse().ok());
        let redriven = resolution.as_deref() == Some("redriven");
        Ok((
            number,
            ParkedHere {
                request_id,
                upstream_seq,
                redriven,
                journaled,
                resolved: resolution.is_some(),
            },
        ))
    };
    parked.into_iter().map(read).collect()
}
