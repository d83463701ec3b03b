//! The price at which what stands behind a position no longer covers its maintenance margin.
//!
//! Linear, as Binance publishes it ("How to calculate liquidation price of USDⓈ-M futures
//! contracts", `vectors/positions.json`):
//! `(wallet − other maintenance + other unrealised + cum − side·V) / (Q·mmr − side·Q)` with
//! `Q = m·|q|` and entry value `V = m·C`. Inverse, from the same condition with money in base, where
//! profit is `side·(V − Q/p)` and maintenance `(Q/p)·mmr − cum`:
//! `Q·(mmr + side) / (wallet − other maintenance + other unrealised + cum + side·V)`.

use rust_decimal::Decimal;

use super::{COST_DECIMALS, PRICE_DECIMALS, Position};
use crate::instrument::{Contract, ContractKind, Maintenance};
use crate::money::exact::{Exact, Rounding, TooLarge};

/// A position as the formula sees it: contracts times multiplier, so that all is money and base.
#[derive(Debug, Clone, Copy)]
pub struct Exposure {
    /// Linear or inverse.
    pub kind: ContractKind,
    /// 1 for long, −1 for short.
    pub sign: i128,
    /// `m·|q|`, above zero.
    pub quantity: Exact,
    /// `m·C`: what it was worth when it was opened, in the settlement currency.
    pub entry_value: Exact,
}

/// What stands behind a position, in the settlement currency.
#[derive(Debug, Clone, Copy)]
pub struct Backing {
    /// The position's own margin if it is isolated, else the wallet.
    pub wallet: Exact,
    /// Maintenance margin of the positions that share the wallet.
    pub other_maintenance: Exact,
    /// Unrealised profit of the positions that share the wallet.
    pub other_unrealised: Exact,
}

impl Backing {
    /// Of a position that shares its wallet with no other, isolated or not: nothing that others need
    /// or bring.
    pub fn alone(wallet: impl Into<Exact>) -> Self {
        let nothing = Exact::new(0, 0);
        Self { wallet: wallet.into(), other_maintenance: nothing, other_unrealised: nothing }
    }
}

/// The liquidation price, at [`PRICE_DECIMALS`] half-even; none if no price above zero would
/// liquidate the position.
///
/// # Errors
/// If a figure on the way does not fit.
pub fn liquidation_price(
    exposure: Exposure,
    backing: Backing,
    maintenance: Maintenance,
) -> Result<Option<Decimal>, TooLarge> {
    let sign = Exact::new(exposure.sign, 0);
    let spare = backing
        .wallet
        .minus(backing.other_maintenance)?
        .plus(backing.other_unrealised)?
        .plus(maintenance.amount)?;
    let signed_value = exposure.entry_value.times(sign)?;
    let (numerator, denominator) = match exposure.kind {
        ContractKind::Linear => {
            let share = maintenance.rate.minus(sign)?;
            (spare.minus(signed_value)?, exposure.quantity.times(share)?)
        }
        ContractKind::Inverse => {
            let share = maintenance.rate.plus(sign)?;
            (exposure.quantity.times(share)?, spare.plus(signed_value)?)
        }
    };
    if denominator.is_zero() {
        return Ok(None);
    }
    let units = numerator.divided_by(denominator, PRICE_DECIMALS, Rounding::HalfEven)?;
    if units <= 0 {
        return Ok(None);
    }
    let price = Decimal::try_from_i128_with_scale(units, PRICE_DECIMALS).map_err(|_| TooLarge)?;
    Ok(Some(price.normalize()))
}

/// The liquidation price of an isolated position of `contract`; none if nothing is held, no tiers
/// are known or no price would liquidate it. It is for display: one that does not fit is not told,
/// and never a reason to stop.
pub fn isolated_liquidation_price(position: &Position, contract: &Contract) -> Option<Decimal> {
    let tiers = contract.maintenance.as_ref().filter(|_| position.is_open())?;
    let price = || {
        let exposure = exposure_of(position, contract)?;
        let maintenance = tiers.of_notional(exposure.entry_value)?;
        liquidation_price(exposure, Backing::alone(position.margin), maintenance)
    };
    price().unwrap_or_default()
}

/// An open position as the formula sees it.
pub(super) fn exposure_of(position: &Position, contract: &Contract) -> Result<Exposure, TooLarge> {
    let multiplier = Exact::from(contract.multiplier);
    Ok(Exposure {
        kind: contract.kind,
        sign: position.sign(),
        quantity: Exact::from(position.quantity.abs()).times(multiplier)?,
        entry_value: Exact::new(position.cost, COST_DECIMALS).times(multiplier)?,
    })
}
