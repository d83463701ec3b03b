//! What the stage's database holds of the lane, and the transactions that change it.

use std::collections::HashMap;
use std::sync::Arc;

use cap_domain::envelope::Fingerprint;
use cap_domain::lane::{
    Advance, Arrival, DeadLetter, Memory, Output, ParkedMessage, RawMessage, Row, RowHash, Stage,
    StageName, Step, advance, recall,
};

use crate::counters::Counters;
use crate::mistakes::Store;
use crate::queue::{Entry, Ticket};
use crate::toy::{Saying, Toy, account, noon};

/// A journal row, as far as anybody asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Applied {
    pub(crate) seq: u64,
    pub(crate) id: u8,
    source_id: smol_str::SmolStr,
}

/// What became of a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Resolution {
    Waits,
    /// By the message with this id.
    Redriven(u16),
    Skipped,
}

/// A row of `parked_message`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Parked {
    pub(crate) number: u64,
    pub(crate) saying: Saying,
    source_id: smol_str::SmolStr,
    pub(crate) resolution: Resolution,
}

impl Parked {
    fn message(&self) -> ParkedMessage {
        ParkedMessage {
            parked_seq: self.number,
            request_id: self.saying.request_id(),
            source_id: self.source_id.clone(),
            body: self.saying.body(),
            sent_at: noon(),
            parked_at: noon(),
            error: "a poison".to_owned(),
            taken_by: match self.resolution {
                Resolution::Redriven(message_id) => Some(format!("m{message_id}")),
                Resolution::Waits | Resolution::Skipped => None,
            },
        }
    }
}

/// What follows from a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Follows {
    /// The lane numbers and requests of its outputs.
    pub(crate) outputs: Vec<(u64, u8)>,
    /// The number of its letter.
    pub(crate) letter: Option<u64>,
    pub(crate) next: Option<Ticket>,
}

/// A parked number and the id of the message that took it.
pub(crate) type Taken = (u64, u16);

/// What a consumer wants to write, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Plan {
    before: Counters,
    after: Counters,
    rows: Vec<Applied>,
    parked: Vec<Parked>,
    pub(crate) redriven: Vec<Taken>,
    failed_again: bool,
    /// One a message.
    pub(crate) steps: Vec<Follows>,
}

impl Plan {
    fn changes_nothing(&self) -> bool {
        self.before == self.after && !self.failed_again
    }
}

/// The database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    pub(crate) lane: Counters,
    pub(crate) journal: Vec<Applied>,
    pub(crate) parked: Vec<Parked>,
}

impl Database {
    /// Reads the lane and decides `held`, as the release that runs now.
    pub(crate) fn plan(
        &self,
        held: &[Entry],
        repaired: bool,
        run_max: usize,
        store: Store,
    ) -> Plan {
        match repaired {
            true => self.decide::<true>(held, run_max, store),
            false => self.decide::<false>(held, run_max, store),
        }
    }

    fn decide<const REPAIRED: bool>(&self, held: &[Entry], run_max: usize, store: Store) -> Plan {
        let arrivals = held.iter().flat_map(|entry| read::<REPAIRED>(entry, run_max));
        let mut arrivals: Vec<Arrival<Saying>> = arrivals.collect();
        let mut memory = self.load(&arrivals);
        recall::<Toy<REPAIRED>>(&account(), &mut arrivals, &memory);
        let applied: Arc<Vec<u8>> = Arc::new(self.journal.iter().map(|row| row.id).collect());
        let mut lane = self.lane.lane();
        store.alter(&mut lane, &mut memory, &mut arrivals);
        let advance =
            advance(&Toy::<REPAIRED>, &account(), lane, applied, memory, &arrivals, noon())
                .unwrap();
        let mut plan = self.planned(advance);
        store.return_letters(held, &mut plan.steps, plan.after.redriven_seq);
        plan
    }

    fn planned<const REPAIRED: bool>(&self, advance: Advance<Toy<REPAIRED>>) -> Plan {
        let Advance { lane, rows, parked, redriven, failed_again, steps, .. } = advance;
        let row = |row: Row| Applied {
            seq: row.seq,
            id: row.result.parse().unwrap(),
            source_id: row.source_id,
        };
        let park = |parked: ParkedMessage| Parked {
            number: parked.parked_seq,
            saying: Saying::of(&parked.body),
            source_id: parked.source_id,
            resolution: Resolution::Waits,
        };
        let output = |output: &Output| match output {
            Output::Forward { unit, .. } => {
                let (seq, id) = unit.split_once(' ').unwrap();
                Some((seq.parse().unwrap(), id.parse().unwrap()))
            }
            Output::Outcome { .. } | Output::Event { .. } => None,
        };
        let step = |step: &Step| {
            let outputs = step.outputs.iter().filter_map(output).collect();
            let letter = step.dead_letter.as_ref().map(|letter| letter.parked_seq);
            Follows { outputs, letter, next: step.next.map(ticket) }
        };
        Plan {
            before: self.lane,
            after: Counters::of(&lane),
            rows: rows.into_iter().map(row).collect(),
            parked: parked.into_iter().map(park).collect(),
            redriven: redriven.into_iter().map(taken).collect(),
            failed_again: !failed_again.is_empty(),
            steps: steps.iter().map(step).collect(),
        }
    }

    /// What `LaneStore::load` remembers.
    fn load(&self, arrivals: &[Arrival<Saying>]) -> Memory {
        let numbers: Vec<u64> =
            arrivals.iter().filter_map(|a| Some(a.redriven.as_ref()?.parked_seq)).collect();
        let recalled: HashMap<u64, ParkedMessage> = self
            .parked
            .iter()
            .filter(|parked| numbers.iter().any(|number| *number <= parked.number))
            .map(|parked| (parked.number, parked.message()))
            .collect();
        let asked = |request: &str| {
            arrivals.iter().any(|a| a.request_id.as_str() == request)
                || recalled.values().any(|parked| parked.request_id.as_str() == request)
        };
        let rows = self.journal.iter().map(stored).filter(|row| asked(row.request_id.as_str()));
        let rows = rows.map(|row| (row.request_id.clone(), row));
        let is = |a: &Arrival<Saying>, source_id: &smol_str::SmolStr| {
            a.source_id == *source_id || a.unread_id.as_ref() == Some(source_id)
        };
        let came = |parked: &&Parked| arrivals.iter().any(|a| is(a, &parked.source_id));
        let letter = |parked: &Parked| DeadLetter {
            parked_seq: parked.number,
            parked_at: noon(),
            error: "a poison".to_owned(),
        };
        let parked = self.parked.iter().filter(came);
        let parked = parked.map(|parked| (parked.source_id.clone(), letter(parked)));
        Memory { rows: rows.collect(), parked: parked.collect(), recalled }
    }

    /// Writes `plan`, unless the lane has moved since it was read. What changes nothing is not
    /// written, and so not fenced.
    pub(crate) fn commit(&mut self, plan: &Plan, store: Store) -> bool {
        if plan.changes_nothing() {
            return true;
        }
        if !self.fence(&plan.before, store) {
            return false;
        }
        self.lane = plan.after;
        self.journal.extend(plan.rows.iter().cloned());
        self.parked.extend(plan.parked.iter().cloned());
        for (number, message_id) in &plan.redriven {
            let mut waiting = self.parked.iter_mut().filter(|p| p.number == *number);
            waiting.next().unwrap().resolution = Resolution::Redriven(*message_id);
        }
        true
    }

    /// Whether a careful store would commit `plan`.
    pub(crate) fn takes(&self, plan: &Plan) -> bool {
        plan.changes_nothing() || self.fence(&plan.before, Store::Careful)
    }

    fn fence(&self, before: &Counters, store: Store) -> bool {
        let fenced = |lane: &Counters| {
            let redrive = (store != Store::FencedWithoutRedrive).then_some(lane.redrive_seq);
            (lane.seq, lane.status, lane.parked_seq, lane.redriven_seq, redrive)
        };
        match store {
            Store::Unfenced => true,
            Store::FencedBySeqAlone => self.lane.seq == before.seq,
            _ => fenced(&self.lane) == fenced(before),
        }
    }

    /// An operator begins a redrive of the lane as it was `seen`, or joins the one it is in;
    /// whether that took place.
    pub(crate) fn begin_redrive(&mut self, seen: &Counters, through: Option<u64>) -> bool {
        let Ok(lane) = seen.lane().begin_redrive(through) else { return false };
        let after = Counters::of(&lane);
        if after == *seen {
            return true;
        }
        let unmoved = self.fence(seen, Store::Careful);
        if unmoved {
            self.lane = after;
        }
        unmoved
    }

    /// An operator skips the message that is next, if one waits.
    pub(crate) fn skip(&mut self) -> bool {
        let next = self.lane.redriven_seq as usize;
        let Some(skipped) = self.parked.get(next).map(Parked::message) else { return false };
        let behind = self.parked.get(next + 1).map(Parked::message);
        let stage = match self.parked[next].saying.upstream {
            true => StageName::Account,
            false => StageName::Clearing,
        };
        let skipped = self.lane.lane().skip(stage, &skipped, behind.as_ref(), noon());
        self.lane = Counters::of(&skipped.unwrap());
        self.parked[next].resolution = Resolution::Skipped;
        true
    }
}

fn ticket(ticket: cap_domain::lane::Ticket) -> Ticket {
    Ticket { number: ticket.parked_seq, redrive: ticket.redrive_seq }
}

fn taken(taken: cap_domain::lane::Taken) -> Taken {
    (taken.parked_seq, taken.message_id[1..].parse().unwrap())
}

fn read<const REPAIRED: bool>(entry: &Entry, run_max: usize) -> Vec<Arrival<Saying>> {
    let request_id = entry.saying.request_id();
    let (message_id, body) = (format!("m{}", entry.message_id), entry.saying.body());
    let message = RawMessage {
        message_id: &message_id,
        deduplication_id: Some(&request_id),
        sent_at: noon(),
        receives: 1,
        repair: entry.saying.repair,
        body: &body,
    };
    let mut arrivals = Toy::<REPAIRED>::read(&account(), message);
    arrivals.iter_mut().for_each(|arrival| arrival.redriven = entry.redriven(run_max));
    arrivals
}

fn stored(row: &Applied) -> Row {
    Row {
        seq: row.seq,
        request_id: cap_domain::ids::RequestId::new(&format!("r-{}", row.id)).unwrap(),
        fingerprint: Fingerprint([row.id; 16]),
        source_id: row.source_id.clone(),
        upstream_seq: None,
        kind: "toy".into(),
        sent_at: noon(),
        decided_at: noon(),
        rules_version: 1,
        configuration: 0,
        input: String::new(),
        result: row.id.to_string(),
        hash: RowHash::default(),
    }
}
