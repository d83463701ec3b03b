//! A point in time, handed in by whoever has a clock: the domain never asks for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};

/// Microseconds since 1970-01-01T00:00:00Z, the resolution PostgreSQL keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 time in UTC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time in UTC, such as 2026-11-21T10:00:00.123Z")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch, the unit of SQS.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch, rounded down: the unit of a DynamoDB time to live.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time, `seconds` later.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// How many whole milliseconds `self` is after `earlier`; negative if it is before.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.micros_since(earlier) / 1_000
    }

    /// How many microseconds `self` is after `earlier`; negative if it is before.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A time as text, written without the heap: every message says several.
struct TimeText {
    bytes: [u8; LENGTH_IN_MICROS],
    length: usize,
}

/// `2026-11-21T10:00:00.123Z`
const LENGTH_IN_MILLIS: usize = 24;
/// `2026-11-21T10:00:00.123456Z`
const LENGTH_IN_MICROS: usize = 27;

impl TimeText {
    /// None of a year that has no four digits.
    fn of(at: Timestamp) -> Option<Self> {
        let (second, micros) = (at.seconds(), at.0.rem_euclid(1_000_000) as u32);
        let at = OffsetDateTime::from_unix_timestamp(second).ok()?;
        let year = u32::try_from(at.year()).ok()?;
        let mut bytes = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |from: usize, digits: usize, number: u32| {
            let mut rest = number;
            for byte in bytes[from..from + digits].iter_mut().rev() {
                *byte = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, u8::from(at.month()).into());
        put(8, 2, at.day().into());
        put(11, 2, at.hour().into());
        put(14, 2, at.minute().into());
        put(17, 2, at.second().into());
        put(20, 6, micros);
        if micros % 1_000 > 0 {
            return Some(Self { bytes, length: LENGTH_IN_MICROS });
        }
        bytes[LENGTH_IN_MILLIS - 1] = b'Z';
        Some(Self { bytes, length: LENGTH_IN_MILLIS })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Reads what [`TimeText`] writes; none of anything else, which may still be a time.
fn read_as_written(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if !matches!(bytes.len(), LENGTH_IN_MILLIS | LENGTH_IN_MICROS) || bytes.last() != Some(&b'Z') {
        return None;
    }
    for (place, byte) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')] {
        (bytes[place] == byte).then_some(())?;
    }
    let number = |places: std::ops::Range<usize>| {
        bytes[places].iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    let small = |places| number(places).and_then(|number| u8::try_from(number).ok());
    let month = Month::try_from(small(5..7)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(number(0..4)?).ok()?, month, small(8..10)?);
    let fraction = number(20..bytes.len() - 1)?;
    let micros = if bytes.len() == LENGTH_IN_MILLIS { fraction * 1_000 } else { fraction };
    let time = Time::from_hms_micro(small(11..13)?, small(14..16)?, small(17..19)?, micros);
    let second = date.ok()?.with_time(time.ok()?).assume_utc().unix_timestamp();
    Some(Timestamp(second * 1_000_000 + i64::from(micros)))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds, or with microseconds where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TimeText::of(*self) {
            Some(text) => f.write_str(text.as_str()),
            None => write!(f, "{} microseconds after 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if let Some(at) = read_as_written(text) {
            return Ok(at);
        }
        let invalid = || InvalidTimestamp(text.chars().take(40).collect());
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?;
        // `+00:00` is UTC as well: it is how Python writes it.
        if !at.offset().is_utc() {
            return Err(invalid());
        }
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).map(Self).map_err(|_| invalid())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match TimeText::of(*self) {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => {
                Err(serde::ser::Error::custom(format!("{self} is no time that can be written")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::read_text(deserializer, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        for text in
            ["2026-11-21T10:00:00.123Z", "2026-11-21T10:00:00.123456Z", "1969-12-31T23:59:59.999Z"]
        {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_utc_is_a_time() {
        for wrong in ["2026-11-21T10:00:00+01:00", "2026-11-21 10:00", "now", ""] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_as_a_time_is_written_but_is_none_is_refused() {
        for wrong in [
            "2026-02-29T10:00:00.000Z",
            "2026-13-01T10:00:00.000Z",
            "2026-11-21T24:00:00.000Z",
            "2026-11-21T10:00:61.000Z",
            "2026-11-21T10:00:0x.000Z",
            "2026-11-21T10:00:00.00éZ",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_read_alike_however_it_is_written() {
        let written = "2024-02-29T23:59:59.120Z";
        let at: Timestamp = written.parse().unwrap();
        for other in ["2024-02-29T23:59:59.12Z", "2024-02-29T23:59:59.120000+00:00"] {
            assert_eq!(other.parse(), Ok(at), "{other}");
        }
        assert_eq!(at.to_string(), written);
    }

    #[test]
    fn a_time_beyond_all_dates_is_told_and_not_written_in_a_message() {
        let beyond = Timestamp::from_micros(i64::MAX);
        assert_eq!(beyond.to_string(), "9223372036854775807 microseconds after 1970");
        assert!(serde_json::to_string(&beyond).is_err());
    }
}
