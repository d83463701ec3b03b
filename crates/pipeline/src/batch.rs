//! A batch: messages in hand, sorted into lanes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{
    Arrival, Content, RUN_MAX, RawMessage, Redriven, Redriver, Stage, StageName, unreadable,
};
use cap_domain::refusal::Poison;

use crate::hand::InHand;
use crate::lane_store::{Reading, Wanted};
use crate::limits::SUSPECT_RECEIVES;
use crate::queues::{Received, attribute};

/// The highest number that anything is parked under: far more than a lane lives to see, and far
/// less than the database counts to.
const PARKED_SEQ_MAX: u64 = 1 << 62;

/// One lane's part of a batch.
pub(crate) struct LaneWork<S: Stage> {
    pub(crate) account: AccountKey,
    /// The lane's messages, in order.
    pub(crate) messages: Vec<LaneMessage>,
    /// What they carry, in order.
    pub(crate) arrivals: Vec<Arrival<S::Input>>,
    /// The arrivals were completed in the attempt under way, before the lane was read.
    pub(crate) completed: bool,
}

/// A message and the arrivals it carried.
pub(crate) struct LaneMessage {
    pub(crate) in_hand: Arc<InHand>,
    pub(crate) arrivals: Range<usize>,
}

impl<S: Stage> LaneWork<S> {
    /// Whether every message of the lane is still ours. One that is not spoils those behind it:
    /// they may not overtake it.
    pub(crate) fn is_ours(&self) -> bool {
        self.messages.iter().all(|message| message.in_hand.is_ours())
    }

    /// Takes off the messages that were not decided whole, where only so many arrivals were.
    pub(crate) fn split_undecided(&mut self, decided: usize) -> Vec<Arc<InHand>> {
        self.arrivals.truncate(decided);
        let whole = self.messages.partition_point(|message| message.arrivals.end <= decided);
        self.messages.split_off(whole).into_iter().map(|message| message.in_hand).collect()
    }

    /// How often the lane's most received message was received.
    pub(crate) fn receives(&self) -> u32 {
        self.arrivals.iter().map(|arrival| arrival.receives).max().unwrap_or_default()
    }

    /// Whether all of its arrivals come for the first time. Almost always they are new then; not if their
    /// sender repeated them under other deduplication ids, or a commit whose answer was lost had them.
    pub(crate) fn is_first_receipt(&self) -> bool {
        self.arrivals.iter().all(|arrival| {
            arrival.receives <= 1
                && arrival.redriven.is_none()
                && matches!(arrival.content, Content::Message(_))
        })
    }

    /// Whether its arrivals are taken for new without looking.
    pub(crate) fn is_trusted(&self, reading: Reading) -> bool {
        reading == Reading::Trusting && self.is_first_receipt()
    }

    /// What has to be read of the lane to decide its arrivals.
    pub(crate) fn wanted(&self, reading: Reading) -> Wanted {
        let taken_for_new = self.is_trusted(reading);
        Wanted { taken_for_new, ..Wanted::of(&self.account, &self.arrivals) }
    }
}

/// Sorts messages into lanes, each lane's in the order they were received.
pub(crate) fn into_lanes<S: Stage>(messages: &[Arc<InHand>]) -> Vec<LaneWork<S>> {
    let mut places: HashMap<AccountKey, usize> = HashMap::with_capacity(messages.len());
    let mut lanes: Vec<LaneWork<S>> = Vec::with_capacity(messages.len());
    for in_hand in messages {
        let (account, mut arrivals) = read::<S>(in_hand);
        let place = *places.entry(account.clone()).or_insert_with(|| {
            let (messages, arrivals) = (Vec::new(), Vec::new());
            lanes.push(LaneWork { account, messages, arrivals, completed: false });
            lanes.len() - 1
        });
        let lane = &mut lanes[place];
        let first = lane.arrivals.len();
        if lane.arrivals.is_empty() {
            lane.arrivals = arrivals;
        } else {
            lane.arrivals.append(&mut arrivals);
        }
        lane.messages.push(LaneMessage {
            in_hand: Arc::clone(in_hand),
            arrivals: first..lane.arrivals.len(),
        });
    }
    lanes
}

fn read<S: Stage>(in_hand: &InHand) -> (AccountKey, Vec<Arrival<S::Input>>) {
    let (queue, message) = (&in_hand.queue, &in_hand.message);
    let deduplication_id = RequestId::new(&message.deduplication_id).ok();
    let raw = RawMessage {
        message_id: &message.message_id,
        deduplication_id: deduplication_id.as_ref(),
        sent_at: message.sent_at,
        receives: message.receives,
        repair: message.attribute(attribute::REPAIR).is_some(),
        body: &message.body,
    };
    let unread = |poison| unreadable(&raw, raw.body, message.message_id.as_str().into(), poison);
    let (account, mut arrivals) = match queue.scope.account(&message.message_group_id) {
        Ok(account) => {
            let arrivals = S::read(&account, raw);
            (account, arrivals)
        }
        Err(error) => {
            let stray = queue.scope.stray(&message.message_group_id);
            (stray, vec![unread(Poison::Unreadable(error.to_string()))])
        }
    };
    match redriven(&account, S::NAME, message) {
        Ok(None) => {}
        Ok(Some(redriven)) => {
            arrivals.truncate(1);
            arrivals.iter_mut().for_each(|arrival| arrival.redriven = Some(redriven.clone()));
        }
        Err(poison) => arrivals = vec![unread(poison)],
    }
    (account, arrivals)
}

/// Whether `message` was parked before, and under which number: its attributes say so.
fn redriven(
    account: &AccountKey,
    stage: StageName,
    message: &Received,
) -> Result<Option<Redriven>, Poison> {
    let Some(parked_seq) = message.attribute(attribute::PARKED_SEQ) else {
        return Ok(None);
    };
    let number: Option<u64> = parked_seq.parse().ok();
    let Some(parked_seq) = number.filter(|number| (1..=PARKED_SEQ_MAX).contains(number)) else {
        return Err(Poison::Unreadable(format!(
            "attribute parked_seq is {parked_seq:?}, not a number that a lane parks under"
        )));
    };
    let of = message.attribute(attribute::STAGE).unwrap_or_default();
    let whose = message.attribute(attribute::ACCOUNT_ID).unwrap_or_default();
    if of != stage.as_str() || whose != account.as_str() {
        return Err(Poison::Unreadable(format!(
            "its attributes say it was parked at {of:?} for {whose:?}, but it came to {stage} for {account}"
        )));
    }
    let by = match message.attribute(attribute::REDRIVE) {
        None => Redriver::Letter,
        Some(redrive) => Redriver::Copy {
            redrive_seq: redrive.parse().map_err(|_| {
                Poison::Unreadable(format!("attribute redrive is {redrive:?}, not a number"))
            })?,
        },
    };
    // One of a run may be what kills the process: then each is tried alone.
    let run_max = if message.receives > SUSPECT_RECEIVES { 1 } else { RUN_MAX };
    Ok(Some(Redriven { parked_seq, by, message_id: message.message_id.clone(), run_max }))
}
