//! Spans by gRPC: `zipkin.proto3.SpanService/Report` (`zipkin.md` 7.3), and what every other unary method that
//! takes spans needs.
//!
//! ```text
//! request ─▶ gRPC? ─▶ compression known? ─▶ head of the message ─▶ Collector::accept ─▶ message, grpc-status
//!             415       UNIMPLEMENTED          (grpc/message.rs)
//! ```
//!
//! A [`UnaryMethod`] says where it is, how its messages are written and what it answers; [`route`] serves it.
//! Bytes go to the collector as they arrived, so that nothing is decoded twice, and nothing is kept that was not
//! let in. tonic writes the statuses.
//!
//! | what happened | status |
//! | --- | --- |
//! | the spans are stored | `OK`, after the answer's message |
//! | not a list of spans | `INVALID_ARGUMENT`, in Zipkin's words |
//! | beyond a bound of [`crate::Limits`] | `RESOURCE_EXHAUSTED` |
//! | too much is on its way, or the store cannot take more now | `UNAVAILABLE`, with `google.rpc.RetryInfo` |
//! | the message, or the answer, took longer than it may | `DEADLINE_EXCEEDED` |
//! | not one message in gRPC's framing, or the store is damaged | `INTERNAL` |
//! | compressed in a way that is not known | `UNIMPLEMENTED`, with `grpc-accept-encoding` |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use proto::{Format, Wire};
use storage::StorageError;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::finish::Finish;
use crate::{Accepted, Collector, Compression, Encoding, Expected, Refusal, Transport};
use message::Message;

mod message;

/// What is full now is a queue for the disk: it moves on within a second or not soon.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What clients may compress messages with.
const ACCEPTED_ENCODINGS: &str = "identity,gzip,zstd";

/// A status' text is a header, and many clients take no more than 8 KiB of them in all.
const STATUS_TEXT_BYTES_MAX: usize = 1 << 10;

/// Before a message of gRPC-Web that holds trailers.
const WEB_TRAILERS: u8 = 0x80;

/// A method that takes one message with spans and answers one message.
#[derive(Clone, Copy, Debug)]
pub struct UnaryMethod {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// How its messages are written.
    pub wire: Wire,
    /// What it is counted as.
    pub transport: Transport,
    /// The message that is answered once the spans are stored, encoded.
    pub answer: fn(&Accepted) -> Bytes,
}

/// Zipkin's own. Its answer has no fields.
pub const REPORT: UnaryMethod = UnaryMethod {
    path: "/zipkin.proto3.SpanService/Report",
    wire: Wire::List(Format::Proto3),
    transport: Transport::Grpc,
    answer: |_| Bytes::new(),
};

/// The route of one method. It is served whether or not anybody wants it, so its transport is shown in metrics only
/// once it is used.
pub fn route(collector: Arc<Collector>, method: UnaryMethod) -> Router {
    Router::new()
        .route(method.path, post(serve))
        .with_state(Service { collector, method })
}

#[derive(Clone)]
struct Service {
    collector: Arc<Collector>,
    method: UnaryMethod,
}

async fn serve(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(protocol) = Protocol::of(&head.headers) else {
        // Zipkin's words.
        let text = "Missing or invalid Content-Type header.";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    };
    let deadline = deadline(&head.headers);
    // A sender that goes away, or gives up, does not stop what is being stored.
    let work = Finish::new(service.take(head.headers, body));
    let outcome = match deadline {
        Some(deadline) => tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            let text = "not stored within the call's deadline; it may still be";
            Err(Status::deadline_exceeded(text))
        }),
        None => work.await,
    };
    outcome.map_or_else(Status::into_http, |message| protocol.answer(&message))
}

impl Service {
    async fn take(self, headers: HeaderMap, body: Body) -> Result<Bytes, Status> {
        let Self { collector, method } = self;
        let encoding = |compression| Encoding {
            expected: Expected::Wire(method.wire),
            compression,
        };
        let compression = match compression(&headers) {
            Ok(compression) => compression,
            Err(name) => {
                let text = format!("grpc-encoding {name} is not one of {ACCEPTED_ENCODINGS}");
                let refused: Result<Bytes, _> = Err(Refusal::malformed(&text));
                // Counted, as everything refused is.
                drop(collector.accept(method.transport, encoding(None), refused).await);
                return Err(unknown_compression(&text));
            }
        };
        let message = Message::begin(body, compression, collector.limits()).await;
        let compression = message.as_ref().ok().and_then(|message| message.compression);
        let outcome = collector.accept(method.transport, encoding(compression), message);
        match outcome.await {
            Ok(accepted) => Ok((method.answer)(&accepted)),
            Err(refusal) => Err(status(&refusal)),
        }
    }
}

/// How requests and answers are framed.
#[derive(Clone, Copy)]
enum Protocol {
    Grpc,
    /// For browsers: trailers are the answer's last message. Its base64 variant is not spoken.
    Web,
}

impl Protocol {
    /// `None` for what is not gRPC, or not with protobuf in it.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = text_of(headers, CONTENT_TYPE.as_str());
        let media_type = value.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/grpc" | "application/grpc+proto" => Some(Self::Grpc),
            "application/grpc-web" | "application/grpc-web+proto" => Some(Self::Web),
            _ => None,
        }
    }

    fn answer(self, message: &[u8]) -> Response {
        let mut body = BytesMut::new();
        put_message(&mut body, 0, message);
        let (content_type, body) = match self {
            Self::Grpc => {
                let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
                let body = Full::new(body.freeze()).with_trailers(async { Some(Ok(trailers)) });
                ("application/grpc", Body::new(body))
            }
            Self::Web => {
                put_message(&mut body, WEB_TRAILERS, b"grpc-status:0\r\n");
                ("application/grpc-web+proto", Body::from(body.freeze()))
            }
        };
        ([(CONTENT_TYPE, content_type)], body).into_response()
    }
}

fn put_message(body: &mut BytesMut, flag: u8, message: &[u8]) {
    body.put_u8(flag);
    body.put_u32(message.len() as u32);
    body.put_slice(message);
}

/// How long the sender waits, or `None` where it does not say: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let value = text_of(headers, "grpc-timeout");
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// What messages may be compressed with; the error is a name that is not known.
fn compression(headers: &HeaderMap) -> Result<Option<Compression>, &str> {
    match text_of(headers, "grpc-encoding") {
        "" | "identity" => Ok(None),
        "gzip" => Ok(Some(Compression::Gzip)),
        "zstd" => Ok(Some(Compression::Zstd)),
        name => Err(name),
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn unknown_compression(text: &str) -> Status {
    let mut status = Status::unimplemented(shortened(text));
    let accepted = MetadataValue::from_static(ACCEPTED_ENCODINGS);
    status.metadata_mut().insert("grpc-accept-encoding", accepted);
    status
}

/// What a sender is told. `UNAVAILABLE` is what client libraries send again by themselves.
fn status(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::Malformed(_) => Code::InvalidArgument,
        Refusal::TooLarge(..) => Code::ResourceExhausted,
        Refusal::TooSlow(_) => Code::DeadlineExceeded,
        Refusal::Unreadable(_) => Code::Internal,
        Refusal::Overloaded(..) => Code::Unavailable,
        Refusal::Storage { error, .. } => match error {
            StorageError::Overloaded(_) | StorageError::Unavailable(_) | StorageError::Timeout(_) => {
                Code::Unavailable
            }
            StorageError::Invalid(_) => Code::InvalidArgument,
            StorageError::Corrupt(_) | StorageError::Unsupported(_) => Code::Internal,
        },
    };
    let text = refusal.to_string();
    // Some of Zipkin's words end a line.
    let text = shortened(text.trim_end());
    if code == Code::Unavailable {
        Status::with_error_details(code, text, ErrorDetails::with_retry_info(Some(RETRY_DELAY)))
    } else {
        Status::new(code, text)
    }
}

/// As much of it as a header should hold.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(STATUS_TEXT_BYTES_MAX)]
}
