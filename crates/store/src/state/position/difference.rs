//! What of an account's positions is not what its journal says.

use std::collections::BTreeSet;

use cap_domain::instrument::{Contract, ContractKind};
use cap_domain::money::Money;
use cap_domain::position::{COST_DECIMALS, Position, PositionKey, PositionState};
use rust_decimal::Decimal;

use crate::state::compare;

/// Every difference, in words and figures.
pub(super) fn of(stored: &PositionState, replayed: &PositionState) -> Vec<String> {
    let mut said = Vec::new();
    compare(&mut said, "opened", &stored.opened, &replayed.opened, bool::to_string);
    let (was, is) = (&stored.mode, &replayed.mode);
    compare(&mut said, "position mode", was, is, |mode| mode.as_str().to_owned());
    let keys: BTreeSet<_> = stored.positions.keys().chain(replayed.positions.keys()).collect();
    for key in keys {
        match (stored.positions.get(key), replayed.positions.get(key)) {
            (Some(stored), Some(replayed)) => compare_positions(&mut said, key, stored, replayed),
            (Some(stored), None) => {
                said.push(format!(
                    "there is a position of {} {key}, and none by the journal",
                    stored.quantity
                ));
            }
            (None, Some(replayed)) => {
                let quantity = replayed.quantity;
                said.push(format!(
                    "there is no position in {key}, and one of {quantity} by the journal"
                ));
            }
            (None, None) => {}
        }
    }
    said
}

fn compare_positions(
    said: &mut Vec<String>,
    key: &PositionKey,
    stored: &Position,
    replayed: &Position,
) {
    let decimal = |decimal: &Decimal| decimal.normalize().to_string();
    let cost = |cost: &i128| {
        Decimal::try_from_i128_with_scale(*cost, COST_DECIMALS)
            .map_or(cost.to_string(), |cost| decimal(&cost))
    };
    compare(said, format_args!("{key} quantity"), &stored.quantity, &replayed.quantity, decimal);
    compare(said, format_args!("{key} cost"), &stored.cost, &replayed.cost, cost);
    compare(said, format_args!("{key} margin"), &stored.margin, &replayed.margin, Money::to_string);
    compare(said, format_args!("{key} leverage"), &stored.leverage, &replayed.leverage, decimal);
    let (was, is) = (&stored.leverage_seq, &replayed.leverage_seq);
    compare(said, format_args!("{key} leverage_seq"), was, is, u64::to_string);
    compare(
        said,
        format_args!("{key} realised profit"),
        &stored.realised_profit,
        &replayed.realised_profit,
        Money::to_string,
    );
    let (was, is) = (&stored.margin_mode, &replayed.margin_mode);
    compare(said, format_args!("{key} margin mode"), was, is, |mode| mode.as_str().to_owned());
    if stored.opened_under.is_some() || !may_have_no_figures(key, replayed) {
        let (was, is) = (&stored.opened_under, &replayed.opened_under);
        compare(said, format_args!("{key} contract"), was, is, show_contract);
    }
}

/// Whether an earlier release can have opened it: the table then has no figures of it until it
/// grows. That release knew linear contracts, cross margin and one position of a symbol.
fn may_have_no_figures(key: &PositionKey, position: &Position) -> bool {
    let linear = |contract: &Contract| contract.kind == ContractKind::Linear;
    key.side.is_none()
        && position.margin_mode.is_cross()
        && position.opened_under.as_ref().is_none_or(linear)
}

fn show_contract(contract: &Option<Contract>) -> String {
    let Some(contract) = contract else { return "none".to_owned() };
    serde_json::to_string(contract).unwrap_or_else(|error| error.to_string())
}
