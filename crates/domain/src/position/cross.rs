//! What account needs to tell the liquidation price of a cross position: the whole formula but the
//! money, which it alone knows (ADR 14).
//!
//! CAP knows no mark prices (C14), so what other positions that share the money need and bring is
//! known only where there are none. Then what stands behind the position is all the account has in
//! the settlement currency, but for what isolated positions keep apart.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::liquidation::exposure_of;
use super::{
    Backing, Exposure, MarginMode, Position, PositionKey, PositionState, liquidation_price,
};
use crate::instrument::{Contract, ContractKind, Maintenance};
use crate::money::exact::Exact;
use crate::money::{CurrencyCode, Money};
use crate::plan::{AmountName, PlannedAmount, PlannedLeg};
use crate::subject::Subject;

/// The one open cross position that is settled in its currency. It travels beside the position that
/// the outcome shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossExposure {
    /// Linear or inverse.
    #[serde(default = "linear", skip_serializing_if = "is_linear")]
    pub kind: ContractKind,
    /// The currency of the money behind it.
    pub settled_in: CurrencyCode,
    /// `m·q`, below zero for a short.
    pub quantity: Decimal,
    /// `m·C`: what it was worth when it was opened.
    pub entry_value: Decimal,
    /// The rate of the maintenance tier that this value lies in.
    pub maintenance_rate: Decimal,
    /// The amount of that tier.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub maintenance_amount: Decimal,
    /// What isolated positions of the currency have for themselves, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated_margin: Option<Money>,
    /// The declared subjects that its losses are drawn from, where the event's plan says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses_from: Vec<Subject>,
}

impl CrossExposure {
    /// Of `position`, as it is shown under `key` beside the others of `state`, after an event about
    /// `contract` with the plan `legs`. None if it is not an open cross position with tiers and the
    /// only one of its currency, or if a figure does not fit: it is for display.
    pub(super) fn of(
        state: &PositionState,
        key: &PositionKey,
        contract: &Contract,
        position: &Position,
        legs: &[PlannedLeg],
    ) -> Option<Box<Self>> {
        let contract = position.contract(contract);
        let tiers = contract.maintenance.as_ref()?;
        if !position.is_open() || !position.margin_mode.is_cross() {
            return None;
        }
        let currency = position.margin.currency();
        let mut isolated_margin: Option<Money> = None;
        for (other, held) in &state.positions {
            if other == key || !held.is_open() || held.margin.currency() != currency {
                continue;
            }
            isolated_margin = match (held.margin_mode, isolated_margin) {
                (MarginMode::Cross, _) => return None,
                (MarginMode::Isolated, None) => Some(held.margin),
                (MarginMode::Isolated, Some(sum)) => Some(sum.plus(held.margin).ok()?),
            };
        }
        let exposure = exposure_of(position, &contract).ok()?;
        let maintenance = tiers.of_notional(exposure.entry_value).ok()?;
        let sign = Exact::new(exposure.sign, 0);
        Some(Box::new(Self {
            kind: exposure.kind,
            settled_in: currency.code,
            quantity: exposure.quantity.times(sign).and_then(Exact::decimal).ok()?,
            entry_value: exposure.entry_value.decimal().ok()?,
            maintenance_rate: maintenance.rate.decimal().ok()?,
            maintenance_amount: maintenance.amount.decimal().ok()?,
            isolated_margin,
            losses_from: declared_sources_of_losses(legs),
        }))
    }

    /// The liquidation price if `wallet` stands behind it; none if no price liquidates it, or it does
    /// not fit.
    pub fn liquidation_price(&self, wallet: Exact) -> Option<Decimal> {
        let exposure = Exposure {
            kind: self.kind,
            sign: if self.quantity.is_sign_negative() { -1 } else { 1 },
            quantity: self.quantity.abs().into(),
            entry_value: self.entry_value.into(),
        };
        let maintenance = Maintenance {
            rate: self.maintenance_rate.into(),
            amount: self.maintenance_amount.into(),
        };
        liquidation_price(exposure, Backing::alone(wallet), maintenance).unwrap_or_default()
    }
}

fn declared_sources_of_losses(legs: &[PlannedLeg]) -> Vec<Subject> {
    let of_loss = |leg: &&PlannedLeg| leg.amount == PlannedAmount::Named(AmountName::RealisedLoss);
    let sources = legs.iter().filter(of_loss).flat_map(|leg| leg.from.subjects());
    sources.copied().filter(|from| matches!(from, Subject::Declared(_))).collect()
}

const fn linear() -> ContractKind {
    ContractKind::Linear
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_linear(kind: &ContractKind) -> bool {
    matches!(kind, ContractKind::Linear)
}
