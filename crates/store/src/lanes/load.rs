//! Reading what a batch needs, by key.

use std::collections::HashMap;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{DeadLetter, Lane, Memory};
use cap_pipeline::lane_store::{Loaded, Wanted};
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::error::{QueryError, failed};
use crate::journal::{JournalRecord, journal_columns};
use crate::state::StateTables;
use crate::values::{counter, timestamp};

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

/// Reads the lanes of `wanted`, with their state and what is remembered of the wanted ids.
pub(super) async fn load<S: StateTables>(
    pool: &PgPool,
    wanted: &[Wanted],
) -> Result<HashMap<AccountKey, Loaded<S>>, QueryError> {
    let mut connection = pool.acquire().await.map_err(failed("connecting to the database"))?;
    let accounts: Vec<&str> = wanted.iter().map(|wanted| wanted.account.as_str()).collect();
    let mut lanes = lanes(&mut connection, &accounts).await?;
    let mut states = S::load_states(&mut connection, &accounts).await?;
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
    let mut requests = (Vec::new(), Vec::new());
    let mut sources = (Vec::new(), Vec::new());
    for Wanted { account, request_ids, source_ids } in wanted {
        let Some(lane) = lanes.get(account) else {
            continue;
        };
        if lane.seq > 0 {
            requests.0.extend(request_ids.iter().map(|_| account.as_str()));
            requests.1.extend(request_ids.iter().map(|id| id.as_str()));
        }
        if lane.parked_seq > 0 {
            sources.0.extend(source_ids.iter().map(|_| account.as_str()));
            sources.1.extend(source_ids.iter().map(String::as_str));
        }
    }
    let mut memories: HashMap<AccountKey, Memory> = HashMap::new();
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
            memory.parked.insert(source_id, letter);
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
