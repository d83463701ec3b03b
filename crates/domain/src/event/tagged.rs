//! An enum whose variant is the field `type` among its other fields, read without a copy of those.
//!
//! serde's own reader of such enums puts all fields aside until it has found the `type`, wherever it is. CAP writes it
//! first, so what follows can be read as that variant's at once: a quarter of what reading an item takes.

use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::fmt;

/// The field that says the variant.
const TAG: &str = "type";

/// Declares an enum of the crate with `#[serde(tag = "type")]` and reads it by [`read`].
macro_rules! tagged {
    ($(#[$doc:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(tag = "type")]
        pub enum $name { $($variants)* }

        /// The same, as serde reads an enum whose variant is known beforehand.
        #[derive(Deserialize)]
        #[serde(remote = "Event")]
        enum OfKnownVariant { $($variants)* }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(transparent)]
                struct Read(#[serde(with = "OfKnownVariant")] $name);

                tagged::read(deserializer).map(|Read(event)| event)
            }
        }
    };
}

pub(super) use tagged;

/// Reads a `T` that is an enum by its variant from fields of which one is [`TAG`].
pub(super) fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Fields<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object with a field {TAG:?}")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
            match fields.next_key::<SmolStr>()? {
                Some(first) if first == TAG => {
                    let variant = fields.next_value()?;
                    T::deserialize(Tagged { variant, fields })
                }
                Some(first) => with_tag_behind(first, fields),
                None => Err(A::Error::missing_field(TAG)),
            }
        }
    }

    deserializer.deserialize_map(Fields(PhantomData))
}

/// The same where another field comes before the tag: as nobody writes it, but JSON has no order.
fn with_tag_behind<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    first: SmolStr,
    mut fields: A,
) -> Result<T, A::Error> {
    let mut all = Map::new();
    all.insert(first.to_string(), fields.next_value()?);
    while let Some(name) = fields.next_key::<String>()? {
        if all.contains_key(&name) {
            return Err(A::Error::custom(format!("{name:?} is written twice")));
        }
        all.insert(name, fields.next_value()?);
    }
    let variant = match all.remove(TAG) {
        Some(Value::String(variant)) => variant.into(),
        _ => return Err(A::Error::missing_field(TAG)),
    };
    let fields = MapDeserializer::new(all.into_iter());
    T::deserialize(Tagged { variant, fields }).map_err(A::Error::custom)
}

/// An enum whose variant is known, and whose fields follow.
struct Tagged<A> {
    variant: SmolStr,
    fields: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Tagged<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Tagged<A> {
    type Error = A::Error;
    type Variant = Fields<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Fields<A>), A::Error> {
        let variant: StringDeserializer<A::Error> = self.variant.to_string().into_deserializer();
        Ok((seed.deserialize(variant)?, Fields(self.fields)))
    }
}

/// The fields behind the variant.
struct Fields<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::TupleVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Event;

    const FIRST: &str =
        r#"{"type":"fee.charged","amount":{"currency":"USD","amount":"1.00"},"reason":"a\u0062c"}"#;

    fn read(json: &str) -> Result<Event, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_reads_the_same_wherever_its_type_stands() {
        let last =
            r#"{"amount":{"currency":"USD","amount":"1.00"},"reason":"abc","type":"fee.charged"}"#;
        let event = read(FIRST).unwrap();
        assert_eq!(read(last).as_ref(), Ok(&event));
        assert_eq!(serde_json::to_string(&event).unwrap(), FIRST.replace(r"\u0062", "b"));
    }

    #[test]
    fn an_event_without_fields_of_its_own_is_its_type_alone() {
        assert_eq!(read(r#"{"type":"account.closed"}"#), Ok(Event::AccountClosed));
    }

    #[test]
    fn what_is_no_event_is_refused_in_words() {
        let cases = [
            (r#"{"reason":"x"}"#, "missing field `type`"),
            ("{}", "missing field `type`"),
            (r#"{"type":"fee.waived"}"#, "unknown variant `fee.waived`, expected one of"),
            (r#"{"type":"fee.charged","reason":"x"}"#, "missing field `amount`"),
            (r#"{"reason":"x","reason":"y","type":"fee.charged"}"#, "\"reason\" is written twice"),
            (r#""fee.charged""#, "invalid type: string \"fee.charged\", expected an object"),
        ];
        for (json, reason) in cases {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
