//! What rules about margin have to say, because the stages act on it (ADR 11): account sends on what it
//! has put into `margin`, and position counts on what it takes out.

use super::check::{RulebookError, wrong, wrong_unmoved};
use super::{Rule, Rulebook};
use crate::division::{Source, Target};
use crate::event::EventKind;
use crate::plan::{AmountName, Shortfall};
use crate::subject::Subject;

/// Which end of a leg `margin` is.
#[derive(Clone, Copy)]
enum End {
    From,
    To,
}

/// The figures that go into margin or out of it.
const ENDS: [(EventKind, AmountName, End); 6] = [
    (EventKind::MarginChanged, AmountName::Credit, End::To),
    (EventKind::MarginChanged, AmountName::Debit, End::From),
    (EventKind::LeverageChanged, AmountName::MarginFromAvailable, End::To),
    (EventKind::LeverageChanged, AmountName::MarginReleased, End::From),
    (EventKind::MarginPosted, AmountName::MarginReleased, End::From),
    (EventKind::FundingUnpaid, AmountName::FundingFromMargin, End::From),
];

/// Whether rulebooks before ADR 11 did not know the figure: they stay valid without it.
pub(super) fn came_later(kind: EventKind, figure: AmountName) -> bool {
    kind == EventKind::LeverageChanged
        || (kind == EventKind::FundingCharged && figure == AmountName::IsolatedFundingPaid)
}

/// Checks the rules about margin of a rulebook that is pushed from now on.
pub(super) fn check_margin(rulebook: &Rulebook) -> Result<(), RulebookError> {
    let legs = |kind| match rulebook.rule(kind) {
        Some(Rule::Legs(legs)) => Some(legs),
        _ => None,
    };
    for (kind, figure, end) in ENDS {
        let Some(legs) = legs(kind) else { continue };
        let place = format!("events.{kind}.legs");
        let Some(leg) = legs.iter().find(|leg| leg.amount == figure) else {
            return wrong_unmoved(place, figure);
        };
        let (so, word) = match end {
            End::From => (leg.from == Source::One(Subject::Margin), "out of"),
            End::To => (leg.to == Target::One(Subject::Margin), "into"),
        };
        if !so {
            return wrong(place, format!("{figure} goes {word} margin: the stages count on it"));
        }
    }
    let needs = |kind: EventKind, by: EventKind| {
        wrong(format!("events.{kind}"), format!("has no legs, but CAP sends it after {by}"))
    };
    for kind in [EventKind::MarginChanged, EventKind::LeverageChanged] {
        if legs(kind).is_some() && legs(EventKind::MarginPosted).is_none() {
            return needs(EventKind::MarginPosted, kind);
        }
    }
    let Some(funding) = legs(EventKind::FundingCharged) else { return Ok(()) };
    match funding.iter().find(|leg| leg.amount == AmountName::IsolatedFundingPaid) {
        // A rulebook from before may go on forcing it: another rule for what is open is refused (C6).
        None => Ok(()),
        Some(leg) if leg.shortfall != Some(Shortfall::Position) => Ok(()),
        Some(_) if legs(EventKind::FundingUnpaid).is_some() => Ok(()),
        Some(_) => needs(EventKind::FundingUnpaid, EventKind::FundingCharged),
    }
}
