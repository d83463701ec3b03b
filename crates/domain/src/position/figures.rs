//! The numbers behind the names of a plan, for whoever tells the story of a message.

use super::{PositionRuling, PositionState, Positions};
use crate::division::Target;
use crate::ids::AccountKey;
use crate::lane::{Body, Item, Message, Stage as _};
use crate::money::Money;
use crate::plan::{AmountName, PlannedAmount, PlannedLeg};
use crate::refusal::Poison;
use crate::subject::Subject;
use crate::time::Timestamp;

/// What position puts in for each name in the plan of `message`, decided on `state` at `now`; a name
/// that comes to nothing is left out.
///
/// # Errors
/// What deciding the message fails with.
pub fn figures(
    account: &AccountKey,
    state: &PositionState,
    message: &Message<Item>,
    now: Timestamp,
) -> Result<Vec<(AmountName, Money)>, Poison> {
    let Body::Planned { legs, .. } = &message.input.body else { return Ok(Vec::new()) };
    let names: Vec<(AmountName, Subject)> = legs
        .iter()
        .filter_map(|leg| match leg.amount {
            PlannedAmount::Named(name) => Some(name),
            PlannedAmount::Known(_) => None,
        })
        .enumerate()
        .filter_map(|(index, name)| Some((name, mark(index)?)))
        .collect();
    let marked = legs.iter().map(|leg| {
        let mark = names.iter().find(|(name, _)| leg.amount == PlannedAmount::Named(*name));
        let to = mark.map_or_else(|| leg.to.clone(), |(_, mark)| Target::One(*mark));
        PlannedLeg { to, ..leg.clone() }
    });
    let marked: Vec<PlannedLeg> = marked.collect();
    let mut message = message.clone();
    if let Body::Planned { legs, .. } = &mut message.input.body {
        *legs = marked;
    }
    let PositionRuling::Changed { legs, .. } = Positions.decide(account, state, &message, now)?.0
    else {
        return Ok(Vec::new());
    };
    let figure = |(name, mark): &(AmountName, Subject)| {
        let leg = legs.iter().find(|leg| leg.to == Target::One(*mark))?;
        match leg.amount {
            PlannedAmount::Known(money) => Some((*name, money)),
            PlannedAmount::Named(_) => None,
        }
    };
    Ok(names.iter().filter_map(figure).collect())
}

/// A subject that no rulebook can name twice: by it a leg is found again once its amount is in.
fn mark(index: usize) -> Option<Subject> {
    let letter = |index: usize| char::from_digit(u32::try_from(index).ok()? + 10, 36);
    format!("leg:{}{}", letter(index / 26)?, letter(index % 26)?).parse().ok()
}
