//! `opentelemetry.proto.collector.trace.v1.TraceService/Export`.

use proto::{OtlpEncoding, write_otlp_response};

use super::wire;
use crate::Transport;
use crate::grpc::UnaryMethod;

/// The method. `resource_prefix` stands before the keys of tags that were attributes of a resource.
pub const fn export(resource_prefix: &'static str) -> UnaryMethod {
    UnaryMethod {
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        wire: wire(OtlpEncoding::Protobuf, resource_prefix),
        transport: Transport::OtlpGrpc,
        answer: |accepted| write_otlp_response(OtlpEncoding::Protobuf, &accepted.rejected).into(),
    }
}
