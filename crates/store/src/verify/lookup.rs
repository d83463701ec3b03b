//! Looking up what transfers led to: by key, and a page at a time.

use std::collections::HashMap;

use cap_domain::envelope::Fingerprint;
use cap_domain::event::EventKind;
use cap_domain::ids::AccountKey;
use cap_domain::lane::Row;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};
use crate::journal::{JournalRecord, journal_columns};
use crate::values::bigint;

/// The most rows of one page: the `limit` of the statement below.
pub(super) const PAGE_ROWS_MAX: usize = 500;

/// The lane and the request id that an envelope is for.
pub(super) type Key = (String, String);

/// What a journal says of a request.
#[derive(Clone, Copy)]
pub(super) struct Journaled {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) posted: bool,
}

/// Sorts behind every account key.
const BEHIND_ALL: &str = "~";

/// The rows that may lead on to another lane, of one account or of all, behind a place in the journal.
pub(super) async fn page(
    connection: &mut PgConnection,
    only: Option<&AccountKey>,
    after_account: &str,
    after_seq: u64,
) -> Result<Vec<(AccountKey, Row)>, QueryError> {
    let rows = concat!(
        "select ",
        journal_columns!(),
        " from journal where (account_id, seq) > ($1, $2) and kind = any($3) and account_id <= $4
        order by account_id, seq limit 500"
    );
    let kinds = [
        EventKind::TransferRequested,
        EventKind::TransferArrived,
        EventKind::MarginChanged,
        EventKind::LeverageChanged,
        EventKind::FundingCharged,
    ];
    let kinds = kinds.map(EventKind::name);
    let rows: Vec<JournalRecord> = sqlx::query_as(rows)
        .bind(after_account)
        .bind(bigint(after_seq))
        .bind(kinds.as_slice())
        .bind(only.map_or(BEHIND_ALL, AccountKey::as_str))
        .fetch_all(connection)
        .await
        .map_err(failed("reading a page of transfers"))?;
    rows.into_iter().map(JournalRecord::read).collect()
}

fn split(keys: &[Key]) -> (Vec<&str>, Vec<&str>) {
    keys.iter().map(|(account, request)| (account.as_str(), request.as_str())).unzip()
}

/// Those of `keys` that the journal has.
pub(super) async fn journaled(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<HashMap<Key, Journaled>, QueryError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = "select journal.account_id, journal.request_id, fingerprint,
            starts_with(result, '{\"posted\"')
        from unnest($1::text[], $2::text[]) as asked (account_id, request_id)
        join journal on journal.account_id = asked.account_id
            and journal.request_id = asked.request_id";
    let (accounts, requests) = split(keys);
    let rows: Vec<(String, String, Vec<u8>, bool)> = sqlx::query_as(rows)
        .bind(accounts)
        .bind(requests)
        .fetch_all(connection)
        .await
        .map_err(failed("looking for what transfers led to"))?;
    let read = |(account, request, fingerprint, posted): (String, String, Vec<u8>, bool)| {
        let fingerprint = fingerprint.as_slice().try_into().ok().map(Fingerprint);
        ((account, request), Journaled { fingerprint, posted })
    };
    Ok(rows.into_iter().map(read).collect())
}

/// A parked message.
pub(super) struct Parked {
    pub(super) parked_seq: i64,
    /// Whether an operator gave it up.
    pub(super) skipped: bool,
}

/// Those of `keys` that are parked, or were.
pub(super) async fn parked(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<HashMap<Key, Parked>, QueryError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = "select parked_message.account_id, parked_message.request_id, parked_seq,
            coalesce(resolution = 'skipped', false)
        from unnest($1::text[], $2::text[]) as asked (account_id, request_id)
        join parked_message on parked_message.account_id = asked.account_id
            and parked_message.request_id = asked.request_id
        order by parked_seq";
    let (accounts, requests) = split(keys);
    let rows: Vec<(String, String, i64, bool)> = sqlx::query_as(rows)
        .bind(accounts)
        .bind(requests)
        .fetch_all(connection)
        .await
        .map_err(failed("looking for parked transfers"))?;
    let read = |(account, request, parked_seq, skipped): (String, String, i64, bool)| {
        ((account, request), Parked { parked_seq, skipped })
    };
    Ok(rows.into_iter().map(read).collect())
}
