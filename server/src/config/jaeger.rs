//! Whether and where Jaeger's clients are served.

use super::parse;
use super::values::Reader;

/// How Jaeger's clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JaegerConfig {
    /// A port for thrift over HTTP; zero is any free one.
    pub(crate) http_port: Option<u16>,
    /// A port for gRPC, which the one port serves always; zero is any free one.
    pub(crate) grpc_port: Option<u16>,
}

/// `None` where they are not served; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<JaegerConfig> {
    let enabled = reader.read("COLLECTOR_JAEGER_ENABLED", parse::boolean);
    let config = JaegerConfig {
        http_port: reader.optional("COLLECTOR_JAEGER_HTTP_PORT", parse::port),
        grpc_port: reader.optional("COLLECTOR_JAEGER_GRPC_PORT", parse::port),
    };
    enabled.then_some(config)
}
