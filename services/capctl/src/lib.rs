//! The operators' tool, as a library: what its commands find, and how they tell it.
//!
//! Every command is one file of [`commands`]: it reads the settings it needs, asks `cap-store`,
//! `cap-aws` or `cap-client`, and returns an [`Answer`](answer::Answer), which is the same for
//! people and for programs. The library holds no SQL and decides nothing about money. [`story`] and
//! [`proof`] also serve the demo.

pub mod answer;
pub mod arguments;
pub mod commands;
pub mod databases;
pub mod proof;
pub mod settings;
pub mod story;
pub mod table;
