//! Faults on purpose: what a network and a cloud do to a consumer, from a printed seed.
//!
//! Guarantees that nothing happens while no plan is set, and that the same seed and the same
//! order of requests meet the same faults.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{named_queue::lock, operation::Operation};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// A deletion is confirmed and the message is delivered again.
    Duplicate,
    /// The operation takes effect and the caller never learns of it.
    LostReply {
        /// What the caller sees instead.
        #[serde(default)]
        seen: LostReply,
    },
    /// The request is refused as one too many; SDKs try again.
    Throttle,
    /// An entry of a batch is not carried out and is reported as failed inside of SQS.
    PartialFailure,
    /// The request is carried out late.
    Delay {
        /// How late.
        millis: u64,
    },
    /// Received messages have run out of visibility already.
    ExpiredReceive,
}

/// How a reply is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostReply {
    /// The connection closes without the reply.
    #[default]
    ConnectionClosed,
    /// Status 500.
    InternalError,
}

/// A fault, how often it strikes, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// From 0 (never) to 1 (always), drawn for every request, or entry of a batch.
    pub probability: f64,
    /// Only queues whose names begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_prefix: Option<String>,
    /// Only this operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// All faults of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FaultPlan {
    /// What the draws start from.
    #[serde(default)]
    pub seed: u64,
    /// The rules; each is drawn by itself.
    #[serde(default)]
    pub rules: Vec<FaultRule>,
}

/// A plan that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("probability {0} is not between 0 and 1")]
pub struct BadProbability(f64);

/// The plan in force and its dice.
pub(crate) struct Faults {
    armed: AtomicBool,
    state: Mutex<(FaultPlan, StdRng)>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            armed: AtomicBool::new(false),
            state: Mutex::new((FaultPlan::default(), StdRng::seed_from_u64(0))),
        }
    }

    pub(crate) fn set(&self, plan: FaultPlan) -> Result<(), BadProbability> {
        if let Some(rule) = plan.rules.iter().find(|rule| !(0.0..=1.0).contains(&rule.probability))
        {
            return Err(BadProbability(rule.probability));
        }
        tracing::info!(seed = plan.seed, rules = plan.rules.len(), "sqs faults set");
        let mut state = lock(&self.state);
        self.armed.store(!plan.rules.is_empty(), Ordering::Release);
        let dice = StdRng::seed_from_u64(plan.seed);
        *state = (plan, dice);
        Ok(())
    }

    pub(crate) fn plan(&self) -> FaultPlan {
        lock(&self.state).0.clone()
    }

    pub(crate) fn armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }
}

/// The faults as one request meets them.
#[derive(Clone, Copy)]
pub(crate) struct Weather<'a> {
    pub(crate) faults: &'a Faults,
    pub(crate) operation: Operation,
    pub(crate) queue: Option<&'a str>,
}

impl Weather<'_> {
    pub(crate) fn duplicate(self) -> bool {
        self.draw(|fault| (fault == Fault::Duplicate).then_some(())).is_some()
    }

    pub(crate) fn lost_reply(self) -> Option<LostReply> {
        self.draw(|fault| match fault {
            Fault::LostReply { seen } => Some(seen),
            _ => None,
        })
    }

    pub(crate) fn throttle(self) -> bool {
        self.draw(|fault| (fault == Fault::Throttle).then_some(())).is_some()
    }

    pub(crate) fn partial_failure(self) -> bool {
        self.draw(|fault| (fault == Fault::PartialFailure).then_some(())).is_some()
    }

    pub(crate) fn delay_millis(self) -> Option<u64> {
        self.draw(|fault| match fault {
            Fault::Delay { millis } => Some(millis),
            _ => None,
        })
    }

    pub(crate) fn expired_receive(self) -> bool {
        self.draw(|fault| (fault == Fault::ExpiredReceive).then_some(())).is_some()
    }

    fn draw<T>(self, wanted: impl Fn(Fault) -> Option<T>) -> Option<T> {
        if !self.faults.armed() {
            return None;
        }
        let mut state = lock(&self.faults.state);
        let (plan, dice) = &mut *state;
        plan.rules
            .iter()
            .filter(|rule| rule.operation.is_none_or(|operation| operation == self.operation))
            .filter(|rule| match (&rule.queue_prefix, self.queue) {
                (None, _) => true,
                (Some(prefix), Some(queue)) => queue.starts_with(prefix.as_str()),
                (Some(_), None) => false,
            })
            .find_map(|rule| {
                let effect = wanted(rule.fault)?;
                dice.random_bool(rule.probability).then_some(effect)
            })
    }
}
