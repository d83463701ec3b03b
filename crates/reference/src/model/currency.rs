//! The currencies there are, and their amounts as texts.

/// A currency: its code and how many decimals its amounts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Currency {
    pub(crate) code: &'static str,
    pub(crate) decimals: u32,
}

impl Currency {
    pub(crate) const BTC: Self = Self { code: "BTC", decimals: 8 };
    pub(crate) const ETH: Self = Self { code: "ETH", decimals: 8 };
    pub(crate) const HKD: Self = Self { code: "HKD", decimals: 2 };
    pub(crate) const USD: Self = Self { code: "USD", decimals: 2 };
    pub(crate) const USDT: Self = Self { code: "USDT", decimals: 6 };

    /// `CONTRACT.md`, "What `cargo xtask up` sets up".
    pub(crate) const ALL: [Self; 5] = [Self::BTC, Self::ETH, Self::HKD, Self::USD, Self::USDT];

    /// What is traded and in nobody's account; its decimals are those of usual quantities.
    pub(crate) const EUR: Self = Self { code: "EUR", decimals: 8 };
    pub(crate) const XAU: Self = Self { code: "XAU", decimals: 8 };

    pub(crate) fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|currency| currency.code == code)
    }
}

/// A decimal text in units of `10^-decimals`; none if it is no decimal or has more decimals.
pub(crate) fn in_units(text: &str, decimals: u32) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let missing = usize::try_from(decimals).ok()?.checked_sub(fraction.len())?;
    let all = format!("{whole}{fraction}{}", "0".repeat(missing));
    let plain = !whole.is_empty() && all.bytes().all(|digit| digit.is_ascii_digit());
    if plain { all.parse::<i128>().ok().map(|units| sign * units) } else { None }
}

/// Units of `10^-decimals` as a decimal text with exactly so many decimals.
pub(crate) fn written(units: i128, decimals: u32) -> String {
    let one = 10_u128.pow(decimals);
    let (whole, fraction) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    match usize::try_from(decimals) {
        Ok(width) if width > 0 => format!("{sign}{whole}.{fraction:0width$}"),
        _ => format!("{sign}{whole}"),
    }
}

/// The same without zeros at the end: quantities and prices as outcomes show them.
pub(super) fn shortest(units: i128, decimals: u32) -> String {
    let text = written(units, decimals);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{in_units, shortest, written};

    #[test]
    fn an_amount_reads_as_it_is_written() {
        for units in [0, 1, -1, 999_999, 1_000_000, -1_234_567] {
            assert_eq!(in_units(&written(units, 6), 6), Some(units));
        }
        assert_eq!((written(-5, 2), shortest(1_500, 3)), ("-0.05".to_owned(), "1.5".to_owned()));
        assert_eq!(in_units("1.5", 6), Some(1_500_000));
    }

    #[test]
    fn what_is_no_decimal_of_the_currency_is_none() {
        for text in ["", ".5", "5.", "1.0000001", "ten", "1e3", "+1", "--1"] {
            assert_eq!(in_units(text, 6), None, "{text}");
        }
    }
}
