//! Maintenance margin: the least margin that keeps a position from being liquidated, in tiers.
//!
//! As exchanges publish them (Binance, "Leverage and margin of USDⓈ-M futures"), a tier has a rate
//! and an amount: the margin of a notional is `notional · rate − amount`. The amounts follow from
//! the rates and floors alone, so only those are configured. How tiers are written is
//! [`super::notation`].

use std::sync::{Arc, OnceLock};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::notation::Notation;

use crate::money::exact::{Exact, TooLarge};

/// The most tiers a symbol may have.
pub const TIERS_MAX: usize = 32;

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceTier {
    /// The largest notional within it, in the settlement currency; none: there is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Decimal>,
    /// Margin over notional.
    pub rate: Decimal,
}

/// The tiers of a symbol: at least one, floors and rates rising, only the last without an end.
/// All copies share one table: it travels with every fill.
#[derive(Debug, Clone)]
pub struct MaintenanceTiers {
    pub(super) table: Arc<Table>,
    pub(super) notation: Notation,
}

/// Tiers, and how they are written short, once somebody has asked.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) tiers: Vec<MaintenanceTier>,
    pub(super) short: OnceLock<Box<str>>,
}

/// Why tiers cannot be taken, as a sentence that names the tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTiers(pub(super) String);

/// What of a tier the formulas need.
#[derive(Debug, Clone, Copy)]
pub struct Maintenance {
    /// Margin over notional.
    pub rate: Exact,
    /// What is taken off again, because lower tiers have lower rates ([`maintenance_amount`]).
    pub amount: Exact,
}

impl Maintenance {
    /// `notional · rate − amount`.
    pub fn margin_of(self, notional: Exact) -> Result<Exact, TooLarge> {
        notional.times(self.rate)?.minus(self.amount)
    }
}

/// `cum(n) = floor(n) · (rate(n) − rate(n−1)) + cum(n−1)`: the amount that makes the margin of a
/// tier go on where the tier before ends (Binance, "Leverage and margin tiers").
pub fn maintenance_amount(
    floor: Decimal,
    rate: Decimal,
    rate_before: Decimal,
    amount_before: Exact,
) -> Result<Exact, TooLarge> {
    let step = Exact::from(rate).minus(rate_before)?;
    Exact::from(floor).times(step)?.plus(amount_before)
}

impl MaintenanceTiers {
    /// The tier that `notional` lies in: the first that reaches so far, the last if none does.
    pub fn of_notional(&self, notional: Exact) -> Result<Maintenance, TooLarge> {
        let mut amount = Exact::new(0, 0);
        let mut below: Option<&MaintenanceTier> = None;
        for tier in &self.table.tiers {
            if let Some(MaintenanceTier { up_to: Some(floor), rate }) = below {
                amount = maintenance_amount(*floor, tier.rate, *rate, amount)?;
            }
            below = Some(tier);
            match tier.up_to {
                Some(up_to) if notional.is_above(up_to)? => {}
                _ => break,
            }
        }
        // There is at least one tier; without any, nothing would have to be kept.
        let rate = below.map_or(Decimal::ZERO, |tier| tier.rate);
        Ok(Maintenance { rate: rate.into(), amount })
    }
}

impl TryFrom<Vec<MaintenanceTier>> for MaintenanceTiers {
    type Error = InvalidTiers;

    fn try_from(tiers: Vec<MaintenanceTier>) -> Result<Self, InvalidTiers> {
        let wrong = |reason: String| Err(InvalidTiers(reason));
        if tiers.len() > TIERS_MAX {
            return wrong(format!(
                "maintenance: has {} tiers, {TIERS_MAX} is the most",
                tiers.len()
            ));
        }
        let Some(last) = tiers.len().checked_sub(1) else {
            return wrong(
                "maintenance: has no tier: leave it out where nothing is known".to_owned(),
            );
        };
        let (mut floor, mut rate_before) = (Decimal::ZERO, Decimal::ZERO);
        for (index, MaintenanceTier { up_to, rate }) in tiers.iter().enumerate() {
            if *rate <= rate_before {
                return wrong(format!(
                    "maintenance[{index}].rate: {rate} is not above {rate_before}"
                ));
            }
            if *rate >= Decimal::ONE {
                return wrong(format!("maintenance[{index}].rate: {rate} is not below 1"));
            }
            match up_to {
                None if index < last => {
                    return wrong(format!(
                        "maintenance[{index}].up_to: is missing, only the last has no end"
                    ));
                }
                Some(_) if index == last => {
                    return wrong(format!("maintenance[{index}].up_to: the last tier has no end"));
                }
                Some(up_to) if *up_to <= floor => {
                    return wrong(format!(
                        "maintenance[{index}].up_to: {up_to} is not above {floor}"
                    ));
                }
                _ => {}
            }
            (floor, rate_before) = (up_to.unwrap_or(floor), *rate);
        }
        let table = Arc::new(Table { tiers, short: OnceLock::new() });
        Ok(Self { table, notation: Notation::Listed })
    }
}

impl From<MaintenanceTiers> for Vec<MaintenanceTier> {
    fn from(tiers: MaintenanceTiers) -> Self {
        tiers.table.tiers.clone()
    }
}
