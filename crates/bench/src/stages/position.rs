//! The position stage: perpetual fills, beside the raw SQL of their rows.

use std::sync::Arc;

use cap_domain::position::Positions;

use super::{Pair, rounds};
use crate::arena::Arena;
use crate::report::{Bound, Section};
use crate::traffic::{Mix, Spread};
use crate::{Plan, Told};

const FILLS_PER_SECOND_MIN: f64 = 25_000.0;
const OF_RAW_MIN: f64 = 0.6;

/// Messages of a round.
const MESSAGES: usize = 100_000;

pub(crate) async fn position(
    arena: &Arena,
    plan: &Plan,
    told: &Told<'_>,
) -> anyhow::Result<Section> {
    let mut section =
        Section::new("position", "the position stage alone, fills on 10,000 accounts");
    told("perpetual fill: opening accounts");
    let mut pair =
        Pair::open(arena, Arc::new(Positions), Mix::PerpetualFill, Spread::Uniform).await?;
    let nothing_else = async |_: usize| Ok(());
    let (cap, raw) =
        rounds(&mut pair, arena, plan, plan.scaled(MESSAGES), "perpetual fill", told, nothing_else)
            .await?;
    let of_raw = cap.over(&raw, "perpetual fill over raw SQL");
    section.check(cap, Bound::AtLeast(FILLS_PER_SECOND_MIN));
    section.tell(raw);
    section.check(of_raw, Bound::AtLeast(OF_RAW_MIN));
    pair.close(arena).await?;
    Ok(section)
}
