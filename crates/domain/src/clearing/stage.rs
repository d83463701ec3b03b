//! The clearing stage: age, claim and form are checked, then the rulebook makes the plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::plan::plan;
use crate::configuration::Configuration;
use crate::envelope::{Envelope, Fingerprint, Header, TraceParent};
use crate::event::{Event, EventClass, EventKind, door};
use crate::ids::AccountKey;
use crate::lane::{
    Arrival, Body, Content, Echo, Item, Lane, Message, Output, RawMessage, Row, Rules, Stage,
    StageName, Unit, forward, unreadable,
};
use crate::money::Rates;
use crate::plan::PlannedLeg;
use crate::refusal::{Poison, Refusal, RejectionCode};
use crate::rulebook::{Rule, Rulebook};
use crate::time::Timestamp;
use crate::transfer::Arriving;

/// The version of this stage's `decide`.
const RULES_VERSION: u16 = 1;

/// A request that reaches the queue later than this after it was made is expired (C4).
pub const EXPIRY_MILLIS: i64 = 5 * 60 * 1_000;

/// How far a caller's clock may be ahead of the queue's.
pub const FUTURE_MILLIS_MAX: i64 = 60 * 1_000;

/// The one kind of event that can be a repair: an adjustment, which says what moves, why, and who
/// wants it so.
pub const REPAIR_KIND: &str = "adjustment.posted";

/// Clearing under one revision of the configuration.
#[derive(Debug, Clone)]
pub struct Clearing {
    configuration: Arc<Configuration>,
}

impl Clearing {
    /// Clearing by the rules of `configuration`.
    pub const fn new(configuration: Arc<Configuration>) -> Self {
        Self { configuration }
    }
}

/// An envelope, and what the claim on its request id came to.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The envelope.
    pub envelope: Envelope,
    /// Whether an operator sent it as a repair of a suspended lane.
    pub repair: bool,
    /// The account that holds the request id, if it is another one (C4).
    pub held_by: Option<AccountKey>,
    /// Whether there is no queue for the account that a transfer is to go to.
    pub leads_nowhere: bool,
    /// The trace it belongs to: its own, or one that every redelivery derives alike.
    traceparent: TraceParent,
}

/// What clearing decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearingRuling {
    /// What is to be posted.
    Planned {
        /// The event, read.
        event: Box<crate::event::Event>,
        /// The version of the rulebook.
        rulebook: u32,
        /// What moves.
        legs: Vec<PlannedLeg>,
        /// Whether the message goes by the position stage.
        by_position: bool,
        /// The rates it carries.
        #[serde(default, skip_serializing_if = "Rates::is_empty")]
        rates: Rates,
        /// Whether what follows from it is tracked by its number (ADR 11).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tracked: bool,
    },
    /// Nothing, and why.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether the message goes by the position stage.
        by_position: bool,
    },
}

/// The journal's form of a [`Submission`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journaled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_by: Option<AccountKey>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    repair: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leads_nowhere: bool,
    envelope: Box<RawValue>,
}

impl Stage for Clearing {
    const NAME: StageName = StageName::Clearing;
    type State = ();
    type Input = Submission;
    type Ruling = ClearingRuling;

    fn rules(&self) -> Rules {
        Rules { version: RULES_VERSION, configuration: self.configuration.revision }
    }

    fn read(lane: &AccountKey, message: RawMessage<'_>) -> Vec<Arrival<Submission>> {
        let envelope =
            Envelope::read(message.body).map_err(|error| Poison::Unreadable(error.to_string()));
        let envelope = envelope.and_then(|envelope| in_its_lane(lane, envelope));
        let source_id = message.message_id.into();
        vec![match envelope {
            Err(poison) => unreadable(&message, message.body, source_id, poison),
            Ok(envelope) => {
                let repair = message.repair && kind_of(&envelope) == REPAIR_KIND;
                let submitted = message_of(lane, envelope, repair, message.sent_at);
                let envelope = &submitted.input.envelope;
                Arrival {
                    source_id,
                    unread_id: None,
                    request_id: envelope.header.request_id.clone(),
                    raw: message.body.to_owned(),
                    packed: false,
                    redriven: None,
                    run: Vec::new(),
                    repair,
                    sent_at: message.sent_at,
                    receives: message.receives,
                    refused: None,
                    traceparent: Some(submitted.input.traceparent.clone()),
                    content: Content::Message(submitted),
                }
            }
        }]
    }

    fn journal_input(raw: &str, input: &Submission) -> String {
        let held_by = input.held_by.as_ref();
        let held_by =
            held_by.map(|account| format!("\"held_by\":\"{account}\",")).unwrap_or_default();
        let repair = if input.repair { "\"repair\":true," } else { "" };
        let leads_nowhere = if input.leads_nowhere { "\"leads_nowhere\":true," } else { "" };
        format!("{{{held_by}{repair}{leads_nowhere}\"envelope\":{raw}}}")
    }

    fn replay(row: &Row) -> Result<Message<Submission>, Poison> {
        let journaled: Journaled = serde_json::from_str(&row.input)
            .map_err(|error| Poison::Unreadable(error.to_string()))?;
        let envelope = Envelope::read(journaled.envelope.get())
            .map_err(|error| Poison::Unreadable(error.to_string()))?;
        let lane = envelope.header.account_key();
        let mut message = message_of(&lane, envelope, journaled.repair, row.sent_at);
        message.input.held_by = journaled.held_by;
        message.input.leads_nowhere = journaled.leads_nowhere;
        Ok(message)
    }

    fn lacks_rule(&self, message: &Message<Submission>) -> bool {
        let product = &message.input.envelope.header.product;
        let kind = message.kind.parse().ok().filter(|kind: &EventKind| kind.is_from_cap());
        let rulebook = self.configuration.rulebook(product);
        kind.is_some_and(|kind| rulebook.is_some_and(|rulebook| !rulebook.states(kind)))
    }

    fn decide(
        &self,
        account: &AccountKey,
        _state: &(),
        message: &Message<Submission>,
        _now: Timestamp,
    ) -> Result<(ClearingRuling, ()), Poison> {
        let Submission { envelope, held_by, leads_nowhere, .. } = &message.input;
        let rulebook = self.configuration.rulebook(&envelope.header.product);
        let by_position = goes_by_position(rulebook);
        let refused = |refusal| Ok((ClearingRuling::Refused { refusal, by_position }, ()));
        if let Some(refusal) = check_age(&message.kind, &envelope.header, message.sent_at) {
            return refused(refusal);
        }
        // What CAP sends itself is recognised by the journal alone: whoever else claimed its id, it
        // must not get lost.
        if let Some(holder) =
            held_by.as_ref().filter(|_| !EventKind::is_from_cap_by_name(&message.kind))
        {
            return refused(Refusal::rejected(
                RejectionCode::RequestIdConflict,
                conflict(&envelope.header, holder),
            ));
        }
        let kind = door::read_kind(&envelope.event)
            .map_err(|error| Poison::Unreadable(error.to_string()))?;
        let Some(rulebook) = rulebook else {
            let reason = format!("product: there is no product {}", envelope.header.product);
            return invalid(kind, reason).and_then(refused);
        };
        match rulebook.rule(kind) {
            None => {
                invalid(kind, format!("type: product {} has no rule for {kind}", rulebook.product))
                    .and_then(refused)
            }
            Some(Rule::Refused(reason)) => {
                invalid(kind, format!("type: {reason}")).and_then(refused)
            }
            Some(Rule::Legs(legs)) => {
                match door::read_event(kind, &envelope.event, rulebook, &self.configuration) {
                    Err(error) => invalid(kind, error.to_string()).and_then(refused),
                    Ok((event, rates)) => {
                        if let Some(refusal) =
                            check_transfer(account, rulebook, &event, *leads_nowhere)
                        {
                            return refused(refusal);
                        }
                        let legs = plan(&event, legs)?;
                        let tracked = rulebook.tracks_follow_ups && event.is_tracked();
                        let (event, rulebook) = (Box::new(event), rulebook.version);
                        let planned = ClearingRuling::Planned {
                            event,
                            rulebook,
                            legs,
                            by_position,
                            rates,
                            tracked,
                        };
                        Ok((planned, ()))
                    }
                }
            }
        }
    }

    fn say(
        _account: &AccountKey,
        row: &Row,
        message: &Message<Submission>,
        ruling: ClearingRuling,
    ) -> Result<Vec<Output>, Poison> {
        let Submission { envelope, repair, traceparent, .. } = &message.input;
        let (body, by_position, tracked) = match ruling {
            ClearingRuling::Planned { event, rulebook, legs, by_position, rates, tracked } => {
                let (position, cross) = (None, None);
                let body = Body::Planned { event, rulebook, legs, position, cross, rates };
                (body, by_position, tracked)
            }
            ClearingRuling::Refused { refusal, by_position } => {
                (Body::Refused(refusal), by_position, false)
            }
        };
        let traceparent = Some(traceparent.clone());
        let arriving = Arriving::read(&row.kind, &envelope.event);
        let header = Header { traceparent, ..envelope.header.clone() };
        let item = Item {
            upstream_seq: row.seq,
            header,
            fingerprint: row.fingerprint,
            sent_at: row.sent_at,
            kind: row.kind.clone(),
            repair: *repair,
            arriving,
            clearing_seq: tracked.then_some(row.seq),
            body,
        };
        Ok(vec![forward(next(by_position), &Unit::Item(Box::new(item)))?])
    }

    fn answer(
        &self,
        account: &AccountKey,
        _lane: &Lane,
        echo: &Echo,
        _first: Option<&Row>,
    ) -> Result<Output, Poison> {
        let (_, product, ..) = account.parts();
        let by_position = goes_by_position(self.configuration.rulebook(&product));
        forward(next(by_position), &Unit::Echo(echo.clone()))
    }
}

/// Whether a product's messages go by the position stage. Those of a product that has no rulebook
/// do: whichever path it gets later, the stages on it have then seen every number so far.
fn goes_by_position(rulebook: Option<&Rulebook>) -> bool {
    rulebook.is_none_or(|rulebook| rulebook.has_positions)
}

/// The stage after clearing. The path is the product's, so all messages of an account take it.
const fn next(by_position: bool) -> StageName {
    if by_position { StageName::Position } else { StageName::Account }
}

fn in_its_lane(lane: &AccountKey, envelope: Envelope) -> Result<Envelope, Poison> {
    if envelope.header.is_of(lane) {
        Ok(envelope)
    } else {
        let header = envelope.header.account_key().to_string();
        Err(Poison::WrongLane { header, lane: lane.to_string() })
    }
}

/// The message of an envelope that came in the lane of its account.
fn message_of(
    lane: &AccountKey,
    envelope: Envelope,
    repair: bool,
    sent_at: Timestamp,
) -> Message<Submission> {
    let fingerprint = Fingerprint::of(lane, &envelope.event);
    let header = &envelope.header;
    let derived = || TraceParent::derived(fingerprint, &header.request_id);
    let traceparent = header.traceparent.clone().unwrap_or_else(derived);
    let (held_by, leads_nowhere) = (None, false);
    Message {
        fingerprint,
        upstream_seq: None,
        kind: kind_of(&envelope).chars().take(64).collect(),
        sent_at,
        input: Submission { envelope, repair, held_by, leads_nowhere, traceparent },
    }
}

/// What the envelope says its event is.
fn kind_of(envelope: &Envelope) -> &str {
    envelope.event.get("type").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// A transfer goes to another account, and to one that can be reached: what has no queue could
/// never come back either. Between companies it goes only if its sender keeps it under way, so that
/// what comes back can be told from what a company's upstream made up (ADR 9).
fn check_transfer(
    account: &AccountKey,
    rulebook: &Rulebook,
    event: &Event,
    leads_nowhere: bool,
) -> Option<Refusal> {
    let company = |account: &AccountKey| account.parts().0;
    let (field, other, is_kept) = match event {
        Event::TransferRequested { to, .. } => ("to", to, rulebook.acknowledges),
        Event::TransferArrived { from, acknowledge, .. } => ("from", from, *acknowledge),
        _ => return None,
    };
    let detail = if other == account {
        format!("{field}: {other} is the account itself")
    } else if company(other) != company(account) && !is_kept {
        format!("{field}: {other} is of another company, which is not supported yet")
    } else if leads_nowhere {
        format!("{field}: there is no queue for {other}")
    } else {
        return None;
    };
    Some(Refusal::rejected(RejectionCode::InvalidRequest, detail))
}

/// Age is measured where the message entered the queue: a backlog expires nothing (C4). What CAP
/// sends itself has no age: it waits behind its sender's own troubles.
fn check_age(kind: &str, header: &Header, sent_at: Timestamp) -> Option<Refusal> {
    if EventKind::is_from_cap_by_name(kind) {
        return None;
    }
    let at = header.initiated_at;
    let age_micros = sent_at.micros_since(at);
    let age = age_micros / 1_000;
    if age_micros > EXPIRY_MILLIS * 1_000 {
        let detail = format!(
            "made at {at} and sent at {sent_at}, {age} ms later; {EXPIRY_MILLIS} ms is the most"
        );
        Some(Refusal::Expired { detail })
    } else if -age_micros > FUTURE_MILLIS_MAX * 1_000 {
        let detail = format!(
            "made at {at} but sent at {sent_at}, {} ms earlier; {FUTURE_MILLIS_MAX} ms is the most",
            -age
        );
        Some(Refusal::rejected(RejectionCode::InitiatedInTheFuture, detail))
    } else {
        None
    }
}

/// A company is told its own accounts by name, and of others only that they are.
fn conflict(header: &Header, holder: &AccountKey) -> String {
    let (company, ..) = holder.parts();
    let by = if company == header.company { holder.as_str() } else { "another account" };
    format!(
        "request id {} was used by {by} in the last 8 minutes, for another request",
        header.request_id
    )
}

/// What an invalid event comes to: a request is refused, a fact is poison.
fn invalid(kind: EventKind, reason: String) -> Result<Refusal, Poison> {
    match kind.class() {
        EventClass::Request => Ok(Refusal::rejected(RejectionCode::InvalidRequest, reason)),
        EventClass::Fact => Err(Poison::InvalidFact { kind: kind.name().into(), reason }),
    }
}
