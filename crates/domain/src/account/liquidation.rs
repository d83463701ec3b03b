//! What stands behind a cross position: the money of its currency, after the posting (ADR 14).

use rust_decimal::Decimal;

use super::Balance;
use super::state::AccountState;
use crate::lane::Body;
use crate::money::exact::{Exact, TooLarge};
use crate::money::{Money, MoneyError};
use crate::position::CrossExposure;
use crate::subject::Subject;

/// The liquidation price of the cross position that the outcome of `body` shows. None if there is
/// none, or not all that stands behind it is known: it is for display, and never a reason to stop.
pub(super) fn cross_liquidation_price(account: &AccountState, body: &Body) -> Option<Decimal> {
    let Body::Planned { position: Some(position), cross: Some(cross), .. } = body else {
        return None;
    };
    let balance = account.balances.get(&cross.settled_in)?;
    let own_margin = Money::parse(balance.margin.currency(), &position.margin).ok()?;
    // Else margin is under way to a position (ADR 11), and account does not know to which.
    if balance.margin != margin_of_all(cross, own_margin).ok()? || !is_known(cross, balance) {
        return None;
    }
    cross.liquidation_price(wallet(balance, own_margin).ok()?)
}

fn margin_of_all(cross: &CrossExposure, own_margin: Money) -> Result<Money, MoneyError> {
    cross.isolated_margin.map_or(Ok(own_margin), |isolated| own_margin.plus(isolated))
}

/// Whether losses are drawn from every declared subject that holds something, as far as anybody said.
fn is_known(cross: &CrossExposure, balance: &Balance) -> bool {
    let mut held = balance.declared.iter().filter(|(_, money)| !money.is_zero());
    held.all(|(name, _)| cross.losses_from.contains(&Subject::Declared(*name)))
}

/// All there is but what is leaving and what isolated positions have.
fn wallet(balance: &Balance, own_margin: Money) -> Result<Exact, TooLarge> {
    let held = Exact::from(balance.available).plus(balance.frozen)?.plus(own_margin)?;
    let owed = held.minus(balance.borrowed)?;
    balance.declared.values().try_fold(owed, |sum, money| sum.plus(*money))
}
