use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::{debug, error, info, info_span};

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines a log makes of what happens inside, without their timestamps.
fn lines_of(filter: &str, happen: impl FnOnce(LogLevel)) -> Vec<Value> {
    let sink = Sink::default();
    let logs = Logs::to_sink("account", &filter.parse().unwrap(), sink.clone()).unwrap();
    tracing::dispatcher::with_default(logs.dispatch(), || happen(logs.level()));
    drop(logs);
    let bytes = sink.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_eq!(timestamp.as_str().unwrap().len(), "2026-01-02T03:04:05.678901Z".len());
            line
        })
        .collect()
}

#[test]
fn a_line_carries_the_fields_of_all_spans_around_it_flat() {
    let lines = lines_of("info", |_| {
        let batch = info_span!("batch", size = 2, lane_seq = 0).entered();
        let post = info_span!(
            "account.post",
            request_id = "r-1",
            account_id = %"A-1001",
            lane_seq = 7_u64,
            outcome = tracing::field::Empty,
        );
        post.record("outcome", "applied");
        post.in_scope(|| info!(receive_count = 1, "posted"));
        drop(batch);
    });
    assert_eq!(
        lines,
        [json!({
            "level": "INFO",
            "service": "account",
            "target": "cap_service::logs::tests",
            "message": "posted",
            "receive_count": 1,
            "request_id": "r-1",
            "account_id": "A-1001",
            "lane_seq": 7,
            "outcome": "applied",
            "size": 2,
        })]
    );
}

#[test]
fn an_error_is_logged_with_everything_it_came_from() {
    let lines = lines_of("info", |_| {
        let source = std::io::Error::other("the wire was cut");
        let error = LogsError::Thread(source);
        error!(error = &error as &dyn std::error::Error, "giving up");
    });
    assert_eq!(lines[0]["error"], "starting the thread that writes the log: the wire was cut");
}

#[test]
fn a_field_cannot_take_a_name_of_the_line_itself() {
    let lines = lines_of("info", |_| info!(level = "high", "water"));
    assert_eq!((&lines[0]["level"], &lines[0]["level_"]), (&json!("INFO"), &json!("high")));
}

#[test]
fn the_level_changes_while_the_service_runs() {
    let lines = lines_of("info", |level| {
        let work = || debug!("detail");
        work();
        level.set("cap_service=debug,warn".parse().unwrap()).unwrap();
        work();
        info!(target: "elsewhere", "not wanted");
        assert_eq!(level.current().to_string(), "cap_service=debug,warn");
        level.set("info".parse().unwrap()).unwrap();
        work();
    });
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["detail"]);
}
