//! Subjects (科目): the named shares of money that legs move it between.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share of an account's money in one currency, or a contra subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Free to use.
    Available,
    /// Held for orders.
    Frozen,
    /// Held for positions.
    Margin,
    /// Held for withdrawals.
    Withdrawing,
    /// Owed by the account; legs *from* it are borrowing.
    Borrowed,
    /// Not the account's: `house:fees`, `external:bank`, `transit`. Exists only in the journal;
    /// its balance is the sum over it (DESIGN §4).
    Contra(ArrayString<24>),
}

/// The name of [`Subject::house_exchange`].
const HOUSE_EXCHANGE: &str = "house:exchange";

/// A text that is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a subject: an account's available, frozen, margin, withdrawing or borrowed, or a contra subject such as house:fees, external:bank or transit"
)]
pub struct InvalidSubject(String);

impl Subject {
    /// The subjects every account has in every currency.
    pub const OF_ACCOUNT: [Self; 5] =
        [Self::Available, Self::Frozen, Self::Margin, Self::Withdrawing, Self::Borrowed];

    /// The other side of every exchange into and out of a card's currency. The account stage moves
    /// it by itself, so every chart has it; by currency it is not zero, over all rates it is what
    /// the house holds of one currency for another.
    pub fn house_exchange() -> Self {
        Self::Contra(HOUSE_EXCHANGE.parse().unwrap_or_default())
    }

    /// The subject's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Available => "available",
            Self::Frozen => "frozen",
            Self::Margin => "margin",
            Self::Withdrawing => "withdrawing",
            Self::Borrowed => "borrowed",
            Self::Contra(name) => name,
        }
    }

    /// Whether the money is not the account's.
    pub const fn is_contra(&self) -> bool {
        matches!(self, Self::Contra(_))
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        if let Some(subject) = Self::OF_ACCOUNT.into_iter().find(|subject| subject.name() == text) {
            return Ok(subject);
        }
        let invalid = || InvalidSubject(text.chars().take(40).collect());
        let word =
            |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let contra = text == "transit"
            || text.split_once(':').is_some_and(|(owner, what)| word(owner) && word(what));
        match ArrayString::from(text) {
            Ok(name) if contra => Ok(Self::Contra(name)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_exchange_is_a_contra_subject_under_its_whole_name() {
        assert_eq!(Subject::house_exchange().name(), "house:exchange");
        assert_eq!("house:exchange".parse(), Ok(Subject::house_exchange()));
        assert!(Subject::house_exchange().is_contra());
    }
}
