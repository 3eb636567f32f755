//! `POST /v1/traces`, answered as OTLP over HTTP says: in the encoding of the request, 200 with the partial success
//! if spans were left out, `google.rpc.Status` where all of it is refused, and `Retry-After` with what is worth
//! sending again.
//!
//! Senders send again after 429, 502, 503 and 504 only. So a body that did not arrive in time is 503 here.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use proto::{OtlpEncoding, write_otlp_response, write_otlp_status};

use super::wire;
use crate::http::{answer_with, status_of, take_encoded, text_of};
use crate::{Accepted, Collector, Compression, Encoding, Expected, Refusal, Transport};

const TRANSPORT: Transport = Transport::OtlpHttp;

/// The route. `resource_prefix` stands before the keys of tags that were attributes of a resource. It is
/// served whether or not anybody wants it, so its transport is shown in metrics only once it is used.
pub fn router(collector: Arc<Collector>, resource_prefix: &'static str) -> Router {
    Router::new()
        .route("/v1/traces", post(export))
        .with_state(Service {
            collector,
            resource_prefix,
        })
}

#[derive(Clone)]
struct Service {
    collector: Arc<Collector>,
    resource_prefix: &'static str,
}

async fn export(State(service): State<Service>, request: Request) -> Response {
    let Service {
        collector,
        resource_prefix,
    } = service;
    let headers = request.headers();
    let Some(encoding) = encoding(headers) else {
        let content_type = text_of(headers, CONTENT_TYPE);
        let text = format!("{content_type:?} is not application/x-protobuf or application/json");
        return unsupported(&collector, text).await;
    };
    let Some(compression) = compression(headers) else {
        let content_encoding = text_of(headers, CONTENT_ENCODING);
        let text = format!("{content_encoding:?} is not gzip, zstd or identity");
        return unsupported(&collector, text).await;
    };
    let expected = Encoding {
        expected: Expected::Wire(wire(encoding, resource_prefix)),
        compression,
    };
    match take_encoded(&collector, TRANSPORT, expected, request).await {
        Ok(accepted) => taken(encoding, &accepted),
        Err(refusal) => refused(encoding, &refusal),
    }
}

/// Parameters such as a charset do not matter.
fn encoding(headers: &HeaderMap) -> Option<OtlpEncoding> {
    let content_type = text_of(headers, CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    [OtlpEncoding::Protobuf, OtlpEncoding::Json]
        .into_iter()
        .find(|&encoding| media_type.eq_ignore_ascii_case(media_type_of(encoding)))
}

fn media_type_of(encoding: OtlpEncoding) -> &'static str {
    match encoding {
        OtlpEncoding::Protobuf => "application/x-protobuf",
        OtlpEncoding::Json => "application/json",
    }
}

/// `None` for what is not known.
fn compression(headers: &HeaderMap) -> Option<Option<Compression>> {
    match text_of(headers, CONTENT_ENCODING)
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "" | "identity" => Some(None),
        "gzip" => Some(Some(Compression::Gzip)),
        "zstd" => Some(Some(Compression::Zstd)),
        _ => None,
    }
}

fn taken(encoding: OtlpEncoding, accepted: &Accepted) -> Response {
    let body = write_otlp_response(encoding, &accepted.rejected);
    ([(CONTENT_TYPE, media_type_of(encoding))], body).into_response()
}

fn refused(encoding: OtlpEncoding, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TooSlow(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => status_of(refusal),
    };
    let text = refusal.to_string();
    let body = write_otlp_status(encoding, grpc_code(status), text.trim_end());
    answer_with(status, ([(CONTENT_TYPE, media_type_of(encoding))], body))
}

/// gRPC's number for what a status of HTTP says.
fn grpc_code(status: StatusCode) -> u32 {
    const INVALID_ARGUMENT: u32 = 3;
    const RESOURCE_EXHAUSTED: u32 = 8;
    const INTERNAL: u32 = 13;
    const UNAVAILABLE: u32 = 14;
    match status {
        StatusCode::BAD_REQUEST => INVALID_ARGUMENT,
        StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// Counted, as everything refused is.
async fn unsupported(collector: &Collector, text: String) -> Response {
    let encoding = Encoding {
        expected: Expected::Wire(wire(OtlpEncoding::Protobuf, "")),
        compression: None,
    };
    let body: Result<Bytes, _> = Err(Refusal::Malformed(text.clone()));
    drop(collector.accept(TRANSPORT, encoding, body).await);
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response()
}
