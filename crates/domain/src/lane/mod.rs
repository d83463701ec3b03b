//! A lane is an event-sourced state machine; a stage is a pure reducer over lanes (DESIGN §1).
//!
//! Everything hard is here once, for all stages: recognising what came before, numbering,
//! journaling with a hash chain, suspending and parking. What a stage adds is its [`Stage`].

mod advance;
mod arrival;
mod item;
mod journal;
mod pack;
mod redrive;
mod stage;
mod state;

pub use advance::{Advance, POISON_AFTER_RECEIVES, RULE_AWAITED_RECEIVES_MAX, Step, advance};
pub use arrival::{Arrival, Content, DeadLetter, Memory, Message, ParkedMessage};
pub use item::{Body, Echo, EchoKind, Item, PACK_BYTES_MAX, PACK_UNITS_MAX, Pack, Unit};
pub use journal::{Row, RowHash};
pub(crate) use pack::message_of;
pub use pack::{forward, pack, read_pack, unreadable};
pub use redrive::{RUN_MAX, Recalled, RedriveRefused, Redriven, Redriver, Taken, Ticket, recall};
pub use stage::{Output, RawMessage, Rules, Stage, StageName, UnknownStage};
pub use state::{Lane, LaneStatus, Suspension, UnknownLaneStatus};
