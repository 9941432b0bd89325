//! /healthz, /readyz and /metrics.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Serves the probes: alive as soon as it runs, ready once everything has been listed.
pub(crate) async fn probes(
    address: SocketAddr,
    complete: watch::Receiver<bool>,
) -> Result<(), std::io::Error> {
    let ready = move || {
        let complete = *complete.borrow();
        async move {
            if complete {
                (StatusCode::OK, "ok\n").into_response()
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "not everything has been listed yet\n").into_response()
            }
        }
    };
    let router = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    serve(address, router).await
}

/// Serves the metrics.
pub(crate) async fn metrics(address: SocketAddr, metrics: Metrics) -> Result<(), std::io::Error> {
    let text = move || {
        let text = metrics.text();
        async move { openmetrics(text) }
    };
    serve(address, Router::new().route("/metrics", get(text))).await
}

fn openmetrics(text: String) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn serve(address: SocketAddr, router: Router) -> Result<(), std::io::Error> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a listener ended");
        }
    });
    Ok(())
}
