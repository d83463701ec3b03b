//! The rules of CAP and nothing else: money, ids, events, rulebooks, accounts, positions, lanes,
//! routing.
//!
//! It knows no queue, no database, no clock, no dice and no floating-point number (T27); time and
//! identity come in as arguments. It is what the services, dry-runs, replay proofs and benchmarks
//! all call.

pub mod account;
pub mod clearing;
pub mod configuration;
pub mod division;
pub mod envelope;
pub mod event;
pub mod ids;
pub mod instrument;
mod json;
pub mod lane;
pub mod money;
pub mod outcome;
pub mod plan;
pub mod position;
pub mod refusal;
pub mod routing;
pub mod rulebook;
pub mod subject;
mod text;
pub mod time;
pub mod transfer;
