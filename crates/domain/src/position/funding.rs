//! Funding between longs and shorts: `−q·mark·m·rate` to the holder, inverse `−(q/mark)·m·rate`.

use rust_decimal::Decimal;

use super::Position;
use crate::instrument::{Contract, ContractKind};
use crate::money::Money;
use crate::money::exact::{Exact, Rounding, TooLarge};

/// What the holder of `position` receives; below zero: pays.
pub fn funding(
    position: &Position,
    contract: &Contract,
    rate: Decimal,
    mark_price: Decimal,
) -> Result<Money, TooLarge> {
    let currency = contract.settled_in;
    let factor = Exact::from(-position.quantity).times(contract.multiplier)?.times(rate)?;
    match contract.kind {
        ContractKind::Linear => factor.times(mark_price)?.money(currency, Rounding::HalfEven),
        ContractKind::Inverse => {
            let units =
                factor.divided_by(mark_price, u32::from(currency.decimals), Rounding::HalfEven)?;
            Money::from_units(currency, units).map_err(|_| TooLarge)
        }
    }
}
