//! Every SQL statement of CAP.
//!
//! It guarantees that what is written can be read back and proved: a batch is committed whole or not
//! at all, behind the fence of its lanes' own counters, and [`verify`] replays every row through the
//! rules that decided it. It decides nothing itself: the rules are in `cap-domain`, when to read and
//! write is in `cap-pipeline`.

pub mod audit;
pub mod configurations;
mod error;
pub mod inspect;
pub mod journal;
mod lanes;
pub mod migrations;
pub mod operate;
pub mod pool;
mod snapshot;
mod state;
pub mod trial_balance;
mod values;
pub mod verify;

pub use error::QueryError;
pub use lanes::{LanePages, PostgresLanes};
pub use pool::{ConnectError, connect, ping};
pub use state::StateTables;
