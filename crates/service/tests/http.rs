//! What operators get from a service over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test, as tests do")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use cap_service::http::{HttpServer, Operations, operations};
use cap_service::logs::Logs;
use cap_service::metrics::Metrics;
use cap_service::readiness::Readiness;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_service_is_alive_even_when_it_is_not_ready() {
    let service = Service::start().await;
    let _queue = service.readiness.condition("queue");
    assert_eq!(service.ask("GET", "/healthz", "").await, (200, "alive\n".to_owned()));
}

#[tokio::test]
async fn readiness_names_every_condition_that_does_not_hold() {
    let service = Service::start().await;
    assert_eq!(service.ask("GET", "/readyz", "").await.0, 200);

    let database = service.readiness.condition("database");
    let queue = service.readiness.condition("queue");
    database.not_ready("refuses connections");
    let (status, body) = service.ask("GET", "/readyz", "").await;
    assert_eq!(status, 503);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "type": "urn:cap:problem:not-ready",
            "title": "The service is not ready",
            "status": 503,
            "detail": "database refuses connections; queue is starting",
            "reasons": [
                {"condition": "database", "reason": "refuses connections"},
                {"condition": "queue", "reason": "is starting"},
            ],
        })
    );

    database.ready();
    queue.ready();
    assert_eq!(service.ask("GET", "/readyz", "").await, (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_in_the_format_of_prometheus() {
    let service = Service::start().await;
    let (status, body) = service.ask("GET", "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(body.contains("messages_total{service=\"test\"} 3"), "{body}");
}

#[tokio::test]
async fn the_log_level_is_read_and_changed() {
    let service = Service::start().await;
    assert_eq!(service.ask("GET", "/log-level", "").await.1, "info\n");
    assert_eq!(service.ask("PUT", "/log-level", "cap_pipeline=debug,warn\n").await.0, 200);
    assert_eq!(service.ask("GET", "/log-level", "").await.1, "cap_pipeline=debug,warn\n");

    tracing::dispatcher::with_default(service.logs.dispatch(), || {
        tracing::debug!(target: "cap_pipeline", "wanted");
        tracing::info!(target: "elsewhere", "not wanted");
    });
    drop(service.logs);
    let log = String::from_utf8(service.sink.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("\"message\":\"wanted\"") && !log.contains("not wanted"), "{log}");
}

#[tokio::test]
async fn what_is_wrong_is_answered_with_a_problem() {
    let service = Service::start().await;
    let long = "a".repeat(5_000);
    for (method, path, body, status, kind) in [
        ("PUT", "/log-level", "dbug", 400, "bad-log-level"),
        ("PUT", "/log-level", "", 400, "bad-log-level"),
        ("PUT", "/log-level", &long, 413, "bad-log-level"),
        ("GET", "/nowhere", "", 404, "not-found"),
        ("DELETE", "/log-level", "", 405, "method-not-allowed"),
        ("POST", "/readyz", "", 405, "method-not-allowed"),
    ] {
        let (found, answer) = service.ask(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        let problem: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(problem["type"], format!("urn:cap:problem:{kind}"));
        assert_eq!(problem["status"], status);
    }
    let (_, answer) = service.ask("PUT", "/log-level", "dbug").await;
    assert!(answer.contains("use off, error, warn, info, debug or trace"), "{answer}");
    assert_eq!(service.ask("GET", "/log-level", "").await.1, "info\n", "nothing was changed");
}

#[tokio::test]
async fn a_port_that_is_taken_is_reported_with_the_address() {
    let service = Service::start().await;
    let error = HttpServer::bind(service.address).await.unwrap_err().to_string();
    assert_eq!(error, format!("listening for HTTP on {}", service.address));
}

struct Service {
    address: std::net::SocketAddr,
    readiness: Readiness,
    logs: Logs,
    sink: Sink,
    _stop: tokio_util::sync::DropGuard,
}

impl Service {
    async fn start() -> Self {
        let sink = Sink::default();
        let logs = Logs::to_sink("test", &"info".parse().unwrap(), sink.clone()).unwrap();
        let (recorder, metrics) = Metrics::detached("test").unwrap();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("messages_total").increment(3);
        });
        let readiness = Readiness::default();
        let server = HttpServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let router = operations(Operations {
            readiness: readiness.clone(),
            metrics,
            log_level: logs.level(),
        });
        tokio::spawn(server.serve(router, stop.clone()));
        Self { address, readiness, logs, sink, _stop: stop.drop_guard() }
    }

    /// One request on a connection of its own: the status and the body of the answer.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_problem = head.contains("application/problem+json");
        assert_eq!(is_problem, status >= 400, "problems, and only they, have their media type");
        (status, body.to_owned())
    }
}

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
