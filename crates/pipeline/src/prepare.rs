//! What a stage does with new arrivals before they are decided.

use async_trait::async_trait;
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Arrival, Stage};
use cap_domain::time::Timestamp;

/// A step between reading and deciding that needs the world: its result becomes part of the input.
#[async_trait]
pub trait Prepare<S: Stage>: Send + Sync + 'static {
    /// Completes the inputs of `arrivals`, none of which is journaled yet.
    async fn prepare(&self, arrivals: Vec<(&AccountKey, &mut Arrival<S::Input>)>, now: Timestamp);
}

/// For stages whose messages come complete.
#[derive(Debug, Clone, Copy)]
pub struct Complete;

#[async_trait]
impl<S: Stage> Prepare<S> for Complete {
    async fn prepare(
        &self,
        _arrivals: Vec<(&AccountKey, &mut Arrival<S::Input>)>,
        _now: Timestamp,
    ) {
    }
}
