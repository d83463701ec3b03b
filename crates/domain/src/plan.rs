//! A posting plan (C3): who → whom, how much, and what to do when it is not there.
//!
//! Clearing writes the plan, position fills in the amounts it alone can compute, account posts
//! it. An amount that is still only a name says which stage owes the figure.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::division::{Source, Target};
use crate::json::{TextOr, read_text_or};
use crate::money::{Money, MoneyError};

/// What happens when `available` cannot cover a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shortfall {
    /// The request is rejected.
    Reject,
    /// Borrowed within the credit line, else rejected.
    Borrow,
    /// Becomes liability whatever the credit line: facts cannot be undone.
    Force,
    /// What is there is paid, and the rest is asked of the position: `funding.unpaid` (ADR 11).
    Position,
}

/// A movement of one amount, as a rule between two subjects: it balances by construction. It may be
/// drawn from several, and split over several as soon as it is known ([`crate::division`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLeg {
    /// Whose money goes down.
    pub from: Source,
    /// Whose money goes up.
    pub to: Target,
    /// How much.
    pub amount: PlannedAmount,
    /// What if `from`, or the last of it, is short.
    pub shortfall: Shortfall,
}

/// An amount, or the name of the figure that a later stage puts in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PlannedAmount {
    /// Known.
    Known(Money),
    /// Owed by a later stage.
    Named(AmountName),
}

impl<'de> TextOr<'de> for PlannedAmount {
    const EXPECTED: &'static str = "an amount or the name of one";

    fn of_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map(Self::Named).map_err(E::custom)
    }

    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Money::deserialize(MapAccessDeserializer::new(object)).map(Self::Known)
    }
}

impl<'de> Deserialize<'de> for PlannedAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text_or(deserializer)
    }
}

macro_rules! amount_names {
    ($($name:ident $text:literal $doc:literal,)*) => {
        /// A figure that a rulebook can move; the first word of its name says which stage computes it:
        /// `event` clearing, from the event alone, `position` and `account` the stages so named.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AmountName {
            $(#[doc = $doc] $name,)*
        }

        impl AmountName {
            /// Every name there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in a rulebook.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

        }
    };
}

amount_names! {
    Amount "event.amount" "The event's amount.",
    Credit "event.credit" "A signed amount, if above zero.",
    Debit "event.debit" "A signed amount's size, if below zero.",
    PaidFromReserve "event.paid_from_reserve" "What a pair fill pays out of what was reserved for it.",
    PaidFromAvailable "event.paid_from_available" "What it pays beyond that.",
    Received "event.received" "What a pair fill receives.",
    ReserveReturned "event.reserve_returned" "What it leaves of its reserve.",
    Fee "event.fee" "The fee, if it is one.",
    Rebate "event.rebate" "The rebate, if the fee is below zero.",
    MarginFromReserve "position.margin_from_reserve" "Margin added out of what was reserved.",
    MarginFromAvailable "position.margin_from_available" "Margin added beyond that.",
    PositionReserveReturned "position.reserve_returned" "What a contract fill leaves of its reserve.",
    MarginReleased "position.margin_released" "Margin that a closing part sets free.",
    RealisedProfit "position.realised_profit" "What a closing part wins.",
    RealisedLoss "position.realised_loss" "What a closing part loses.",
    ClosingFee "position.closing_fee" "The closing part's share of the fee.",
    ClosingRebate "position.closing_rebate" "The closing part's share of the rebate.",
    OpeningFee "position.opening_fee" "The opening part's share of the fee.",
    OpeningRebate "position.opening_rebate" "The opening part's share of the rebate.",
    FundingPaid "position.funding_paid" "Funding that the holder pays.",
    IsolatedFundingPaid "position.isolated_funding_paid" "Funding that the holder of an isolated position pays.",
    FundingReceived "position.funding_received" "Funding that the holder receives.",
    FundingFromMargin "position.funding_from_margin" "Unpaid funding that the position's own margin pays.",
    FundingBeyondMargin "position.funding_beyond_margin" "Unpaid funding that its margin does not cover.",
    WithdrawalAmount "account.withdrawal_amount" "The amount of the withdrawal that the event names.",
}

/// A text that names no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an amount")]
pub struct UnknownAmount(String);

impl FromStr for AmountName {
    type Err = UnknownAmount;

    fn from_str(text: &str) -> Result<Self, UnknownAmount> {
        Self::ALL
            .iter()
            .copied()
            .find(|name| name.text() == text)
            .ok_or_else(|| UnknownAmount(text.chars().take(60).collect()))
    }
}

impl fmt::Display for AmountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for AmountName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for AmountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::read_text(deserializer, str::parse)
    }
}

/// Fills in the legs whose figure `amount_of` knows, and splits what is to be split of them; legs that
/// turn out to move nothing go.
///
/// # Errors
/// If a part of a split does not fit.
pub fn resolve(
    legs: impl IntoIterator<Item = PlannedLeg>,
    amount_of: impl Fn(AmountName) -> Option<Money>,
) -> Result<Vec<PlannedLeg>, MoneyError> {
    let legs = legs.into_iter();
    let mut resolved = Vec::with_capacity(legs.size_hint().0);
    for leg in legs {
        let PlannedLeg { from, to, amount, shortfall } = leg;
        let known = match &amount {
            PlannedAmount::Named(name) => amount_of(*name),
            PlannedAmount::Known(money) => Some(*money),
        };
        match (known, to) {
            (None, to) => resolved.push(PlannedLeg { from, to, amount, shortfall }),
            (Some(money), _) if money.is_zero() => {}
            (Some(money), to @ Target::One(_)) => {
                let amount = PlannedAmount::Known(money);
                resolved.push(PlannedLeg { from, to, amount, shortfall });
            }
            (Some(money), Target::Split(split)) => {
                let parts = split.parts(money)?.into_iter().filter(|(_, part)| !part.is_zero());
                resolved.extend(parts.map(|(to, part)| PlannedLeg {
                    from: from.clone(),
                    to: to.into(),
                    amount: PlannedAmount::Known(part),
                    shortfall,
                }));
            }
        }
    }
    Ok(resolved)
}
