//! Which parts there are and how they hang together: one function a part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use collector::Collector;
use storage::StoreOptions;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Config, QueryConfig, StorageConfig, StorageKind};
use crate::http::{self, Component, Metrics, Operations, ServeLimits};
use crate::shutdown;
use crate::store::{self, Store};

/// Connections that wait to be accepted, as the kernel allows.
const BACKLOG: u32 = 1024;

/// Runs the server until it is asked to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    warn_of_ignored(&config.ignored);
    let stop = shutdown::requested().context("cannot listen for signals")?;
    let store = open_store(config.storage.clone(), &config.query.version_tags)?;
    let collector = collector(&config, &store);
    let application = application(&config, &store, collector);
    let listener = listen(config.server.listen, config.server.port)?;
    let address = listener
        .local_addr()
        .context("cannot tell the address listened on")?;
    tracing::info!(%address, storage = store.name, "ready");
    let limits = ServeLimits {
        connections_max: config.server.connections_max,
        head_timeout: config.server.head_timeout,
        answer_timeout: config.server.answer_timeout,
        drain_timeout: config.server.drain_timeout,
    };
    if !http::serve(listener, application, limits, stop).await {
        tracing::warn!("some requests were not finished in time and are given up");
    }
    store.close().await.context("cannot close the store")?;
    tracing::info!("stopped");
    Ok(())
}

fn warn_of_ignored(ignored: &[String]) {
    if !ignored.is_empty() {
        tracing::warn!(
            variables = ignored.join(", "),
            "settings of Zipkin that have no effect here"
        );
    }
}

fn open_store(config: StorageConfig, version_tags: &[String]) -> anyhow::Result<Store> {
    let StorageConfig { kind, options } = config;
    match kind {
        StorageKind::Memory { spans_max } => Ok(store::memory(options, spans_max)),
        StorageKind::Segment(config) => store::segment(options, config, version_tags, Arc::new(now_ms)),
    }
}

/// `None` where spans are not accepted.
fn collector(config: &Config, store: &Store) -> Option<Arc<Collector>> {
    let config = &config.collector;
    let sink = Arc::clone(&store.sink);
    config
        .http_enabled
        .then(|| Arc::new(Collector::new(sink, config.sampler, config.limits)))
}

fn application(config: &Config, store: &Store, collector: Option<Arc<Collector>>) -> Router {
    let metrics = Arc::new(Metrics::new(collector.clone(), Arc::clone(&store.figures)));
    let component = Component {
        name: store.name,
        source: Arc::clone(&store.source),
    };
    let operations = Operations {
        components: vec![component],
        collector: collector.clone(),
    };
    let parts = [
        collector.map(collector::http::router),
        config
            .query
            .enabled
            .then(|| query(&config.query, &config.storage.options, store)),
        config.ui.clone().map(ui::http::router),
    ];
    let origins = config.server.allowed_origins.clone();
    http::application(parts.into_iter().flatten(), operations, metrics, origins)
}

fn query(config: &QueryConfig, options: &StoreOptions, store: &Store) -> Router {
    let config = query::QueryConfig {
        lookback_ms: config.lookback_ms,
        names_max_age_s: config.names_max_age_s,
        timeout: config.timeout,
        autocomplete_keys: options.autocomplete_keys.clone(),
        search_enabled: options.search_enabled,
        version_tags: config.version_tags.clone(),
        now: Arc::new(now_ms),
    };
    query::http::router(config, Arc::clone(&store.source))
}

/// Milliseconds since the epoch. The one place that asks the clock what day it is.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Without an address: IPv6 and IPv4 in one socket, or IPv4 alone where the machine has no IPv6.
fn listen(address: Option<IpAddr>, port: u16) -> anyhow::Result<TcpListener> {
    let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    let (address, bound) = match address {
        Some(address) => (address, bind(address, port)),
        None => bind(all[0], port).map_or_else(|_| (all[1], bind(all[1], port)), |bound| (all[0], Ok(bound))),
    };
    bound.with_context(|| {
        let address = SocketAddr::new(address, port);
        format!("cannot listen on {address}: is another server using it? LISTEN and QUERY_PORT choose")
    })
}

fn bind(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    // A server that was just stopped leaves connections behind that must not keep the next from starting.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(BACKLOG)
}
