//! Jaeger's ports, beside the one port.

use std::sync::Arc;

use collector::{Collector, jaeger};

use crate::beside;
use crate::config::Config;
use crate::http::Port;

/// Those that were asked for.
///
/// # Errors
/// Where a port cannot be had.
pub(crate) fn ports(config: &Config, collector: &Arc<Collector>) -> anyhow::Result<Vec<Port>> {
    let Some(wanted) = &config.jaeger else {
        return Ok(Vec::new());
    };
    let open =
        |setting, port, application| beside::open(&config.server, "Jaeger", setting, port, application, None);
    let http = wanted.http_port.map(|port| {
        let application = jaeger::http::router(Arc::clone(collector));
        open("COLLECTOR_JAEGER_HTTP_PORT", port, application)
    });
    let grpc = wanted.grpc_port.map(|port| {
        let application = jaeger::grpc::router(Arc::clone(collector));
        open("COLLECTOR_JAEGER_GRPC_PORT", port, application)
    });
    http.into_iter().chain(grpc).collect()
}
