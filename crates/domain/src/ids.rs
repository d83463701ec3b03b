//! The names of things: an id is valid by construction, and one kind never stands in for another.
//!
//! Shapes are those of `CONTRACT.md`: companies, products and customer groups are
//! `[a-z0-9-]{1,16}`, accounts `[A-Za-z0-9-]{1,36}`, request ids `[A-Za-z0-9._:-]{1,64}`.
//! Ids of up to 23 bytes, as almost all are, lie where they are kept, and need no heap.
//! No id contains an underscore, because underscores separate ids in queue names, message
//! group ids and [`AccountKey`]s (DESIGN §7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// A text that is not a valid id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {found:?} is not 1 to {length_max} characters of {alphabet}")]
pub struct InvalidId {
    kind: &'static str,
    found: String,
    length_max: usize,
    alphabet: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $length_max:literal, $alphabet:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The longest this id may be, in bytes.
            pub const LENGTH_MAX: usize = $length_max;

            /// Checks the shape of `text` and takes it as an id.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }

            fn check(text: &str) -> Result<(), InvalidId> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$length_max).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(())
                } else {
                    Err(InvalidId {
                        kind: $kind,
                        found: text.chars().take(2 * $length_max).collect(),
                        length_max: $length_max,
                        alphabet: $alphabet,
                    })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::json::read_text(deserializer, Self::new)
            }
        }
    };
}

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

id!(
    /// A white-label broker.
    Company, "company", 16, "[a-z0-9-]", lower_or_digit
);
id!(
    /// A kind of trading: spot, perpetual, … Each has a rulebook.
    Product, "product", 16, "[a-z0-9-]", lower_or_digit
);
id!(
    /// A group of a company's customers: the finest grain of a queue (C10).
    CustomerGroup, "customer_group", 16, "[a-z0-9-]", lower_or_digit
);
id!(
    /// What the company calls the account; unique within company, product and customer group.
    AccountName, "account", 36, "[A-Za-z0-9-]", |b| b.is_ascii_alphanumeric() || b == b'-'
);
id!(
    /// The caller's idempotency key, unique platform-wide (C4, T59).
    RequestId, "request_id", 64, "[A-Za-z0-9._:-]",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-')
);
id!(
    /// An upstream identifier carried for tracing: order, trade, withdrawal, reference, customer.
    ExternalId, "identifier", 64, "printable ASCII without spaces", |b| b.is_ascii_graphic()
);
id!(
    /// A contract that is traded on positions, such as `BTC-USDT`.
    Symbol, "symbol", 24, "[A-Z0-9-]", |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-'
);

impl RequestId {
    /// Stands for the id of a message that has none that could be made out.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }
}

/// One account of the platform, and so one lane in each service: one customer in one product of
/// one company. Its text form, `company_product_group_account`, is the key of every table.
///
/// The customer group is part of the key: a message sent under another group than the account's
/// own can then never slip into the account's lane through a second message group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey(Arc<str>);

impl AccountKey {
    /// The key of `account` in `group` of `product` of `company`.
    pub fn new(
        company: &Company,
        product: &Product,
        group: &CustomerGroup,
        account: &AccountName,
    ) -> Self {
        Self::from_parts([company.as_str(), product.as_str(), group.as_str(), account.as_str()])
    }

    /// The key of four texts that are known to be valid ids.
    pub(crate) fn from_parts(parts: [&str; 4]) -> Self {
        Self(parts.join("_").into())
    }

    /// The key as text, `company_product_group_account`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the key of `account` in `group` of `product` of `company`.
    pub fn is_of(
        &self,
        company: &Company,
        product: &Product,
        group: &CustomerGroup,
        account: &AccountName,
    ) -> bool {
        // No id has an underscore.
        let of = [company.as_str(), product.as_str(), group.as_str(), account.as_str()];
        self.0.split('_').eq(of)
    }

    /// The four ids the key was made of.
    pub fn parts(&self) -> (Company, Product, CustomerGroup, AccountName) {
        // A key is only ever made from four valid ids, none of which has an underscore.
        let mut parts = self.0.splitn(4, '_').map(SmolStr::new);
        let mut next = || parts.next().unwrap_or_default();
        (Company(next()), Product(next()), CustomerGroup(next()), AccountName(next()))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({})", self.0)
    }
}

/// A text that is not `company_product_group_account`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccountKey {
    /// There are not four parts.
    #[error("account {0:?} is not company_product_group_account")]
    Parts(String),
    /// One of the parts is not an id of its kind.
    #[error(transparent)]
    Id(#[from] InvalidId),
}

impl FromStr for AccountKey {
    type Err = InvalidAccountKey;

    fn from_str(text: &str) -> Result<Self, InvalidAccountKey> {
        let mut parts = text.split('_');
        let four = [parts.next(), parts.next(), parts.next(), parts.next()];
        let ([Some(company), Some(product), Some(group), Some(account)], None) =
            (four, parts.next())
        else {
            return Err(InvalidAccountKey::Parts(text.chars().take(100).collect()));
        };
        Company::check(company)?;
        Product::check(product)?;
        CustomerGroup::check(group)?;
        AccountName::check(account)?;
        Ok(Self(text.into()))
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::read_text(deserializer, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_checked_at_the_door() {
        assert!(Company::new("acme-1").is_ok());
        for wrong in ["", "Acme", "a_b", "seventeen-letters", "a b", "é"] {
            assert!(Company::new(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            Company::new("A").unwrap_err().to_string(),
            "company \"A\" is not 1 to 16 characters of [a-z0-9-]"
        );
        assert!(RequestId::new("ord-7f3a.1:x_y").is_ok());
    }

    #[test]
    fn an_account_key_reads_back_as_its_four_parts() {
        let key: AccountKey = "acme_spot_retail_A-1001".parse().unwrap();
        let (company, product, group, account) = key.parts();
        assert_eq!(AccountKey::new(&company, &product, &group, &account), key);
        assert_eq!(account.as_str(), "A-1001");
        assert!("acme_spot_A-1".parse::<AccountKey>().is_err());
        assert!("acme_spot_retail_A_1".parse::<AccountKey>().is_err());
    }
}
