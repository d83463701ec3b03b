//! What upstream may publish, made from a seed, and what must come of it.
//!
//! [`script`] writes the messages, sound and broken; [`model`] says what the contract promises for
//! them. Neither knows how CAP decides: this crate depends on no other crate of CAP, so that where
//! the two differ, one of them is wrong.

pub mod model;
pub mod script;
