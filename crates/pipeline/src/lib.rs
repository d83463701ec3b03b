//! The unit of work (DESIGN §2): receive, decide, commit, forward, delete.
//!
//! It knows lanes and no stage: clearing, position and account run through the same code. What
//! it needs of the world it asks through [`queues::Queues`], [`lane_store::LaneStore`],
//! [`prepare::Prepare`] and a clock.

mod backoff;
mod batch;
pub mod claims;
mod deliver;
pub mod failpoint;
mod gate;
mod gather;
mod hand;
mod janitor;
pub mod lane_store;
mod limits;
mod pipeline;
pub mod prepare;
pub mod queues;
mod route_book;
mod settle;
mod steps;

pub use gate::Gate;
pub use limits::Limits;
pub use pipeline::{Clock, Pipeline, StageSource, system_time};
pub use route_book::RouteBook;
