//! OTLP on the one port, and on its own two where they are asked for.

use std::sync::Arc;

use axum::Router;
use collector::grpc::UnaryMethod;
use collector::{Collector, otlp};
use tokio_rustls::rustls;

use crate::beside;
use crate::config::{Config, OtlpConfig};
use crate::http::Port;

/// The method of gRPC for the one port.
pub(crate) fn method(config: &OtlpConfig) -> UnaryMethod {
    otlp::grpc::export(config.resource_prefix)
}

/// The route of HTTP for the one port.
pub(crate) fn routes(config: &OtlpConfig, collector: &Arc<Collector>) -> Router {
    otlp::http::router(Arc::clone(collector), config.resource_prefix)
}

/// OTLP's own ports; they speak TLS where the one port does.
///
/// # Errors
/// Where a port cannot be had.
pub(crate) fn ports(
    config: &Config,
    collector: &Arc<Collector>,
    tls: Option<&Arc<rustls::ServerConfig>>,
) -> anyhow::Result<Vec<Port>> {
    let Some(wanted) = &config.otlp else {
        return Ok(Vec::new());
    };
    let open = |setting, port, application| {
        beside::open(&config.server, "OTLP", setting, port, application, tls.cloned())
    };
    let grpc = wanted.grpc_port.map(|port| {
        let application = collector::grpc::route(Arc::clone(collector), method(wanted));
        open("COLLECTOR_OTLP_GRPC_PORT", port, application)
    });
    let http = wanted
        .http_port
        .map(|port| open("COLLECTOR_OTLP_HTTP_PORT", port, routes(wanted, collector)));
    grpc.into_iter().chain(http).collect()
}
