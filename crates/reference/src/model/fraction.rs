//! Exact arithmetic: nothing is rounded before the contract says so.

use num_bigint::BigInt;

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

    /// The quotient by a divisor above zero.
    pub(super) fn over(&self, divisor: &Self) -> Self {
        Self {
            numerator: &self.numerator * &divisor.denominator,
            denominator: &self.denominator * &divisor.numerator,
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
    use super::Fraction;

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
    fn what_is_too_long_is_none() {
        assert_eq!(Fraction::new(i128::MAX, 0).half_even(1), None);
    }
}
