//! Where a lane stands, in a form that can be compared and hashed.

use cap_domain::lane::{Lane, LaneStatus, RowHash, Suspension};

use crate::toy::noon;

/// A lane's counters, without the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Counters {
    pub(crate) seq: u64,
    pub(crate) upstream_seq: u64,
    pub(crate) status: u8,
    pub(crate) parked_seq: u64,
    pub(crate) redriven_seq: u64,
    pub(crate) redrive_seq: u64,
    pub(crate) through: Option<u64>,
}

const STATUSES: [LaneStatus; 3] =
    [LaneStatus::Active, LaneStatus::Suspended, LaneStatus::Redriving];

impl Counters {
    pub(crate) fn status(&self) -> LaneStatus {
        STATUSES[usize::from(self.status)]
    }

    pub(crate) fn lane(&self) -> Lane {
        let status = self.status();
        let suspension = Suspension { at: noon(), reason: "a poison".to_owned() };
        Lane {
            seq: self.seq,
            head: RowHash::default(),
            upstream_seq: self.upstream_seq,
            status,
            parked_seq: self.parked_seq,
            redriven_seq: self.redriven_seq,
            redrive_seq: self.redrive_seq,
            redrive_through: self.through,
            suspension: (status != LaneStatus::Active).then_some(suspension),
        }
    }

    pub(crate) fn of(lane: &Lane) -> Self {
        assert_eq!(lane.suspension.is_none(), lane.status == LaneStatus::Active, "{lane:?}");
        assert!(lane.redrive_through.is_none() || lane.status == LaneStatus::Redriving, "{lane:?}");
        Self {
            seq: lane.seq,
            upstream_seq: lane.upstream_seq,
            status: STATUSES.iter().position(|status| *status == lane.status).unwrap() as u8,
            parked_seq: lane.parked_seq,
            redriven_seq: lane.redriven_seq,
            redrive_seq: lane.redrive_seq,
            through: lane.redrive_through,
        }
    }
}
