//! Writing a batch: one transaction, the fence first, one statement a table.

use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, ParkedMessage, Row, Taken};
use cap_pipeline::failpoint;
use cap_pipeline::lane_store::{CommitError, LaneChange};
use sqlx::postgres::PgQueryResult;
use sqlx::{PgConnection, PgPool};

use crate::error::refused;
use crate::pool;
use crate::state::StateTables;
use crate::values::{bigint, storable, timestamptz};

/// Writes all of `changes`, or nothing.
pub(super) async fn commit<S: StateTables>(
    pool: &PgPool,
    changes: &[LaneChange<S>],
) -> Result<(), CommitError> {
    let mut changes: Vec<&LaneChange<S>> = changes.iter().filter(|change| writes(change)).collect();
    if changes.is_empty() {
        return Ok(());
    }
    // All batches take their rows in one order, so that rivals wait rather than deadlock.
    changes.sort_unstable_by(|one, other| one.account.cmp(&other.account));
    failpoint::hit("before_begin");
    let mut transaction =
        pool::begin(pool, None).await.map_err(refused("beginning a transaction"))?;
    failpoint::hit("after_begin");
    match write(&mut transaction, &changes).await {
        Ok(()) => {
            failpoint::hit("before_commit");
            let committing = transaction.commit();
            failpoint::while_waiting("commit_sent", committing)
                .await
                .map_err(refused("committing a batch"))
        }
        Err(error) => {
            // Asked for at once, so that the lanes are free for the retry; if that fails too, the
            // connection is gone and the transaction with it.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// Whether there is anything to write: a lane that only repeats old answers is left alone.
pub(super) fn writes<S: StateTables>(change: &LaneChange<S>) -> bool {
    let unmoved = match &change.before {
        Some(before) => *before == change.after,
        None => change.after == Lane::default(),
    };
    !(unmoved
        && change.rows.is_empty()
        && change.parked.is_empty()
        && change.state_before == change.state_after)
}

async fn write<S: StateTables>(
    connection: &mut PgConnection,
    changes: &[&LaneChange<S>],
) -> Result<(), CommitError> {
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for change in changes {
        match &change.before {
            Some(before) => known.push((&change.account, before, &change.after)),
            None => new.push((&change.account, &change.after)),
        }
    }
    if !known.is_empty() {
        // One statement for all, so that rivals take their rows in one order.
        let moved = if known.iter().all(|(_, before, after)| appends_only(before, after)) {
            append_to_lanes(connection, &known).await?
        } else {
            advance_lanes(connection, &known).await?
        };
        fence(moved.rows_affected(), known.len())?;
        if cfg!(debug_assertions) {
            assert_states_before(connection, changes).await;
        }
        failpoint::hit("after_fence");
    }
    if !new.is_empty() {
        let created = create_lanes(connection, &new).await?;
        fence(created.rows_affected(), new.len())?;
    }
    let rows: Vec<_> = changes
        .iter()
        .flat_map(|change| change.rows.iter().map(|row| (&change.account, row)))
        .collect();
    if !rows.is_empty() {
        append_rows(connection, &rows).await?;
        failpoint::hit("after_rows");
    }
    S::write_states(connection, changes).await?;
    failpoint::hit("after_states");
    let parked: Vec<_> = changes
        .iter()
        .flat_map(|change| change.parked.iter().map(|parked| (&change.account, parked)))
        .collect();
    if !parked.is_empty() {
        park(connection, &parked).await?;
        failpoint::hit("after_park");
    }
    resolve_redriven(connection, changes).await?;
    fail_again(connection, changes).await
}

/// What was decided from is what the tables say: development builds, and so all tests, hold every state to that,
/// read or kept. The fence has the rows of the lanes now, so nobody else can be writing.
async fn assert_states_before<S: StateTables>(
    connection: &mut PgConnection,
    changes: &[&LaneChange<S>],
) {
    let accounts: Vec<&str> = changes.iter().map(|change| change.account.as_str()).collect();
    // If the database goes away here, the next statement says so.
    let Ok(mut stored) = S::load_states(connection, &accounts).await else { return };
    for change in changes.iter().filter(|change| change.before.is_some()) {
        let stored = stored.remove(&change.account).unwrap_or_default();
        assert_eq!(*change.state_before, stored, "what {} was decided from", change.account);
    }
}

/// Fewer rows than lanes: a rival advanced one of them since it was read (C7).
pub(crate) fn fence(affected: u64, lanes: usize) -> Result<(), CommitError> {
    if affected == lanes as u64 { Ok(()) } else { Err(CommitError::Fenced) }
}

/// Whether a lane only takes messages, as almost always: nothing is parked, and nothing is redriven.
fn appends_only(before: &Lane, after: &Lane) -> bool {
    let Lane { seq, head, upstream_seq, .. } = *after;
    before.status == LaneStatus::Active
        && *after == Lane { seq, head, upstream_seq, ..before.clone() }
}

/// Moves lanes that take messages. Their fence is narrower than that of [`advance_lanes`] and as high, because of
/// an active lane nothing else can have moved: `redriven_seq`, `redrive_through` and the suspension are tied to
/// status and `parked_seq` by constraints, `redrive_seq` by what operators can do, which is nothing to a lane that
/// is active, and it became inactive by parking.
async fn append_to_lanes(
    connection: &mut PgConnection,
    lanes: &[(&AccountKey, &Lane, &Lane)],
) -> Result<PgQueryResult, CommitError> {
    let was = |value: fn(&Lane) -> u64| -> Vec<i64> {
        lanes.iter().map(|(_, before, _)| bigint(value(before))).collect()
    };
    let is = |value: fn(&Lane) -> u64| -> Vec<i64> {
        lanes.iter().map(|(.., after)| bigint(value(after))).collect()
    };
    sqlx::query(include_str!("append_to_lanes.sql"))
        .bind(lanes.iter().map(|(account, ..)| account.as_str()).collect::<Vec<_>>())
        .bind(was(|lane| lane.seq))
        .bind(lanes.iter().map(|(_, before, _)| before.head.0.as_slice()).collect::<Vec<_>>())
        .bind(was(|lane| lane.parked_seq))
        .bind(is(|lane| lane.seq))
        .bind(lanes.iter().map(|(.., after)| after.head.0.as_slice()).collect::<Vec<_>>())
        .bind(is(|lane| lane.upstream_seq))
        .bind(was(|lane| lane.upstream_seq))
        .execute(connection)
        .await
        .map_err(refused("advancing lanes"))
}

/// The columns of lanes, as arrays.
#[derive(Default)]
struct LaneColumns<'a> {
    accounts: Vec<&'a str>,
    seqs: Vec<i64>,
    heads: Vec<&'a [u8]>,
    upstream_seqs: Vec<i64>,
    statuses: Vec<&'static str>,
    parked_seqs: Vec<i64>,
    redriven_seqs: Vec<i64>,
    redrive_seqs: Vec<i64>,
    redrives_through: Vec<Option<i64>>,
    suspended_at: Vec<Option<time::OffsetDateTime>>,
    suspended_reasons: Vec<Option<std::borrow::Cow<'a, str>>>,
}

impl<'a> LaneColumns<'a> {
    fn push(&mut self, account: &'a AccountKey, lane: &'a Lane) -> Result<(), CommitError> {
        self.accounts.push(account.as_str());
        self.seqs.push(bigint(lane.seq));
        self.heads.push(&lane.head.0);
        self.upstream_seqs.push(bigint(lane.upstream_seq));
        self.statuses.push(lane.status.as_str());
        self.parked_seqs.push(bigint(lane.parked_seq));
        self.redriven_seqs.push(bigint(lane.redriven_seq));
        self.redrive_seqs.push(bigint(lane.redrive_seq));
        self.redrives_through.push(lane.redrive_through.map(bigint));
        let suspension = lane.suspension.as_ref();
        self.suspended_at
            .push(suspension.map(|suspension| timestamptz(suspension.at)).transpose()?);
        self.suspended_reasons.push(suspension.map(|suspension| storable(&suspension.reason)));
        Ok(())
    }
}

pub(crate) async fn advance_lanes(
    connection: &mut PgConnection,
    lanes: &[(&AccountKey, &Lane, &Lane)],
) -> Result<PgQueryResult, CommitError> {
    let (mut before, mut after) = (LaneColumns::default(), LaneColumns::default());
    for (account, was, is) in lanes {
        before.push(account, was)?;
        after.push(account, is)?;
    }
    sqlx::query(include_str!("advance_lanes.sql"))
        .bind(after.accounts)
        .bind(before.seqs)
        .bind(before.statuses)
        .bind(before.parked_seqs)
        .bind(before.redriven_seqs)
        .bind(after.seqs)
        .bind(after.heads)
        .bind(after.upstream_seqs)
        .bind(after.statuses)
        .bind(after.parked_seqs)
        .bind(after.redriven_seqs)
        .bind(after.suspended_at)
        .bind(after.suspended_reasons)
        .bind(before.redrive_seqs)
        .bind(after.redrive_seqs)
        .bind(after.redrives_through)
        .bind(before.heads)
        .execute(connection)
        .await
        .map_err(refused("advancing lanes"))
}

async fn create_lanes(
    connection: &mut PgConnection,
    lanes: &[(&AccountKey, &Lane)],
) -> Result<PgQueryResult, CommitError> {
    let mut columns = LaneColumns::default();
    for (account, lane) in lanes {
        columns.push(account, lane)?;
    }
    sqlx::query(include_str!("create_lanes.sql"))
        .bind(columns.accounts)
        .bind(columns.seqs)
        .bind(columns.heads)
        .bind(columns.upstream_seqs)
        .bind(columns.statuses)
        .bind(columns.parked_seqs)
        .bind(columns.redriven_seqs)
        .bind(columns.suspended_at)
        .bind(columns.suspended_reasons)
        .bind(columns.redrive_seqs)
        .bind(columns.redrives_through)
        .execute(connection)
        .await
        .map_err(refused("creating lanes"))
}

async fn append_rows(
    connection: &mut PgConnection,
    rows: &[(&AccountKey, &Row)],
) -> Result<PgQueryResult, CommitError> {
    let column =
        |value: fn(&Row) -> &str| -> Vec<&str> { rows.iter().map(|(_, row)| value(row)).collect() };
    let number = |value: fn(&Row) -> u64| -> Vec<i64> {
        rows.iter().map(|(_, row)| bigint(value(row))).collect()
    };
    let times = |value: fn(&Row) -> cap_domain::time::Timestamp| -> Result<Vec<_>, CommitError> {
        rows.iter().map(|(_, row)| timestamptz(value(row))).collect()
    };
    sqlx::query(include_str!("append_rows.sql"))
        .bind(rows.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>())
        .bind(number(|row| row.seq))
        .bind(column(|row| row.request_id.as_str()))
        .bind(rows.iter().map(|(_, row)| row.fingerprint.0.as_slice()).collect::<Vec<_>>())
        .bind(column(|row| &row.source_id))
        .bind(rows.iter().map(|(_, row)| row.upstream_seq.map(bigint)).collect::<Vec<_>>())
        .bind(column(|row| &row.kind))
        .bind(times(|row| row.sent_at)?)
        .bind(times(|row| row.decided_at)?)
        .bind(rows.iter().map(|(_, row)| smallint(row.rules_version)).collect::<Vec<_>>())
        .bind(number(|row| row.configuration))
        .bind(column(|row| &row.input))
        .bind(column(|row| &row.result))
        .bind(rows.iter().map(|(_, row)| row.hash.0.as_slice()).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(refused("appending to the journal"))
}

/// What was taken in its turn is resolved; somebody else's taking it meanwhile is a rival.
async fn resolve_redriven<S: StateTables>(
    connection: &mut PgConnection,
    changes: &[&LaneChange<S>],
) -> Result<(), CommitError> {
    let (mut accounts, mut numbers, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let mut copies = Vec::new();
    for change in changes {
        for Taken { parked_seq, message_id } in &change.redriven {
            accounts.push(change.account.as_str());
            numbers.push(bigint(*parked_seq));
            copies.push(message_id.as_str());
            times.push(timestamptz(change.decided_at)?);
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let count = numbers.len();
    let resolved = sqlx::query(include_str!("resolve_redriven.sql"))
        .bind(accounts)
        .bind(numbers)
        .bind(times)
        .bind(copies)
        .execute(connection)
        .await
        .map_err(refused("resolving redriven messages"))?;
    failpoint::hit("after_redriven");
    fence(resolved.rows_affected(), count)
}

/// The error of a message that failed again is the one support wants to read.
async fn fail_again<S: StateTables>(
    connection: &mut PgConnection,
    changes: &[&LaneChange<S>],
) -> Result<(), CommitError> {
    let (mut accounts, mut numbers, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        for (parked_seq, error) in &change.failed_again {
            accounts.push(change.account.as_str());
            numbers.push(bigint(*parked_seq));
            errors.push(storable(error));
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let failed = sqlx::query(include_str!("fail_again.sql"));
    let failed = failed.bind(accounts).bind(numbers).bind(errors).execute(connection).await;
    failed.map_err(refused("noting what failed again"))?;
    Ok(())
}

/// A version of the rules; they will not be counted to 32,768.
fn smallint(version: u16) -> i16 {
    i16::try_from(version).unwrap_or(i16::MAX)
}

async fn park(
    connection: &mut PgConnection,
    parked: &[(&AccountKey, &ParkedMessage)],
) -> Result<PgQueryResult, CommitError> {
    let text = |value: fn(&ParkedMessage) -> &str| -> Vec<_> {
        parked.iter().map(|(_, parked)| storable(value(parked))).collect()
    };
    let times =
        |value: fn(&ParkedMessage) -> cap_domain::time::Timestamp| -> Result<Vec<_>, CommitError> {
            parked.iter().map(|(_, parked)| timestamptz(value(parked))).collect()
        };
    sqlx::query(include_str!("park.sql"))
        .bind(parked.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>())
        .bind(parked.iter().map(|(_, parked)| bigint(parked.parked_seq)).collect::<Vec<_>>())
        .bind(text(|parked| parked.request_id.as_str()))
        .bind(text(|parked| &parked.source_id))
        .bind(text(|parked| &parked.body))
        .bind(times(|parked| parked.sent_at)?)
        .bind(times(|parked| parked.parked_at)?)
        .bind(text(|parked| &parked.error))
        .execute(connection)
        .await
        .map_err(refused("parking messages"))
}
