//! One stage as a process: settings → connections → pipeline → drain.
//!
//! The three services are this with another [`Wired`] stage.

/// What a message is made of are many small texts, on all threads, and the system's allocator stood high in
/// the stages' profiles. What this one saves was not measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod claims;
mod serve;
mod settings;
mod submissions;
mod wiring;

pub use serve::main;
pub use settings::StageSettings;
pub use wiring::{Connections, Wired, WiringError, pipeline};
