//! What an account holds of each contract.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{MarginMode, PositionKey, PositionMode};
use crate::instrument::{Contract, ContractKind, Roundings};
use crate::money::exact::{Exact, Rounding, TooLarge};
use crate::money::{Currency, Money};

/// Decimals to which cost is kept; it is never rounded to money (`CONTRACT.md`, Arithmetic).
pub const COST_DECIMALS: u32 = 12;

/// Decimals to which a derived price is shown.
pub const PRICE_DECIMALS: u32 = 8;

/// An account as the position stage knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PositionState {
    /// Whether an `account.opened` went by.
    pub opened: bool,
    /// How many positions it holds of one symbol.
    pub mode: PositionMode,
    /// What it holds, and held.
    pub positions: BTreeMap<PositionKey, Position>,
}

/// What an account holds of one contract; in a hedge account, on one side of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Above zero: long; below zero: short; zero: closed.
    pub quantity: Decimal,
    /// Σ of the open fills' value before the multiplier, at [`COST_DECIMALS`]; not negative.
    pub cost: i128,
    /// Margin held for it.
    pub margin: Money,
    /// The leverage of the last fill that opened or raised it, or of the last change since.
    pub leverage: Decimal,
    /// Clearing's number of the last `leverage.changed` that took hold of it; 0: none whose number was
    /// told.
    pub leverage_seq: u64,
    /// Profit and loss realised since the account's first fill.
    pub realised_profit: Money,
    /// Whether it shares the account's money; of a closed one, whether it did.
    pub margin_mode: MarginMode,
    /// The contract's figures when it was opened, which hold until it is closed (C6). None while
    /// nothing is held, and of a position that an earlier release opened.
    pub opened_under: Option<Contract>,
}

impl Position {
    /// Nothing held yet of a contract that is settled in `currency`.
    pub const fn flat(currency: Currency) -> Self {
        Self {
            quantity: Decimal::ZERO,
            cost: 0,
            margin: Money::zero(currency),
            leverage: Decimal::ONE,
            leverage_seq: 0,
            realised_profit: Money::zero(currency),
            margin_mode: MarginMode::Cross,
            opened_under: None,
        }
    }

    /// The figures that hold for it when an event says it is about `contract`: those it was opened
    /// under, else the event's.
    pub fn contract<'a>(&'a self, contract: &'a Contract) -> Cow<'a, Contract> {
        match &self.opened_under {
            Some(opened_under) => Cow::Borrowed(opened_under),
            None if self.is_open() => Cow::Owned(self.contract_before_figures_were_kept(contract)),
            None => Cow::Borrowed(contract),
        }
    }

    /// Whatever an earlier release can have opened it under: that release knew linear contracts,
    /// half-even rounding and no tiers. Only the multiplier has to be the event's.
    fn contract_before_figures_were_kept(&self, contract: &Contract) -> Contract {
        Contract {
            symbol: contract.symbol.clone(),
            kind: ContractKind::Linear,
            multiplier: contract.multiplier,
            settled_in: self.margin.currency(),
            rounding: Roundings::default(),
            maintenance: None,
        }
    }

    /// Whether something is held.
    pub const fn is_open(&self) -> bool {
        !self.quantity.is_zero()
    }

    /// 1 for long, −1 for short, 0 for closed.
    pub const fn sign(&self) -> i128 {
        match (self.quantity.is_zero(), self.quantity.is_sign_negative()) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// The average entry price, derived from the exact cost: `C / |q|`, inverse `|q| / C`.
    pub fn entry_price(&self, kind: ContractKind) -> Result<Option<Decimal>, TooLarge> {
        if !self.is_open() || self.cost == 0 {
            return Ok(None);
        }
        let (cost, quantity) =
            (Exact::new(self.cost, COST_DECIMALS), Exact::from(self.quantity.abs()));
        let units = match kind {
            ContractKind::Linear => {
                cost.divided_by(quantity, PRICE_DECIMALS, Rounding::HalfEven)?
            }
            ContractKind::Inverse => {
                quantity.divided_by(cost, PRICE_DECIMALS, Rounding::HalfEven)?
            }
        };
        let price =
            Decimal::try_from_i128_with_scale(units, PRICE_DECIMALS).map_err(|_| TooLarge)?;
        Ok(Some(price.normalize()))
    }
}
