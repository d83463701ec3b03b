//! An account's money in one currency, by subject: the five that every account has, and those that
//! its product's rulebook declares.
//!
//! In JSON, in journals and outcomes alike, it is one flat object: the currency, the five, then the
//! declared ones by name.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::money::{Currency, CurrencyCode, Money};
use crate::subject::{Subject, SubjectName};

/// None is ever below zero, and `available` and `borrowed` are never both above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Free to use.
    pub available: Money,
    /// Held for orders.
    pub frozen: Money,
    /// Held for positions.
    pub margin: Money,
    /// Held for withdrawals.
    pub withdrawing: Money,
    /// Owed.
    pub borrowed: Money,
    /// What is in subjects that the rulebook declares: those that ever held something. Empty, and
    /// without an allocation, for products that declare none.
    pub declared: BTreeMap<SubjectName, Money>,
}

impl Balance {
    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        let nothing = Money::zero(currency);
        Self {
            available: nothing,
            frozen: nothing,
            margin: nothing,
            withdrawing: nothing,
            borrowed: nothing,
            declared: BTreeMap::new(),
        }
    }

    /// Whether nothing is there and nothing owed.
    pub fn is_zero(&self) -> bool {
        self.shares().all(|(_, money)| money.is_zero())
    }

    /// Every subject's share by name: the five of every account, then the declared ones.
    pub fn shares(&self) -> impl Iterator<Item = (&str, Money)> {
        let of_every_account = [
            ("available", self.available),
            ("frozen", self.frozen),
            ("margin", self.margin),
            ("withdrawing", self.withdrawing),
            ("borrowed", self.borrowed),
        ];
        let declared = self.declared.iter().map(|(name, money)| (name.as_str(), *money));
        of_every_account.into_iter().chain(declared)
    }

    /// What is in one of the account's own subjects.
    pub(super) fn held(&self, subject: Subject) -> Option<Money> {
        match subject {
            Subject::Available => Some(self.available),
            Subject::Frozen => Some(self.frozen),
            Subject::Margin => Some(self.margin),
            Subject::Withdrawing => Some(self.withdrawing),
            Subject::Borrowed => Some(self.borrowed),
            Subject::Declared(name) => {
                let nothing = Money::zero(self.available.currency());
                Some(self.declared.get(&name).copied().unwrap_or(nothing))
            }
            Subject::Contra(_) => None,
        }
    }

    /// The share of one of the account's own subjects, to be moved; a declared one is there from
    /// then on.
    pub(super) fn share(&mut self, subject: Subject) -> Option<&mut Money> {
        match subject {
            Subject::Available => Some(&mut self.available),
            Subject::Frozen => Some(&mut self.frozen),
            Subject::Margin => Some(&mut self.margin),
            Subject::Withdrawing => Some(&mut self.withdrawing),
            Subject::Borrowed => Some(&mut self.borrowed),
            Subject::Declared(name) => {
                let nothing = Money::zero(self.available.currency());
                Some(self.declared.entry(name).or_insert(nothing))
            }
            Subject::Contra(_) => None,
        }
    }
}

impl Serialize for Balance {
    /// As outcomes show it: the currency once, then the amounts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(6 + self.declared.len()))?;
        fields.serialize_entry("currency", &self.available.currency().code)?;
        for (name, money) in self.shares() {
            fields.serialize_entry(name, &money.shown())?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BalanceVisitor)
    }
}

/// A field of a balance: its currency, or a subject.
enum Field {
    Currency,
    Subject(Subject),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;

        impl Visitor<'_> for FieldVisitor {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("currency, or a subject of an account")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
                match text.parse::<Subject>() {
                    _ if text == "currency" => Ok(Field::Currency),
                    Ok(subject) if !subject.is_contra() => Ok(Field::Subject(subject)),
                    _ => Err(E::custom(format!("{text:?} is no field of a balance"))),
                }
            }
        }

        deserializer.deserialize_identifier(FieldVisitor)
    }
}

struct BalanceVisitor;

impl<'de> Visitor<'de> for BalanceVisitor {
    type Value = Balance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the balance of an account in one currency")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Balance, A::Error> {
        let mut code: Option<CurrencyCode> = None;
        let mut amounts: Vec<(Subject, String)> = Vec::with_capacity(Subject::OF_ACCOUNT.len());
        while let Some(field) = map.next_key()? {
            match field {
                Field::Currency if code.is_some() => {
                    return Err(A::Error::duplicate_field("currency"));
                }
                Field::Currency => code = Some(map.next_value()?),
                Field::Subject(subject) if amounts.iter().any(|(seen, _)| *seen == subject) => {
                    return Err(A::Error::custom(format!("{subject} is written twice")));
                }
                Field::Subject(subject) => amounts.push((subject, map.next_value()?)),
            }
        }
        let code = code.ok_or_else(|| A::Error::missing_field("currency"))?;
        if let Some(missing) =
            Subject::OF_ACCOUNT.iter().find(|due| !amounts.iter().any(|(is, _)| is == *due))
        {
            return Err(A::Error::custom(format!("{missing} is missing")));
        }
        // Every amount shows exactly the currency's decimals.
        let shown = amounts.first().map_or("", |(_, amount)| amount);
        let currency = Currency::of_amount(code, shown).map_err(A::Error::custom)?;
        let mut balance = Balance::zero(currency);
        for (subject, amount) in &amounts {
            let money = Money::parse(currency, amount).map_err(A::Error::custom)?;
            if let Some(share) = balance.share(*subject) {
                *share = money;
            }
        }
        Ok(balance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As every release before declared subjects wrote it.
    const OF_FIVE: &str = r#"{"currency":"USD","available":"1.00","frozen":"0.00","margin":"2.50","withdrawing":"0.00","borrowed":"0.00"}"#;

    #[test]
    fn a_balance_without_declared_subjects_is_written_as_before_there_were_any() {
        let balance: Balance = serde_json::from_str(OF_FIVE).unwrap();
        assert_eq!((balance.margin.amount(), balance.declared.len()), ("2.50".to_owned(), 0));
        assert_eq!(serde_json::to_string(&balance).unwrap(), OF_FIVE);
    }

    #[test]
    fn declared_subjects_stand_behind_the_five_by_name() {
        let json = OF_FIVE.replace('}', r#","bonus":"0.00","cash":"90.00"}"#);
        let balance: Balance = serde_json::from_str(&json).unwrap();
        let shares: Vec<String> =
            balance.shares().map(|(name, money)| format!("{name} {}", money.amount())).collect();
        assert_eq!(shares[5..], ["bonus 0.00", "cash 90.00"]);
        assert_eq!(serde_json::to_string(&balance).unwrap(), json);
        assert!(!balance.is_zero());
    }

    #[test]
    fn what_is_no_balance_is_refused() {
        let cases = [
            (OF_FIVE.replace("\"frozen\":\"0.00\",", ""), "frozen is missing"),
            (OF_FIVE.replace("\"currency\":\"USD\",", ""), "missing field `currency`"),
            (OF_FIVE.replace("frozen", "available"), "available is written twice"),
            (OF_FIVE.replace("frozen", "house:fees"), "\"house:fees\" is no field of a balance"),
            (OF_FIVE.replace("2.50", "2.505"), "2.505 has 3 decimals, USD has 2"),
        ];
        for (json, reason) in cases {
            let error = serde_json::from_str::<Balance>(&json).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
