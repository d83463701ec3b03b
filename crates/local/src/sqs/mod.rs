//! An SQS-compatible broker for FIFO queues: what this system stands on, without AWS.
//!
//! Guarantees FIFO as AWS documents it (order, group locks, deduplication, visibility, dead
//! letters, move tasks) over the protocol that the official SDKs speak, with a clock that tests
//! can advance and faults that they can ask for. It keeps everything in memory and forgets it
//! when it stops; it has no standard queues, no permissions and no quotas on rates.
//!
//! From the inside out:
//!
//! * [`queue`]: one queue, a pure state machine
//! * [`engine`]: all queues and what happens between them, pure as well
//! * [`server`]: SQS's JSON protocol over HTTP, and `/_admin` for tests

pub mod attributes;
pub mod clock;
pub mod engine;
pub mod error;
pub mod faults;
pub mod id;
pub mod message;
pub mod move_task;
pub mod operation;
pub mod queue;
pub mod server;

mod admin;
mod attempt;
mod dedup;
mod group;
mod message_operations;
mod named_queue;
mod queue_operations;
mod redrive;
mod reply;
mod request;
mod service;
mod slots;
mod terms;
mod upkeep;

pub use self::{
    clock::Clock,
    engine::{Engine, EngineConfig},
    error::SqsError,
    faults::{Fault, FaultPlan, FaultRule, LostReply},
    message::Draft,
    operation::Operation,
    queue::{Counts, QueueLimits},
    server::{Broker, BrokerConfig, BrokerError, BrokerHandle},
    service::Doorbell,
};
