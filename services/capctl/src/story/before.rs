//! What was there before a message: the lane's journal decided again up to its row.

use cap_domain::account::{AccountRuling, Accounts, Balance};
use cap_domain::clearing::{self, ClearingRuling};
use cap_domain::ids::AccountKey;
use cap_domain::lane::{Body, Row, Stage as _};
use cap_domain::money::Money;
use cap_domain::plan::AmountName;
use cap_domain::position::{self, PositionChange, Positions};
use cap_store::inspect::state_before;

use super::Figure;
use crate::databases::Databases;

/// The figures of the plan: those of the event, then those of position.
pub(super) async fn figures(
    databases: &Databases,
    account: &AccountKey,
    cleared: Option<&Row>,
    moved: Option<&Row>,
) -> anyhow::Result<Vec<Figure>> {
    let mut figures: Vec<(AmountName, Money)> = Vec::new();
    if let Some(row) = cleared
        && let ClearingRuling::Planned { event, .. } = serde_json::from_str(&row.result)?
    {
        figures.extend(clearing::figures(&event)?);
    }
    if let Some(row) = moved {
        let state = state_before(&databases.position, account, row.seq, |_| Some(Positions));
        if let Some(state) = state.await? {
            let message = Positions::replay(row)?;
            // A refused message has no figures.
            let found = position::figures(account, &state, &message, row.decided_at);
            figures.extend(found.unwrap_or_default());
        }
    }
    let figures = figures.into_iter().filter(|(_, amount)| !amount.is_zero());
    Ok(figures.map(|(name, amount)| Figure { name, amount }).collect())
}

/// The positions of the event's symbol, as they were.
pub(super) async fn positions(
    databases: &Databases,
    account: &AccountKey,
    moved: Option<&Row>,
) -> anyhow::Result<Option<Vec<PositionChange>>> {
    let Some(row) = moved else { return Ok(None) };
    let Body::Planned { event, .. } = Positions::replay(row)?.input.body else { return Ok(None) };
    let Some(contract) = event.contract() else { return Ok(None) };
    let state = state_before(&databases.position, account, row.seq, |_| Some(Positions)).await?;
    let Some(state) = state else { return Ok(None) };
    let held = state
        .positions
        .iter()
        .filter(|(key, position)| key.symbol == contract.symbol && position.is_open());
    let shown = held.map(|(key, position)| {
        let nothing = Money::zero(position.margin.currency());
        PositionChange::new(key, contract, position, nothing)
    });
    Ok(Some(shown.collect::<Result<_, _>>()?))
}

/// The balances of the currencies that the posting touched, as they were.
pub(super) async fn balances(
    databases: &Databases,
    account: &AccountKey,
    posted: Option<&Row>,
) -> anyhow::Result<Option<Vec<Balance>>> {
    let Some(row) = posted else { return Ok(None) };
    let AccountRuling::Posted { balances, .. } = serde_json::from_str(&row.result)? else {
        return Ok(None);
    };
    let decided_by = |row: &Row| Accounts::under(row.rules_version);
    let state = state_before(&databases.account, account, row.seq, decided_by).await?;
    let Some(state) = state else { return Ok(None) };
    let touched = balances.iter().map(|balance| balance.available.currency());
    let before = touched.map(|currency| {
        state.balances.get(&currency.code).cloned().unwrap_or_else(|| Balance::zero(currency))
    });
    Ok(Some(before.collect()))
}
