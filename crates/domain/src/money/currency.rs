//! A currency: its code and how many decimals its amounts have.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DECIMALS_MAX, MoneyError};

/// A currency's code, such as `USDT`: 2 to 12 of `[A-Z0-9]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurrencyCode(ArrayString<12>);

/// A text that is not a currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("currency {0:?} is not 2 to 12 characters of [A-Z0-9]")]
pub struct InvalidCurrency(String);

impl CurrencyCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CurrencyCode {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        let valid =
            text.len() >= 2 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        match ArrayString::from(text) {
            Ok(code) if valid => Ok(Self(code)),
            _ => Err(InvalidCurrency(text.chars().take(24).collect())),
        }
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CurrencyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CurrencyCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::read_text(deserializer, str::parse)
    }
}

/// A currency whose smallest unit is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// Its code.
    pub code: CurrencyCode,
    /// Digits after the point of its amounts.
    pub decimals: u8,
}

impl Currency {
    /// The currency of an amount that CAP wrote: it shows exactly the currency's decimals.
    pub fn of_amount(code: CurrencyCode, amount: &str) -> Result<Self, MoneyError> {
        let decimals = amount.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        match u8::try_from(decimals) {
            Ok(few) if u32::from(few) <= DECIMALS_MAX => Ok(Self { code, decimals: few }),
            _ => Err(MoneyError::NotANumber(amount.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}
