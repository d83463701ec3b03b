//! Shutdown and rolling update (C17, C20), with the services as processes and much to do.
//!
//! What is shown: a service that is told to stop in the midst of thousands of messages ends in time,
//! and whoever follows goes on at once, in order; old and new processes of every stage run side by
//! side while events keep coming; and a process that was frozen, and finishes late what another has
//! done meanwhile, changes nothing and tells nothing twice.
//!
//! What is not: there is one version of the code. The old and the new release differ in what they are
//! told (batch, committers, receivers, visibility), and in nothing they write: neither another
//! schema nor another form of messages between the stages is put to the test here. What a release
//! before the redrive columns leaves in `lane` is what their defaults say, and what a lane that was
//! never redriven has today.

mod drained;
mod frozen;
mod overlap;
mod rush;
