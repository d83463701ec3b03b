//! What support asks of a stage's database: lanes, what is parked in them, open positions.

mod history;
mod lanes;
mod parked;
mod positions;

pub use history::{HISTORY_ROWS_MAX, state_before};
pub use lanes::{FOUND_LANES_MAX, find_lanes, list_lanes, show_lane};
pub use parked::{Parked, Resolution, list_parked, show_parked};
pub use positions::{
    ACCOUNTS_PAGE_MAX, accounts_with_open_positions, filled_under_earlier, lane_numbers,
    numbers_taken, open_positions,
};
