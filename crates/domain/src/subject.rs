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
    /// A further share of the account's money that its product's rulebook declares: `cash`, `bonus`.
    Declared(SubjectName),
    /// Not the account's: `house:fees`, `external:bank`, `transit`. Exists only in the journal;
    /// its balance is the sum over it (DESIGN §4).
    Contra(ArrayString<24>),
}

/// The name of a subject of the account that a rulebook declares: 1 to 24 of `[a-z_]`, the first a
/// letter, and none that has a meaning already.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectName(ArrayString<24>);

/// Words that no rulebook can declare: `transit` is a contra subject, and an outcome's balance says its
/// `currency` beside its subjects.
const RESERVED: [&str; 2] = [TRANSIT, "currency"];

/// The one contra subject without an owner: what is under way between accounts.
const TRANSIT: &str = "transit";

/// The name of [`Subject::house_exchange`].
const HOUSE_EXCHANGE: &str = "house:exchange";

/// A text that is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a subject: an account's available, frozen, margin, withdrawing or borrowed, one that the rulebook declares such as cash, or a contra subject such as house:fees, external:bank or transit"
)]
pub struct InvalidSubject(String);

impl InvalidSubject {
    /// Of a text that names nothing where it stands.
    pub(crate) fn named(text: &str) -> Self {
        Self(text.chars().take(40).collect())
    }
}

impl SubjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubjectName {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let letter_first = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let taken = RESERVED.contains(&text)
            || Subject::OF_ACCOUNT.iter().any(|subject| subject.name() == text);
        match ArrayString::from(text) {
            Ok(name) if is_word(text) && letter_first && !taken => Ok(Self(name)),
            _ => Err(InvalidSubject::named(text)),
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SubjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SubjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::read_text(deserializer, str::parse)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

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
            Self::Declared(name) => name.as_str(),
            Self::Contra(name) => name,
        }
    }

    /// Whether the money is not the account's.
    pub const fn is_contra(&self) -> bool {
        matches!(self, Self::Contra(_))
    }

    /// Whether the money is the account's and bound to nothing: available, or one that the rulebook
    /// declares. What is frozen, margin or withdrawing is bound to orders, positions and withdrawals,
    /// which know its amount to the last digit.
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Available | Self::Declared(_))
    }

    /// Whether the money is the account's and held for something that knows its amount.
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Frozen | Self::Margin | Self::Withdrawing)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        if let Some(subject) = Self::OF_ACCOUNT.into_iter().find(|subject| subject.name() == text) {
            return Ok(subject);
        }
        let contra = text == TRANSIT
            || text.split_once(':').is_some_and(|(owner, what)| is_word(owner) && is_word(what));
        match ArrayString::from(text) {
            Ok(name) if contra => Ok(Self::Contra(name)),
            _ => text.parse().map(Self::Declared),
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
        crate::json::read_text(deserializer, str::parse)
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

    #[test]
    fn a_bare_word_is_a_subject_that_a_rulebook_may_declare() {
        for word in ["cash", "bonus", "first_deposit", "a", "abcdefghijklmnopqrstuvwx"] {
            let subject: Subject = word.parse().unwrap();
            assert_eq!(
                (subject.name(), subject.is_free(), subject.is_contra()),
                (word, true, false)
            );
            assert!(matches!(subject, Subject::Declared(_)), "{word}");
        }
        for taken in ["available", "frozen", "margin", "withdrawing", "borrowed", "transit"] {
            assert!(!matches!(taken.parse(), Ok(Subject::Declared(_))), "{taken}");
        }
        let too_long = "abcdefghijklmnopqrstuvwxy";
        for no_word in
            ["", "_", "_cash", "Cash", "cash1", "my cash", "cash-1", "currency", too_long]
        {
            let error = no_word.parse::<Subject>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{no_word:?} is not a subject: ")), "{error}");
        }
    }
}
