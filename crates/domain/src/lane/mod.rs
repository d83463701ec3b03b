//! A lane is an event-sourced state machine; a stage is a pure reducer over lanes (DESIGN §1).
//!
//! Everything hard is here once, for all stages: recognising what came before, numbering,
//! journaling with a hash chain, suspending and parking. What a stage adds is its [`Stage`].

mod advance;
mod item;
mod journal;
mod stage;
mod state;
mod transit;

pub use advance::{
    Advance, Arrival, Content, DeadLetter, Memory, Message, ParkedMessage, RECEIVES_MAX, Step,
    advance,
};
pub use item::{Body, Echo, EchoKind, Item, PACK_BYTES_MAX, PACK_UNITS_MAX, Pack, Transit};
pub use journal::{Row, RowHash};
pub use stage::{Output, RawMessage, Rules, Stage, StageName, UnknownStage};
pub use state::{Lane, LaneStatus, Suspension, UnknownLaneStatus};
pub(crate) use transit::message_of;
pub use transit::{forward, pack, read_pack, unreadable};
