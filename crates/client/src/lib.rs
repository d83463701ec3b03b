//! What an upstream service uses to talk to CAP: events go in through a [`Publisher`], outcomes
//! come back through an [`OutcomeReader`].
//!
//! It finds the queues by the same rule as CAP's own services (C16), keeps the order of every
//! account, and decides nothing about events: only their header is checked here.

mod lanes;
mod outcomes;
mod publisher;
mod sending;

pub use cap_aws::Unreachable;
pub use cap_aws::directory::DirectoryError;
pub use outcomes::{
    NoOutcomeQueue, OutcomeBatch, OutcomeReader, UnreadableOutcome, VISIBILITY_SECS,
};
pub use publisher::{Body, Progress, PublishError, Published, Publisher};
