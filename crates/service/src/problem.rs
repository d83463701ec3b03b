//! Errors as RFC 9457 problem details: what is wrong, in simple English, with an HTTP status (T3).

use std::collections::BTreeMap;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One problem, ready to be the answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    more: BTreeMap<&'static str, Value>,
}

impl Problem {
    /// A problem of a kind such as `not-ready`, which becomes the type `urn:cap:problem:not-ready`;
    /// the title is the same for all problems of a kind, the detail is about this one.
    #[must_use]
    pub fn new(
        status: StatusCode,
        kind: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:cap:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            more: BTreeMap::new(),
        }
    }

    /// Adds a member of its own, as the RFC's "extension members".
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(name, value.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
        response
    }
}
