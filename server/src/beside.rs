//! Ports beside the one port, for clients that know no other.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use tokio_rustls::rustls;

use crate::config::ServerConfig;
use crate::http::{Port, listen};

/// Opens a port where `setting` asks for it, and says so in the log: `<part>: ready`, with its number.
///
/// # Errors
/// Where the port cannot be had; it names the setting.
pub(crate) fn open(
    config: &ServerConfig,
    part: &str,
    setting: &str,
    port: u16,
    application: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> anyhow::Result<Port> {
    let listener = listen(config.listen, port).context(setting.to_owned())?;
    let port = listener
        .local_addr()
        .with_context(|| format!("cannot tell the port of {part}"))?
        .port();
    tracing::info!(port, setting, "{part}: ready");
    Ok(Port {
        listener,
        application,
        tls,
    })
}
