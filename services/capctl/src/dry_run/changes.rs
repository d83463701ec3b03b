//! What is another after a message: money and positions, before and after.

use cap_domain::account::{AccountState, Balance};
use cap_domain::ids::Symbol;
use cap_domain::instrument::Contract;
use cap_domain::money::{CurrencyCode, Money};
use cap_domain::position::{Position, PositionState};
use rust_decimal::Decimal;
use serde::Serialize;

/// A share of an account's money that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceChange {
    /// The currency.
    pub currency: CurrencyCode,
    /// The share: available, frozen, margin, withdrawing or borrowed.
    pub subject: &'static str,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

/// A position that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PositionChange {
    /// The contract.
    pub symbol: Symbol,
    /// Before; none: there never was one.
    pub before: Option<Held>,
    /// After.
    pub after: Held,
}

/// What is held of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// How much: above zero long, below zero short.
    pub quantity: Decimal,
    /// The average entry price; none when nothing is held.
    pub entry_price: Option<Decimal>,
    /// The margin held for it.
    pub margin: String,
}

/// Every share of money that is another.
pub(super) fn balance_changes(before: &AccountState, after: &AccountState) -> Vec<BalanceChange> {
    let mut changes = Vec::new();
    for (currency, now) in &after.balances {
        let was = before.balances.get(currency).copied();
        let was = was.unwrap_or_else(|| Balance::zero(now.available.currency()));
        let both = shares(&was).into_iter().zip(shares(now));
        changes.extend(both.filter(|((_, was), (_, now))| was != now).map(
            |((subject, was), (_, now))| BalanceChange {
                currency: *currency,
                subject,
                before: was.amount(),
                after: now.amount(),
            },
        ));
    }
    changes
}

const fn shares(balance: &Balance) -> [(&'static str, Money); 5] {
    [
        ("available", balance.available),
        ("frozen", balance.frozen),
        ("margin", balance.margin),
        ("withdrawing", balance.withdrawing),
        ("borrowed", balance.borrowed),
    ]
}

/// The position in `contract`, if it is another.
pub(super) fn position_change(
    contract: &Contract,
    before: &PositionState,
    after: &PositionState,
) -> Option<PositionChange> {
    let held = |state: &PositionState| {
        state.positions.get(&contract.symbol).map(|position| held(contract, position))
    };
    let (before, after) = (held(before), held(after)?);
    (before.as_ref() != Some(&after)).then(|| PositionChange {
        symbol: contract.symbol.clone(),
        before,
        after,
    })
}

fn held(contract: &Contract, position: &Position) -> Held {
    Held {
        quantity: position.quantity.normalize(),
        entry_price: position.entry_price(contract.kind).unwrap_or_default(),
        margin: position.margin.amount(),
    }
}
