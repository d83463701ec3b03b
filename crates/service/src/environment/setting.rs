//! One setting: its name, what it is for, and how its text becomes a value.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Makes a value of a text, or says in words what would have been accepted.
type Parse<T> = Box<dyn Fn(&str) -> Result<T, String>>;

/// A variable that holds a `T`.
pub struct Setting<T> {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) example: Option<String>,
    pub(super) bounds: Option<String>,
    pub(super) secret: bool,
    pub(super) parse: Parse<T>,
}

impl<T: FromStr<Err: Display> + 'static> Setting<T> {
    /// A setting whose value parses itself.
    #[must_use]
    pub fn new(name: &'static str, purpose: &'static str) -> Self {
        Self::parsed_by(name, purpose, |text| {
            text.parse().map_err(|error: T::Err| error.to_string())
        })
    }
}

impl<T: 'static> Setting<T> {
    /// A setting with a parser of its own; the error says in words what would be accepted.
    #[must_use]
    pub fn parsed_by(
        name: &'static str,
        purpose: &'static str,
        parse: impl Fn(&str) -> Result<T, String> + 'static,
    ) -> Self {
        let parse = Box::new(parse);
        Self { name, purpose, example: None, bounds: None, secret: false, parse }
    }

    /// A value to imitate, shown when the setting is missing or wrong.
    #[must_use]
    pub fn example(mut self, example: &str) -> Self {
        self.example = Some(example.to_owned());
        self
    }

    /// Marks a value that must never be printed, such as an address with a password in it.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Accepts only values within these bounds.
    #[must_use]
    pub fn bounded(mut self, bounds: RangeInclusive<T>) -> Self
    where
        T: PartialOrd + Display,
    {
        let wanted = format!("from {} to {}", bounds.start(), bounds.end());
        self.bounds = Some(wanted.clone());
        let parse = self.parse;
        self.parse = Box::new(move |text| {
            parse(text)
                .ok()
                .filter(|value| bounds.contains(value))
                .ok_or_else(|| format!("must be {wanted}"))
        });
        self
    }

    /// Makes something else of a value that was accepted.
    #[must_use]
    pub fn map<U>(self, convert: impl Fn(T) -> U + 'static) -> Setting<U> {
        let parse = self.parse;
        Setting {
            name: self.name,
            purpose: self.purpose,
            example: self.example,
            bounds: self.bounds,
            secret: self.secret,
            parse: Box::new(move |text| parse(text).map(&convert)),
        }
    }
}

impl Setting<Duration> {
    /// A duration in whole seconds; the name ends in `_SECS`.
    ///
    /// # Panics
    /// If the name does not say the unit.
    #[must_use]
    pub fn secs(name: &'static str, purpose: &'static str, bounds: RangeInclusive<u64>) -> Self {
        assert!(name.ends_with("_SECS"), "{name} holds seconds and must say so");
        Setting::new(name, purpose).bounded(bounds).map(Duration::from_secs)
    }

    /// A duration in whole milliseconds; the name ends in `_MILLIS`.
    ///
    /// # Panics
    /// If the name does not say the unit.
    #[must_use]
    pub fn millis(name: &'static str, purpose: &'static str, bounds: RangeInclusive<u64>) -> Self {
        assert!(name.ends_with("_MILLIS"), "{name} holds milliseconds and must say so");
        Setting::new(name, purpose).bounded(bounds).map(Duration::from_millis)
    }
}
