//! Which worlds are explored, and the mistakes that are made in them on purpose.

use crate::mistakes::Store;
use crate::toy::{Flaw, Saying};

/// A small world: what it contains, and how often support may act in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// How many messages upstream publishes, numbered from 1.
    pub(crate) messages: u8,
    /// How many of them lie in the queue when the world begins.
    pub(crate) published: u8,
    /// Which of them are poison until the stage is repaired.
    pub(crate) poison: &'static [u8],
    pub(crate) flaw: Flaw,
    /// Which of them is an operator's repair.
    pub(crate) repair: Option<u8>,
    /// Whether upstream is a stage that numbers what it sends.
    pub(crate) upstream: bool,
    /// How many consumers there are: with a second one, either may be a zombie.
    pub(crate) consumers: usize,
    /// How many messages a consumer takes at once.
    pub(crate) batch: usize,
    /// How many parked messages a copy takes.
    pub(crate) run_max: usize,
    /// How many redrivers there may be at once.
    pub(crate) redrivers: usize,
    /// How many redrives may begin.
    pub(crate) redrives: u8,
    /// Where the first of them stops.
    pub(crate) through: Option<u64>,
    /// How many redrives are followed. A letter that is delivered again and again may begin one each
    /// time, as long as the lane is suspended again meanwhile.
    pub(crate) begun_max: u64,
    /// How many letters AWS moves back.
    pub(crate) moves: u8,
    /// How many messages may be skipped.
    pub(crate) skips: u8,
    /// How often a redriver may grow impatient and send again what was not taken.
    pub(crate) resends: u8,
    /// How often all queues may forget what they were sent: five minutes pass.
    pub(crate) forgets: u8,
    /// How often upstream may send a message again under another message id.
    pub(crate) republishes: u8,
    pub(crate) fault: Option<Fault>,
}

/// Two messages, the first of which is poison, and one redrive.
pub(crate) const PLAIN: Case = Case {
    messages: 2,
    published: 1,
    poison: &[1],
    flaw: Flaw::Undecidable,
    repair: None,
    upstream: false,
    consumers: 2,
    batch: 2,
    run_max: 1,
    redrivers: 1,
    redrives: 1,
    through: None,
    begun_max: 2,
    moves: 0,
    skips: 0,
    resends: 0,
    forgets: 0,
    republishes: 0,
    fault: None,
};

/// A mistake in the environment, to prove that the properties notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database's.
    Store(Store),
    DeleteBeforeCommit,
    SendBeforeCommit,
    DeleteBeforeSend,
    /// Every message is taken for an operator's repair.
    AllAreRepairs,
    /// The redriver begins at the last number.
    BackToFront,
    /// A redriver that finds itself in another redrive goes on where it is.
    GoesOnWhereItIs,
    /// A copy is sent on before what the one before it led to.
    NextBeforeOutputs,
    /// A letter that was moved is not put back.
    LettersVanish,
    /// A consumer receives although the group is locked, behind what is in flight.
    UnlockedGroup,
    /// A receipt deletes although the message was received again since.
    StaleReceiptsDelete,
    /// A consumer whose visibility has expired reads and decides all the same.
    NobodyLooksAtTheClock,
}

impl Case {
    pub(crate) fn saying(&self, id: u8) -> Saying {
        Saying {
            id,
            flaw: if self.poison.contains(&id) { self.flaw } else { Flaw::None },
            repair: self.repair == Some(id) || self.fault == Some(Fault::AllAreRepairs),
            upstream: self.upstream,
        }
    }

    pub(crate) fn store(&self) -> Store {
        match self.fault {
            Some(Fault::Store(store)) => store,
            _ => Store::Careful,
        }
    }
}
