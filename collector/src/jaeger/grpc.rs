//! `jaeger.api_v2.CollectorService/PostSpans`: what Jaeger's agents and OpenTelemetry's exporters for it call.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use proto::Wire;

use crate::grpc::{UnaryMethod, route};
use crate::{Collector, Transport};

/// Its answer has no fields.
pub const POST_SPANS: UnaryMethod = UnaryMethod {
    path: "/jaeger.api_v2.CollectorService/PostSpans",
    wire: Wire::JaegerProto,
    transport: Transport::JaegerGrpc,
    answer: |_| Bytes::new(),
};

/// The route of the service, for a port of its own.
pub fn router(collector: Arc<Collector>) -> Router {
    route(collector, POST_SPANS)
}
