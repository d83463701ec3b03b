//! Turns an event and the spans around it into one flat JSON line.
//!
//! `request_id`, `account_id` and `lane_seq` are fields of the span around a message; flat, every
//! line logged inside can be searched by them. Of equal names the innermost wins; the five names of
//! the line itself ([`RESERVED`]) cannot be taken, a field of such a name gets a `_` behind it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Debug, Write as _};

use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::writer::LineWriter;

const RESERVED: [&str; 5] = ["timestamp", "level", "service", "target", "message"];
const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
);

/// The layer that writes a line for every event.
pub(super) struct JsonLines {
    pub(super) service: &'static str,
    pub(super) writer: LineWriter,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take("message");
        let mut span = context.event_span(event);
        while let Some(current) = span {
            if let Some(outer) = current.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
            span = current.parent();
        }
        let metadata = event.metadata();
        let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
        self.writer.put(line(self.service, *metadata.level(), metadata.target(), message, &fields));
    }
}

/// What the writer says about lines it had to drop.
pub(super) fn line_about_dropped(service: &'static str, count: u64) -> Vec<u8> {
    let fields = Fields(vec![("lines", count.into())]);
    line(service, Level::WARN, module_path!(), "log lines were dropped", &fields)
}

fn line(service: &str, level: Level, target: &str, message: &str, fields: &Fields) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let timestamp = OffsetDateTime::now_utc().format(TIMESTAMP).unwrap_or_default();
    let written = (|| -> Result<(), serde_json::Error> {
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp)?;
        map.serialize_entry("level", level.as_str())?;
        map.serialize_entry("service", service)?;
        map.serialize_entry("target", target)?;
        map.serialize_entry("message", message)?;
        for (name, value) in &fields.0 {
            map.serialize_entry(free_name(name).as_ref(), value)?;
        }
        map.end()
    })();
    debug_assert!(written.is_ok(), "names, strings and numbers always serialise into memory");
    bytes.push(b'\n');
    bytes
}

fn free_name(name: &str) -> Cow<'_, str> {
    if RESERVED.contains(&name) { Cow::Owned(format!("{name}_")) } else { Cow::Borrowed(name) }
}

/// Named values, each name once.
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, known)) => *known = value,
            None => self.0.push((field.name(), value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(index).1)
    }

    fn add_missing(&mut self, outer: &Self) {
        for (name, value) in &outer.0 {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name, value.clone()));
            }
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    /// The error and everything it came from, in one text.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.set(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }
}
