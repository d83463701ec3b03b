//! An amount of one currency.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::exact::split_decimal;
use super::{Currency, CurrencyCode, INTEGER_DIGITS_MAX};

/// A signed amount of one currency, in whole smallest units.
///
/// On the wire it is `{"currency": "USDT", "amount": "100.000000"}`: the amount always shows
/// exactly the currency's decimals, so it says its own scale.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    currency: Currency,
    units: i128,
}

/// An amount that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotANumber(String),
    /// More decimals than the currency has.
    #[error("{found} has {decimals} decimals, {currency} has {decimals_max}")]
    TooFine {
        /// What was written.
        found: String,
        /// How many decimals that has.
        decimals: usize,
        /// The currency's code.
        currency: CurrencyCode,
        /// How many decimals the currency has.
        decimals_max: u8,
    },
    /// Beyond what any amount may be.
    #[error("an amount of {0} has more than {INTEGER_DIGITS_MAX} digits before the point")]
    TooLarge(CurrencyCode),
    /// Two currencies, or two scales of one, met in a sum.
    #[error("{0} and {1} are different currencies or scales")]
    Mixed(CurrencyCode, CurrencyCode),
}

impl Money {
    /// `units` smallest units of `currency`; what is written can always be read back, so the
    /// bound is the door's.
    pub fn from_units(currency: Currency, units: i128) -> Result<Self, MoneyError> {
        let digits_max = INTEGER_DIGITS_MAX as u32 + u32::from(currency.decimals);
        if units.unsigned_abs() >= 10_u128.pow(digits_max) {
            return Err(MoneyError::TooLarge(currency.code));
        }
        Ok(Self { currency, units })
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { currency, units: 0 }
    }

    /// Reads a decimal text; more decimals than the currency has are an error, fewer are not.
    pub fn parse(currency: Currency, text: &str) -> Result<Self, MoneyError> {
        let Some((negative, whole, fraction)) = split_decimal(text) else {
            return Err(MoneyError::NotANumber(text.chars().take(40).collect()));
        };
        if fraction.len() > usize::from(currency.decimals) {
            return Err(MoneyError::TooFine {
                found: text.chars().take(60).collect(),
                decimals: fraction.len(),
                currency: currency.code,
                decimals_max: currency.decimals,
            });
        }
        if whole.trim_start_matches('0').len() > INTEGER_DIGITS_MAX {
            return Err(MoneyError::TooLarge(currency.code));
        }
        let padding = usize::from(currency.decimals) - fraction.len();
        let units = whole
            .bytes()
            .chain(fraction.bytes())
            .chain(std::iter::repeat_n(b'0', padding))
            .fold(0_i128, |units, digit| units * 10 + i128::from(digit - b'0'));
        Self::from_units(currency, if negative { -units } else { units })
    }

    /// The currency.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The amount in smallest units.
    pub const fn units(&self) -> i128 {
        self.units
    }

    /// Whether there is nothing.
    pub const fn is_zero(&self) -> bool {
        self.units == 0
    }

    /// Whether it is below zero.
    pub const fn is_negative(&self) -> bool {
        self.units < 0
    }

    /// Whether it is above zero.
    pub const fn is_positive(&self) -> bool {
        self.units > 0
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        Self::from_units(self.currency, self.units + other.units)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.plus(other.negated())
    }

    /// The same amount the other way.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { currency: self.currency, units: -self.units }
    }

    /// The amount if it is above zero, else nothing.
    #[must_use]
    pub fn or_zero(self) -> Self {
        Self { units: self.units.max(0), ..self }
    }

    /// The smaller of two amounts of one currency.
    pub fn min(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        Ok(if self.units <= other.units { self } else { other })
    }

    fn same(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Mixed(self.currency.code, other.currency.code))
        }
    }

    /// The amount without its currency, with exactly the currency's decimals: `100.000000`.
    pub fn amount(&self) -> String {
        self.text().as_str().to_owned()
    }

    /// The amount as it is written, to be written in JSON.
    pub(crate) fn shown(&self) -> impl Serialize {
        self.text()
    }

    fn text(&self) -> UnitsText {
        UnitsText::new(self.units, self.currency.decimals)
    }
}

/// A number of smallest units with so many digits after the point, written without the heap.
struct UnitsText {
    bytes: [u8; Self::LENGTH_MAX],
    start: usize,
}

impl UnitsText {
    /// A sign, a digit, a point, and as many decimals as a byte can count: more than an `i128` has digits.
    const LENGTH_MAX: usize = 3 + u8::MAX as usize;

    fn new(units: i128, decimals: u8) -> Self {
        let mut text = Self { bytes: [0; Self::LENGTH_MAX], start: Self::LENGTH_MAX };
        let (mut rest, mut digits) = (units.unsigned_abs(), 0);
        while rest > 0 || digits <= decimals {
            if digits == decimals && decimals > 0 {
                text.push(b'.');
            }
            // Almost all fit into the word that processors divide quickly.
            let digit = match u64::try_from(rest) {
                Ok(small) => {
                    rest = u128::from(small / 10);
                    small % 10
                }
                Err(_) => {
                    let digit = (rest % 10) as u64;
                    rest /= 10;
                    digit
                }
            };
            text.push(b'0' + digit as u8);
            digits += 1;
        }
        if units < 0 {
            text.push(b'-');
        }
        text
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

impl Serialize for UnitsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialOrd for Money {
    /// Amounts of different currencies do not compare.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency).then(|| self.units.cmp(&other.units))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text().as_str(), self.currency.code)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut money = serializer.serialize_struct("Money", 2)?;
        money.serialize_field("currency", &self.currency.code)?;
        money.serialize_field("amount", self.text().as_str())?;
        money.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire<'a> {
            currency: CurrencyCode,
            #[serde(borrow)]
            amount: Cow<'a, str>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let currency = Currency::of_amount(wire.currency, &wire.amount);
        currency
            .and_then(|currency| Money::parse(currency, &wire.amount))
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usdt() -> Currency {
        Currency { code: "USDT".parse().unwrap(), decimals: 6 }
    }

    #[test]
    fn an_amount_is_printed_with_exactly_its_currencys_decimals() {
        for (text, printed) in [
            ("100", "100.000000"),
            ("0.5", "0.500000"),
            ("-0.000001", "-0.000001"),
            ("007", "7.000000"),
        ] {
            assert_eq!(Money::parse(usdt(), text).unwrap().amount(), printed);
        }
        let yen = Currency { code: "JPY".parse().unwrap(), decimals: 0 };
        assert_eq!(Money::parse(yen, "-12").unwrap().to_string(), "-12 JPY");
        // More digits than a machine word has.
        let fine = Currency { code: "FINE".parse().unwrap(), decimals: 12 };
        for widest in ["999999999999999.999999999999", "-999999999999999.000000000001"] {
            assert_eq!(Money::parse(fine, widest).unwrap().amount(), widest);
        }
    }

    #[test]
    fn what_is_not_an_amount_of_the_currency_says_why() {
        let cases = [
            ("1.0000001", "1.0000001 has 7 decimals, USDT has 6"),
            ("1,5", "\"1,5\" is not a decimal number"),
            ("", "\"\" is not a decimal number"),
            ("1.", "\"1.\" is not a decimal number"),
            (".5", "\".5\" is not a decimal number"),
            ("1e3", "\"1e3\" is not a decimal number"),
            ("+1", "\"+1\" is not a decimal number"),
            ("1000000000000000", "an amount of USDT has more than 15 digits before the point"),
        ];
        for (text, reason) in cases {
            assert_eq!(Money::parse(usdt(), text).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let usd = Currency { code: "USD".parse().unwrap(), decimals: 2 };
        assert!(Money::zero(usdt()).plus(Money::zero(usd)).is_err());
    }

    #[test]
    fn money_reads_back_from_json_with_its_scale() {
        let money = Money::parse(usdt(), "-12.5").unwrap();
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(json, r#"{"currency":"USDT","amount":"-12.500000"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }
}
