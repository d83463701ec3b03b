//! The three stages of one account chained in memory: what the services do, without their
//! queues and databases.

use std::collections::HashMap;
use std::sync::Arc;

use cap_domain::account::{AccountRuling, AccountStatus, Accounts, Credit};
use cap_domain::clearing::Clearing;
use cap_domain::configuration::Configuration;
use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Advance, Arrival, DeadLetter, Lane, LaneStatus, Memory, Output, ParkedMessage, RawMessage, Row,
    RowHash, Stage, StageName, Step, Taken, advance, pack,
};
use cap_domain::outcome::{OutcomeMessage, OutcomeStatus, Reason};
use cap_domain::position::Positions;
use cap_domain::refusal::Poison;
use cap_domain::time::Timestamp;
use serde_json::{Value, json};

use super::events::with;
use super::{balances, money};

/// When every story starts.
pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:00:00.000Z".parse().unwrap()
}

/// A message as it lies in the clearing queue.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) message_id: String,
    pub(crate) deduplication_id: Option<RequestId>,
    pub(crate) sent_at: Timestamp,
    pub(crate) receives: u32,
    pub(crate) body: String,
}

impl Sent {
    /// The same request sent again: another SQS message.
    pub(crate) fn again(&self) -> Self {
        Self { message_id: format!("{}-again", self.message_id), ..self.clone() }
    }

    pub(crate) fn raw(&self) -> RawMessage<'_> {
        RawMessage {
            message_id: &self.message_id,
            deduplication_id: self.deduplication_id.as_ref(),
            sent_at: self.sent_at,
            receives: self.receives,
            repair: false,
            body: &self.body,
        }
    }
}

/// A pack as it lies in the queue of a stage behind clearing.
pub(crate) fn packed<'a>(id: &'a str, body: &'a str, sent_at: Timestamp) -> RawMessage<'a> {
    let message_id = &id[..32];
    RawMessage { message_id, deduplication_id: None, sent_at, receives: 1, repair: false, body }
}

/// One stage's lane with its journal, as its database keeps them.
#[derive(Debug)]
pub(crate) struct LaneOf<S: Stage> {
    pub(crate) stage: S,
    pub(crate) account: AccountKey,
    pub(crate) lane: Lane,
    pub(crate) state: S::State,
    pub(crate) journal: Vec<Row>,
    pub(crate) parked: Vec<ParkedMessage>,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

impl<S: Stage> LaneOf<S> {
    pub(crate) fn new(stage: S, account: &AccountKey) -> Self {
        Self {
            stage,
            account: account.clone(),
            lane: Lane::default(),
            state: S::State::default(),
            journal: Vec::new(),
            parked: Vec::new(),
            dead_letters: Vec::new(),
        }
    }

    /// What the database remembers of `arrivals`.
    pub(crate) fn memory(&self, arrivals: &[Arrival<S::Input>]) -> Memory {
        let came =
            |parked: &&ParkedMessage| arrivals.iter().any(|a| a.source_id == parked.source_id);
        let letter = |p: &ParkedMessage| DeadLetter {
            parked_seq: p.parked_seq,
            parked_at: p.parked_at,
            error: p.error.clone(),
        };
        let parked = self.parked.iter().filter(came);
        let called = |parked: &&ParkedMessage| {
            let mut calls = arrivals.iter().filter_map(|a| a.redriven.as_ref());
            calls.any(|redriven| redriven.parked_seq <= parked.parked_seq)
        };
        let recalled: Vec<_> = self.parked.iter().filter(called).collect();
        let asked = |row: &&Row| {
            let request_id = &row.request_id;
            arrivals.iter().any(|arrival| arrival.request_id == *request_id)
                || recalled.iter().any(|parked| parked.request_id == *request_id)
        };
        let rows = self.journal.iter().filter(asked);
        Memory {
            recalled: recalled.iter().map(|p| (p.parked_seq, (*p).clone())).collect(),
            rows: rows.map(|row| (row.request_id.clone(), row.clone())).collect(),
            parked: parked.map(|p| (p.source_id.clone(), letter(p))).collect::<HashMap<_, _>>(),
        }
    }

    /// Proposes what `arrivals` come to, without committing it.
    pub(crate) fn propose(
        &self,
        arrivals: &[Arrival<S::Input>],
        now: Timestamp,
    ) -> Result<Advance<S>, Poison> {
        let memory = self.memory(arrivals);
        advance(
            &self.stage,
            &self.account,
            self.lane.clone(),
            Arc::new(self.state.clone()),
            memory,
            arrivals,
            now,
        )
    }

    /// Takes `arrivals` and commits what they come to.
    pub(crate) fn take(&mut self, arrivals: &[Arrival<S::Input>], now: Timestamp) -> Vec<Step> {
        let advance = self
            .propose(arrivals, now)
            .unwrap_or_else(|poison| panic!("{} cannot go on at all: {poison}", S::NAME));
        assert_eq!(advance.steps.len(), arrivals.len(), "one step an arrival");
        self.lane = advance.lane;
        self.state = S::State::clone(&advance.state);
        self.journal.extend(advance.rows);
        self.parked.extend(advance.parked);
        for Taken { parked_seq, message_id } in advance.redriven {
            let mut parked = self.parked.iter_mut();
            let taken = parked.find(|parked| parked.parked_seq == parked_seq);
            taken.unwrap().taken_by = Some(message_id);
        }
        self.dead_letters.extend(advance.steps.iter().filter_map(|step| step.dead_letter.clone()));
        advance.steps
    }

    /// Proves the journal: gapless, chained, and every result what its input gives again.
    pub(crate) fn prove(&self) {
        let (mut head, mut state) = (RowHash::default(), S::State::default());
        for (index, row) in self.journal.iter().enumerate() {
            let place = format!("{} row {}", S::NAME, row.seq);
            assert_eq!(row.seq, index as u64 + 1, "{place}: numbers have no gaps");
            assert_eq!(
                row.hash,
                row.hash_after(&self.account, head),
                "{place}: the chain is whole"
            );
            head = row.hash;
            let message = S::replay(row).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(message.fingerprint, row.fingerprint, "{place}");
            assert_eq!(message.kind, row.kind, "{place}");
            assert_eq!(message.upstream_seq, row.upstream_seq, "{place}");
            assert_eq!(message.sent_at, row.sent_at, "{place}");
            let decided = self.stage.decide(&self.account, &state, &message, row.decided_at);
            let (ruling, after) = decided.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(
                serde_json::to_string(&ruling).unwrap(),
                row.result,
                "{place}: byte for byte"
            );
            state = after;
        }
        assert_eq!((self.lane.seq, self.lane.head), (self.journal.len() as u64, head));
        assert_eq!(self.state, state, "{}: the state is the fold of the journal", S::NAME);
    }
}

/// One account's lanes through all stages.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) account_key: AccountKey,
    pub(crate) clearing: LaneOf<Clearing>,
    pub(crate) position: LaneOf<Positions>,
    pub(crate) account: LaneOf<Accounts>,
    /// When messages are sent and decided.
    pub(crate) now: Timestamp,
    /// Events for other lanes, or this one, that were sent to clearing: account and envelope.
    pub(crate) followed: Vec<(AccountKey, String)>,
    messages: u64,
}

/// What one outcome message says, with the bytes it was sent as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) deduplication_id: String,
    pub(crate) body: String,
    pub(crate) message: OutcomeMessage,
}

impl Told {
    pub(crate) fn status(&self) -> OutcomeStatus {
        self.message.outcome.status
    }

    pub(crate) fn reason(&self) -> &Reason {
        self.message.outcome.reason.as_ref().unwrap_or_else(|| panic!("no reason in {}", self.body))
    }

    /// The reason's word as programs read it.
    pub(crate) fn code(&self) -> String {
        serde_json::to_value(self.reason().code).unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) fn detail(&self) -> &str {
        &self.reason().detail
    }

    pub(crate) fn request_id(&self) -> &str {
        self.message.header.request_id.as_str()
    }
}

impl Story {
    /// A product's account that no stage has heard of.
    pub(crate) fn of(product: &str) -> Self {
        Self::under(product, super::configuration())
    }

    /// The same, under a configuration of its own.
    pub(crate) fn under(product: &str, configuration: Arc<Configuration>) -> Self {
        Self::account_under(&format!("acme_{product}_retail_A-1001"), configuration)
    }

    /// An account by its key, that no stage has heard of.
    pub(crate) fn account(key: &str) -> Self {
        Self::account_under(key, super::configuration())
    }

    /// The same, under a configuration of its own.
    pub(crate) fn account_under(key: &str, configuration: Arc<Configuration>) -> Self {
        let account_key: AccountKey = key.parse().unwrap();
        Self {
            clearing: LaneOf::new(Clearing::new(configuration), &account_key),
            position: LaneOf::new(Positions, &account_key),
            account: LaneOf::new(Accounts::default(), &account_key),
            account_key,
            now: noon(),
            followed: Vec::new(),
            messages: 0,
        }
    }

    /// A spot account that is open, and nothing journaled of it yet.
    pub(crate) fn spot() -> Self {
        Self::of("spot").opened()
    }

    /// A perpetual account that is open, and nothing journaled of it yet.
    pub(crate) fn perpetual() -> Self {
        Self::of("perpetual").opened()
    }

    /// The account is open, and nothing journaled of it yet.
    pub(crate) fn opened(mut self) -> Self {
        self.account.state.status = AccountStatus::Open;
        self.position.state.opened = true;
        self
    }

    /// The account has this money.
    pub(crate) fn holding(mut self, text: &str) -> Self {
        self.account.state.balances = balances(text);
        self
    }

    /// The account may borrow so much.
    pub(crate) fn with_credit(mut self, limit: &str) -> Self {
        self.account.state.credit = Some(Credit { limit: money(limit), enabled: true });
        self
    }

    /// The envelope of `event`, made now.
    pub(crate) fn envelope(&self, request_id: &str, event: &Value) -> Value {
        let (company, product, customer_group, account) = self.account_key.parts();
        json!({
            "header": {
                "version": 1, "request_id": request_id, "initiated_at": self.now,
                "company": company, "product": product, "customer_group": customer_group,
                "account": account,
            },
            "event": event,
        })
    }

    /// `event` sent now under `request_id`.
    pub(crate) fn message(&mut self, request_id: &str, event: &Value) -> Sent {
        self.sent(request_id, self.envelope(request_id, event).to_string())
    }

    /// The same, with `fields` over its header.
    pub(crate) fn message_with(&mut self, request_id: &str, event: &Value, fields: Value) -> Sent {
        let mut envelope = self.envelope(request_id, event);
        envelope["header"] = with(envelope["header"].take(), fields);
        self.sent(request_id, envelope.to_string())
    }

    /// A body sent now.
    pub(crate) fn sent(&mut self, request_id: &str, body: String) -> Sent {
        self.messages += 1;
        Sent {
            message_id: format!("m-{}", self.messages),
            deduplication_id: RequestId::new(request_id).ok(),
            sent_at: self.now,
            receives: 1,
            body,
        }
    }

    /// A message that is not counted among the story's.
    pub(crate) fn sent_aside(&self, message_id: &str, body: &str) -> Sent {
        Sent {
            message_id: message_id.to_owned(),
            deduplication_id: None,
            sent_at: self.now,
            receives: 1,
            body: body.to_owned(),
        }
    }

    /// Delivers `messages` as one batch through all stages; what upstream is told.
    pub(crate) fn deliver(&mut self, messages: &[Sent]) -> Vec<Told> {
        let arrivals: Vec<_> = messages
            .iter()
            .flat_map(|sent| Clearing::read(&self.account_key, sent.raw()))
            .collect();
        let steps = self.clearing.take(&arrivals, self.now);
        self.onwards(&steps)
    }

    /// Packs what a stage said and hands it to the next, up to the outcomes.
    pub(crate) fn onwards(&mut self, steps: &[Step]) -> Vec<Told> {
        let mut told = Vec::new();
        let mut queued: Vec<(StageName, Vec<&str>)> = Vec::new();
        for output in steps.iter().flat_map(|step| &step.outputs) {
            match output {
                Output::Outcome { deduplication_id, body } => told.push(Told {
                    deduplication_id: deduplication_id.clone(),
                    body: body.clone(),
                    message: serde_json::from_str(body).unwrap(),
                }),
                Output::Event { account, body, .. } => {
                    self.followed.push((account.clone(), body.clone()));
                }
                Output::Forward { to, unit } => match queued.last_mut() {
                    Some((stage, units)) if stage == to => units.push(unit),
                    _ => queued.push((*to, vec![unit])),
                },
            }
        }
        for (stage, units) in queued {
            for (id, body) in pack(&self.account_key, &units) {
                let message = packed(&id, &body, self.now);
                let steps = match stage {
                    StageName::Position => {
                        self.position.take(&Positions::read(&self.account_key, message), self.now)
                    }
                    StageName::Account => {
                        self.account.take(&Accounts::read(&self.account_key, message), self.now)
                    }
                    StageName::Clearing => panic!("nothing goes back to clearing"),
                };
                told.extend(self.onwards(&steps));
            }
        }
        told
    }

    /// `event` goes through under a request id of its own; the one outcome it has.
    pub(crate) fn tell(&mut self, event: &Value) -> Told {
        let request_id = format!("r-{}", self.messages + 1);
        let message = self.message(&request_id, event);
        self.tell_sent(&message)
    }

    /// `message` goes through; the one outcome of its own it has, behind those of withdrawals that
    /// it took.
    pub(crate) fn tell_sent(&mut self, message: &Sent) -> Told {
        let mut told = self.deliver(std::slice::from_ref(message));
        let own = told.pop().unwrap();
        let taken = |told: &Told| told.message.outcome.cancelled.is_some();
        assert!(told.iter().all(taken) && !taken(&own), "one outcome a message: {told:?} {own:?}");
        own
    }

    /// What CAP sent to this account comes through clearing; one outcome each.
    pub(crate) fn follow(&mut self) -> Vec<Told> {
        let followed = std::mem::take(&mut self.followed);
        let told = followed.into_iter().map(|(account, body)| {
            assert_eq!(account, self.account_key, "{body}");
            let envelope: Value = serde_json::from_str(&body).unwrap();
            let message = self.sent(envelope["header"]["request_id"].as_str().unwrap(), body);
            self.tell_sent(&message)
        });
        told.collect()
    }

    /// The same, and what is told besides their own outcomes.
    pub(crate) fn follow_at_once(&mut self) -> Vec<Told> {
        let followed = std::mem::take(&mut self.followed);
        let told = followed.into_iter().flat_map(|(account, body)| {
            assert_eq!(account, self.account_key, "{body}");
            let envelope: Value = serde_json::from_str(&body).unwrap();
            let request_id = envelope["header"]["request_id"].as_str().unwrap();
            let message = self.sent_aside(&format!("sent-by-cap-{request_id}"), &body);
            self.deliver(&[message])
        });
        told.collect()
    }

    /// `event` goes through and is posted.
    pub(crate) fn posted(&mut self, event: &Value) -> Told {
        let told = self.tell(event);
        assert_eq!(told.status(), OutcomeStatus::Posted, "{}", told.body);
        told
    }

    /// What the account's last journal row decided.
    pub(crate) fn last_ruling(&self) -> AccountRuling {
        serde_json::from_str(&self.account.journal.last().unwrap().result).unwrap()
    }

    /// The stages' statuses.
    pub(crate) fn suspended(&self) -> Vec<StageName> {
        [
            (StageName::Clearing, self.clearing.lane.status),
            (StageName::Position, self.position.lane.status),
            (StageName::Account, self.account.lane.status),
        ]
        .into_iter()
        .filter(|(_, status)| *status == LaneStatus::Suspended)
        .map(|(stage, _)| stage)
        .collect()
    }

    /// The account's money as people write it.
    pub(crate) fn money(&self) -> String {
        super::show_balances(self.account.state.balances.values())
    }
}
