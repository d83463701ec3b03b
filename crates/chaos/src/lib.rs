//! Chaos as a routine (T64): CAP in trouble, and whether it is right all the same.
//!
//! A seed makes a script of messages and throws the dice of everything that goes wrong. The stages
//! run as they do in production, over the real broker and PostgreSQL; what they come to is compared
//! with the reference model, which has never heard of a queue. The dice are the seed's, the
//! interleaving is the machine's: a seed that fails may have to be run several times to fail again.

pub mod arena;
pub mod aside;
pub mod campaign;
pub mod check;
pub mod crew;
pub mod crowd;
mod evidence;
pub mod fleet;
pub mod gremlin;
mod letters;
pub mod margins;
mod quiet;
pub mod seed;
pub mod support;
pub mod transfers;
pub mod trouble;
pub mod troubled_queues;
pub mod troubled_store;
pub mod upstream;
pub mod yard;
