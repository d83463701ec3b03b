//! How maintenance tiers are written: as a list of objects, or short, as one text.
//!
//! `50000:0.004;250000:0.005;0.5` is up to 50000 at 0.004, then up to 250000 at 0.005, beyond at 0.5:
//! less than half of what the list takes, which counts because tiers travel with every fill.
//!
//! Tiers are written as they were read. The list is what earlier releases know, in messages, rows and
//! tables; the short form begins at clearing, where the rulebook says so
//! (`cross_liquidation_prices`), and that is pushed when no task of an earlier release runs any more.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::maintenance::Table;
use super::{InvalidTiers, MaintenanceTier, MaintenanceTiers};

/// One of the two ways to write tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Listed,
    Short,
}

impl MaintenanceTiers {
    /// The same tiers, to be written short.
    #[must_use]
    pub fn short(self) -> Self {
        Self { notation: Notation::Short, ..self }
    }

    /// Whether they came short, and are written so.
    pub fn are_short(&self) -> bool {
        self.notation == Notation::Short
    }
}

/// Equal tiers are the same tiers, however they are written.
impl PartialEq for MaintenanceTiers {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table) || self.table.tiers == other.table.tiers
    }
}

impl Eq for MaintenanceTiers {}

impl Table {
    /// The short form.
    fn short(&self) -> &str {
        self.short.get_or_init(|| {
            let tiers = self.tiers.iter().map(|MaintenanceTier { up_to, rate }| match up_to {
                Some(up_to) => format!("{up_to}:{rate}"),
                None => rate.to_string(),
            });
            tiers.collect::<Vec<_>>().join(";").into()
        })
    }
}

impl FromStr for MaintenanceTiers {
    type Err = InvalidTiers;

    fn from_str(text: &str) -> Result<Self, InvalidTiers> {
        let decimal = |text: &str| {
            let invalid =
                |_| InvalidTiers(format!("maintenance: {text:?} is not a decimal number"));
            text.parse::<Decimal>().map_err(invalid)
        };
        let tier = |text: &str| {
            let (up_to, rate) = match text.split_once(':') {
                Some((up_to, rate)) => (Some(decimal(up_to)?), rate),
                None => (None, text),
            };
            Ok(MaintenanceTier { up_to, rate: decimal(rate)? })
        };
        let tiers: Vec<MaintenanceTier> = text.split(';').map(tier).collect::<Result<_, _>>()?;
        Ok(Self::try_from(tiers)?.short())
    }
}

impl Serialize for MaintenanceTiers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.notation {
            Notation::Listed => self.table.tiers.serialize(serializer),
            Notation::Short => serializer.serialize_str(self.table.short()),
        }
    }
}

impl<'de> Deserialize<'de> for MaintenanceTiers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TiersVisitor;

        impl<'de> Visitor<'de> for TiersVisitor {
            type Value = MaintenanceTiers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("maintenance tiers, as a list or as one text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MaintenanceTiers, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<MaintenanceTiers, A::Error> {
                let tiers = Vec::<MaintenanceTier>::deserialize(SeqAccessDeserializer::new(seq))?;
                MaintenanceTiers::try_from(tiers).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(TiersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = r#"[{"up_to":"50000","rate":"0.004"},{"up_to":"250000.50","rate":"0.0050"},{"rate":"0.5"}]"#;
    const SHORT: &str = r#""50000:0.004;250000.50:0.0050;0.5""#;

    fn read(json: &str) -> MaintenanceTiers {
        serde_json::from_str(json).unwrap()
    }

    fn written(tiers: &MaintenanceTiers) -> String {
        serde_json::to_string(tiers).unwrap()
    }

    #[test]
    fn tiers_are_written_as_they_were_read_to_the_last_digit() {
        assert_eq!((written(&read(LISTED)), written(&read(SHORT))), (LISTED.into(), SHORT.into()));
        assert_eq!((read(LISTED).are_short(), read(SHORT).are_short()), (false, true));
    }

    #[test]
    fn the_same_tiers_are_equal_however_they_are_written() {
        assert_eq!(read(LISTED), read(SHORT));
        assert_eq!(written(&read(LISTED).short()), SHORT);
        assert_ne!(read(SHORT), read(r#""0.5""#));
    }

    #[test]
    fn what_is_no_table_of_tiers_is_refused_in_either_form() {
        let cases = [
            (r#""""#, "maintenance: \"\" is not a decimal number"),
            (r#""50000:0.004""#, "maintenance[0].up_to: the last tier has no end"),
            (r#""0.004;0.5""#, "maintenance[0].up_to: is missing, only the last has no end"),
            (r#""1:0.004:2;0.5""#, "maintenance: \"0.004:2\" is not a decimal number"),
            ("[]", "maintenance: has no tier: leave it out where nothing is known"),
            (
                "7",
                "invalid type: integer `7`, expected maintenance tiers, as a list or as one text",
            ),
        ];
        for (json, reason) in cases {
            let error = serde_json::from_str::<MaintenanceTiers>(json).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
