//! The raw baseline: the same rows in the same tables by set-based SQL, without any logic.
//!
//! What is written was decided beforehand, so nothing is read, decided or fenced in the time that counts:
//! one transaction a batch, one statement a table, parameters as binary arrays.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cap_domain::account::Accounts;
use cap_domain::lane::Stage;
use cap_domain::money::Money;
use cap_domain::position::{COST_DECIMALS, Positions};
use cap_pipeline::lane_store::LaneChange;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// A batch as columns.
pub(crate) struct RawBatch<S: RawState> {
    lanes: Lanes,
    rows: Rows,
    state: S::Columns,
}

/// What a stage keeps beside its lanes, as columns.
#[async_trait]
pub(crate) trait RawState: Stage + Sized {
    /// The columns.
    type Columns: Send + Sync + 'static;

    /// Those of a batch.
    fn columns(changes: &[LaneChange<Self>]) -> Self::Columns;

    /// Writes them.
    async fn write(connection: &mut PgConnection, columns: &Self::Columns) -> sqlx::Result<()>;
}

#[derive(Default)]
struct Lanes {
    accounts: Vec<String>,
    seqs: Vec<i64>,
    heads: Vec<Vec<u8>>,
    upstream_seqs: Vec<i64>,
}

#[derive(Default)]
struct Rows {
    accounts: Vec<String>,
    seqs: Vec<i64>,
    request_ids: Vec<String>,
    fingerprints: Vec<Vec<u8>>,
    source_ids: Vec<String>,
    upstream_seqs: Vec<Option<i64>>,
    kinds: Vec<String>,
    sent_at: Vec<OffsetDateTime>,
    decided_at: Vec<OffsetDateTime>,
    rules_versions: Vec<i16>,
    configurations: Vec<i64>,
    inputs: Vec<String>,
    results: Vec<String>,
    hashes: Vec<Vec<u8>>,
}

impl<S: RawState> RawBatch<S> {
    /// The columns of what a batch changes, in the order of accounts.
    pub(crate) fn of(mut changes: Vec<LaneChange<S>>) -> Self {
        changes.sort_by(|one, other| one.account.cmp(&other.account));
        let (mut lanes, mut rows) = (Lanes::default(), Rows::default());
        for change in &changes {
            lanes.accounts.push(change.account.to_string());
            lanes.seqs.push(number(change.after.seq));
            lanes.heads.push(change.after.head.0.to_vec());
            lanes.upstream_seqs.push(number(change.after.upstream_seq));
            for row in &change.rows {
                rows.accounts.push(change.account.to_string());
                rows.seqs.push(number(row.seq));
                rows.request_ids.push(row.request_id.to_string());
                rows.fingerprints.push(row.fingerprint.0.to_vec());
                rows.source_ids.push(row.source_id.to_string());
                rows.upstream_seqs.push(row.upstream_seq.map(number));
                rows.kinds.push(row.kind.to_string());
                rows.sent_at.push(time_of(row.sent_at.micros()));
                rows.decided_at.push(time_of(row.decided_at.micros()));
                rows.rules_versions.push(i16::try_from(row.rules_version).unwrap_or(i16::MAX));
                rows.configurations.push(number(row.configuration));
                rows.inputs.push(row.input.clone());
                rows.results.push(row.result.clone());
                rows.hashes.push(row.hash.0.to_vec());
            }
        }
        Self { lanes, rows, state: S::columns(&changes) }
    }

    /// How many rows of the journal it writes.
    pub(crate) fn rows(&self) -> usize {
        self.rows.seqs.len()
    }

    async fn write(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut transaction = pool.begin().await?;
        let Lanes { accounts, seqs, heads, upstream_seqs } = &self.lanes;
        sqlx::query(
            "update lane set seq = moved.seq, head = moved.head, upstream_seq = moved.upstream_seq
             from (
                select unnest($1::text[]) as account_id, unnest($2::bigint[]) as seq, unnest($3::bytea[]) as head,
                    unnest($4::bigint[]) as upstream_seq
             ) as moved
             where lane.account_id = moved.account_id",
        )
        .bind(accounts)
        .bind(seqs)
        .bind(heads)
        .bind(upstream_seqs)
        .execute(&mut *transaction)
        .await?;
        let rows = &self.rows;
        sqlx::query(
            "insert into journal (
                account_id, seq, request_id, fingerprint, source_id, upstream_seq, kind,
                sent_at, decided_at, rules_version, configuration, input, result, hash
             )
             select
                unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::bytea[]),
                unnest($5::text[]), unnest($6::bigint[]), unnest($7::text[]), unnest($8::timestamptz[]),
                unnest($9::timestamptz[]), unnest($10::smallint[]), unnest($11::bigint[]), unnest($12::text[]),
                unnest($13::text[]), unnest($14::bytea[])",
        )
        .bind(&rows.accounts)
        .bind(&rows.seqs)
        .bind(&rows.request_ids)
        .bind(&rows.fingerprints)
        .bind(&rows.source_ids)
        .bind(&rows.upstream_seqs)
        .bind(&rows.kinds)
        .bind(&rows.sent_at)
        .bind(&rows.decided_at)
        .bind(&rows.rules_versions)
        .bind(&rows.configurations)
        .bind(&rows.inputs)
        .bind(&rows.results)
        .bind(&rows.hashes)
        .execute(&mut *transaction)
        .await?;
        S::write(&mut transaction, &self.state).await?;
        transaction.commit().await
    }
}

/// Writes batches, each of `lines` over a connection of its own, in order. How long it took.
///
/// # Errors
/// What PostgreSQL said.
pub(crate) async fn write_all<S: RawState>(
    pool: &PgPool,
    lines: Vec<Vec<RawBatch<S>>>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut writers = tokio::task::JoinSet::<sqlx::Result<()>>::new();
    for line in lines {
        let pool = pool.clone();
        writers.spawn(async move {
            for batch in line {
                batch.write(&pool).await?;
            }
            Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(begun.elapsed())
}

/// Balances.
#[derive(Default)]
pub(crate) struct BalanceColumns {
    accounts: Vec<String>,
    currencies: Vec<String>,
    decimals: Vec<i16>,
    /// available, frozen, margin, withdrawing, borrowed.
    amounts: [Vec<Decimal>; 5],
}

#[async_trait]
impl RawState for Accounts {
    type Columns = BalanceColumns;

    fn columns(changes: &[LaneChange<Self>]) -> BalanceColumns {
        let mut columns = BalanceColumns::default();
        for change in changes {
            for (code, balance) in &change.state_after.balances {
                if change.state_before.balances.get(code) == Some(balance) {
                    continue;
                }
                columns.accounts.push(change.account.to_string());
                columns.currencies.push(code.to_string());
                columns.decimals.push(i16::from(balance.available.currency().decimals));
                let amounts = [
                    balance.available,
                    balance.frozen,
                    balance.margin,
                    balance.withdrawing,
                    balance.borrowed,
                ];
                columns
                    .amounts
                    .iter_mut()
                    .zip(amounts)
                    .for_each(|(column, money)| column.push(numeric(money)));
            }
        }
        columns
    }

    async fn write(connection: &mut PgConnection, columns: &BalanceColumns) -> sqlx::Result<()> {
        let [available, frozen, margin, withdrawing, borrowed] = &columns.amounts;
        sqlx::query(
            "update balance set available = moved.available, frozen = moved.frozen, margin = moved.margin,
                withdrawing = moved.withdrawing, borrowed = moved.borrowed
             from (
                select unnest($1::text[]) as account_id, unnest($2::text[]) as currency,
                    unnest($3::numeric[]) as available, unnest($4::numeric[]) as frozen,
                    unnest($5::numeric[]) as margin, unnest($6::numeric[]) as withdrawing,
                    unnest($7::numeric[]) as borrowed
             ) as moved
             where balance.account_id = moved.account_id and balance.currency = moved.currency",
        )
        .bind(&columns.accounts)
        .bind(&columns.currencies)
        .bind(available)
        .bind(frozen)
        .bind(margin)
        .bind(withdrawing)
        .bind(borrowed)
        .execute(connection)
        .await
        .map(|_| ())
    }
}

/// Positions.
#[derive(Default)]
pub(crate) struct PositionColumns {
    accounts: Vec<String>,
    symbols: Vec<String>,
    currencies: Vec<String>,
    decimals: Vec<i16>,
    /// quantity, cost, margin, leverage, realised profit.
    amounts: [Vec<Decimal>; 5],
    closed_at: Vec<Option<OffsetDateTime>>,
    margin_modes: Vec<String>,
    contracts: Vec<Option<String>>,
}

#[async_trait]
impl RawState for Positions {
    type Columns = PositionColumns;

    fn columns(changes: &[LaneChange<Self>]) -> PositionColumns {
        let mut columns = PositionColumns::default();
        for change in changes {
            for (key, position) in &change.state_after.positions {
                if change.state_before.positions.get(key) == Some(position) {
                    continue;
                }
                let currency = position.margin.currency();
                columns.accounts.push(change.account.to_string());
                columns.symbols.push(key.to_string());
                columns.currencies.push(currency.code.to_string());
                columns.decimals.push(i16::from(currency.decimals));
                let cost = Decimal::from_i128_with_scale(position.cost, COST_DECIMALS);
                let amounts = [
                    position.quantity,
                    cost,
                    numeric(position.margin),
                    position.leverage,
                    numeric(position.realised_profit),
                ];
                columns
                    .amounts
                    .iter_mut()
                    .zip(amounts)
                    .for_each(|(column, amount)| column.push(amount));
                let closed = (!position.is_open()).then(|| time_of(change.decided_at.micros()));
                columns.closed_at.push(closed);
                columns.margin_modes.push(position.margin_mode.as_str().to_owned());
                let contract = position.opened_under.as_ref().map(serde_json::to_string);
                columns.contracts.push(contract.and_then(Result::ok));
            }
        }
        columns
    }

    async fn write(connection: &mut PgConnection, columns: &PositionColumns) -> sqlx::Result<()> {
        let [quantity, cost, margin, leverage, realised_profit] = &columns.amounts;
        sqlx::query(
            "insert into position (
                account_id, symbol, currency, decimals, quantity, cost, margin, leverage, realised_profit,
                closed_at, margin_mode, contract
             )
             select
                unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::smallint[]),
                unnest($5::numeric[]), unnest($6::numeric[]), unnest($7::numeric[]), unnest($8::numeric[]),
                unnest($9::numeric[]), unnest($10::timestamptz[]), unnest($11::text[]), unnest($12::text[])
             on conflict (account_id, symbol) do update
             set quantity = excluded.quantity, cost = excluded.cost, margin = excluded.margin,
                leverage = excluded.leverage, realised_profit = excluded.realised_profit,
                closed_at = excluded.closed_at, margin_mode = excluded.margin_mode, contract = excluded.contract",
        )
        .bind(&columns.accounts)
        .bind(&columns.symbols)
        .bind(&columns.currencies)
        .bind(&columns.decimals)
        .bind(quantity)
        .bind(cost)
        .bind(margin)
        .bind(leverage)
        .bind(realised_profit)
        .bind(&columns.closed_at)
        .bind(&columns.margin_modes)
        .bind(&columns.contracts)
        .execute(connection)
        .await
        .map(|_| ())
    }
}

fn numeric(money: Money) -> Decimal {
    Decimal::from_i128_with_scale(money.units(), u32::from(money.currency().decimals))
}

fn number(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

fn time_of(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
