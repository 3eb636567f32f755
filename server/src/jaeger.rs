//! Jaeger's ports, beside the one port.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use collector::{Collector, jaeger};

use crate::config::{Config, ServerConfig};
use crate::http::{Port, listen};

/// Those that were asked for.
///
/// # Errors
/// Where a port cannot be had.
pub(crate) fn ports(config: &Config, collector: &Arc<Collector>) -> anyhow::Result<Vec<Port>> {
    let Some(wanted) = &config.jaeger else {
        return Ok(Vec::new());
    };
    let http = wanted.http_port.map(|port| {
        let application = jaeger::http::router(Arc::clone(collector));
        open(&config.server, "COLLECTOR_JAEGER_HTTP_PORT", port, application)
    });
    let grpc = wanted.grpc_port.map(|port| {
        let application = jaeger::grpc::router(Arc::clone(collector));
        open(&config.server, "COLLECTOR_JAEGER_GRPC_PORT", port, application)
    });
    http.into_iter().chain(grpc).collect()
}

fn open(config: &ServerConfig, setting: &str, port: u16, application: Router) -> anyhow::Result<Port> {
    let listener = listen(config.listen, port).context(setting.to_owned())?;
    let port = listener
        .local_addr()
        .context("cannot tell the port of Jaeger")?
        .port();
    tracing::info!(port, setting, "Jaeger: ready");
    Ok(Port {
        listener,
        application,
        tls: None,
    })
}
