//! A lane is an event-sourced state machine; a stage is a pure reducer over lanes (DESIGN §1).
//!
//! Everything hard is here once, for all stages: recognising what came before, numbering,
//! journaling with a hash chain, suspending and parking. What a stage adds is its [`Stage`].

mod advance;
mod item;
mod journal;
mod pack;
mod stage;
mod state;

pub use advance::{
    Advance, Arrival, Content, DeadLetter, Memory, Message, POISON_AFTER_RECEIVES, ParkedMessage,
    Step, advance,
};
pub use item::{Body, Echo, EchoKind, Item, PACK_BYTES_MAX, PACK_UNITS_MAX, Pack, Unit};
pub use journal::{Row, RowHash};
pub(crate) use pack::message_of;
pub use pack::{forward, pack, read_pack, unreadable};
pub use stage::{Output, RawMessage, Rules, Stage, StageName, UnknownStage};
pub use state::{Lane, LaneStatus, Suspension, UnknownLaneStatus};
