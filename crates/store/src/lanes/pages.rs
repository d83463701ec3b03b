//! All lanes of a database in the order of their keys, a page at a time.

use std::cmp::Ordering;
use std::collections::VecDeque;

use cap_domain::ids::AccountKey;
use cap_domain::lane::Lane;
use sqlx::PgConnection;

use crate::error::{QueryError, failed};

use super::{LaneRecord, lane_columns};

/// The most lanes of one page: the `limit` of the statement below.
const PAGE_LANES_MAX: usize = 500;

/// Walks the lanes of a database, in the order of their keys.
#[derive(Debug)]
pub struct LanePages {
    page: VecDeque<(AccountKey, Lane)>,
    scope: Scope,
}

#[derive(Debug)]
enum Scope {
    After(String),
    Only(AccountKey),
    Done,
}

impl LanePages {
    /// From the first lane to the last, or only `account`.
    pub fn new(only: Option<&AccountKey>) -> Self {
        let scope =
            only.map_or(Scope::After(String::new()), |account| Scope::Only(account.clone()));
        Self { page: VecDeque::new(), scope }
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn next_page(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Vec<(AccountKey, Lane)>, QueryError> {
        if self.page.is_empty() {
            self.fill(connection).await?;
        }
        Ok(self.page.drain(..).collect())
    }

    /// The lane of `account`, if there is one. Accounts are asked for in order: what sorts before
    /// `account` is passed over.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn seek(
        &mut self,
        connection: &mut PgConnection,
        account: &AccountKey,
    ) -> Result<Option<Lane>, QueryError> {
        loop {
            match self.page.front().map(|(found, _)| found.as_str().cmp(account.as_str())) {
                Some(Ordering::Less) => drop(self.page.pop_front()),
                Some(Ordering::Equal) => return Ok(self.page.pop_front().map(|(_, lane)| lane)),
                Some(Ordering::Greater) => return Ok(None),
                None if matches!(self.scope, Scope::Done) => return Ok(None),
                None => self.fill(connection).await?,
            }
        }
    }

    async fn fill(&mut self, connection: &mut PgConnection) -> Result<(), QueryError> {
        let records = match &self.scope {
            Scope::After(last) => page(connection, last).await?,
            Scope::Only(account) => one(connection, account).await?,
            Scope::Done => Vec::new(),
        };
        let full = records.len() == PAGE_LANES_MAX;
        self.page = records.into_iter().map(LaneRecord::read).collect::<Result<_, _>>()?;
        self.scope = match self.page.back() {
            Some((last, _)) if full => Scope::After(last.to_string()),
            _ => Scope::Done,
        };
        Ok(())
    }
}

async fn page(connection: &mut PgConnection, after: &str) -> Result<Vec<LaneRecord>, QueryError> {
    let lanes = concat!(
        "select ",
        lane_columns!(),
        " from lane where account_id > $1 order by account_id limit 500"
    );
    let lanes = sqlx::query_as(lanes).bind(after).fetch_all(connection).await;
    lanes.map_err(failed("reading a page of lanes"))
}

async fn one(
    connection: &mut PgConnection,
    account: &AccountKey,
) -> Result<Vec<LaneRecord>, QueryError> {
    let lane = concat!("select ", lane_columns!(), " from lane where account_id = $1");
    let lane = sqlx::query_as(lane).bind(account.as_str()).fetch_all(connection).await;
    lane.map_err(failed("reading a lane"))
}
