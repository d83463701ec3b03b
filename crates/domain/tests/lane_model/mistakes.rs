//! Mistakes of the database, and of the lane itself: these are made by showing the real lane
//! something else than what is there, so that it does what another rule would have done.

use cap_domain::lane::{Arrival, Lane, LaneStatus, Memory, Redriver};

use crate::database::Follows;
use crate::queue::{By, Entry};
use crate::toy::Saying;

/// A mistake in what is read and written; `Careful` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Store {
    #[default]
    Careful,
    Unfenced,
    FencedBySeqAlone,
    /// `redrive_seq` is not in the fence.
    FencedWithoutRedrive,
    ForgetsRows,
    ForgetsParked,
    /// A message is looked for in the journal before it is among the parked.
    JournalBeforeParked,
    /// A message is recognised by the source id it has now alone.
    ForgetsUnread,
    /// A copy is taken whichever redrive it is of.
    TakesOldCopies,
    /// The output of a done number is repeated for any copy of it.
    RepeatsForAnyCopy,
    /// A letter is tried at once when it is its turn, as a copy is, and nothing begins.
    TakesLetters,
}

impl Store {
    /// What the lane is shown.
    pub(crate) fn alter(
        self,
        lane: &mut Lane,
        memory: &mut Memory,
        arrivals: &mut [Arrival<Saying>],
    ) {
        match self {
            Self::Careful | Self::Unfenced | Self::FencedBySeqAlone => {}
            Self::FencedWithoutRedrive => {}
            Self::ForgetsRows => memory.rows.clear(),
            Self::ForgetsParked => memory.parked.clear(),
            Self::JournalBeforeParked => {
                for arrival in arrivals.iter().filter(|a| memory.rows.contains_key(&a.request_id)) {
                    memory.parked.remove(&arrival.source_id);
                }
            }
            Self::ForgetsUnread => arrivals.iter_mut().for_each(|a| a.unread_id = None),
            Self::TakesOldCopies => {
                for redriven in arrivals.iter_mut().filter_map(|a| a.redriven.as_mut()) {
                    if let Redriver::Copy { redrive_seq } = &mut redriven.by
                        && redriven.parked_seq > lane.redriven_seq
                    {
                        *redrive_seq = lane.redrive_seq;
                    }
                }
            }
            Self::RepeatsForAnyCopy => {
                for arrival in arrivals {
                    let Some(redriven) = &arrival.redriven else { continue };
                    for one in arrival.run.iter_mut().filter(|one| one.parked.taken_by.is_some()) {
                        one.parked.taken_by = Some(redriven.message_id.clone());
                    }
                }
            }
            Self::TakesLetters => take_letters(lane, arrivals),
        }
    }

    /// The letters that were not taken, where they are taken at all.
    pub(crate) fn return_letters(self, held: &[Entry], steps: &mut [Follows], redriven: u64) {
        if self == Self::TakesLetters {
            for (entry, step) in held.iter().zip(steps) {
                if let Some(back) = entry.parked
                    && back.by == By::Letter
                    && u64::from(back.number) > redriven
                {
                    step.letter = Some(u64::from(back.number));
                }
            }
        }
    }
}

fn take_letters(lane: &mut Lane, arrivals: &mut [Arrival<Saying>]) {
    for redriven in arrivals.iter_mut().filter_map(|a| a.redriven.as_mut()) {
        if redriven.by != Redriver::Letter {
            continue;
        }
        let is_next = redriven.parked_seq == lane.redriven_seq + 1;
        if lane.status == LaneStatus::Suspended && is_next {
            lane.status = LaneStatus::Redriving;
        }
        redriven.by = Redriver::Copy { redrive_seq: lane.redrive_seq };
    }
}
