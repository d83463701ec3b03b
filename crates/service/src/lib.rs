//! What every service's main needs, so that a main is a table of contents: settings, logs, metrics,
//! health, log level and shutdown.
//!
//! [`run`](run::run) puts the pieces together in the one order that works; each piece also stands on
//! its own. Nothing here knows what a service does.

pub mod environment;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod problem;
pub mod readiness;
pub mod run;
pub mod shutdown;
