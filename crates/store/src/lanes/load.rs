//! Reading what a batch needs, by key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{DeadLetter, Lane, LaneStatus, Memory, ParkedMessage};
use cap_pipeline::lane_store::{Loaded, Wanted};
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::error::{QueryError, failed};
use crate::journal::{JournalRecord, journal_columns};
use crate::state::StateTables;
use crate::values::{bigint, counter, timestamp};

use super::states::States;
use super::{LaneRecord, lane_columns};

/// What a parked message is remembered by.
#[derive(FromRow)]
struct ParkedRecord {
    account_id: String,
    source_id: String,
    parked_seq: i64,
    parked_at: OffsetDateTime,
    error: String,
}

impl ParkedRecord {
    fn read(self) -> Result<(AccountKey, String, DeadLetter), QueryError> {
        let unreadable = |reason: String| QueryError::unreadable(&self.account_id, reason);
        let account = self.account_id.parse();
        let letter = DeadLetter {
            parked_seq: counter("parked_seq", self.parked_seq).map_err(unreadable)?,
            parked_at: timestamp(self.parked_at),
            error: self.error,
        };
        Ok((account.map_err(|error| unreadable(format!("{error}")))?, self.source_id, letter))
    }
}

/// A parked message that is to be tried again.
#[derive(FromRow)]
struct RecalledRecord {
    account_id: String,
    parked_seq: i64,
    request_id: String,
    source_id: String,
    raw: String,
    sent_at: OffsetDateTime,
    parked_at: OffsetDateTime,
    error: String,
    taken_by: Option<String>,
}

impl RecalledRecord {
    fn read(self) -> Result<(AccountKey, ParkedMessage), QueryError> {
        let unreadable = |reason: String| QueryError::unreadable(&self.account_id, reason);
        let account = self.account_id.parse().map_err(|error| unreadable(format!("{error}")))?;
        let request_id = RequestId::new(&self.request_id);
        let message = ParkedMessage {
            parked_seq: counter("parked_seq", self.parked_seq).map_err(unreadable)?,
            request_id: request_id.map_err(|error| unreadable(error.to_string()))?,
            source_id: self.source_id.into(),
            body: self.raw,
            sent_at: timestamp(self.sent_at),
            parked_at: timestamp(self.parked_at),
            error: self.error,
            taken_by: self.taken_by,
        };
        Ok((account, message))
    }
}

/// Reads the lanes of `wanted`, with their state and what is remembered of the wanted ids.
pub(super) async fn load<S: StateTables>(
    pool: &PgPool,
    states: &States<S>,
    wanted: &[Wanted],
) -> Result<HashMap<AccountKey, Loaded<S>>, QueryError> {
    let mut connection = pool.acquire().await.map_err(failed("connecting to the database"))?;
    let accounts: Vec<&str> = wanted.iter().map(|wanted| wanted.account.as_str()).collect();
    let mut lanes = lanes(&mut connection, &accounts).await?;
    let read = lanes.iter().map(|(account, lane)| (account, lane.head));
    let mut states = states.of(read, Instant::now());
    let unknown: Vec<&str> = wanted
        .iter()
        .filter(|wanted| !states.contains_key(&wanted.account))
        .map(|wanted| wanted.account.as_str())
        .collect();
    if !unknown.is_empty() {
        let read = S::load_states(&mut connection, &unknown).await?;
        states.extend(read.into_iter().map(|(account, state)| (account, Arc::new(state))));
    }
    let mut memories = remember(&mut connection, wanted, &lanes).await?;
    let loaded = wanted.iter().map(|wanted| {
        let account = wanted.account.clone();
        let loaded = Loaded {
            lane: lanes.remove(&account),
            state: states.remove(&account).unwrap_or_default(),
            memory: memories.remove(&account).unwrap_or_default(),
        };
        (account, loaded)
    });
    Ok(loaded.collect())
}

/// Whether each of `parked` lies at or before the number its lane is redriven to.
pub(super) async fn are_resolved(
    pool: &PgPool,
    parked: &[(AccountKey, u64)],
) -> Result<Vec<bool>, QueryError> {
    let mut connection = pool.acquire().await.map_err(failed("connecting to the database"))?;
    let mut accounts: Vec<&str> = parked.iter().map(|(account, _)| account.as_str()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let lanes = lanes(&mut connection, &accounts).await?;
    let is_resolved = |(account, parked_seq): &(AccountKey, u64)| {
        lanes.get(account).is_some_and(|lane| *parked_seq <= lane.redriven_seq)
    };
    Ok(parked.iter().map(is_resolved).collect())
}

async fn lanes(
    connection: &mut PgConnection,
    accounts: &[&str],
) -> Result<HashMap<AccountKey, Lane>, QueryError> {
    let lanes = concat!("select ", lane_columns!(), " from lane where account_id = any($1)");
    let lanes: Vec<LaneRecord> = sqlx::query_as(lanes)
        .bind(accounts)
        .fetch_all(connection)
        .await
        .map_err(failed("reading lanes"))?;
    lanes.into_iter().map(LaneRecord::read).collect()
}

/// Only a lane that has had messages can remember one, only a lane that ever parked a parked one.
async fn remember(
    connection: &mut PgConnection,
    wanted: &[Wanted],
    lanes: &HashMap<AccountKey, Lane>,
) -> Result<HashMap<AccountKey, Memory>, QueryError> {
    let mut memories: HashMap<AccountKey, Memory> = HashMap::new();
    let mut recalled = (Vec::new(), Vec::new(), Vec::new());
    for Wanted { account, parked_seqs, .. } in wanted {
        recalled.0.extend(parked_seqs.iter().map(|_| account.as_str()));
        recalled.1.extend(parked_seqs.iter().map(|(parked_seq, _)| bigint(*parked_seq)));
        let last = |(first, count): &(u64, usize)| bigint(first + *count as u64) - 1;
        recalled.2.extend(parked_seqs.iter().map(last));
    }
    if !recalled.0.is_empty() {
        for record in recall(connection, &recalled.0, &recalled.1, &recalled.2).await? {
            let (account, message) = record.read()?;
            let memory = memories.entry(account).or_default();
            memory.recalled.insert(message.parked_seq, message);
        }
    }
    let mut requests = (Vec::new(), Vec::new());
    let mut sources = (Vec::new(), Vec::new());
    for Wanted { account, request_ids, taken_for_new, source_ids, .. } in wanted {
        let Some(lane) = lanes.get(account) else {
            continue;
        };
        if lane.seq > 0 && !(*taken_for_new && lane.status == LaneStatus::Active) {
            requests.0.extend(request_ids.iter().map(|_| account.as_str()));
            requests.1.extend(request_ids.iter().map(|id| id.as_str()));
        }
        if lane.parked_seq > 0 {
            sources.0.extend(source_ids.iter().map(|_| account.as_str()));
            sources.1.extend(source_ids.iter().map(String::as_str));
        }
    }
    // What is tried again is what was parked, whatever the copy says.
    let asked_again: Vec<(String, String)> = memories
        .iter()
        .flat_map(|(account, memory)| {
            memory
                .recalled
                .values()
                .map(|parked| (account.to_string(), parked.request_id.to_string()))
        })
        .collect();
    requests.0.extend(asked_again.iter().map(|(account, _)| account.as_str()));
    requests.1.extend(asked_again.iter().map(|(_, request)| request.as_str()));
    if !requests.0.is_empty() {
        for record in journaled(connection, &requests.0, &requests.1).await? {
            let (account, row) = record.read()?;
            memories.entry(account).or_default().rows.insert(row.request_id.clone(), row);
        }
    }
    if !sources.0.is_empty() {
        for record in parked(connection, &sources.0, &sources.1).await? {
            let (account, source_id, letter) = record.read()?;
            let memory = memories.entry(account).or_default();
            memory.parked.insert(source_id.into(), letter);
        }
    }
    Ok(memories)
}

async fn journaled(
    connection: &mut PgConnection,
    accounts: &[&str],
    request_ids: &[&str],
) -> Result<Vec<JournalRecord>, QueryError> {
    let rows = concat!(
        "select ",
        journal_columns!(),
        " from unnest($1::text[], $2::text[]) as wanted (wanted_account, wanted_request)
        join journal on account_id = wanted_account and request_id = wanted_request"
    );
    let rows = sqlx::query_as(rows).bind(accounts).bind(request_ids).fetch_all(connection).await;
    rows.map_err(failed("reading journal rows by request"))
}

/// Parked messages from their numbers on: what a redrive tries again.
async fn recall(
    connection: &mut PgConnection,
    accounts: &[&str],
    first: &[i64],
    last: &[i64],
) -> Result<Vec<RecalledRecord>, QueryError> {
    let parked = "select parked.account_id, parked.parked_seq, parked.request_id, parked.source_id, parked.raw,
            parked.sent_at, parked.parked_at, parked.error, parked.taken_by
        from (select distinct * from unnest($1::text[], $2::bigint[], $3::bigint[]))
            as wanted (account_id, first_seq, last_seq)
        join lateral (
            select account_id, parked_seq, request_id, source_id, raw, sent_at, parked_at, error, taken_by
            from parked_message
            where account_id = wanted.account_id and parked_seq between wanted.first_seq and wanted.last_seq
        ) as parked on true";
    let parked = sqlx::query_as(parked).bind(accounts).bind(first).bind(last);
    let parked = parked.fetch_all(connection).await;
    parked.map_err(failed("reading parked messages by number"))
}

/// Resolved ones too: a late redelivery of what was redriven or skipped must not be tried again.
async fn parked(
    connection: &mut PgConnection,
    accounts: &[&str],
    source_ids: &[&str],
) -> Result<Vec<ParkedRecord>, QueryError> {
    let parked = "select parked.account_id, parked.source_id, parked.parked_seq, parked.parked_at, parked.error
        from unnest($1::text[], $2::text[]) as wanted (account_id, source_id)
        join parked_message as parked
            on parked.account_id = wanted.account_id and parked.source_id = wanted.source_id";
    let parked = sqlx::query_as(parked).bind(accounts).bind(source_ids).fetch_all(connection).await;
    parked.map_err(failed("reading parked messages by source"))
}
