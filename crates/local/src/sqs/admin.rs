//! What tests and the demo ask the broker beside SQS: counts, requests, faults, time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{faults::FaultPlan, service::Service};

/// Messages of one queue by state.
#[derive(Serialize)]
pub(crate) struct QueueCounts {
    visible: usize,
    in_flight: usize,
    delayed: usize,
}

/// `GET /_admin/queues`: counts of all queues by name.
pub(crate) async fn queues(
    State(service): State<Arc<Service>>,
) -> Json<BTreeMap<String, QueueCounts>> {
    let now = service.now();
    let queues = service.engine.queues();
    let counted = queues.iter().map(|queue| {
        let counts = queue.counts(now);
        let counts = QueueCounts {
            visible: counts.visible,
            in_flight: counts.in_flight,
            delayed: counts.delayed,
        };
        (queue.name.to_string(), counts)
    });
    Json(counted.collect())
}

/// `GET /_admin/operations`: requests so far by operation.
pub(crate) async fn operations(
    State(service): State<Arc<Service>>,
) -> Json<BTreeMap<&'static str, u64>> {
    Json(service.requests.by_name())
}

/// `GET /_admin/faults`: the plan in force.
pub(crate) async fn faults(State(service): State<Arc<Service>>) -> Json<FaultPlan> {
    Json(service.faults.plan())
}

/// `POST /_admin/faults`: a new plan instead of the one before.
pub(crate) async fn set_faults(
    State(service): State<Arc<Service>>,
    Json(plan): Json<FaultPlan>,
) -> Result<Json<FaultPlan>, (StatusCode, String)> {
    service.faults.set(plan).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Json(service.faults.plan()))
}

/// `DELETE /_admin/faults`: no faults from now on.
pub(crate) async fn clear_faults(
    State(service): State<Arc<Service>>,
) -> Result<StatusCode, (StatusCode, String)> {
    let none = service.faults.set(FaultPlan::default());
    none.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A step of the clock.
#[derive(Deserialize)]
pub(crate) struct Advance {
    advance_millis: u64,
}

/// `POST /_admin/clock`: moves the broker's time forward.
pub(crate) async fn advance_clock(
    State(service): State<Arc<Service>>,
    Json(step): Json<Advance>,
) -> StatusCode {
    service.clock.advance(Duration::from_millis(step.advance_millis));
    StatusCode::NO_CONTENT
}
