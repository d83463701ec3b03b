//! Settings come from environment variables and are read once, at the start, all together.
//!
//! Guarantees: everything missing or wrong is reported at once, one line each, with the variable's
//! name, what it is for, an example and what was found; a secret is never printed; whatever a service
//! reads can also be listed ([`describe`]). Only [`process`] touches the process's environment.
//!
//! ```
//! use std::time::Duration;
//! use cap_service::environment::{Environment, Setting, Settings, read};
//!
//! struct Batching { messages_max: u32, wait: Duration }
//!
//! impl Settings for Batching {
//!     fn read(environment: &mut Environment<'_>) -> Option<Self> {
//!         let messages_max = environment.with_default(
//!             Setting::new("CAP_BATCH_MESSAGES_MAX", "how many messages one transaction takes")
//!                 .bounded(1..=10_000),
//!             "100",
//!         );
//!         let wait = environment.required(
//!             Setting::millis("CAP_BATCH_WAIT_MILLIS", "how long a batch waits for more", 0..=1_000),
//!         );
//!         Some(Self { messages_max: messages_max?, wait: wait? })
//!     }
//! }
//!
//! let batching: Batching =
//!     read(&|name: &str| (name == "CAP_BATCH_WAIT_MILLIS").then(|| "5".to_owned())).unwrap();
//! assert_eq!((batching.messages_max, batching.wait), (100, Duration::from_millis(5)));
//! ```

mod setting;

use std::fmt;

pub use setting::Setting;

/// Where variables are looked up: a variable's name to its value, if it is set.
pub type Source<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment. A value that is not Unicode is read with replacement characters.
#[must_use]
pub fn process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A group of settings that is read, checked and described together.
pub trait Settings: Sized {
    /// Reads every setting first, whatever the others turn out to be, and puts them together last:
    /// `None` only if the environment has noted a problem.
    fn read(environment: &mut Environment<'_>) -> Option<Self>;
}

/// For what needs no settings.
impl Settings for () {
    fn read(_: &mut Environment<'_>) -> Option<Self> {
        Some(())
    }
}

/// Two groups, read side by side so that the problems of both are reported.
impl<A: Settings, B: Settings> Settings for (A, B) {
    fn read(environment: &mut Environment<'_>) -> Option<Self> {
        let (first, second) = (A::read(environment), B::read(environment));
        Some((first?, second?))
    }
}

/// Reads a group of settings.
///
/// # Errors
/// All problems at once.
///
/// # Panics
/// If the group left a setting out without there being a problem, which is a mistake in its `read`.
pub fn read<S: Settings>(source: Source<'_>) -> Result<S, EnvironmentError> {
    let mut environment = Environment { source, problems: Vec::new(), described: Vec::new() };
    let settings = S::read(&mut environment);
    if !environment.problems.is_empty() {
        return Err(EnvironmentError { problems: environment.problems });
    }
    Ok(settings.expect("settings without a problem are complete"))
}

/// Everything a group of settings reads, in the order of reading.
#[must_use]
pub fn describe<S: Settings>() -> Vec<Description> {
    let nothing = |_: &str| None;
    let mut environment =
        Environment { source: &nothing, problems: Vec::new(), described: Vec::new() };
    // What is missing does not matter here, only what was asked for.
    let _ = S::read(&mut environment);
    environment.described
}

/// The reader handed to [`Settings::read`]: looks up, parses and takes note.
pub struct Environment<'a> {
    source: Source<'a>,
    problems: Vec<Problem>,
    described: Vec<Description>,
}

impl Environment<'_> {
    /// A setting that must be set and valid.
    pub fn required<T>(&mut self, setting: Setting<T>) -> Option<T> {
        self.describe(&setting, Need::Required);
        match self.look_up(&setting) {
            Some(text) => self.parse(&setting, &text),
            None => {
                self.note(&setting, Found::Nothing, String::new());
                None
            }
        }
    }

    /// A setting that may be left out: `Some(None)` when it is. An empty value counts as left out.
    pub fn optional<T>(&mut self, setting: Setting<T>) -> Option<Option<T>> {
        self.describe(&setting, Need::Optional);
        match self.look_up(&setting) {
            Some(text) => self.parse(&setting, &text).map(Some),
            None => Some(None),
        }
    }

    /// A setting with a default, written and checked like a value that was set.
    pub fn with_default<T>(&mut self, setting: Setting<T>, default: &str) -> Option<T> {
        self.describe(&setting, Need::Default(default.to_owned()));
        let text = self.look_up(&setting).unwrap_or_else(|| default.to_owned());
        self.parse(&setting, &text)
    }

    fn look_up<T>(&self, setting: &Setting<T>) -> Option<String> {
        (self.source)(setting.name).filter(|text| !text.is_empty())
    }

    fn parse<T>(&mut self, setting: &Setting<T>, text: &str) -> Option<T> {
        match (setting.parse)(text) {
            Ok(value) => Some(value),
            Err(wanted) => {
                let found =
                    if setting.secret { Found::Secret } else { Found::Text(text.to_owned()) };
                // The parser's words may repeat the value, which a secret must not.
                let wanted = if setting.secret { String::new() } else { wanted };
                self.note(setting, found, wanted);
                None
            }
        }
    }

    fn note<T>(&mut self, setting: &Setting<T>, found: Found, wanted: String) {
        self.problems.push(Problem {
            name: setting.name,
            purpose: setting.purpose,
            example: setting.example.clone(),
            wanted,
            found,
        });
    }

    fn describe<T>(&mut self, setting: &Setting<T>, need: Need) {
        self.described.push(Description {
            name: setting.name,
            purpose: setting.purpose,
            example: setting.example.clone(),
            bounds: setting.bounds.clone(),
            need,
        });
    }
}

/// One setting a service reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The variable.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// A value that would do, if one was given.
    pub example: Option<String>,
    /// The smallest and the largest value accepted, in words.
    pub bounds: Option<String>,
    /// Whether it must be set.
    pub need: Need,
}

/// Whether a setting must be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The service does not start without it.
    Required,
    /// The service does without it.
    Optional,
    /// The service uses this instead.
    Default(String),
}

/// One line of help, such as `CAP_LOG  what is logged; default info; e.g. debug`.
impl fmt::Display for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}  {}", self.name, self.purpose)?;
        if let Some(bounds) = &self.bounds {
            write!(formatter, "; {bounds}")?;
        }
        match &self.need {
            Need::Required => write!(formatter, "; required")?,
            Need::Optional => write!(formatter, "; optional")?,
            Need::Default(default) => write!(formatter, "; default {default}")?,
        }
        match &self.example {
            Some(example) => write!(formatter, "; e.g. {example}"),
            None => Ok(()),
        }
    }
}

/// One setting that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    name: &'static str,
    purpose: &'static str,
    example: Option<String>,
    wanted: String,
    found: Found,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Text(String),
    Secret,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, purpose, wanted, .. } = self;
        match &self.found {
            Found::Nothing => write!(formatter, "{name} is not set: {purpose}")?,
            Found::Secret => {
                write!(formatter, "{name} is not accepted: {purpose}; its value is not shown")?;
            }
            Found::Text(found) => {
                write!(formatter, "{name} is not accepted: {purpose}; {wanted}; found {found:?}")?;
            }
        }
        match &self.example {
            Some(example) => write!(formatter, "; e.g. {example}"),
            None => Ok(()),
        }
    }
}

/// Every setting that is missing or wrong, one line each.
#[derive(Debug, thiserror::Error)]
#[error("reading the settings from the environment:{}", lines(problems))]
pub struct EnvironmentError {
    problems: Vec<Problem>,
}

impl EnvironmentError {
    /// The variables concerned, in the order of reading.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.problems.iter().map(|problem| problem.name)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

#[cfg(test)]
mod tests;
