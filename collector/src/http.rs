//! `POST /api/v2/spans` and `POST /api/v1/spans` (`zipkin.md` 2.4).

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::BodyExt;
use proto::{Format, Wire};
use storage::StorageError;

use crate::{
    Accepted, Collector, Compression, Encoding, Expected, InFlight, Limits, ReadBody, Refusal, Transport,
};

/// Seconds. What is full now is a queue for the disk: it moves on within a second or not soon.
const RETRY_AFTER_SECONDS: &str = "1";

/// A body's first buffer is no longer than this, whatever length the sender announces.
const FIRST_BUFFER_BYTES_MAX: usize = 1 << 20;

/// How many times the bound of a body is read and thrown away of one that is refused before its end, so that a
/// sender that writes first and reads then sees the answer and not a broken connection.
const DISCARDED_BODIES: usize = 4;

/// The routes that spans come in by. Nothing else is answered here.
pub fn router(collector: Arc<Collector>) -> Router {
    Router::new()
        .route("/api/v2/spans", post(accept_v2))
        .route("/api/v1/spans", post(accept_v1))
        .with_state(collector)
}

async fn accept_v2(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let binary = has_media_type(request.headers(), "application/x-protobuf");
    accept(
        &collector,
        if binary { Format::Proto3 } else { Format::JsonV2 },
        request,
    )
    .await
}

async fn accept_v1(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let binary = has_media_type(request.headers(), "application/x-thrift");
    accept(
        &collector,
        if binary { Format::Thrift } else { Format::JsonV1 },
        request,
    )
    .await
}

async fn accept(collector: &Collector, format: Format, request: Request) -> Response {
    match take(collector, Transport::Http, Wire::List(format), request).await {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => answer(&refusal),
    }
}

/// Takes a request whose body is one message, gzip or not.
pub(crate) async fn take(
    collector: &Collector,
    transport: Transport,
    wire: Wire,
    request: Request,
) -> Result<Accepted, Refusal> {
    let encoding = Encoding {
        expected: Expected::Wire(wire),
        compression: is_gzip(request.headers()).then_some(Compression::Gzip),
    };
    take_encoded(collector, transport, encoding, request).await
}

/// Takes a request whose body is one message, whatever its headers say of how it is written.
pub(crate) async fn take_encoded(
    collector: &Collector,
    transport: Transport,
    encoding: Encoding,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let mut body = RequestBody {
        announced: announced_bytes(&head.headers),
        body,
        limits: *collector.limits(),
    };
    let outcome = collector.accept(transport, encoding, &mut body).await;
    if outcome.as_ref().is_err_and(may_go_on_sending) {
        body.discard().await;
    }
    outcome
}

/// Not one that was waited for long enough, or is gone.
fn may_go_on_sending(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::TooSlow(_) | Refusal::Unreadable(_))
}

/// What a sender is told of a refusal.
pub(crate) fn answer(refusal: &Refusal) -> Response {
    answer_with(status_of(refusal), refusal.to_string())
}

pub(crate) fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) | Refusal::Unreadable(_) => StatusCode::BAD_REQUEST,
        Refusal::TooLarge(..) => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        Refusal::Overloaded(..) => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Storage { error, .. } => match error {
            StorageError::Overloaded(_) | StorageError::Unavailable(_) | StorageError::Timeout(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StorageError::Invalid(_) => StatusCode::BAD_REQUEST,
            StorageError::Corrupt(_) | StorageError::Unsupported(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// An answer that tells when to come back, where that helps.
pub(crate) fn answer_with(status: StatusCode, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, http::HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    response
}

/// Parameters such as a charset do not matter.
fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let value = text_of(headers, CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default();
    value.trim().eq_ignore_ascii_case(media_type)
}

/// Zipkin looks no closer than this.
fn is_gzip(headers: &HeaderMap) -> bool {
    text_of(headers, CONTENT_ENCODING).contains("gzip")
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    text_of(headers, CONTENT_LENGTH).parse().ok()
}

/// The text of a header; empty where there is none.
pub(crate) fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A request's body.
struct RequestBody {
    body: Body,
    announced: Option<usize>,
    limits: Limits,
}

impl ReadBody for &mut RequestBody {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        let timeout = self.limits.body_timeout;
        match tokio::time::timeout(timeout, self.read_all(in_flight)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::TooSlow(timeout)),
        }
    }
}

impl RequestBody {
    async fn read_all(&mut self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        let bytes_max = self.limits.body_bytes_max;
        let announced = self.announced.unwrap_or(0);
        if announced > bytes_max {
            return Err(Refusal::body_too_long(bytes_max));
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        in_flight.reserve(first.len())?;
        // Most bodies arrive in one piece, which is then used where it lies.
        if self.body.is_end_stream() && first.len() <= bytes_max {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(announced.min(FIRST_BUFFER_BYTES_MAX).max(first.len()));
        whole.extend_from_slice(&first);
        drop(first);
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > bytes_max {
                return Err(Refusal::body_too_long(bytes_max));
            }
            in_flight.reserve(piece.len())?;
            whole.extend_from_slice(&piece);
        }
        if whole.len() > bytes_max {
            return Err(Refusal::body_too_long(bytes_max));
        }
        Ok(whole.freeze())
    }

    /// The next piece, or `None` at the end. Trailers are passed over.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Refusal::Unreadable(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads what is left, if it is not too much and comes in time, and keeps nothing of it.
    async fn discard(&mut self) {
        let bytes_max = self.limits.body_bytes_max.saturating_mul(DISCARDED_BODIES);
        let timeout = self.limits.body_timeout;
        let reading = async {
            let mut left = bytes_max;
            while let Ok(Some(piece)) = self.next().await {
                match left.checked_sub(piece.len()) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        // Whoever is slower than that gets the answer and a closed connection.
        drop(tokio::time::timeout(timeout, reading).await);
    }
}
