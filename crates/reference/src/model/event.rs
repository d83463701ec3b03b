//! What an event says, by the contract's table of events; anything else is no event.

use serde_json::Value;

use super::contract::Contract;
use super::currency::Currency;
use super::exchange::Rates;
use super::fields::Fields;
use super::fraction::Fraction;
use super::posting::Contra;
use super::product::Product;
use crate::script::Account;

/// Decimals to which prices, rates and leverages are read: no event needs more.
pub(super) const RATE_DECIMALS: u32 = 12;

/// An amount of a currency, in its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) currency: Currency,
    pub(crate) units: i128,
}

/// A trade of two currencies, for one of its sides.
#[derive(Debug)]
pub(super) struct PairFill {
    pub(super) buys: bool,
    pub(super) base: Currency,
    /// In units of the base.
    pub(super) quantity: i128,
    pub(super) price: Rate,
    /// In units of what is paid.
    pub(super) reserved: i128,
    pub(super) fee: Amount,
}

/// A trade of a contract, for one of its sides.
#[derive(Debug)]
pub(super) struct ContractFill {
    pub(super) contract: Contract,
    pub(super) buys: bool,
    /// Only of a hedge account.
    pub(super) position_side: Option<PositionSide>,
    pub(super) margin_mode: MarginMode,
    /// At [`super::contract::QUANTITY_DECIMALS`].
    pub(super) quantity: i128,
    pub(super) price: Rate,
    pub(super) leverage: Rate,
    /// In units of the settlement currency, as the fee.
    pub(super) reserved: i128,
    pub(super) fee: i128,
}

/// Margin that is put to a position, or taken out of it.
#[derive(Debug)]
pub(super) struct MarginChange {
    pub(super) contract: Contract,
    /// Only of a hedge account.
    pub(super) position_side: Option<PositionSide>,
    /// Of the settlement currency; below zero what is taken out.
    pub(super) units: i128,
}

/// Which of a hedge account's two positions in a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PositionSide {
    Long,
    Short,
}

impl PositionSide {
    pub(crate) const BOTH: [Self; 2] = [Self::Long, Self::Short];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Short => "short",
        }
    }
}

/// How a position is margined: money moves alike (P4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarginMode {
    Cross,
    Isolated,
}

impl MarginMode {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Cross => Self::Isolated,
            Self::Isolated => Self::Cross,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::Isolated => "isolated",
        }
    }
}

/// A price, a rate or a leverage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// At [`RATE_DECIMALS`].
    pub(super) units: i128,
}

impl Rate {
    pub(super) const ONE: Self = Self { units: 10_i128.pow(RATE_DECIMALS) };

    pub(super) fn exact(self) -> Fraction {
        Fraction::new(self.units, RATE_DECIMALS)
    }
}

/// An event that is valid.
#[derive(Debug)]
pub(super) enum Event {
    Opened { hedge: bool, credit: Option<Amount> },
    Closed,
    CreditChanged { limit: Amount, enabled: bool },
    Deposited(Amount),
    WithdrawalRequested { id: String, amount: Amount },
    WithdrawalSettled { id: String },
    WithdrawalCancelled { id: String },
    TransferRequested { id: String, to: Account, amount: Amount },
    Reserved { amount: Amount, may_borrow: bool },
    Released(Amount),
    PairFilled(PairFill),
    ContractFilled(ContractFill),
    Funded { contract: Contract, rate: Rate, mark_price: Rate },
    MarginChanged(MarginChange),
    LeverageChanged { contract: Contract, leverage: Rate },
    Charged { amount: Amount, to: Contra },
    LiquidationStarted,
    LiquidationEnded,
    Adjusted { amount: Amount, force: bool },
}

/// An event and the rates it carries.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) event: Event,
    pub(super) rates: Rates,
}

/// What is not valid.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A request, which is answered.
    Request,
    /// A fact, or nothing anybody knows.
    Poison,
}

/// The contract's **R** events; every other known type is a fact.
const REQUESTS: [&str; 9] = [
    "account.opened",
    "account.closed",
    "credit.changed",
    "withdrawal.requested",
    "transfer.requested",
    "order.reserved",
    "margin.changed",
    "leverage.changed",
    "adjustment.posted",
];

impl Event {
    /// Whether it asks for something, so that it can be refused.
    pub(super) const fn is_request(&self) -> bool {
        matches!(
            self,
            Self::Opened { .. }
                | Self::Closed
                | Self::CreditChanged { .. }
                | Self::WithdrawalRequested { .. }
                | Self::TransferRequested { .. }
                | Self::Reserved { .. }
                | Self::MarginChanged(_)
                | Self::LeverageChanged { .. }
                | Self::Adjusted { .. }
        )
    }

    /// Reads an event of an account of a product.
    pub(super) fn read(event: &Value, product: Product) -> Result<Reading, Unreadable> {
        let fields = event.as_object().ok_or(Unreadable::Poison)?;
        let kind = fields.get("type").and_then(Value::as_str).ok_or(Unreadable::Poison)?;
        let read = Fields::besides_type(fields, product).into_event(kind);
        let request = REQUESTS.contains(&kind);
        read.ok_or(if request { Unreadable::Request } else { Unreadable::Poison })
    }
}
