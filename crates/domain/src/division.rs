//! Dividing money over subjects by formula (A7): an incoming amount is *split* over several, an
//! outgoing one is *drawn* from several in a stated order.
//!
//! A split is arithmetic, so it is done where the amount becomes known ([`crate::plan::resolve`]). What
//! a draw takes of each subject depends on what is there, which account alone knows (C2).

use std::fmt;

use rust_decimal::Decimal;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize};

use crate::json::{TextOr, read_text_or};
use crate::money::{Exact, Money, MoneyError, Rounding};
use crate::subject::Subject;

/// The most subjects that one amount is drawn from.
pub const DRAWN_MAX: usize = 8;

/// The most subjects that one amount is split over, the one that takes the remainder included.
pub const PARTS_MAX: usize = 8;

/// Whose money goes down. In JSON a subject, or a list of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// One subject's.
    One(Subject),
    /// Several subjects', in this order: each gives what it has until the amount is reached, and the
    /// last one answers for what is missing.
    InOrder(Vec<Subject>),
}

/// Whose money goes up. In JSON a subject, or an object with `shares` and `remainder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// One subject's.
    One(Subject),
    /// Several subjects'.
    Split(Split),
}

/// How an amount is split: so much of it to each of some subjects, and what is left to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The shares, in the order in which they are taken.
    pub shares: Vec<Share>,
    /// Who takes what is left, and with it whatever rounding leaves.
    pub remainder: Subject,
}

/// A subject's share of an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose.
    pub to: Subject,
    /// Of one: above 0, and all shares of a split together below 1.
    pub share: Decimal,
}

impl Split {
    /// The parts of `amount` in order, the remainder's last: together exactly `amount`, and none below
    /// zero if `amount` is not.
    ///
    /// Each is `amount × share`, rounded half-even to the currency's decimals, but no more than the
    /// parts before it leave: of 0.02, three shares of a third are 0.01, 0.01 and nothing.
    ///
    /// # Errors
    /// If a share is not below 1 and its part does not fit.
    pub fn parts(&self, amount: Money) -> Result<Vec<(Subject, Money)>, MoneyError> {
        let currency = amount.currency();
        let mut left = amount;
        let mut parts = Vec::with_capacity(self.shares.len() + 1);
        for Share { to, share } in &self.shares {
            let rounded = Exact::from(amount).times(*share);
            let rounded = rounded.and_then(|exact| exact.money(currency, Rounding::HalfEven));
            let part = rounded.map_err(|_| MoneyError::TooLarge(currency.code))?.min(left)?;
            left = left.minus(part)?;
            parts.push((*to, part));
        }
        parts.push((self.remainder, left));
        Ok(parts)
    }
}

impl Source {
    /// The subjects, in order.
    pub fn subjects(&self) -> &[Subject] {
        match self {
            Self::One(subject) => std::slice::from_ref(subject),
            Self::InOrder(subjects) => subjects,
        }
    }
}

impl Target {
    /// The subjects, in order.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let (shares, last) = match self {
            Self::One(subject) => (&[][..], *subject),
            Self::Split(split) => (split.shares.as_slice(), split.remainder),
        };
        shares.iter().map(|share| share.to).chain([last])
    }
}

impl<'de> TextOr<'de> for Source {
    const EXPECTED: &'static str = "a subject or a list of subjects";

    fn of_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map(Self::One).map_err(E::custom)
    }

    fn of_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Self::InOrder)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text_or(deserializer)
    }
}

impl<'de> TextOr<'de> for Target {
    const EXPECTED: &'static str = "a subject or a split";

    fn of_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map(Self::One).map_err(E::custom)
    }

    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Split::deserialize(MapAccessDeserializer::new(object)).map(Self::Split)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text_or(deserializer)
    }
}

impl From<Subject> for Source {
    fn from(subject: Subject) -> Self {
        Self::One(subject)
    }
}

impl From<Subject> for Target {
    fn from(subject: Subject) -> Self {
        Self::One(subject)
    }
}

impl PartialEq<Subject> for Source {
    fn eq(&self, subject: &Subject) -> bool {
        matches!(self, Self::One(one) if one == subject)
    }
}

impl PartialEq<Subject> for Target {
    fn eq(&self, subject: &Subject) -> bool {
        matches!(self, Self::One(one) if one == subject)
    }
}

impl fmt::Display for Source {
    /// `bonus, cash, available`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.subjects().iter().map(Subject::name).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Display for Target {
    /// `bonus (0.1), cash (remainder)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(subject) => write!(f, "{subject}"),
            Self::Split(Split { shares, remainder }) => {
                for Share { to, share } in shares {
                    write!(f, "{to} ({share}), ")?;
                }
                write!(f, "{remainder} (remainder)")
            }
        }
    }
}
