//! What upstream says happened (T61): the events of `CONTRACT.md`, valid by construction.
//!
//! Wire JSON becomes an [`Event`] once, at clearing's door ([`door`]); between the stages and in
//! the journals an `Event` is written in this module's own, already resolved form.

pub mod door;
mod kind;
mod tagged;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use kind::{EventClass, EventKind};

use crate::ids::{AccountKey, ExternalId, RequestId, Symbol};
use crate::instrument::Contract;
use crate::money::Money;
use crate::position::{HedgeSide, MarginMode, PositionMode};
use tagged::tagged;

tagged! {
    /// One event of an account.
    pub enum Event {
        /// The account exists from here on (A3).
        #[serde(rename = "account.opened")]
        AccountOpened {
            /// Whose account it is.
            customer: ExternalId,
            /// The most it may borrow, in the card's currency; none: it may not borrow.
            credit_limit: Option<Money>,
            /// How many positions it holds of one symbol.
            #[serde(default, skip_serializing_if = "PositionMode::is_one_way")]
            position_mode: PositionMode,
        },
        /// The account is closed for good.
        #[serde(rename = "account.closed")]
        AccountClosed,
        /// The credit line is another.
        #[serde(rename = "credit.changed")]
        CreditChanged {
            /// The most the account may borrow.
            limit: Money,
            /// Whether it may borrow at all.
            enabled: bool,
        },
        /// Money came in.
        #[serde(rename = "deposit.received")]
        DepositReceived {
            /// How much.
            amount: Money,
            /// The payment it came by.
            reference: ExternalId,
        },
        /// The customer wants money out.
        #[serde(rename = "withdrawal.requested")]
        WithdrawalRequested {
            /// Names the withdrawal until it is settled or cancelled.
            withdrawal_id: ExternalId,
            /// How much.
            amount: Money,
        },
        /// A withdrawal was paid.
        #[serde(rename = "withdrawal.settled")]
        WithdrawalSettled {
            /// Which.
            withdrawal_id: ExternalId,
        },
        /// A withdrawal will not be paid.
        #[serde(rename = "withdrawal.cancelled")]
        WithdrawalCancelled {
            /// Which.
            withdrawal_id: ExternalId,
        },
        /// Money is to go to another account, of whichever product and company (A1, C10).
        #[serde(rename = "transfer.requested")]
        TransferRequested {
            /// What the caller knows it by.
            transfer_id: ExternalId,
            /// Where it is to land.
            to: AccountKey,
            /// How much.
            amount: Money,
            /// Whether its landing will be told, so that the lane can keep it under way until then: not
            /// under a rulebook without `transfer.landed`.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            acknowledge: bool,
        },
        /// Money of another account is to land here.
        #[serde(rename = "transfer.arrived")]
        TransferArrived {
            /// What its caller knows it by.
            transfer_id: ExternalId,
            /// Where it comes from.
            from: AccountKey,
            /// How much.
            amount: Money,
            /// Whether its sender is to be told when it has landed.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            acknowledge: bool,
        },
        /// A transfer could not land, and comes back.
        #[serde(rename = "transfer.returned")]
        TransferReturned {
            /// What its caller knows it by.
            transfer_id: ExternalId,
            /// Where it was to land.
            to: AccountKey,
            /// How much.
            amount: Money,
            /// Why it could not.
            reason: String,
            /// The request id of the `transfer.arrived` that was refused; none of a transfer that left
            /// under a rulebook without `transfer.landed`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            arrival: Option<RequestId>,
        },
        /// A transfer has landed: it is no longer under way.
        #[serde(rename = "transfer.landed")]
        TransferLanded {
            /// What its caller knows it by.
            transfer_id: ExternalId,
            /// Where it landed.
            to: AccountKey,
            /// How much.
            amount: Money,
            /// The request id of the `transfer.arrived` that was posted.
            arrival: RequestId,
        },
        /// An order wants its money held.
        #[serde(rename = "order.reserved")]
        OrderReserved {
            /// Which order.
            order_id: ExternalId,
            /// How much.
            amount: Money,
            /// Whether what is short may be borrowed.
            may_borrow: bool,
        },
        /// An order no longer needs what it held.
        #[serde(rename = "order.released")]
        OrderReleased {
            /// Which order.
            order_id: ExternalId,
            /// How much.
            amount: Money,
        },
        /// A trade of two currencies.
        #[serde(rename = "trade.filled.pair")]
        PairFilled(PairFill),
        /// A trade of a contract.
        #[serde(rename = "trade.filled.contract")]
        ContractFilled(ContractFill),
        /// Funding falls due for whoever holds the contract.
        #[serde(rename = "funding.charged")]
        FundingCharged {
            /// The contract.
            contract: Contract,
            /// Positive: longs pay.
            rate: Decimal,
            /// The price at which the position is valued.
            mark_price: Decimal,
        },
        /// Funding that available did not cover: an isolated position is to pay it from its own margin.
        #[serde(rename = "funding.unpaid")]
        FundingUnpaid {
            /// The contract.
            contract: Contract,
            /// Who owed it, whatever is held now: longs or shorts.
            owed_by: HedgeSide,
            /// How much.
            amount: Money,
        },
        /// A fee outside of a trade.
        #[serde(rename = "fee.charged")]
        FeeCharged {
            /// How much.
            amount: Money,
            /// Why.
            reason: String,
        },
        /// Interest on what is borrowed.
        #[serde(rename = "interest.charged")]
        InterestCharged {
            /// How much.
            amount: Money,
        },
        /// Isolated margin is to be added or removed.
        #[serde(rename = "margin.changed")]
        MarginChanged {
            /// The contract.
            contract: Contract,
            /// Which of a hedge account's two positions of it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            position_side: Option<HedgeSide>,
            /// How much, not zero; below zero: taken out.
            amount: Money,
        },
        /// What is open of a contract is to have another leverage.
        #[serde(rename = "leverage.changed")]
        LeverageChanged {
            /// The contract.
            contract: Contract,
            /// Notional over initial margin, above zero.
            leverage: Decimal,
        },
        /// Margin that account has put aside for a position (ADR 11).
        #[serde(rename = "margin.posted")]
        MarginPosted {
            /// The contract.
            contract: Contract,
            /// Which of a hedge account's two positions of it, if it is for one alone.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            position_side: Option<HedgeSide>,
            /// The leverage it was put aside for; none: it is margin added by hand.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            leverage: Option<Decimal>,
            /// Clearing's number of the `leverage.changed` it was put aside for, which tells whether a
            /// later one has taken hold meanwhile; none if that is not tracked.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            leverage_seq: Option<u64>,
            /// How much.
            amount: Money,
        },
        /// The account is being liquidated (A8).
        #[serde(rename = "liquidation.started")]
        LiquidationStarted,
        /// The liquidation is over.
        #[serde(rename = "liquidation.ended")]
        LiquidationEnded,
        /// A corporate action, a zeroing, a repair (C15).
        #[serde(rename = "adjustment.posted")]
        AdjustmentPosted {
            /// How much; below zero: taken.
            amount: Money,
            /// Why.
            reason: String,
            /// Who.
            operator: ExternalId,
            /// Whether it is taken even if it is not there.
            force: bool,
        },
    }
}

/// Which side of the trade the account was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Receives the base currency, or goes long.
    Buy,
    /// Receives the quote currency, or goes short.
    Sell,
}

impl Side {
    /// 1 for a buy, −1 for a sell.
    pub const fn sign(self) -> i128 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

/// Who rested in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liquidity {
    /// The account's order did.
    Maker,
    /// The other side's did.
    Taker,
}

/// One account's side of a trade of two currencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairFill {
    /// The trade.
    pub trade_id: ExternalId,
    /// The account's order.
    pub order_id: ExternalId,
    /// The account's side.
    pub side: Side,
    /// What the account pays: `quantity × price` quote, rounded, if it buys; `quantity` base if it sells.
    pub paid: Money,
    /// What it receives.
    pub received: Money,
    /// How much of the order's frozen money this fill uses up, in the currency it pays.
    pub reserved: Money,
    /// Below zero: a rebate.
    pub fee: Money,
    /// Who rested in the book.
    pub liquidity: Liquidity,
}

/// One account's side of a trade of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractFill {
    /// The trade.
    pub trade_id: ExternalId,
    /// The account's order.
    pub order_id: ExternalId,
    /// What was traded, with the figures its margin needs (T7: they come with the event).
    pub contract: Contract,
    /// The account's side.
    pub side: Side,
    /// How many contracts, above zero.
    pub quantity: Decimal,
    /// At which price, above zero.
    pub price: Decimal,
    /// Notional over initial margin, above zero.
    pub leverage: Decimal,
    /// Whether the position shares the account's money.
    #[serde(default, skip_serializing_if = "MarginMode::is_cross")]
    pub margin_mode: MarginMode,
    /// Which of a hedge account's two positions of the symbol it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_side: Option<HedgeSide>,
    /// How much of the order's frozen money this fill uses up, in the settlement currency.
    pub reserved: Money,
    /// Below zero: a rebate.
    pub fee: Money,
    /// Who rested in the book.
    pub liquidity: Liquidity,
}

impl Event {
    /// Which kind of event it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::AccountOpened { .. } => EventKind::AccountOpened,
            Self::AccountClosed => EventKind::AccountClosed,
            Self::CreditChanged { .. } => EventKind::CreditChanged,
            Self::DepositReceived { .. } => EventKind::DepositReceived,
            Self::WithdrawalRequested { .. } => EventKind::WithdrawalRequested,
            Self::WithdrawalSettled { .. } => EventKind::WithdrawalSettled,
            Self::WithdrawalCancelled { .. } => EventKind::WithdrawalCancelled,
            Self::TransferRequested { .. } => EventKind::TransferRequested,
            Self::TransferArrived { .. } => EventKind::TransferArrived,
            Self::TransferReturned { .. } => EventKind::TransferReturned,
            Self::TransferLanded { .. } => EventKind::TransferLanded,
            Self::OrderReserved { .. } => EventKind::OrderReserved,
            Self::OrderReleased { .. } => EventKind::OrderReleased,
            Self::PairFilled(_) | Self::ContractFilled(_) => EventKind::TradeFilled,
            Self::FundingCharged { .. } => EventKind::FundingCharged,
            Self::FundingUnpaid { .. } => EventKind::FundingUnpaid,
            Self::FeeCharged { .. } => EventKind::FeeCharged,
            Self::InterestCharged { .. } => EventKind::InterestCharged,
            Self::MarginChanged { .. } => EventKind::MarginChanged,
            Self::LeverageChanged { .. } => EventKind::LeverageChanged,
            Self::MarginPosted { .. } => EventKind::MarginPosted,
            Self::LiquidationStarted => EventKind::LiquidationStarted,
            Self::LiquidationEnded => EventKind::LiquidationEnded,
            Self::AdjustmentPosted { .. } => EventKind::AdjustmentPosted,
        }
    }

    /// Whether it may be refused. A return that names no arrival cannot be told from others: it is a
    /// fact, as all returns were when it left.
    pub const fn class(&self) -> EventClass {
        match self {
            Self::TransferReturned { arrival: None, .. } => EventClass::Fact,
            event => event.kind().class(),
        }
    }

    /// Whether what may follow from it is tracked, under a rulebook that says so (ADR 11).
    pub const fn is_tracked(&self) -> bool {
        matches!(self, Self::LeverageChanged { .. } | Self::FundingCharged { .. })
    }

    /// What the caller of a transfer knows it by, where the event is of one.
    pub const fn transfer_id(&self) -> Option<&ExternalId> {
        match self {
            Self::TransferRequested { transfer_id, .. }
            | Self::TransferArrived { transfer_id, .. }
            | Self::TransferReturned { transfer_id, .. }
            | Self::TransferLanded { transfer_id, .. } => Some(transfer_id),
            _ => None,
        }
    }

    /// The contract, where the event is about one.
    pub const fn contract(&self) -> Option<&Contract> {
        match self {
            Self::ContractFilled(fill) => Some(&fill.contract),
            Self::FundingCharged { contract, .. }
            | Self::FundingUnpaid { contract, .. }
            | Self::MarginChanged { contract, .. }
            | Self::LeverageChanged { contract, .. }
            | Self::MarginPosted { contract, .. } => Some(contract),
            _ => None,
        }
    }

    /// The contract's symbol, where the event is about one.
    pub fn symbol(&self) -> Option<&Symbol> {
        self.contract().map(|contract| &contract.symbol)
    }
}
