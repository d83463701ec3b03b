//! The whole system, seen from outside: real SQS and DynamoDB protocol, real PostgreSQL, the
//! pipelines in this process or the services as processes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod awaited_rules;
mod bad_input;
mod cfd;
mod crashes;
mod crowd;
mod events;
mod jobs;
mod margin;
mod outages;
mod overtaken;
mod parameters;
mod processes;
mod redrive;
mod rejection_codes;
mod repetition;
mod rivals;
mod rolling;
mod strangers;
mod suspects;
mod tools;
mod trading;
mod transfers;
mod troubles;
