//! What support asks of a stage's database: lanes, and what is parked in them.

mod lanes;
mod parked;

pub use lanes::{FOUND_LANES_MAX, find_lanes, list_lanes, show_lane};
pub use parked::{Parked, Resolution, list_parked, show_parked};
