//! Funding between longs and shorts: `−q·mark·m·rate` to the holder, inverse `−(q/mark)·m·rate`.

use rust_decimal::Decimal;

use super::Position;
use crate::instrument::{Contract, ContractKind};
use crate::money::Money;
use crate::money::exact::{Exact, TooLarge};

/// What the holder of `position` receives; below zero: pays. `contract` are the figures that hold
/// for the position ([`Position::contract`]).
pub fn funding(
    position: &Position,
    contract: &Contract,
    rate: Decimal,
    mark_price: Decimal,
) -> Result<Money, TooLarge> {
    let (currency, rounding) = (contract.settled_in, contract.rounding.funding);
    let factor = Exact::from(-position.quantity).times(contract.multiplier)?.times(rate)?;
    match contract.kind {
        ContractKind::Linear => factor.times(mark_price)?.money(currency, rounding),
        ContractKind::Inverse => {
            let units = factor.divided_by(mark_price, u32::from(currency.decimals), rounding)?;
            Money::from_units(currency, units).map_err(|_| TooLarge)
        }
    }
}
