//! Which figures each kind of event brings: the words a rule may use, and must.

use super::InstrumentKind;
use crate::event::EventKind;
use crate::plan::AmountName;

/// The figures that `kind` brings in a product that trades `instruments`.
pub const fn vocabulary(kind: EventKind, instruments: InstrumentKind) -> &'static [AmountName] {
    use AmountName::*;
    match kind {
        EventKind::AccountOpened
        | EventKind::AccountClosed
        | EventKind::CreditChanged
        | EventKind::TransferLanded
        | EventKind::LiquidationStarted
        | EventKind::LiquidationEnded => &[],
        EventKind::DepositReceived
        | EventKind::WithdrawalRequested
        | EventKind::TransferRequested
        | EventKind::TransferArrived
        | EventKind::TransferReturned
        | EventKind::OrderReserved
        | EventKind::OrderReleased
        | EventKind::FeeCharged
        | EventKind::InterestCharged => &[Amount],
        EventKind::WithdrawalSettled | EventKind::WithdrawalCancelled => &[WithdrawalAmount],
        EventKind::MarginChanged | EventKind::AdjustmentPosted => &[Credit, Debit],
        EventKind::LeverageChanged => &[MarginFromAvailable, MarginReleased],
        EventKind::MarginPosted => &[MarginReleased],
        EventKind::FundingCharged => &[FundingPaid, IsolatedFundingPaid, FundingReceived],
        EventKind::FundingUnpaid => &[FundingFromMargin, FundingBeyondMargin],
        EventKind::TradeFilled => match instruments {
            InstrumentKind::Pairs => {
                &[PaidFromReserve, PaidFromAvailable, Received, ReserveReturned, Fee, Rebate]
            }
            InstrumentKind::Contracts => &[
                MarginFromReserve,
                MarginFromAvailable,
                PositionReserveReturned,
                MarginReleased,
                RealisedProfit,
                RealisedLoss,
                ClosingFee,
                ClosingRebate,
                OpeningFee,
                OpeningRebate,
            ],
        },
    }
}
