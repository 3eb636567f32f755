//! OpenTelemetry's two ways in: OTLP over HTTP, protobuf or JSON, and over gRPC. `docs/otlp.md` says what its spans
//! become.

use proto::{OtlpEncoding, Wire};

pub mod grpc;
pub mod http;

const fn wire(encoding: OtlpEncoding, resource_prefix: &'static str) -> Wire {
    Wire::Otlp {
        encoding,
        resource_prefix,
    }
}
