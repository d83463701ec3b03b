//! The HTTP server every service has for its operators: health, readiness, metrics and log level.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process answers at all |
//! | `GET /readyz` | 200 when ready, else 503 with the reasons |
//! | `GET /metrics` | Prometheus' text format |
//! | `GET /log-level` | the filter in force |
//! | `PUT /log-level` | puts the filter in the body in force; 400 says what is allowed |
//!
//! Guarantees: every answer that is not a success is a [`Problem`]. It has no authentication: the
//! address it listens on must not be reachable from outside.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::rejection::StringRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::logs::{LogFilter, LogLevel};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::readiness::Readiness;

/// A log filter is one short line.
const BODY_BYTES_MAX: usize = 4 * 1_024;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A listening server that does not answer yet. Any router will do: services with an API of their own
/// start a second one.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`HttpError::Listen`], for example when the port is taken.
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        let listen = |source| HttpError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address })
    }

    /// The address it listens on, with the port it really has.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until told to stop, then lets those under way finish.
    ///
    /// # Errors
    /// [`HttpError::Serve`] when the listener fails.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> Result<(), HttpError> {
        axum::serve(self.listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(|source| HttpError::Serve { address: self.address, source })
    }
}

/// What the operators' routes show and change.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Shown by `/readyz`.
    pub readiness: Readiness,
    /// Shown by `/metrics`.
    pub metrics: Metrics,
    /// Shown and changed by `/log-level`.
    pub log_level: LogLevel,
}

/// The operators' routes.
pub fn operations(operations: Operations) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log-level", get(log_level).put(set_log_level))
        .fallback(|| async { not_found() })
        .method_not_allowed_fallback(|| async { method_not_allowed() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(operations)
}

async fn readyz(State(operations): State<Operations>) -> Response {
    let reasons = operations.readiness.reasons();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    let sentences: Vec<String> =
        reasons.iter().map(|not| format!("{} {}", not.condition, not.reason)).collect();
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-ready",
        "The service is not ready",
        sentences.join("; "),
    )
    .with("reasons", serde_json::json!(reasons))
    .into_response()
}

async fn metrics(State(operations): State<Operations>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS)], operations.metrics.render()).into_response()
}

async fn log_level(State(operations): State<Operations>) -> String {
    format!("{}\n", operations.log_level.current())
}

async fn set_log_level(
    State(operations): State<Operations>,
    body: Result<String, StringRejection>,
) -> Result<String, Problem> {
    let body =
        body.map_err(|rejection| bad_log_level(rejection.status(), rejection.body_text()))?;
    let filter: LogFilter = body
        .trim()
        .parse()
        .map_err(|error| bad_log_level(StatusCode::BAD_REQUEST, format!("{error}")))?;
    let before = operations.log_level.current();
    operations
        .log_level
        .set(filter.clone())
        .map_err(|error| bad_log_level(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    tracing::warn!(%before, now = %filter, "the log level was changed");
    Ok(format!("{filter}\n"))
}

fn bad_log_level(status: StatusCode, detail: String) -> Problem {
    Problem::new(status, "bad-log-level", "The log level was not changed", detail)
}

fn not_found() -> Problem {
    let detail = "there is /healthz, /readyz, /metrics and /log-level";
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this address", detail)
}

fn method_not_allowed() -> Problem {
    let detail = "everything can be read with GET; only /log-level can be changed, with PUT";
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This cannot be done with this address",
        detail,
    )
}

/// Why a server could not listen or answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is not to be had.
    #[error("listening for HTTP on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("answering HTTP on {address}")]
    Serve {
        /// The address listened on.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
}
