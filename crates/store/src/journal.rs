//! Reading the journal: a lane's rows in order, a page at a time, and rows by request.

use std::collections::VecDeque;

use cap_domain::envelope::Fingerprint;
use cap_domain::ids::{AccountKey, Product, RequestId};
use cap_domain::lane::Row;
use cap_domain::time::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use crate::error::{QueryError, failed};
use crate::lanes::hash;
use crate::snapshot::snapshot;
use crate::values::{bigint, counter, timestamp};

/// The most rows of one page: the `limit` of the statement below.
const PAGE_ROWS_MAX: usize = 500;

/// The columns of a [`JournalRecord`], by name: after `select *`, a column that a newer release
/// adds would break every statement that a running one has prepared.
macro_rules! journal_columns {
    () => {
        "account_id, seq, request_id, fingerprint, source_id, upstream_seq, kind, sent_at, \
         decided_at, rules_version, configuration, input, result, hash"
    };
}
pub(crate) use journal_columns;

/// A row of the `journal` table.
#[derive(Debug, FromRow)]
pub(crate) struct JournalRecord {
    account_id: String,
    seq: i64,
    request_id: String,
    fingerprint: Vec<u8>,
    source_id: String,
    upstream_seq: Option<i64>,
    kind: String,
    sent_at: OffsetDateTime,
    decided_at: OffsetDateTime,
    rules_version: i16,
    configuration: i64,
    input: String,
    result: String,
    hash: Vec<u8>,
}

impl JournalRecord {
    /// The row it stands for, and whose it is.
    pub(crate) fn read(self) -> Result<(AccountKey, Row), QueryError> {
        let account: AccountKey = self
            .account_id
            .parse()
            .map_err(|error| QueryError::unreadable(&self.account_id, error))?;
        let row = self.row().map_err(|reason| QueryError::unreadable(&account, reason))?;
        Ok((account, row))
    }

    fn row(self) -> Result<Row, String> {
        let fingerprint = self.fingerprint.as_slice().try_into();
        Ok(Row {
            seq: counter("seq", self.seq)?,
            request_id: RequestId::new(&self.request_id).map_err(|error| error.to_string())?,
            fingerprint: fingerprint
                .map(Fingerprint)
                .map_err(|_| format!("fingerprint has {} bytes, not 16", self.fingerprint.len()))?,
            source_id: self.source_id.into(),
            upstream_seq: self
                .upstream_seq
                .map(|stored| counter("upstream_seq", stored))
                .transpose()?,
            kind: self.kind.into(),
            sent_at: timestamp(self.sent_at),
            decided_at: timestamp(self.decided_at),
            rules_version: u16::try_from(self.rules_version)
                .map_err(|_| format!("rules_version is {}, below zero", self.rules_version))?,
            configuration: counter("configuration", self.configuration)?,
            input: self.input,
            result: self.result,
            hash: hash("hash", &self.hash)?,
        })
    }
}

/// Walks the journals of a database in the order of account and number, holding one page.
#[derive(Debug)]
pub struct JournalPages {
    page: VecDeque<(AccountKey, Row)>,
    last: (String, u64),
    only: Option<AccountKey>,
    done: bool,
}

impl JournalPages {
    /// From the first row of all, or only the rows of one account.
    pub fn new(only: Option<&AccountKey>) -> Self {
        let first = only.map_or(String::new(), AccountKey::to_string);
        Self { page: VecDeque::new(), last: (first, 0), only: only.cloned(), done: false }
    }

    /// The next row, which stays.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn peek(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<&(AccountKey, Row)>, QueryError> {
        if self.page.is_empty() && !self.done {
            self.fill(connection).await?;
        }
        Ok(self.page.front())
    }

    /// The next row.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn next(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<(AccountKey, Row)>, QueryError> {
        self.peek(connection).await?;
        Ok(self.page.pop_front())
    }

    /// The next row if it is one of `account`.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn next_of(
        &mut self,
        connection: &mut PgConnection,
        account: &AccountKey,
    ) -> Result<Option<Row>, QueryError> {
        match self.peek(connection).await? {
            Some((found, _)) if found == account => Ok(self.page.pop_front().map(|(_, row)| row)),
            _ => Ok(None),
        }
    }

    async fn fill(&mut self, connection: &mut PgConnection) -> Result<(), QueryError> {
        let records = page(connection, &self.last.0, self.last.1).await?;
        self.done = records.len() < PAGE_ROWS_MAX;
        for record in records {
            if self.only.as_ref().is_some_and(|only| only.as_str() != record.account_id) {
                self.done = true;
                break;
            }
            self.page.push_back(record.read()?);
        }
        if let Some((account, row)) = self.page.back() {
            self.last = (account.to_string(), row.seq);
        }
        Ok(())
    }
}

/// Walks what was recorded of one product since a moment, in the order of account and number.
pub struct Recorded {
    snapshot: Transaction<'static, Postgres>,
    pages: JournalPages,
    product: Product,
    since: Timestamp,
}

impl Recorded {
    /// In clearing's database, as it is now.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn of_product(
        pool: &PgPool,
        product: &Product,
        since: Timestamp,
    ) -> Result<Self, QueryError> {
        let snapshot = snapshot(pool).await?;
        Ok(Self { snapshot, pages: JournalPages::new(None), product: product.clone(), since })
    }

    /// The next row, and whose it is.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn next(&mut self) -> Result<Option<(AccountKey, Row)>, QueryError> {
        while let Some((account, row)) = self.pages.next(&mut self.snapshot).await? {
            let (_, product, ..) = account.parts();
            if product == self.product && row.decided_at >= self.since {
                return Ok(Some((account, row)));
            }
        }
        Ok(None)
    }
}

async fn page(
    connection: &mut PgConnection,
    after_account: &str,
    after_seq: u64,
) -> Result<Vec<JournalRecord>, QueryError> {
    let rows = concat!(
        "select ",
        journal_columns!(),
        " from journal where (account_id, seq) > ($1, $2) order by account_id, seq limit 500"
    );
    let rows = sqlx::query_as(rows)
        .bind(after_account)
        .bind(bigint(after_seq))
        .fetch_all(connection)
        .await;
    rows.map_err(failed("reading a page of the journal"))
}

/// The row of `request_id` in the lane of `account`.
///
/// # Errors
/// See [`QueryError`].
pub async fn row_of_request(
    pool: &PgPool,
    account: &AccountKey,
    request_id: &RequestId,
) -> Result<Option<Row>, QueryError> {
    let row = concat!(
        "select ",
        journal_columns!(),
        " from journal where account_id = $1 and request_id = $2"
    );
    let row: Option<JournalRecord> = sqlx::query_as(row)
        .bind(account.as_str())
        .bind(request_id.as_str())
        .fetch_optional(pool)
        .await
        .map_err(failed("looking for a request in a journal"))?;
    Ok(row.map(JournalRecord::read).transpose()?.map(|(_, row)| row))
}

/// The rows of `request_id` in whatever lanes have one. It asks every lane's unique key in turn:
/// slow on millions of lanes, and yet no index for it burdens the hot path (C13).
///
/// # Errors
/// See [`QueryError`].
pub async fn rows_of_request(
    pool: &PgPool,
    request_id: &RequestId,
) -> Result<Vec<(AccountKey, Row)>, QueryError> {
    let rows = concat!(
        "select found.* from lane cross join lateral (select ",
        journal_columns!(),
        " from journal where journal.account_id = lane.account_id and request_id = $1) as found
        order by found.account_id"
    );
    let rows: Vec<JournalRecord> = sqlx::query_as(rows)
        .bind(request_id.as_str())
        .fetch_all(pool)
        .await
        .map_err(failed("looking for a request in all journals"))?;
    rows.into_iter().map(JournalRecord::read).collect()
}
