//! After the commit: send what the lanes say, put dead letters away, delete the sources.
//!
//! Two messages of one lane are never two entries of one call: a partial failure would let the
//! second overtake the first. So parcels go out in waves, each lane's next only after its last
//! one succeeded. A source message is deleted only when everything it led to was accepted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use cap_domain::ids::AccountKey;
use cap_domain::lane::{DeadLetter, Output, Stage, StageName, Ticket, pack};
use cap_domain::routing::{Channel, QueueName, Route};
use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::failpoint;
use crate::hand::{InHand, by_queue};
use crate::limits::{
    CALLS_MAX, DELETE_TRIES_MAX, ERROR_CHARS_MAX, FRUITLESS_WAVES_MAX, SEND_DRAIN_MAX,
};
use crate::queues::{
    BATCH_ENTRIES_MAX, EntryResult, Outgoing, Queues, Received, attribute, copy_of_parked,
};
use crate::route_book::RouteBook;
use crate::settle::Settled;
use crate::steps::BatchStep;

/// What delivering needs.
pub(crate) struct Courier<'a> {
    pub(crate) queues: &'a dyn Queues,
    pub(crate) routes: &'a RouteBook,
    pub(crate) stop: &'a CancellationToken,
}

/// A message to be sent, and where.
struct Parcel {
    queue: QueueName,
    outgoing: Outgoing,
}

/// A lane's parcels, in order.
struct Consignment {
    account: AccountKey,
    parcels: VecDeque<Parcel>,
    /// It cannot be delivered: its sources stay in the queue.
    stuck: bool,
    /// What it has for accounts that no queue takes.
    missing: Vec<(Channel, AccountKey)>,
}

impl Consignment {
    /// Takes off the first parcel if it was accepted, or need not be; whether it was.
    fn settle_front(&mut self, result: EntryResult) -> bool {
        let Some(Parcel { queue, outgoing }) = self.parcels.front() else { return false };
        match result {
            Ok(()) => {
                let is_letter = queue.dead_letters;
                self.parcels.pop_front();
                failpoint::hit(if is_letter { "after_dead_letter" } else { "mid_forward" });
                true
            }
            Err(error) if error.sender_fault && queue.dead_letters => {
                // The parked row is the truth, the DLQ only shows it (DESIGN §3).
                tracing::error!(account_id = %self.account, %error, queue = queue.to_name(""), "the dead-letter queue refuses a message: it is in parked_message alone");
                self.parcels.pop_front();
                true
            }
            Err(error) if error.sender_fault => {
                self.stuck = true;
                let (account, id) = (&self.account, &outgoing.deduplication_id);
                tracing::error!(account_id = %account, deduplication_id = id, %error, queue = queue.to_name(""), "the queue refuses a message: its sources stay where they are");
                false
            }
            Err(error) => {
                tracing::warn!(%error, queue = queue.to_name(""), "an entry was not sent yet: trying again");
                false
            }
        }
    }
}

impl Courier<'_> {
    /// Delivers what settled lanes led to and deletes their messages.
    pub(crate) async fn deliver<S: Stage>(&self, settled: &mut [Settled<S>]) {
        let mut consignments: Vec<Consignment> =
            settled.iter_mut().map(|lane| self.consign(lane)).collect();
        self.look_again(settled, &mut consignments).await;
        BatchStep::Send.timed(self.send_all(&mut consignments)).await;
        failpoint::hit("after_forward");
        let done: Vec<Arc<InHand>> = settled
            .iter()
            .zip(&consignments)
            .filter(|(_, consignment)| !consignment.stuck && consignment.parcels.is_empty())
            .flat_map(|(lane, _)| {
                lane.work.messages.iter().map(|message| Arc::clone(&message.in_hand))
            })
            .collect();
        failpoint::hit("before_delete");
        BatchStep::Delete.timed(self.delete_all(&done)).await;
        failpoint::hit("after_delete");
    }

    /// Consigns again what no queue took, if there is one now.
    async fn look_again<S: Stage>(
        &self,
        settled: &mut [Settled<S>],
        consignments: &mut [Consignment],
    ) {
        let missing: Vec<_> = consignments.iter().flat_map(|one| one.missing.clone()).collect();
        if missing.is_empty() {
            return;
        }
        if self.routes.look_again(self.queues, &missing, Instant::now()).await {
            for (lane, consignment) in settled.iter_mut().zip(&mut *consignments) {
                if !consignment.missing.is_empty() {
                    *consignment = self.consign(lane);
                }
            }
        }
        for (channel, account) in consignments.iter().flat_map(|one| &one.missing) {
            let channel = channel.name();
            tracing::error!(account_id = %account, channel, "there is no queue for this account: the messages that need it stay where they are until one is created");
        }
    }

    /// A lane's outputs as parcels: runs of units for one stage are packed, outcomes stay single. They are
    /// taken from the lane, unless no queue takes one of them: then they stay, to be consigned again.
    fn consign<S: Stage>(&self, lane: &mut Settled<S>) -> Consignment {
        let account = &lane.work.account;
        let mut consignment = Consignment {
            account: account.clone(),
            parcels: VecDeque::new(),
            stuck: false,
            missing: Vec::new(),
        };
        // A lane says all of its own into one or two channels.
        let mut routes: Vec<(Channel, AccountKey, Route)> = Vec::with_capacity(2);
        for output in lane.steps.iter().flat_map(|step| &step.outputs) {
            let (channel, to) = addressee(output, account);
            let missing = consignment.missing.iter().map(|(known, whose)| (known, whose));
            let mut known = routes.iter().map(|(known, whose, _)| (known, whose)).chain(missing);
            if known.any(|(known, whose)| *known == channel && whose == to) {
                continue;
            }
            match self.routes.resolve(channel, to) {
                Some(route) => routes.push((channel, to.clone(), route)),
                None => consignment.missing.push((channel, to.clone())),
            }
        }
        if !consignment.missing.is_empty() {
            consignment.stuck = true;
            return consignment;
        }
        let mut add = |route: &Route, (deduplication_id, body): (String, String)| {
            consignment.parcels.push_back(Parcel {
                queue: route.queue.clone(),
                outgoing: Outgoing {
                    message_group_id: route.message_group_id.clone(),
                    deduplication_id,
                    body,
                    attributes: Vec::new(),
                },
            });
        };
        let mut run: Vec<String> = Vec::new();
        let mut run_to: Option<&Route> = None;
        for output in lane.steps.iter_mut().flat_map(|step| std::mem::take(&mut step.outputs)) {
            let (channel, to) = addressee(&output, account);
            let found = routes.iter().find(|(known, whose, _)| *known == channel && whose == to);
            let Some((_, _, route)) = found else {
                // Each was found above. If one ever is not, its sources must stay.
                consignment.stuck = true;
                continue;
            };
            let is_forward = matches!(output, Output::Forward { .. });
            if let Some(before) = run_to
                && !(is_forward && before.queue == route.queue)
            {
                pack(account, &run).into_iter().for_each(|packed| add(before, packed));
                run.clear();
                run_to = None;
            }
            match output {
                Output::Forward { unit, .. } => {
                    run.push(unit);
                    run_to = Some(route);
                }
                Output::Outcome { deduplication_id, body }
                | Output::Event { deduplication_id, body, .. } => {
                    add(route, (deduplication_id, body));
                }
            }
        }
        if let Some(route) = run_to {
            pack(account, &run).into_iter().for_each(|packed| add(route, packed));
        }
        for message in &lane.work.messages {
            for index in message.arrivals.clone() {
                if let Some(letter) = &lane.steps[index].dead_letter {
                    let body = lane.work.arrivals[index].body(account);
                    let parcel = dead_letter(account, S::NAME, &message.in_hand, letter, body);
                    consignment.parcels.push_back(parcel);
                }
            }
        }
        for message in &lane.work.messages {
            for index in message.arrivals.clone() {
                if let Some(next) = lane.steps[index].next {
                    let parcel = next_copy(account, S::NAME, &message.in_hand, next);
                    consignment.parcels.push_back(parcel);
                }
            }
        }
        consignment
    }

    /// Sends in waves until nothing is left, everything left is stuck, nothing goes through for
    /// too long, or we are told to stop. What is left comes again and is recognised.
    async fn send_all(&self, consignments: &mut [Consignment]) {
        let overdue = async {
            self.stop.cancelled().await;
            tokio::time::sleep(SEND_DRAIN_MAX).await;
        };
        tokio::select! {
            biased;
            () = self.send_waves(consignments) => {}
            () = overdue => tracing::warn!("stopping before everything was sent: the rest comes again"),
        }
    }

    async fn send_waves(&self, consignments: &mut [Consignment]) {
        let mut backoff = Backoff::default();
        let mut fruitless = 0;
        loop {
            let progressed = self.send_wave(consignments).await;
            let left = consignments.iter().filter(|left| !left.stuck && !left.parcels.is_empty());
            let left = left.count();
            if left == 0 {
                return;
            }
            if progressed {
                (backoff, fruitless) = (Backoff::default(), 0);
                continue;
            }
            fruitless += 1;
            if fruitless == FRUITLESS_WAVES_MAX {
                metrics::counter!("cap_undelivered_lanes_total").increment(left as u64);
                tracing::error!(
                    lanes = left,
                    "nothing can be sent: the messages of these lanes come again"
                );
                return;
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Sends the first parcel of every lane; whether any was accepted.
    async fn send_wave(&self, consignments: &mut [Consignment]) -> bool {
        let mut parcels = consignments.iter().filter_map(|one| one.parcels.front());
        if parcels.any(|parcel| parcel.queue.dead_letters) {
            failpoint::hit("before_dead_letter");
        }
        let mut fronts: BTreeMap<&QueueName, (Vec<usize>, Vec<&Outgoing>)> = BTreeMap::new();
        for (index, consignment) in consignments.iter().enumerate() {
            if let (false, Some(parcel)) = (consignment.stuck, consignment.parcels.front()) {
                let (indices, outgoing) = fronts.entry(&parcel.queue).or_default();
                indices.push(index);
                outgoing.push(&parcel.outgoing);
            }
        }
        let calls = fronts.iter().flat_map(|(queue, (indices, outgoing))| {
            let calls = indices.chunks(BATCH_ENTRIES_MAX).zip(outgoing.chunks(BATCH_ENTRIES_MAX));
            calls.map(move |(indices, outgoing)| async move {
                (indices.to_vec(), self.queues.send(queue, outgoing).await)
            })
        });
        let calls: Vec<_> = futures::stream::iter(calls.collect::<Vec<_>>())
            .buffer_unordered(CALLS_MAX)
            .collect()
            .await;
        let mut progressed = false;
        for (indices, results) in calls {
            let results = match results {
                Ok(results) => results,
                Err(error) => {
                    tracing::warn!(%error, "not sent yet: trying again");
                    continue;
                }
            };
            for (index, result) in indices.into_iter().zip(results) {
                progressed |= consignments[index].settle_front(result);
            }
        }
        progressed
    }

    /// Deletes messages. What cannot be deleted comes again, is recognised, and sent on under
    /// the same deduplication ids.
    async fn delete_all(&self, messages: &[Arc<InHand>]) {
        let mut left: Vec<Arc<InHand>> = messages.to_vec();
        let mut backoff = Backoff::default();
        for attempt in 1..=DELETE_TRIES_MAX {
            left = self.delete_once(&left).await;
            if left.is_empty() || attempt == DELETE_TRIES_MAX {
                break;
            }
            backoff.wait().await;
        }
        if !left.is_empty() {
            tracing::warn!(
                messages = left.len(),
                "not deleted: they come again and will be recognised"
            );
        }
    }

    /// One round of deletions; the messages that are worth another.
    async fn delete_once(&self, messages: &[Arc<InHand>]) -> Vec<Arc<InHand>> {
        let chunks: Vec<(Arc<QueueName>, Vec<Arc<InHand>>)> = by_queue(messages.iter())
            .into_iter()
            .flat_map(|(queue, messages)| {
                let chunks: Vec<_> =
                    messages.chunks(BATCH_ENTRIES_MAX).map(<[_]>::to_vec).collect();
                chunks.into_iter().map(move |chunk| (Arc::clone(&queue), chunk))
            })
            .collect();
        let calls = chunks.into_iter().map(|(queue, chunk)| async move {
            let handles: Vec<&str> =
                chunk.iter().map(|message| message.message.receipt_handle.as_str()).collect();
            let results = self.queues.delete(&queue, &handles).await;
            failpoint::hit("mid_delete");
            match results {
                Err(error) => {
                    tracing::warn!(%error, "not deleted yet");
                    chunk
                }
                Ok(results) => chunk
                    .into_iter()
                    .zip(results)
                    .filter_map(|(message, result)| match result {
                        Ok(()) => {
                            message.let_go();
                            None
                        }
                        // A stale receipt: the message is in other hands, or will come again.
                        Err(error) if error.sender_fault => None,
                        Err(_) => Some(message),
                    })
                    .collect(),
            }
        });
        let left: Vec<Vec<Arc<InHand>>> =
            futures::stream::iter(calls).buffer_unordered(CALLS_MAX).collect().await;
        left.into_iter().flatten().collect()
    }
}

/// Where an output of the lane of `account` goes.
fn addressee<'a>(output: &'a Output, account: &'a AccountKey) -> (Channel, &'a AccountKey) {
    match output {
        Output::Forward { to, .. } => (Channel::Stage(*to), account),
        Output::Outcome { .. } => (Channel::Outcome, account),
        Output::Event { account: to, .. } => (Channel::Stage(StageName::Clearing), to),
    }
}

/// The copy that keeps a redrive going, back into the queue that the one before it came from. A
/// redelivery of that one sends it again under the same id.
fn next_copy(account: &AccountKey, stage: StageName, in_hand: &InHand, next: Ticket) -> Parcel {
    let Received { message_id, message_group_id, .. } = &in_hand.message;
    let deduplication_id = format!("{message_id}:{}:{}", next.redrive_seq, next.parked_seq);
    let outgoing = copy_of_parked(account, stage, next, message_group_id.clone(), deduplication_id);
    Parcel { queue: (*in_hand.queue).clone(), outgoing }
}

/// The message as its queue would take it again, for the DLQ, with its number and its error.
fn dead_letter(
    account: &AccountKey,
    stage: StageName,
    in_hand: &InHand,
    letter: &DeadLetter,
    body: String,
) -> Parcel {
    let error: String = letter
        .error
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c })
        .take(ERROR_CHARS_MAX)
        .collect();
    Parcel {
        queue: in_hand.queue.dlq(),
        outgoing: Outgoing {
            message_group_id: in_hand.message.message_group_id.clone(),
            // By the message it came in: a redelivery is the same letter, a letter that was moved
            // back to its queue and returns is another.
            deduplication_id: format!("{}:{}", in_hand.message.message_id, letter.parked_seq),
            body,
            attributes: vec![
                (attribute::ACCOUNT_ID, account.to_string()),
                (attribute::STAGE, stage.to_string()),
                (attribute::PARKED_SEQ, letter.parked_seq.to_string()),
                (attribute::ERROR, error),
            ],
        },
    }
}
