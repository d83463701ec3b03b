//! Positions (DESIGN §6): signed quantity and exact cost are kept; averages are derived.

mod apply;
mod change;
mod cross;
mod figures;
mod fill;
mod funding;
mod liquidation;
mod margin;
mod remargining;
mod stage;
mod state;
mod terms;

pub use change::{PositionChange, PositionSide};
pub use cross::CrossExposure;
pub use figures::figures;
pub use fill::{Filled, fill};
pub use funding::funding;
pub use liquidation::{Backing, Exposure, isolated_liquidation_price, liquidation_price};
pub use margin::{Value, initial_margin, released_margin, remargin};
pub(crate) use stage::replay_item;
pub use stage::{PositionRuling, Positions};
pub use state::{COST_DECIMALS, PRICE_DECIMALS, Position, PositionState};
pub use terms::{HedgeSide, MarginMode, PositionKey, PositionMode, UnknownTerm};
