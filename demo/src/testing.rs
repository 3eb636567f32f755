//! A tracing server for tests: takes spans, and keeps them as they came.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::instance::LOOPBACK;

type Spans = Arc<Mutex<Vec<Value>>>;

/// Where it is, and what it has got.
pub(crate) async fn collector() -> (SocketAddr, Spans) {
    let spans = Spans::default();
    let router = Router::new()
        .route("/api/v2/spans", post(collect))
        .with_state(Arc::clone(&spans));
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, spans)
}

async fn collect(State(spans): State<Spans>, Json(new): Json<Vec<Value>>) -> StatusCode {
    spans.lock().extend(new);
    StatusCode::ACCEPTED
}
