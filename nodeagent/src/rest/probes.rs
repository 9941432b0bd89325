//! `/livez`, `/readyz`, `/metrics`: for whatever supervises the agent.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use openapi::{Liveness, Problem, ProblemCode, Readiness};

use super::conditional::fresh;
use super::networks::pools;
use super::nics::JSON;
use super::problem::{Answer, Refusal};
use super::query::Query;
use super::state::RestState;
use crate::inventory::published::json as written;
use crate::metrics::Held;

/// Media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Says whether the agent lives.
#[utoipa::path(
    get, path = "/livez", operation_id = "getLiveness", tag = "agent",
    responses(
        (status = 200, description = "The agent lives.", body = Liveness),
        (status = 500, description = "Nobody reads the machine any more: restart the agent.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn live(State(state): State<RestState>, RawQuery(raw): RawQuery) -> Answer {
    Query::none(raw.as_deref())?;
    if state.health.is_live() {
        Ok(fresh(StatusCode::OK, JSON, written(&Liveness { live: true })))
    } else {
        Err(Refusal::new(ProblemCode::Internal, "the inventory thread has ended; the log says why"))
    }
}

/// Says whether the agent is ready, and what keeps it from serving fully.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "agent",
    responses(
        (status = 200, description = "Ready.", body = Readiness),
        (status = 503, description = "Not ready; the body says why.", body = Readiness),
    )
)]
pub(super) async fn ready(State(state): State<RestState>, RawQuery(raw): RawQuery) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.newest.borrow().clone();
    let ready = published.is_some() && state.health.is_live();
    let readiness = Readiness {
        ready,
        generation: published.as_ref().map_or(0, |published| published.generation),
        listeners: state.health.listeners(),
        store: state.health.store(),
        warnings: published.map_or_else(Vec::new, |published| published.agent_warnings.clone()),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(fresh(status, JSON, written(&readiness)))
}

/// Shows metrics as OpenMetrics text.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "agent",
    responses((status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(state): State<RestState>, RawQuery(raw): RawQuery) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.newest.borrow().clone();
    let held = Held { addresses: pools(&state), attachments: state.attachments() };
    let text = state.metrics.text(published.as_deref(), &held).map_err(|error| {
        tracing::error!(%error, "write metrics");
        Refusal::new(ProblemCode::Internal, "the metrics could not be written")
    })?;
    Ok(fresh(StatusCode::OK, OPENMETRICS, text.into()))
}
