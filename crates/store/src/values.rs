//! Domain values as PostgreSQL keeps them, and back.

use std::borrow::Cow;

use cap_domain::money::{Currency, Money};
use cap_domain::time::Timestamp;
use cap_pipeline::lane_store::CommitError;
use rust_decimal::Decimal;
use time::OffsetDateTime;

use crate::error::QueryError;

/// A counter as `bigint`. One beyond 2^63 cannot be counted to; it would meet a unique key.
pub(crate) fn bigint(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

/// A counter that was stored as `bigint`.
pub(crate) fn counter(name: &str, stored: i64) -> Result<u64, String> {
    u64::try_from(stored).map_err(|_| format!("{name} is {stored}, below zero"))
}

/// A time as `timestamptz`.
pub(crate) fn timestamptz(at: Timestamp) -> Result<OffsetDateTime, CommitError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1_000).map_err(|_| {
        let micros = at.micros();
        CommitError::Refused(format!(
            "{micros} microseconds since 1970 is no time a database keeps"
        ))
    })
}

/// A time as `timestamptz`, of what an operator does.
pub(crate) fn timestamptz_of(at: Timestamp) -> Result<OffsetDateTime, QueryError> {
    timestamptz(at).map_err(|error| QueryError::unreadable("a time", error))
}

/// A time that was stored as `timestamptz`.
pub(crate) fn timestamp(stored: OffsetDateTime) -> Timestamp {
    let micros = stored.unix_timestamp_nanos().div_euclid(1_000);
    // Whatever a date can be is far within 64 bits of microseconds.
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// An amount as `numeric`.
pub(crate) fn numeric(money: Money) -> Result<Decimal, CommitError> {
    units_as_numeric(money.units(), u32::from(money.currency().decimals))
}

/// `units / 10^decimals` as `numeric`.
pub(crate) fn units_as_numeric(units: i128, decimals: u32) -> Result<Decimal, CommitError> {
    Decimal::try_from_i128_with_scale(units, decimals)
        .map_err(|error| CommitError::Refused(format!("{units} at {decimals} decimals: {error}")))
}

/// An amount of `currency` that was stored as `numeric`.
pub(crate) fn money(name: &str, currency: Currency, stored: Decimal) -> Result<Money, String> {
    let units = units(name, stored, u32::from(currency.decimals))?;
    Money::from_units(currency, units).map_err(|error| format!("{name}: {error}"))
}

/// The units of `10^-decimals` of a stored `numeric`.
pub(crate) fn units(name: &str, stored: Decimal, decimals: u32) -> Result<i128, String> {
    let exact = stored.normalize();
    let missing = decimals
        .checked_sub(exact.scale())
        .ok_or_else(|| format!("{name} is {stored}, which has more than {decimals} decimals"))?;
    10_i128
        .checked_pow(missing)
        .and_then(|factor| exact.mantissa().checked_mul(factor))
        .ok_or_else(|| format!("{name} is {stored}, which is too large"))
}

/// A currency that was stored as its code and decimals.
pub(crate) fn currency(code: &str, decimals: i16) -> Result<Currency, String> {
    let decimals = u8::try_from(decimals).map_err(|_| format!("{code} has {decimals} decimals"))?;
    Ok(Currency { code: code.parse().map_err(|error| format!("{error}"))?, decimals })
}

/// Free text without the one character that PostgreSQL's `text` cannot hold. An error's words may
/// quote it from a message; if it were refused, the poison could never be parked.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_back_whatever_scale_it_was_stored_at() {
        let usdt = currency("USDT", 6).unwrap();
        for (stored, read) in
            [("1.5", Some("1.500000")), ("1.500000000", Some("1.500000")), ("1.0000001", None)]
        {
            let found = money("available", usdt, stored.parse().unwrap());
            assert_eq!(found.ok().map(|money| money.amount()).as_deref(), read, "{stored}");
        }
    }

    #[test]
    fn the_largest_amount_survives() {
        let usdt = currency("USDT", 12).unwrap();
        let largest = Money::parse(usdt, "999999999999999.999999999999").unwrap();
        assert_eq!(money("available", usdt, numeric(largest).unwrap()), Ok(largest));
    }
}
