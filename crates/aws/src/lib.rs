//! SQS and DynamoDB as the pipeline wants them: queues by name, claims on request ids, the
//! configuration in force.
//!
//! Every call has a time limit and a bounded number of tries, and every error says what was being
//! attempted and what AWS answered. It knows no lane and decides nothing about messages.
//!
//! * [`mod@connect`]: the clients, one HTTP connection pool under both
//! * [`directory`]: which queues exist, and the routes they make (C16)
//! * [`queues`]: the pipeline's `Queues` over SQS
//! * [`provision`]: queues with their dead-letter queues, created and listed
//! * [`claims`]: the pipeline's `Claims` over DynamoDB
//! * [`configuration`], [`watch`]: revisions of the configuration, and the one in force (T5)
//! * [`files`]: the configuration as files
//! * [`tables`]: the DynamoDB tables of both

mod batch;
pub mod claims;
pub mod configuration;
pub mod connect;
pub mod directory;
pub mod files;
pub mod provision;
pub mod queues;
mod shape;
pub mod tables;
mod unreachable;
pub mod watch;

pub use cap_pipeline::queues::Unreachable;
pub use claims::DynamoClaims;
pub use configuration::ConfigurationStore;
pub use connect::{Aws, connect, connect_to};
pub use directory::QueueDirectory;
pub use queues::SqsQueues;
pub use watch::ConfigurationWatch;
