//! JSON lines on stderr, one an event, whose filter can be changed while the service runs (T56).
//!
//! Guarantees: a line carries the fields of the event and of all spans around it, flat; logging never
//! blocks and never fails a service; a panic is logged like any other event.
//! A span below the filter's level is not there at all, and neither are its fields.

mod filter;
mod json;
mod writer;

use std::io::Write;

use tracing::Dispatch;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

pub use filter::{LogFilter, LogFilterError, TARGETS_MAX};
use json::JsonLines;
use writer::LineWriter;

/// Everything about a service's log that is built but not in use yet.
#[derive(Debug)]
pub struct Logs {
    dispatch: Dispatch,
    level: LogLevel,
    writer: LineWriter,
}

impl Logs {
    /// Builds a log that writes to a sink.
    ///
    /// # Errors
    /// [`LogsError::Thread`] when the writing thread cannot be started.
    pub fn to_sink(
        service: &'static str,
        filter: &LogFilter,
        sink: impl Write + Send + 'static,
    ) -> Result<Self, LogsError> {
        let say_dropped = move |count| json::line_about_dropped(service, count);
        let writer = LineWriter::start(sink, say_dropped).map_err(LogsError::Thread)?;
        let (targets, handle) = reload::Layer::new(filter.to_targets());
        let lines = JsonLines { service, writer: writer.clone() };
        let dispatch = Dispatch::new(Registry::default().with(targets).with(lines));
        let current = std::sync::Arc::new(std::sync::Mutex::new(filter.clone()));
        Ok(Self { dispatch, level: LogLevel { handle, current }, writer })
    }

    /// Where events must be sent to land in this log.
    #[must_use]
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// The handle that changes what is logged.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.level.clone()
    }
}

/// What was logged before is written when the log goes.
impl Drop for Logs {
    fn drop(&mut self) {
        self.writer.flush();
    }
}

/// Makes a log on stderr the one of this process, panics included.
///
/// # Errors
/// [`LogsError::Second`] when the process has a log already.
pub fn start(service: &'static str, filter: &LogFilter) -> Result<Logs, LogsError> {
    let logs = Logs::to_sink(service, filter, std::io::stderr())?;
    tracing::dispatcher::set_global_default(logs.dispatch.clone())
        .map_err(|_| LogsError::Second)?;
    let writer = logs.writer.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string);
        let reason = panic.payload_as_str().unwrap_or("no reason given");
        tracing::error!(location, reason, "a thread panicked");
        // The process may be about to end.
        writer.flush();
    }));
    Ok(logs)
}

/// What is logged now, and the means to change it.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    current: std::sync::Arc<std::sync::Mutex<LogFilter>>,
}

impl LogLevel {
    /// The filter in force.
    #[must_use]
    pub fn current(&self) -> LogFilter {
        self.lock().clone()
    }

    /// Puts another filter in force, for all threads from their next event on.
    ///
    /// # Errors
    /// [`LogsError::Gone`] when the log no longer exists.
    pub fn set(&self, filter: LogFilter) -> Result<(), LogsError> {
        let mut current = self.lock();
        self.handle.reload(filter.to_targets()).map_err(|_| LogsError::Gone)?;
        *current = filter;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogFilter> {
        // A filter is replaced whole, so one that a panic left behind is still a filter.
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Why a log could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// No thread to write with.
    #[error("starting the thread that writes the log")]
    Thread(#[source] std::io::Error),
    /// A process has one log.
    #[error("starting the log: this process has one already")]
    Second,
    /// The log was dropped.
    #[error("changing the log level: the log is gone")]
    Gone,
}

#[cfg(test)]
mod tests;
