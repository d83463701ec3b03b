//! Exact arithmetic: nothing is rounded before the contract says so.

use num_bigint::BigInt;

/// A way to round, as a symbol may name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Away from zero.
    Up,
    /// Toward zero; no shipped symbol says so.
    #[cfg_attr(not(test), expect(dead_code, reason = "no shipped symbol says so"))]
    Down,
    /// To the nearest, a tie to the even one.
    HalfEven,
}

/// A fraction of whole numbers of any length.
#[derive(Debug, Clone)]
pub(super) struct Fraction {
    numerator: BigInt,
    /// Above zero.
    denominator: BigInt,
}

impl Fraction {
    /// `units / 10^decimals`.
    pub(super) fn new(units: i128, decimals: u32) -> Self {
        Self { numerator: units.into(), denominator: BigInt::from(10).pow(decimals) }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            numerator: &self.numerator * &other.denominator + &other.numerator * &self.denominator,
            denominator: &self.denominator * &other.denominator,
        }
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        self.plus(&other.times(&Self::new(-1, 0)))
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        Self {
            numerator: &self.numerator * &other.numerator,
            denominator: &self.denominator * &other.denominator,
        }
    }

    /// The quotient by a divisor that is not zero.
    pub(super) fn over(&self, divisor: &Self) -> Self {
        let sign = if divisor.is_negative() { -1 } else { 1 };
        Self {
            numerator: &self.numerator * &divisor.denominator * sign,
            denominator: &self.denominator * &divisor.numerator * sign,
        }
    }

    pub(super) fn is_negative(&self) -> bool {
        self.numerator < BigInt::ZERO
    }

    pub(super) fn is_zero(&self) -> bool {
        self.numerator == BigInt::ZERO
    }

    /// The number of units of `10^-decimals` by this rounding; none if it has more than 38 digits.
    pub(super) fn rounded(&self, decimals: u32, rounding: Rounding) -> Option<i128> {
        let magnitude = |sign| self.times(&Self::new(sign, 0));
        let sign = if self.is_negative() { -1 } else { 1 };
        match rounding {
            Rounding::HalfEven => self.half_even(decimals),
            Rounding::Up => Some(sign * magnitude(sign).up(decimals)?),
            Rounding::Down => {
                let (floor, _) = magnitude(sign).floor_and_rest(decimals);
                Some(sign * i128::try_from(floor).ok()?)
            }
        }
    }

    /// The nearest number of units of `10^-decimals`, a tie to the even one; none if it has more
    /// than 38 digits.
    pub(super) fn half_even(&self, decimals: u32) -> Option<i128> {
        let (floor, rest) = self.floor_and_rest(decimals);
        let twice = &rest * 2;
        let odd = &floor % 2 != BigInt::ZERO;
        let up = twice > self.denominator || (twice == self.denominator && odd);
        i128::try_from(floor + i32::from(up)).ok()
    }

    /// The least number of units of `10^-decimals` that is not below it; none as above.
    pub(super) fn up(&self, decimals: u32) -> Option<i128> {
        let (floor, rest) = self.floor_and_rest(decimals);
        i128::try_from(floor + i32::from(rest > BigInt::ZERO)).ok()
    }

    /// `self · 10^decimals` as a whole number and what is over, in parts of the denominator.
    fn floor_and_rest(&self, decimals: u32) -> (BigInt, BigInt) {
        let scaled = &self.numerator * BigInt::from(10).pow(decimals);
        let rest = ((&scaled % &self.denominator) + &self.denominator) % &self.denominator;
        ((scaled - &rest) / &self.denominator, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fraction, Rounding};

    #[test]
    fn a_tie_goes_to_the_even_unit_on_both_sides_of_zero() {
        let cases = [(125, 12), (135, 14), (-125, -12), (-135, -14), (126, 13), (-126, -13)];
        for (thousandths, hundredths) in cases {
            assert_eq!(Fraction::new(thousandths, 3).half_even(2), Some(hundredths));
        }
    }

    #[test]
    fn up_is_never_short() {
        let third = Fraction::new(100, 0).over(&Fraction::new(3, 0));
        assert_eq!((third.up(6), third.half_even(6)), (Some(33_333_334), Some(33_333_333)));
        assert_eq!(Fraction::new(5, 1).up(1), Some(5));
    }

    #[test]
    fn up_is_away_from_zero_and_down_toward_it() {
        for (tenths, up, down, half_even) in [(15, 2, 1, 2), (-15, -2, -1, -2), (-14, -2, -1, -1)] {
            let of = |rounding| Fraction::new(tenths, 1).rounded(0, rounding);
            assert_eq!(of(Rounding::Up), Some(up));
            assert_eq!(of(Rounding::Down), Some(down));
            assert_eq!(of(Rounding::HalfEven), Some(half_even));
        }
    }

    #[test]
    fn a_divisor_below_zero_turns_the_sign() {
        let quotient = Fraction::new(-3, 0).over(&Fraction::new(-2, 0));
        assert_eq!((quotient.half_even(1), quotient.is_negative()), (Some(15), false));
    }

    #[test]
    fn what_is_too_long_is_none() {
        assert_eq!(Fraction::new(i128::MAX, 0).half_even(1), None);
    }
}
