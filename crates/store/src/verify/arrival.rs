//! Proving the stages with each other: what one sent on, the next decided on, once and unaltered.

use std::collections::BTreeMap;

use cap_domain::account::Accounts;
use cap_domain::clearing::Clearing;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Lane, LaneStatus, Output, Row, Stage, StageName, Unit};
use cap_domain::position::Positions;
use sqlx::PgConnection;

use crate::error::QueryError;
use crate::journal::JournalPages;
use crate::lanes::LanePages;

use super::fold::is_repair;
use super::margin::{MarginUnderWay, Margins};
use super::report::VerifyReport;
use super::stage::{ParkedHere, parked_here};
use super::{Snapshots, VerifyOptions};

/// A journal, and the database it is read from.
struct Reader<'a> {
    journal: &'a mut JournalPages,
    connection: &'a mut PgConnection,
    /// Repairs that were met before their turn, by their upstream number.
    early: BTreeMap<u64, Row>,
    /// Where every row of the account stage is counted for its margin.
    counted: Option<&'a mut MarginUnderWay>,
}

/// What the downstream stage knows of a lane besides its journal.
struct Downstream {
    name: StageName,
    lane: Lane,
    parked: BTreeMap<u64, ParkedHere>,
    /// Parked messages that were skipped, and had no upstream number that could be read.
    given_up: usize,
}

/// Proves that everything `snapshots` saw sent has arrived, or is in transit.
pub(super) async fn prove(
    snapshots: &mut Snapshots,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let Snapshots { clearing, position, account: account_snapshot } = snapshots;
    let only = options.account.as_ref();
    let mut cleared = JournalPages::new(only);
    let (mut into_position, mut from_position) = (JournalPages::new(only), JournalPages::new(only));
    let mut accounted = JournalPages::new(only);
    let (mut position_lanes, mut account_lanes) = (LanePages::new(only), LanePages::new(only));
    let mut margins = Margins::default();
    loop {
        let sent = cleared
            .peek(clearing)
            .await?
            .map(|(account, row)| (account.clone(), sent_to(account, row)));
        let moved = into_position.peek(position).await?.map(|(account, _)| account.clone());
        let posted = accounted.peek(account_snapshot).await?.map(|(account, _)| account.clone());
        let first = [sent.as_ref().map(|(account, _)| account), moved.as_ref(), posted.as_ref()];
        let Some(account) = first.into_iter().flatten().min().cloned() else {
            break;
        };
        let sent_to_position =
            sent.is_some_and(|(found, to)| found == account && to == Some(StageName::Position));
        let by_position = sent_to_position || moved.as_ref() == Some(&account);

        let lane = account_lanes.seek(account_snapshot, &account).await?;
        let accounts = downstream::<Accounts>(account_snapshot, &account, lane).await?;
        let from_clearing = Reader::of(&mut cleared, clearing);
        let mut under_way = MarginUnderWay::default();
        let to_account = Reader::of(&mut accounted, account_snapshot).counting(&mut under_way);
        if by_position {
            let lane = position_lanes.seek(position, &account).await?;
            let positions = downstream::<Positions>(position, &account, lane).await?;
            let to_position = Reader::of(&mut into_position, position);
            follow::<Clearing>(&account, from_clearing, to_position, &positions, options, report)
                .await?;
            let from_position = Reader::of(&mut from_position, position);
            follow::<Positions>(&account, from_position, to_account, &accounts, options, report)
                .await?;
            if is_quiet(&positions.lane, &accounts.lane) {
                let compared =
                    margins.compare_later(account, under_way, position, account_snapshot, report);
                compared.await?;
            }
        } else {
            follow::<Clearing>(&account, from_clearing, to_account, &accounts, options, report)
                .await?;
        }
    }
    margins.compare(position, account_snapshot, report).await
}

/// Whether both lanes have come to the same point, with nothing parked at either.
fn is_quiet(positions: &Lane, accounts: &Lane) -> bool {
    let active = |lane: &Lane| lane.status == LaneStatus::Active;
    active(positions) && active(accounts) && accounts.upstream_seq == positions.seq
}

/// Which stage clearing sent a row on to; none if the row cannot tell.
fn sent_to(account: &AccountKey, row: &Row) -> Option<StageName> {
    match Clearing::outputs(account, row).ok()?.first()? {
        Output::Forward { to, .. } => Some(*to),
        Output::Outcome { .. } | Output::Event { .. } => None,
    }
}

async fn downstream<D: Stage>(
    connection: &mut PgConnection,
    account: &AccountKey,
    lane: Option<Lane>,
) -> Result<Downstream, QueryError> {
    let lane = lane.unwrap_or_default();
    let parked =
        if lane.parked_seq > 0 { parked_here(connection, account).await? } else { BTreeMap::new() };
    let given_up = parked.values().filter(|parked| parked.is_given_up()).count();
    let parked = parked.into_values().filter_map(|parked| Some((parked.upstream_seq?, parked)));
    Ok(Downstream { name: D::NAME, lane, parked: parked.collect(), given_up })
}

impl<'a> Reader<'a> {
    fn of(journal: &'a mut JournalPages, connection: &'a mut PgConnection) -> Self {
        Self { journal, connection, early: BTreeMap::new(), counted: None }
    }

    fn counting(self, counted: &'a mut MarginUnderWay) -> Self {
        Self { counted: Some(counted), ..self }
    }

    async fn next_of(&mut self, account: &AccountKey) -> Result<Option<Row>, QueryError> {
        let row = self.journal.next_of(self.connection, account).await?;
        if let (Some(row), Some(counted)) = (&row, &mut self.counted) {
            counted.count(row);
        }
        Ok(row)
    }

    /// The next row of `account` if its upstream number is below `number`, or is none.
    async fn next_below(
        &mut self,
        account: &AccountKey,
        number: u64,
    ) -> Result<Option<Row>, QueryError> {
        match self.journal.peek(self.connection).await? {
            Some((found, row)) if found == account && row.upstream_seq < Some(number) => {
                self.next_of(account).await
            }
            _ => Ok(None),
        }
    }

    /// The row of `account` under the upstream number `number`, if it is the next, or a repair
    /// that came before its turn.
    async fn next_under(
        &mut self,
        account: &AccountKey,
        number: u64,
    ) -> Result<Option<Row>, QueryError> {
        if let Some(row) = self.early.remove(&number) {
            return Ok(Some(row));
        }
        while let Some((found, row)) = self.journal.peek(self.connection).await?
            && found == account
            && row.upstream_seq > Some(number)
            && is_repair(row)
        {
            let Some(row) = self.next_of(account).await? else { break };
            self.early.insert(row.upstream_seq.unwrap_or_default(), row);
        }
        match self.journal.peek(self.connection).await? {
            Some((found, row)) if found == account && row.upstream_seq == Some(number) => {
                self.next_of(account).await
            }
            _ => Ok(None),
        }
    }
}

/// Follows everything that `U` sent for `account` to the next stage.
async fn follow<U: Stage>(
    account: &AccountKey,
    mut upstream: Reader<'_>,
    mut downstream: Reader<'_>,
    known: &Downstream,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<(), QueryError> {
    let here = known.name;
    let (mut last_sent, mut waiting, mut given_up) = (0, Vec::new(), known.given_up);
    while let Some(sent) = upstream.next_of(account).await? {
        last_sent = sent.seq;
        while let Some(row) = downstream.next_below(account, sent.seq).await? {
            report.add_at(here, account, row.seq, never_sent::<U>(&row));
        }
        let arrived = downstream.next_under(account, sent.seq).await?;
        match (arrived, known.parked.get(&sent.seq)) {
            (Some(row), _) => {
                for what in compare_contents::<U>(account, &sent, &row, here) {
                    report.add_at(here, account, row.seq, what);
                }
            }
            (None, Some(parked)) => {
                for what in compare_parked::<U>(&sent, parked) {
                    report.add_of(here, account, what);
                }
            }
            (None, None) if sent.seq > known.lane.upstream_seq => waiting.push(sent.seq),
            (None, None) if given_up > 0 => given_up -= 1,
            (None, None) => {
                let (from, seq, of) = (U::NAME, sent.seq, &sent.request_id);
                let what = format!(
                    "number {seq} of {from}, request {of}, was taken but neither journaled nor parked"
                );
                report.add_of(here, account, what);
            }
        }
    }
    let early = std::mem::take(&mut downstream.early);
    for row in early.into_values() {
        report.add_at(here, account, row.seq, never_sent::<U>(&row));
    }
    while let Some(row) = downstream.next_of(account).await? {
        report.add_at(here, account, row.seq, never_sent::<U>(&row));
    }
    if known.lane.upstream_seq > last_sent {
        let (taken, from) = (known.lane.upstream_seq, U::NAME);
        report.add_of(
            here,
            account,
            format!("the lane has taken upstream number {taken}, {from} ends at {last_sent}"),
        );
    }
    report.in_transit += waiting.len() as u64;
    if options.settled
        && let Some(first) = waiting.first()
    {
        let (count, from) = (waiting.len(), U::NAME);
        report.add_of(
            here,
            account,
            format!("{count} messages of {from} never arrived, number {first} the first"),
        );
    }
    Ok(())
}

fn never_sent<U: Stage>(row: &Row) -> String {
    match row.upstream_seq {
        Some(number) => {
            format!("it is of upstream number {number}, which {} sent never, or not then", U::NAME)
        }
        None => format!("it has no upstream number, so {} never sent it", U::NAME),
    }
}

/// Everything in which `parked` is not what `sent` put on its way.
fn compare_parked<U: Stage>(sent: &Row, parked: &ParkedHere) -> Vec<String> {
    let (from, seq, of, request_id) = (U::NAME, sent.seq, &sent.request_id, &parked.request_id);
    let mut wrong = Vec::new();
    if request_id != of {
        wrong.push(format!(
            "{from} sent number {seq} for request {of}, what is parked of it is for {request_id}"
        ));
    }
    if parked.redriven {
        wrong.push(format!(
            "number {seq} of {from}, request {of}, was redriven but is not journaled"
        ));
    }
    wrong
}

/// Everything in which `arrived` is not what `sent` put on its way.
fn compare_contents<U: Stage>(
    account: &AccountKey,
    sent: &Row,
    arrived: &Row,
    here: StageName,
) -> Vec<String> {
    let (from, seq) = (U::NAME, sent.seq);
    let mut wrong = Vec::new();
    if arrived.request_id != sent.request_id {
        let (stored, of) = (&arrived.request_id, &sent.request_id);
        wrong.push(format!("it is of request {stored}, {from} sent number {seq} for request {of}"));
    }
    let outputs = match U::outputs(account, sent) {
        Ok(outputs) => outputs,
        Err(poison) => {
            wrong.push(format!("row {seq} of {from} cannot be sent on: {poison}"));
            return wrong;
        }
    };
    let forwarded = outputs.iter().find_map(|output| match output {
        Output::Forward { to, unit } => Some((*to, unit)),
        Output::Outcome { .. } | Output::Event { .. } => None,
    });
    match forwarded {
        Some((to, unit)) if to == here => {
            if !is_same_item(unit, &arrived.input) {
                wrong.push(format!("its input is not what row {seq} of {from} says"));
            }
        }
        Some((to, _)) => wrong.push(format!("row {seq} of {from} was for {to}")),
        None => wrong.push(format!("row {seq} of {from} was for no stage")),
    }
    wrong
}

/// The same text, or at least the same item: another release may write its fields otherwise.
fn is_same_item(sent: &str, arrived: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Unit>(text).ok();
    sent == arrived || read(sent).is_some_and(|sent| read(arrived) == Some(sent))
}
