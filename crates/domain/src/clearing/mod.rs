//! Clearing: from an envelope to a posting plan (C2, C3). It keeps no state and reads no balance.

mod plan;
mod stage;

pub use plan::figures;
pub use stage::{
    Clearing, ClearingRuling, EXPIRY_MILLIS, FUTURE_MILLIS_MAX, REPAIR_KIND, Submission,
};
