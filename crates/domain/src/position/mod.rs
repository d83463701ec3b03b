//! Positions (DESIGN §6): signed quantity and exact cost are kept; averages are derived.

mod fill;
mod funding;
mod margin;
mod stage;
mod state;

pub use fill::{Filled, fill};
pub use funding::funding;
pub use margin::{Value, initial_margin, released_margin};
pub(crate) use stage::replay_item;
pub use stage::{PositionRuling, Positions};
pub use state::{COST_DECIMALS, Position, PositionChange, PositionSide, PositionState};
