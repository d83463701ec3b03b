//! A batch: messages in hand, sorted into lanes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cap_domain::ids::{AccountKey, RequestId};
use cap_domain::lane::{Arrival, RawMessage, Stage, unreadable};
use cap_domain::refusal::Poison;

use crate::hand::InHand;
use crate::lane_store::Wanted;

/// One lane's part of a batch.
pub(crate) struct LaneWork<S: Stage> {
    pub(crate) account: AccountKey,
    /// The lane's messages, in order.
    pub(crate) messages: Vec<LaneMessage>,
    /// What they carry, in order.
    pub(crate) arrivals: Vec<Arrival<S::Input>>,
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

    /// How often the lane's most received message was received.
    pub(crate) fn receives(&self) -> u32 {
        self.arrivals.iter().map(|arrival| arrival.receives).max().unwrap_or_default()
    }

    /// What has to be read of the lane to decide its arrivals.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            account: self.account.clone(),
            request_ids: self.arrivals.iter().map(|arrival| arrival.request_id.clone()).collect(),
            source_ids: self.arrivals.iter().map(|arrival| arrival.source_id.clone()).collect(),
        }
    }
}

/// Sorts messages into lanes, each lane's in the order they were received.
pub(crate) fn into_lanes<S: Stage>(messages: &[Arc<InHand>]) -> Vec<LaneWork<S>> {
    let mut places: HashMap<AccountKey, usize> = HashMap::with_capacity(messages.len());
    let mut lanes: Vec<LaneWork<S>> = Vec::with_capacity(messages.len());
    for in_hand in messages {
        let (account, mut arrivals) = read::<S>(in_hand);
        let place = *places.entry(account.clone()).or_insert_with(|| {
            lanes.push(LaneWork { account, messages: Vec::new(), arrivals: Vec::new() });
            lanes.len() - 1
        });
        let lane = &mut lanes[place];
        let first = lane.arrivals.len();
        lane.arrivals.append(&mut arrivals);
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
        body: &message.body,
    };
    match queue.scope.account(&message.message_group_id) {
        Ok(account) => {
            let arrivals = S::read(&account, raw);
            (account, arrivals)
        }
        Err(error) => {
            let poison = Poison::Unreadable(error.to_string());
            let arrival = unreadable(&raw, raw.body, message.message_id.clone(), poison);
            (queue.scope.stray(&message.message_group_id), vec![arrival])
        }
    }
}
