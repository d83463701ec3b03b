//! What is another after a message: money and positions, before and after.

use cap_domain::account::{AccountState, Balance};
use cap_domain::ids::Symbol;
use cap_domain::instrument::Contract;
use cap_domain::money::CurrencyCode;
use cap_domain::position::{HedgeSide, Position, PositionState};
use rust_decimal::Decimal;
use serde::Serialize;

/// A share of an account's money that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BalanceChange {
    /// The currency.
    pub currency: CurrencyCode,
    /// The share: available, frozen, margin, withdrawing, borrowed, or one that the rulebook declares.
    pub subject: String,
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
    /// Which of a hedge account's two positions of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_side: Option<HedgeSide>,
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
        let nothing = Balance::zero(now.available.currency());
        let was = before.balances.get(currency).unwrap_or(&nothing);
        let share_before = |name: &str| {
            let share = was.shares().find(|(share, _)| *share == name);
            share.map_or(nothing.available, |(_, money)| money)
        };
        let both = now.shares().map(|(name, now)| (name, share_before(name), now));
        changes.extend(both.filter(|(_, was, now)| was != now).map(|(subject, was, now)| {
            BalanceChange {
                currency: *currency,
                subject: subject.to_owned(),
                before: was.amount(),
                after: now.amount(),
            }
        }));
    }
    changes
}

/// The position in `contract` that is another: a message changes one at most.
pub(super) fn position_change(
    contract: &Contract,
    before: &PositionState,
    after: &PositionState,
) -> Option<PositionChange> {
    let in_contract = after.positions.iter().filter(|(key, _)| key.symbol == contract.symbol);
    in_contract
        .map(|(key, position)| {
            let before = before.positions.get(key).map(|position| held(contract, position));
            (key, before, held(contract, position))
        })
        .find(|(_, before, after)| before.as_ref() != Some(after))
        .map(|(key, before, after)| PositionChange {
            symbol: key.symbol.clone(),
            position_side: key.side,
            before,
            after,
        })
}

fn held(contract: &Contract, position: &Position) -> Held {
    let kind = position.contract(contract).kind;
    Held {
        quantity: position.quantity.normalize(),
        entry_price: position.entry_price(kind).unwrap_or_default(),
        margin: position.margin.amount(),
    }
}
