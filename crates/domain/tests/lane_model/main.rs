//! The lane's state machine in every interleaving of all who touch it: two consumers of one queue,
//! zombies among them, a live upstream, redrivers that die, AWS's own move of the dead-letter
//! queue, and support, which repairs and skips (C5, C7, A9, DESIGN §2–3).
//!
//! The lane is the real one; the queue, the database and the stage around it are toys. `cases`
//! explores small worlds wholly, `found` keeps what it found, `faults` proves that it would find a
//! mistake, and names those it would not, and `sequences` plays long random stories against a
//! reference that is too simple to be wrong.
//!
//! The explorer is our own because `stateright`, the checker that would have served, cannot be
//! had without its web server. Breadth first, it needs a page, and what it finds is shortest.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be set up stops there")]

mod actors;
mod case;
mod cases;
mod counters;
mod database;
mod explorer;
mod faults;
mod found;
mod mistakes;
mod properties;
mod queue;
mod redriver;
mod reference;
mod sameness;
mod sequences;
mod toy;
mod world;
