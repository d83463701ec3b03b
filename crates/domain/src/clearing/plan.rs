//! The plan of an event: its rule's legs, with every figure that the event alone determines.

use crate::event::{Event, PairFill};
use crate::money::{Money, MoneyError};
use crate::plan::{AmountName, PlannedAmount, PlannedLeg, Shortfall, resolve};
use crate::rulebook::RuleLeg;

/// The legs of `event` under a rule. Figures that the position or account stage owes stay names.
pub(super) fn plan(event: &Event, rule: &[RuleLeg]) -> Result<Vec<PlannedLeg>, MoneyError> {
    let shortfall = shortfall_of(event);
    let legs = rule.iter().map(|leg| PlannedLeg {
        from: leg.from.clone(),
        to: leg.to.clone(),
        amount: PlannedAmount::Named(leg.amount),
        shortfall: leg.shortfall.unwrap_or(shortfall),
    });
    let figures = figures(event)?;
    resolve(legs, |name| figures.iter().find(|(known, _)| *known == name).map(|(_, money)| *money))
}

/// What an event itself says of a shortfall, for legs whose rule leaves it to the event.
const fn shortfall_of(event: &Event) -> Shortfall {
    match event {
        Event::OrderReserved { may_borrow: true, .. } => Shortfall::Borrow,
        Event::AdjustmentPosted { force: true, .. } => Shortfall::Force,
        _ => Shortfall::Reject,
    }
}

/// The figures that an event itself brings, by name; those that are zero as well.
///
/// # Errors
/// If one is out of range.
pub fn figures(event: &Event) -> Result<Vec<(AmountName, Money)>, MoneyError> {
    Ok(match event {
        Event::DepositReceived { amount, .. }
        | Event::WithdrawalRequested { amount, .. }
        | Event::OrderReserved { amount, .. }
        | Event::OrderReleased { amount, .. }
        | Event::FeeCharged { amount, .. }
        | Event::TransferRequested { amount, .. }
        | Event::TransferArrived { amount, .. }
        | Event::TransferReturned { amount, .. }
        | Event::InterestCharged { amount } => vec![(AmountName::Amount, *amount)],
        Event::AdjustmentPosted { amount, .. } | Event::MarginChanged { amount, .. } => {
            vec![
                (AmountName::Credit, amount.or_zero()),
                (AmountName::Debit, amount.negated().or_zero()),
            ]
        }
        Event::PairFilled(fill) => pair_figures(fill)?,
        Event::AccountOpened { .. }
        | Event::AccountClosed
        | Event::CreditChanged { .. }
        | Event::WithdrawalSettled { .. }
        | Event::WithdrawalCancelled { .. }
        | Event::TransferLanded { .. }
        | Event::ContractFilled(_)
        | Event::FundingCharged { .. }
        | Event::FundingUnpaid { .. }
        | Event::LeverageChanged { .. }
        | Event::MarginPosted { .. }
        | Event::LiquidationStarted
        | Event::LiquidationEnded => Vec::new(),
    })
}

/// What the fill does not need of its reserve goes back; what it needs more comes from available.
fn pair_figures(fill: &PairFill) -> Result<Vec<(AmountName, Money)>, MoneyError> {
    let from_reserve = fill.reserved.min(fill.paid)?;
    Ok(vec![
        (AmountName::PaidFromReserve, from_reserve),
        (AmountName::PaidFromAvailable, fill.paid.minus(from_reserve)?),
        (AmountName::Received, fill.received),
        (AmountName::ReserveReturned, fill.reserved.minus(from_reserve)?),
        (AmountName::Fee, fill.fee.or_zero()),
        (AmountName::Rebate, fill.fee.negated().or_zero()),
    ])
}
