//! CAP on this machine: broker, DynamoDB and PostgreSQL, prepared as `CONTRACT.md` says, and the
//! services as real processes.
//!
//! Production code paths are unchanged: the services find the stack through the environment. What
//! is in the stack is gone when it stops.

mod infrastructure;
mod services;

pub use cap_aws::files::read_configuration;
pub use infrastructure::{Databases, Installation, Stack};
pub use services::{Service, Services};
