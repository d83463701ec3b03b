//! JSON in which no field is said twice: where two readers could disagree on which one counts,
//! there is nothing to read (T38).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads any JSON value whose objects have no field twice.
pub(crate) fn unambiguous_value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(|Unambiguous(value)| value)
}

/// A JSON value whose objects have no field twice, at any depth. It is not read as a [`Value`], which keeps
/// the last of two, and takes an object with a certain name of serde_json's own for what its text says.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
                Ok(truth.into())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
                Ok(number.into())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
                Ok(number.into())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
                Ok(number.into())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(Unambiguous(item)) = items.next_element()? {
                    values.push(item);
                }
                Ok(values.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name:?} is written twice")));
                    }
                    let Unambiguous(field) = map.next_value()?;
                    fields.insert(name, field);
                }
                Ok(fields.into())
            }
        }

        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

/// The same JSON without the two characters that SQS refuses and JSON does not: they can only
/// stand within texts, where an escape says the same.
pub(crate) fn for_queues(json: String) -> String {
    /// What the UTF-8 of both begins with; little else does.
    const FIRST_BYTE: u8 = 0xef;
    if json.as_bytes().contains(&FIRST_BYTE) && json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

/// For the `Deserialize` of what is written as a text: read where it lies, without a copy of its own.
pub(crate) fn read_text<'de, D, T, E>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    struct Text<F>(F);

    impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
            self.0(text).map_err(Error::custom)
        }
    }

    deserializer.deserialize_str(Text(read))
}

/// For `#[serde(deserialize_with)]`: a map in which a key that comes twice is an error.
pub(crate) fn unique_keys<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueKeys(PhantomData))
}

struct UniqueKeys<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for UniqueKeys<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = map.next_key::<K>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format!("{key:?} is written twice")));
            }
            entries.insert(key, map.next_value()?);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_nested_without_end_is_refused_and_not_walked_through() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        let error = unambiguous_value(&deep).unwrap_err().to_string();
        assert!(error.starts_with("recursion limit exceeded"), "{error}");
    }

    #[test]
    fn json_for_queues_has_no_character_that_sqs_refuses_and_says_the_same() {
        let json = serde_json::to_string("a\u{fffe}b\u{ffff}").unwrap();
        let safe = for_queues(json);
        assert_eq!(safe, r#""a\ufffeb\uffff""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "a\u{fffe}b\u{ffff}");
    }

    #[test]
    fn a_name_of_serde_jsons_own_is_a_name_like_any_other() {
        let text = r#"{"b":{"$serde_json::private::RawValue":"{\"c\":1,\"c\":2}"},"q":1}"#;
        let value = unambiguous_value(text).unwrap();
        assert!(value["b"]["$serde_json::private::RawValue"].is_string(), "{value}");
        let error = unambiguous_value(&text.replace("\"q\":1", "\"q\":1,\"q\":2")).unwrap_err();
        assert!(error.to_string().starts_with("\"q\" is written twice"), "{error}");
    }

    #[test]
    fn a_field_written_twice_is_refused_at_any_depth() {
        let text = r#"{"a":[{"b":1,"c":"x","d":null,"e":true,"f":-2.5}], "g": {}}"#;
        assert_eq!(unambiguous_value(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        let twice = |text: &str| unambiguous_value(text).unwrap_err().to_string();
        let error = twice(r#"{"a": [ {"b":1,"b":2}]}"#);
        assert!(error.starts_with("\"b\" is written twice"), "{error}");
        let error = twice(r#"{"a":1,"\u0061":2}"#);
        assert!(error.starts_with("\"a\" is written twice"), "{error}");
    }
}
