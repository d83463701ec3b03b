//! The kinds of events there are, and which of them may be rejected.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether an event may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventClass {
    /// Asks for something: rejecting it is a final, journaled outcome.
    Request,
    /// Has happened: it cannot be rejected, and what does not fit suspends the lane.
    Fact,
}

macro_rules! kinds {
    ($($kind:ident $class:ident $name:literal $doc:literal,)*) => {
        /// A kind of event, by its `type` on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $(#[doc = $doc] #[serde(rename = $name)] $kind,)*
        }

        impl EventKind {
            /// Every kind, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The `type` on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Whether CAP itself sends it, as the consequence of another event.
            pub const fn is_from_cap(self) -> bool {
                matches!(
                    self,
                    Self::TransferArrived
                        | Self::TransferReturned
                        | Self::TransferLanded
                        | Self::MarginPosted
                        | Self::FundingUnpaid
                )
            }

            /// Whether CAP itself sends what calls itself so.
            pub fn is_from_cap_by_name(name: &str) -> bool {
                name.parse().is_ok_and(Self::is_from_cap)
            }

            /// Whether it may be refused.
            pub const fn class(self) -> EventClass {
                match self { $(Self::$kind => EventClass::$class,)* }
            }
        }
    };
}

kinds! {
    AccountOpened Request "account.opened" "The account exists.",
    AccountClosed Request "account.closed" "The account is closed for good.",
    CreditChanged Request "credit.changed" "The credit line is another.",
    DepositReceived Fact "deposit.received" "Money came in.",
    WithdrawalRequested Request "withdrawal.requested" "The customer wants money out.",
    WithdrawalSettled Fact "withdrawal.settled" "A withdrawal was paid.",
    WithdrawalCancelled Fact "withdrawal.cancelled" "A withdrawal will not be paid.",
    TransferRequested Request "transfer.requested" "Money is to go to another account.",
    TransferArrived Request "transfer.arrived" "Money of another account is to land here: CAP sends it.",
    TransferReturned Request "transfer.returned" "A transfer could not land: CAP sends it.",
    TransferLanded Request "transfer.landed" "A transfer has landed: CAP sends it.",
    OrderReserved Request "order.reserved" "An order wants its money held.",
    OrderReleased Fact "order.released" "An order no longer needs what it held.",
    TradeFilled Fact "trade.filled" "A trade was made.",
    FundingCharged Fact "funding.charged" "Funding fell due.",
    FundingUnpaid Fact "funding.unpaid" "Funding that an isolated position is to pay itself: CAP sends it.",
    FeeCharged Fact "fee.charged" "A fee outside of a trade.",
    InterestCharged Fact "interest.charged" "Interest on what is borrowed.",
    MarginChanged Request "margin.changed" "Isolated margin is to be added or removed.",
    LeverageChanged Request "leverage.changed" "A position is to have another leverage.",
    MarginPosted Fact "margin.posted" "Margin that account has put aside for a position: CAP sends it.",
    LiquidationStarted Fact "liquidation.started" "The account is being liquidated.",
    LiquidationEnded Fact "liquidation.ended" "The liquidation is over.",
    AdjustmentPosted Request "adjustment.posted" "A corporate action, a zeroing, a repair.",
}

/// A `type` that no event has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the type of any event")]
pub struct UnknownEventKind(String);

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(text: &str) -> Result<Self, UnknownEventKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownEventKind(text.chars().take(64).collect()))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
