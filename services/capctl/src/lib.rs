//! The operators' tool, as a library: what its commands find, and how they tell it.
//!
//! Every command is one file of [`commands`]: it reads the settings it needs, asks `cap-store`,
//! `cap-aws` or `cap-client`, and returns an [`Answer`](answer::Answer), which is the same for
//! people and for programs. The library holds no SQL and decides nothing about money. [`story`] and
//! [`proof`] also serve the demo, [`redrive`], [`dry_run`] and [`repair`] whoever redrives without a
//! person.

pub mod answer;
pub mod arguments;
pub mod audit_log;
pub mod commands;
pub mod connection;
pub mod consent;
pub mod cost;
pub mod databases;
pub mod dry_run;
pub mod job;
pub mod operator;
pub mod parameters;
pub mod proof;
pub mod redrive;
pub mod rehearsal;
pub mod repair;
pub mod settings;
pub mod story;
pub mod table;
