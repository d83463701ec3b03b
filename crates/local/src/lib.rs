//! The embedded stack for laptops and tests: PostgreSQL clusters, DynamoDB and an SQS-compatible broker.
//!
//! Services talk to it over the same protocols as to the real thing. It never goes into a production
//! image, and nothing that does may depend on it.

pub mod dynamodb;
pub mod postgres;
pub mod sqs;
