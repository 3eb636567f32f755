//! OpenTelemetry's `ExportTraceServiceRequest`, protobuf and JSON, as spans of Zipkin's model.
//!
//! `docs/otlp.md` is the mapping, field by field. Both readers go once over the body (the JSON one passes over
//! what it comes back for) and tell [`request::Request`] what they find; what is mapped is mapped there. Nothing
//! is built in between, and what the spans of a resource have in common is text of the batch only once.
//!
//! A span without valid identifiers is left out and told; a body that is no request is refused whole.

mod json;
mod peer;
mod protobuf;
mod request;
mod response;
mod shared;
mod tags;
mod value;
mod words;

use std::fmt::Display;

use model::SpanBatch;

use crate::{DecodeError, Rejected};

pub use response::{write_otlp_response, write_otlp_status};

/// How OTLP is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OtlpEncoding {
    /// Protobuf's binary format.
    Protobuf,
    /// OTLP's own JSON: hexadecimal identifiers, otherwise protobuf's.
    Json,
}

/// Reads a request and appends its spans, normalised, to `batch`. `resource_prefix` is put before the keys of
/// tags that were attributes of a resource.
pub(crate) fn decode(
    encoding: OtlpEncoding,
    resource_prefix: &'static str,
    body: &[u8],
    batch: &mut SpanBatch,
) -> Result<Rejected, DecodeError> {
    let read = match encoding {
        OtlpEncoding::Protobuf => protobuf::read,
        OtlpEncoding::Json => json::read,
    };
    read(body, resource_prefix, batch)
}

fn refused(cause: impl Display, encoding: &str) -> DecodeError {
    DecodeError::reading_message(cause.to_string(), "ExportTraceServiceRequest", encoding)
}
