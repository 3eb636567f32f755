//! Jaeger's spans, and how they become Zipkin's; `docs/jaeger.md` has the whole mapping.
//!
//! Jaeger's clients send a batch: one process, and the spans it reported. It is written in two ways, `thrift`
//! (`jaeger.thrift`, TBinaryProtocol, over HTTP) and `proto3` (`jaeger.api_v2`, over gRPC). Both readers go over
//! the bytes and tell a [`Converter`](convert::Converter) what they see; nothing is built in between. A batch is
//! taken whole or refused whole: a span without identifiers names its place in the batch.

mod convert;
mod proto3;
mod tag;
mod thrift;

pub(crate) use proto3::decode as decode_proto3;
pub(crate) use thrift::decode as decode_thrift;

use model::SpanError;

use crate::{protobuf, thrift as tbinary};

/// Why a batch is refused.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Thrift(#[from] tbinary::Fault),
    #[error(transparent)]
    Protobuf(#[from] protobuf::Fault),
    /// An enumeration has no such value, so it cannot be told what the value of a tag is.
    #[error("Unknown value type {0} of a tag")]
    UnknownValueType(i64),
    #[error("{field} of {length} bytes, expected {expected}")]
    IdLength {
        field: &'static str,
        length: usize,
        expected: &'static str,
    },
    #[error("traceId is all zeros")]
    NoTraceId,
    #[error("spanId is zero")]
    NoSpanId,
    /// What a process says goes with each of its spans.
    #[error(
        "The tags of a process take more than {0} bytes when each of its spans has them: send fewer spans in a batch"
    )]
    RepeatedBytes(usize),
    #[error(transparent)]
    Span(#[from] SpanError),
}
