//! JSON in which no field is said twice: where two readers could disagree on which one counts,
//! there is nothing to read (T38).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::refusal::Poison;

/// Reads any JSON value whose objects have no field twice.
pub(crate) fn unambiguous_value(text: &str) -> Result<Value, serde_json::Error> {
    // First the reader that stops at a depth: what it takes can be walked through.
    let value = serde_json::from_str(text)?;
    check_unambiguous(text)?;
    Ok(value)
}

/// `value` as JSON, in a text that has room for so many bytes before it grows.
pub(crate) fn written(value: &impl Serialize, room: usize) -> Result<String, Poison> {
    let mut json = Vec::with_capacity(room);
    serde_json::to_writer(&mut json, value)
        .map_err(|error| Poison::OutOfRange(error.to_string()))?;
    String::from_utf8(json).map_err(|error| Poison::OutOfRange(error.to_string()))
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

/// What is written as a text or as something else. Which of both it is its first character tells: serde's untagged
/// enums would put all of it aside and try one after the other, each time with an error that nobody reads.
pub(crate) trait TextOr<'de>: Sized {
    /// What it is, for whoever wrote something else.
    const EXPECTED: &'static str;

    /// Of a text.
    fn of_text<E: Error>(text: &str) -> Result<Self, E>;

    /// Of a list, unless there is none.
    fn of_list<A: SeqAccess<'de>>(_list: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &Self::EXPECTED))
    }

    /// Of an object, unless there is none.
    fn of_object<A: MapAccess<'de>>(_object: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &Self::EXPECTED))
    }
}

/// For the `Deserialize` of a [`TextOr`].
pub(crate) fn read_text_or<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TextOr<'de>,
    D: Deserializer<'de>,
{
    struct Either<T>(PhantomData<T>);

    impl<'de, T: TextOr<'de>> Visitor<'de> for Either<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::of_text(text)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
            T::of_list(list)
        }

        fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
            T::of_object(object)
        }
    }

    deserializer.deserialize_any(Either(PhantomData))
}

/// A name of serde_json's own: it takes the text in a field of that name for JSON, in which nobody looked for
/// fields that are said twice.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

fn check_unambiguous(text: &str) -> Result<(), serde_json::Error> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_str(text);
            let fields: BTreeMap<String, &RawValue> = unique_keys(&mut json)?;
            if fields.contains_key(RAW_VALUE) {
                return Err(Error::custom(format!("{RAW_VALUE:?} is no name for a field")));
            }
            fields.values().try_for_each(|field| check_unambiguous(field.get()))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            items.iter().try_for_each(|item| check_unambiguous(item.get()))
        }
        _ => Ok(()),
    }
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
    fn a_name_that_would_hide_fields_from_us_is_refused() {
        let text = r#"{"a":{"$serde_json::private::RawValue":"{\"b\":1,\"b\":2}"}}"#;
        let error = unambiguous_value(text).unwrap_err().to_string();
        assert!(error.starts_with("\"$serde_json::private::RawValue\" is no name"), "{error}");
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
