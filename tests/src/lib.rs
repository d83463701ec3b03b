//! Shared set-up of the end-to-end tests: an installation of its own for each test, on a stack
//! that all tests of a program share.
//!
//! Tests talk to it as an upstream service in another language would: raw JSON through the SQS
//! SDK, by the names and groups of `CONTRACT.md`.

mod upstream;
mod world;

pub use upstream::{Upstream, envelope, header};
pub use world::{Stages, World, binaries, limits, repository};
