//! An account's positions beside the model's, figure by figure. Leverage is not among them: the
//! model keeps none, only the margin that follows from it.

use std::collections::BTreeMap;

use anyhow::Context;
use cap_domain::instrument::ContractKind;
use cap_domain::position::{COST_DECIMALS, HedgeSide, Position, PositionKey, PositionState};
use cap_reference::model::Position as Due;

/// What is not as the model has it, a sentence each; `due` is what the model has.
///
/// # Errors
/// If an entry price does not fit.
pub(super) fn differences(
    due: &BTreeMap<String, Due>,
    found: &PositionState,
) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, due) in due {
        let Some(found) = found.positions.iter().find(|(key, _)| is_it(key, due)) else {
            wrong.push(format!("{name} was never filled, the model has {}", due.quantity));
            continue;
        };
        for (figure, found, due) in figures(found.1, due)? {
            if found != due {
                wrong.push(format!("{figure} of {name} is {found}, the model has {due}"));
            }
        }
    }
    for key in found.positions.keys() {
        if !due.values().any(|due| is_it(key, due)) {
            wrong.push(format!("{key} was filled, the model has none"));
        }
    }
    Ok(wrong)
}

fn is_it(found: &PositionKey, due: &Due) -> bool {
    found.symbol.as_str() == due.symbol
        && found.side.map(HedgeSide::as_str) == due.position_side.as_deref()
}

/// Each figure's name, as it is found and as it is due.
fn figures(found: &Position, due: &Due) -> anyhow::Result<[(&'static str, String, String); 6]> {
    // What is closed has no entry price, so its kind is of no account.
    let kind = found.opened_under.as_ref().map_or(ContractKind::Linear, |contract| contract.kind);
    let price = found.entry_price(kind).context("an entry price")?;
    let price = price.map_or_else(|| "none".to_owned(), |price| price.normalize().to_string());
    let one = 10_i128.pow(COST_DECIMALS);
    let places = COST_DECIMALS as usize;
    let cost = format!("{}.{:0places$}", found.cost / one, found.cost % one);
    Ok([
        ("quantity", found.quantity.normalize().to_string(), due.quantity.clone()),
        ("cost", cost, due.cost.clone()),
        ("entry price", price, due.entry_price.clone().unwrap_or_else(|| "none".to_owned())),
        ("margin", found.margin.amount(), due.margin.clone()),
        ("margin mode", found.margin_mode.as_str().to_owned(), due.margin_mode.clone()),
        ("realised profit", found.realised_profit.amount(), due.realised_profit.clone()),
    ])
}
