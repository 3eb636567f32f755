//! Here are bytes, give me spans, and back.
//!
//! One module a wire format; [`decode`] and [`encode`] choose by [`Format`]. Readers are bounded: they
//! never recurse deeper than 64 levels, never allocate more than the input justifies, and refuse in the
//! words Zipkin's clients and operators know (`zipkin.md` 2.4).

use model::{Span, SpanBatch};

mod detect;
mod error;
mod jaeger;
mod json;
mod json_v1;
mod json_v2;
mod message;
mod otlp;
mod proto3;
mod protobuf;
pub mod scribe;
mod thrift;
mod thrift_v1;
pub mod v1;

pub use detect::{check_list, detect};
pub use error::DecodeError;
pub use json_v2::{write_span, write_spans};
pub use message::{Rejected, Wire, decode_message, detect_message};
pub use otlp::{OtlpEncoding, write_otlp_response, write_otlp_status};
pub use thrift_v1::decode_thrift_span;

/// The most bytes that a body and the batch it is read into may have together. Unescaped and lower-cased
/// leftovers come on top of it, at most eightfold: far below the 4 GiB that the offsets of a batch reach.
pub const BODY_BYTES_MAX: usize = 256 << 20;

/// How a list of spans is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Zipkin's v2 JSON.
    JsonV2,
    /// Zipkin's v1 JSON.
    JsonV1,
    /// Zipkin's v1 thrift, TBinaryProtocol.
    Thrift,
    /// Zipkin's proto3 `ListOfSpans`.
    Proto3,
}

impl Format {
    /// Zipkin's name of it, as its error messages use it.
    pub const fn zipkin_name(self) -> &'static str {
        match self {
            Self::JsonV2 => "JSON_V2",
            Self::JsonV1 => "JSON_V1",
            Self::Thrift => "THRIFT",
            Self::Proto3 => "PROTO3",
        }
    }
}

/// Reads a list of spans and appends them, normalised, to `batch`.
///
/// # Errors
/// [`DecodeError`] in Zipkin's words; `batch` is then cleared: a body is taken whole or refused whole.
pub fn decode(format: Format, body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    let read = match format {
        Format::JsonV2 => json_v2::decode,
        Format::JsonV1 => json_v1::decode,
        Format::Thrift => thrift_v1::decode,
        Format::Proto3 => proto3::decode,
    };
    decode_whole(body, batch, read)
}

/// Reads a body that is not too long, whole or not at all.
fn decode_whole<T>(
    body: &[u8],
    batch: &mut SpanBatch,
    read: impl FnOnce(&[u8], &mut SpanBatch) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let outcome = if batch.text_bytes().saturating_add(body.len()) > BODY_BYTES_MAX {
        let message = format!("More than {BODY_BYTES_MAX} bytes of spans");
        Err(DecodeError::new(message))
    } else {
        read(body, batch)
    };
    if outcome.is_err() {
        batch.clear();
    }
    outcome
}

/// Writes a list of spans.
pub fn encode(format: Format, spans: &[Span]) -> Vec<u8> {
    match format {
        Format::JsonV2 => json_v2::encode(spans),
        Format::JsonV1 => json_v1::encode(spans),
        Format::Thrift => thrift_v1::encode(spans),
        Format::Proto3 => proto3::encode(spans),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_beyond_the_bound_is_refused_before_it_is_read() {
        let body = vec![0; BODY_BYTES_MAX + 1];
        let error = decode(Format::JsonV2, &body, &mut SpanBatch::new()).unwrap_err();
        assert_eq!(error.to_string(), "More than 268435456 bytes of spans");
    }

    #[test]
    fn a_body_is_refused_whole() {
        let mut batch = SpanBatch::new();
        let body = br#"[{"traceId":"1","id":"1"},{"traceId":"1","id":"2","tags":{"a":null}}]"#;
        let error = decode(Format::JsonV2, body, &mut batch).unwrap_err();
        assert_eq!(
            error.to_string(),
            "No value at $[1].tags.a reading List<Span> from json"
        );
        assert!(batch.is_empty());
    }
}
