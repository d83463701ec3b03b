//! What is logged: a level for everything, and levels of their own for some targets.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// How many targets one filter may name.
pub const TARGETS_MAX: usize = 32;

/// A parsed filter such as `info` or `cap_pipeline=debug,warn`; later parts win.
///
/// What names no level for "everything else" leaves that at `info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    targets: Vec<(String, LevelFilter)>,
    everything_else: LevelFilter,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { targets: Vec::new(), everything_else: LevelFilter::INFO }
    }
}

impl LogFilter {
    pub(super) fn to_targets(&self) -> Targets {
        Targets::new().with_default(self.everything_else).with_targets(self.targets.clone())
    }
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    /// Stricter than tracing's own parsers, which take a misspelt level for a target's name.
    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let mut filter = Self::default();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => filter.everything_else = level(part)?,
                Some((target, named)) if is_target(target) => {
                    let level = level(named)?;
                    filter.targets.retain(|(known, _)| known != target);
                    filter.targets.push((target.to_owned(), level));
                }
                Some((target, _)) => return Err(LogFilterError::Target(target.to_owned())),
            }
        }
        if filter.targets.len() > TARGETS_MAX {
            return Err(LogFilterError::TooManyTargets);
        }
        Ok(filter)
    }
}

fn level(text: &str) -> Result<LevelFilter, LogFilterError> {
    match text {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(LogFilterError::Level(text.to_owned())),
    }
}

/// A Rust module path, as in `cap_pipeline::batch`.
fn is_target(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// In the form it is parsed from.
impl fmt::Display for LogFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (target, level) in &self.targets {
            write!(formatter, "{target}={level},")?;
        }
        write!(formatter, "{}", self.everything_else)
    }
}

/// Why a text is no log filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// Not one of the levels.
    #[error(
        "`{0}` is not a log level; use off, error, warn, info, debug or trace, alone or for a \
         target as in `cap_pipeline=debug,info`"
    )]
    Level(String),
    /// Not a module path.
    #[error("`{0}` is not a log target; use a module path such as `cap_pipeline`")]
    Target(String),
    /// Too long.
    #[error("a log filter may name at most {TARGETS_MAX} targets")]
    TooManyTargets,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_back_as_it_is_written() {
        for (text, expected) in [
            ("info", "info"),
            ("off", "off"),
            ("cap_pipeline=debug,warn", "cap_pipeline=debug,warn"),
            ("cap_pipeline::batch=trace", "cap_pipeline::batch=trace,info"),
            (" a=warn , error , a=debug ", "a=debug,error"),
        ] {
            assert_eq!(text.parse::<LogFilter>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_misspelt_is_refused_with_what_is_allowed() {
        for (text, expected) in [
            ("dbug", "`dbug` is not a log level; use off, error"),
            ("", "`` is not a log level; use off, error"),
            ("a=loud", "`loud` is not a log level; use off, error"),
            ("a b=info", "`a b` is not a log target"),
            ("=info", "`` is not a log target"),
        ] {
            let error = text.parse::<LogFilter>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let many: Vec<_> = (0..=TARGETS_MAX).map(|n| format!("t{n}=info")).collect();
        assert_eq!(many.join(",").parse::<LogFilter>(), Err(LogFilterError::TooManyTargets));
    }
}
