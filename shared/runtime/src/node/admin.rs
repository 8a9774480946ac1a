//! The admin port: /metrics for Prometheus, /healthz (restart me) and /readyz (send me calls) for Kubernetes.

use std::future::Future;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::Registry;
use tokio::net::TcpListener;

use super::health::Health;
use crate::tasks::Tasks;
use crate::telemetry;

/// Serves the admin port until `end`.
pub(super) async fn serve(
    listener: TcpListener,
    health: Health,
    tasks: Tasks,
    registry: Registry,
    end: impl Future<Output = ()> + Send + 'static,
) {
    let router = Router::new()
        .route("/metrics", get(move || metrics(registry.clone())))
        .route("/healthz", get(move || healthz(tasks.clone())))
        .route("/readyz", get(move || readyz(health.clone())));
    if let Err(fault) = axum::serve(listener, router).with_graceful_shutdown(end).await {
        tracing::error!(%fault, "the admin port broke");
    }
}

#[expect(clippy::unused_async, reason = "the shape of a handler")]
async fn metrics(registry: Registry) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::text(&registry))
}

#[expect(clippy::unused_async, reason = "the shape of a handler")]
async fn healthz(tasks: Tasks) -> impl IntoResponse {
    if tasks.is_broken() {
        (StatusCode::INTERNAL_SERVER_ERROR, "a background task is broken\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

#[expect(clippy::unused_async, reason = "the shape of a handler")]
async fn readyz(health: Health) -> impl IntoResponse {
    match health.ready() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons),
    }
}
