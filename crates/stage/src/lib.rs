//! One stage as a process: settings → connections → pipeline → drain.
//!
//! The three services are this with another [`Wired`] stage.

mod claims;
mod serve;
mod settings;
mod submissions;
mod wiring;

pub use serve::main;
pub use settings::StageSettings;
pub use wiring::{Connections, Wired, WiringError, pipeline};
