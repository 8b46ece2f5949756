//! `GET /metrics` at an address of its own, without a session: for Prometheus, not for people.

use super::{Metrics, Sources, sheet};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::{error, info};

/// How often an address that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// The text format that every Prometheus reads.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const SLOW: Duration = Duration::from_secs(5);

/// Until `stopping`; an address that is taken is tried again, while everything else works.
pub async fn keep_serving(
    listen: SocketAddr,
    metrics: Metrics,
    sources: Sources,
    stopping: CancellationToken,
) {
    let app = Router::new()
        .route("/metrics", get(show))
        .with_state((metrics, sources))
        .layer(RequestBodyLimitLayer::new(1024))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, SLOW));
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                info!(%listen, "metrics are served");
                let until = stopping.clone().cancelled_owned();
                let served = axum::serve(listener, app.clone()).with_graceful_shutdown(until);
                if let Err(error) = served.await {
                    error!(%error, "metrics are no longer served");
                }
            }
            Err(error) => {
                error!(%listen, %error, "no metrics: set metrics.listen to a free port of this host");
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn show(State((metrics, sources)): State<(Metrics, Sources)>) -> Response {
    let readings = metrics.read(&sources).await;
    match sheet::written(readings) {
        Ok(text) => ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => {
            error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
