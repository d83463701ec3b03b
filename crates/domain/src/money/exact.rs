//! Products and quotients that lose nothing until a named rounding ends them.
//!
//! `rust_decimal` rounds silently where a product leaves its 96 bits, so prices and quantities
//! meet here, in 256-bit integers, and either fit exactly or say [`TooLarge`].

use ethnum::I256;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, DECIMALS_MAX, INTEGER_DIGITS_MAX, Money};

/// How the last digit is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest, a tie to the even digit: the rule for all money, unless said otherwise.
    HalfEven,
    /// Away from zero: initial margin, so that no margin is ever short of its rate.
    Up,
    /// Toward zero: only where a symbol says so.
    Down,
}

/// A figure that does not fit, although each of its factors did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the result of the calculation is too large")]
pub struct TooLarge;

/// A decimal of up to 76 digits, `mantissa / 10^scale`, on which no operation rounds.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    mantissa: I256,
    scale: u32,
}

impl Exact {
    /// `units / 10^scale`.
    pub fn new(units: i128, scale: u32) -> Self {
        Self { mantissa: I256::from(units), scale }
    }

    /// The product.
    pub fn times(self, other: impl Into<Self>) -> Result<Self, TooLarge> {
        let other = other.into();
        let mantissa = self.mantissa.checked_mul(other.mantissa).ok_or(TooLarge)?;
        Ok(Self { mantissa, scale: self.scale + other.scale })
    }

    /// The sum.
    pub fn plus(self, other: impl Into<Self>) -> Result<Self, TooLarge> {
        let other = other.into();
        let scale = self.scale.max(other.scale);
        let mantissa = self.at(scale)?.checked_add(other.at(scale)?).ok_or(TooLarge)?;
        Ok(Self { mantissa, scale })
    }

    /// Whether it is above `other`.
    pub fn is_above(self, other: impl Into<Self>) -> Result<bool, TooLarge> {
        Ok(self.minus(other)?.mantissa > I256::ZERO)
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.mantissa == I256::ZERO
    }

    /// The difference.
    pub fn minus(self, other: impl Into<Self>) -> Result<Self, TooLarge> {
        let other = other.into();
        let scale = self.scale.max(other.scale);
        let mantissa = self.at(scale)?.checked_sub(other.at(scale)?).ok_or(TooLarge)?;
        Ok(Self { mantissa, scale })
    }

    /// The number of units of `10^-decimals` nearest to `self / divisor`. `divisor` is not zero.
    pub fn divided_by(
        self,
        divisor: impl Into<Self>,
        decimals: u32,
        rounding: Rounding,
    ) -> Result<i128, TooLarge> {
        let divisor = divisor.into();
        // (m1 / 10^s1) / (m2 / 10^s2) * 10^d = m1 * 10^(s2 + d) / (m2 * 10^s1)
        let (up, down) = (divisor.scale + decimals, self.scale);
        let common = up.min(down);
        let numerator = self.mantissa.checked_mul(power_of_ten(up - common)?).ok_or(TooLarge)?;
        let denominator =
            divisor.mantissa.checked_mul(power_of_ten(down - common)?).ok_or(TooLarge)?;
        let quotient = divide(numerator, denominator, rounding).ok_or(TooLarge)?;
        i128::try_from(quotient).map_err(|_| TooLarge)
    }

    /// The number of units of `10^-decimals` nearest to `self`.
    pub fn rounded(self, decimals: u32, rounding: Rounding) -> Result<i128, TooLarge> {
        self.divided_by(Self::new(1, 0), decimals, rounding)
    }

    /// `self` as a decimal, without zeros at its end.
    ///
    /// # Errors
    /// If it has more digits than a decimal holds: it is not rounded.
    pub fn decimal(self) -> Result<Decimal, TooLarge> {
        let Self { mut mantissa, mut scale } = self;
        while scale > 0 && mantissa % 10 == I256::ZERO {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        let mantissa = i128::try_from(mantissa).map_err(|_| TooLarge)?;
        Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| TooLarge)
    }

    /// `self` as an amount of `currency`.
    pub fn money(self, currency: Currency, rounding: Rounding) -> Result<Money, TooLarge> {
        let units = self.rounded(u32::from(currency.decimals), rounding)?;
        Money::from_units(currency, units).map_err(|_| TooLarge)
    }

    fn at(self, scale: u32) -> Result<I256, TooLarge> {
        self.mantissa.checked_mul(power_of_ten(scale - self.scale)?).ok_or(TooLarge)
    }
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        Self::new(decimal.mantissa(), decimal.scale())
    }
}

impl From<Money> for Exact {
    fn from(money: Money) -> Self {
        Self::new(money.units(), u32::from(money.currency().decimals))
    }
}

fn power_of_ten(exponent: u32) -> Result<I256, TooLarge> {
    I256::new(10).checked_pow(exponent).ok_or(TooLarge)
}

fn divide(numerator: I256, denominator: I256, rounding: Rounding) -> Option<I256> {
    let quotient = numerator.checked_div(denominator)?;
    let remainder = numerator.checked_rem(denominator)?;
    if remainder == I256::ZERO {
        return Some(quotient);
    }
    let away = match rounding {
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::HalfEven => {
            let (remainder, rest) = (remainder.abs(), denominator.abs() - remainder.abs());
            remainder > rest || (remainder == rest && quotient % 2 != I256::ZERO)
        }
    };
    let step = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    if away { quotient.checked_add(I256::new(step)) } else { Some(quotient) }
}

/// A text that is not a decimal within the bounds of the door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotANumber(String),
    /// Too many digits.
    #[error(
        "{0} has more than {INTEGER_DIGITS_MAX} digits before the point or {DECIMALS_MAX} after it"
    )]
    TooLong(String),
}

/// Whether a decimal text is below zero, and its digits before and after the point; none if it is
/// not plain digits with at most one point between them.
pub(super) fn split_decimal(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let plain =
        !whole.is_empty() && is_digits(whole) && is_digits(fraction) && !digits.ends_with('.');
    plain.then_some((negative, whole, fraction))
}

/// Reads a price, quantity or rate: plain digits, at most [`INTEGER_DIGITS_MAX`] before the point
/// and [`DECIMALS_MAX`] after it.
pub fn parse_decimal(text: &str) -> Result<Decimal, InvalidDecimal> {
    let shown = || text.chars().take(60).collect::<String>();
    let not_a_number = || InvalidDecimal::NotANumber(shown());
    let (_, whole, fraction) = split_decimal(text).ok_or_else(not_a_number)?;
    if whole.trim_start_matches('0').len() > INTEGER_DIGITS_MAX
        || fraction.len() > DECIMALS_MAX as usize
    {
        return Err(InvalidDecimal::TooLong(shown()));
    }
    text.parse::<Decimal>().map_err(|_| not_a_number())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).unwrap()
    }

    #[test]
    fn ties_go_to_the_even_digit_margin_goes_up_and_down_is_toward_zero() {
        let cases = [
            ("0.125", Rounding::HalfEven, 12),
            ("0.135", Rounding::HalfEven, 14),
            ("-0.125", Rounding::HalfEven, -12),
            ("0.1251", Rounding::HalfEven, 13),
            ("0.121", Rounding::Up, 13),
            ("-0.121", Rounding::Up, -13),
            ("0.12", Rounding::Up, 12),
            ("0.129", Rounding::Down, 12),
            ("-0.129", Rounding::Down, -12),
        ];
        for (text, rounding, units) in cases {
            assert_eq!(
                Exact::from(decimal(text)).rounded(2, rounding),
                Ok(units),
                "{text} {rounding:?}"
            );
        }
    }

    #[test]
    fn a_product_of_the_longest_figures_is_exact() {
        let longest = decimal("999999999999999.999999999999");
        let product = Exact::from(longest).times(longest).unwrap();
        assert_eq!(product.rounded(12, Rounding::HalfEven), Err(TooLarge));
        let back = product.divided_by(longest, 12, Rounding::HalfEven);
        assert_eq!(back, Ok(999_999_999_999_999_999_999_999_999));
    }

    #[test]
    fn a_figure_becomes_a_decimal_whole_or_not_at_all() {
        let of = |units, scale| Exact::new(units, scale).decimal().map(|it| it.to_string());
        assert_eq!(of(-18_000_000, 4), Ok("-1800".to_owned()));
        assert_eq!(of(1_230, 4), Ok("0.123".to_owned()));
        assert_eq!(of(500, 0), Ok("500".to_owned()));
        let longest = Exact::from(decimal("999999999999999.999999999999"));
        assert_eq!(longest.times(longest).unwrap().decimal(), Err(TooLarge));
        assert_eq!(Exact::new(1, 29).decimal(), Err(TooLarge));
    }

    #[test]
    fn a_quotient_keeps_its_sign() {
        let third = |n: &str| {
            Exact::from(decimal(n)).divided_by(decimal("3"), 4, Rounding::HalfEven).unwrap()
        };
        assert_eq!((third("1"), third("-1"), third("2")), (3333, -3333, 6667));
    }
}
