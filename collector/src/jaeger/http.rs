//! `POST /api/traces`, with the statuses and words of Jaeger's collector.
//!
//! Its clients add `?format=jaeger.thrift`, which decided between formats once and is not looked at, by Jaeger
//! neither. Overload is 503 with `Retry-After`, where Jaeger says 500; its clients treat both alike.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use proto::Wire;

use crate::http::{answer, take, text_of};
use crate::{Accepted, Collector, Encoding, Expected, Refusal, Transport};

const TRANSPORT: Transport = Transport::JaegerHttp;
const WIRE: Wire = Wire::JaegerThrift;

/// What a body may be said to be. Both are thrift's TBinaryProtocol.
const MEDIA_TYPES: [&str; 2] = ["application/x-thrift", "application/vnd.apache.thrift.binary"];

/// The route, for a port of its own. Its transport is shown in metrics from now on.
pub fn router(collector: Arc<Collector>) -> Router {
    collector.metrics().expect(TRANSPORT);
    Router::new()
        .route("/api/traces", post(save))
        .with_state(collector)
}

async fn save(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let content_type = text_of(request.headers(), CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_known = MEDIA_TYPES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(media_type));
    let outcome = if is_known {
        take(&collector, TRANSPORT, WIRE, request).await
    } else {
        refuse(&collector, format!("Unsupported content type: {media_type}")).await
    };
    match outcome {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(Refusal::Malformed(text)) if is_known => {
            let text = format!("Unable to process request body: {text}");
            (StatusCode::BAD_REQUEST, text).into_response()
        }
        Err(refusal) => answer(&refusal),
    }
}

/// Counted, as everything refused is.
async fn refuse(collector: &Collector, text: String) -> Result<Accepted, Refusal> {
    let encoding = Encoding {
        expected: Expected::Wire(WIRE),
        compression: None,
    };
    let body: Result<Bytes, _> = Err(Refusal::Malformed(text));
    collector.accept(TRANSPORT, encoding, body).await
}
