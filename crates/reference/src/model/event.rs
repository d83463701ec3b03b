//! What an event says, by the contract's table of events; anything else is no event.

use serde_json::Value;

use super::currency::Currency;
use super::fields::Fields;
use super::fraction::Fraction;

/// Decimals to which prices, rates and leverages are read: no event needs more.
pub(super) const RATE_DECIMALS: u32 = 12;

/// An amount of a currency, in its units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) currency: Currency,
    pub(super) units: i128,
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
    pub(super) symbol: String,
    pub(super) buys: bool,
    /// At [`super::fill::QUANTITY_DECIMALS`].
    pub(super) quantity: i128,
    pub(super) price: Rate,
    pub(super) leverage: Rate,
    /// In units of USDT, as the fee.
    pub(super) reserved: i128,
    pub(super) fee: i128,
}

/// A price, a rate or a leverage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// At [`RATE_DECIMALS`].
    pub(super) units: i128,
}

impl Rate {
    pub(super) fn exact(self) -> Fraction {
        Fraction::new(self.units, RATE_DECIMALS)
    }
}

/// An event that is valid.
#[derive(Debug)]
pub(super) enum Event {
    Opened { credit: Option<Amount> },
    Closed,
    CreditChanged { limit: Amount, enabled: bool },
    Deposited(Amount),
    WithdrawalRequested { id: String, amount: Amount },
    WithdrawalSettled { id: String },
    WithdrawalCancelled { id: String },
    Reserved { amount: Amount, may_borrow: bool },
    Released(Amount),
    PairFilled(PairFill),
    ContractFilled(ContractFill),
    Funded { symbol: String, rate: Rate, mark_price: Rate },
    Charged(Amount),
    LiquidationStarted,
    LiquidationEnded,
    Adjusted { amount: Amount, force: bool },
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
                | Self::Reserved { .. }
                | Self::Adjusted { .. }
        )
    }

    /// Reads an event of an account that has positions, or has none.
    pub(super) fn read(event: &Value, has_positions: bool) -> Result<Self, Unreadable> {
        let fields = event.as_object().ok_or(Unreadable::Poison)?;
        let kind = fields.get("type").and_then(Value::as_str).ok_or(Unreadable::Poison)?;
        let read = Fields::besides_type(fields).into_event(kind, has_positions);
        let request = REQUESTS.contains(&kind);
        read.ok_or(if request { Unreadable::Request } else { Unreadable::Poison })
    }
}
