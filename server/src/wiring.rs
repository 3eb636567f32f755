//! Which parts there are and how they hang together: one function a part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use collector::grpc::UnaryMethod;
use collector::{Collector, Reason, Transport};
use regression::{KeepOptions, Reports};
use tokio::net::TcpListener;

use crate::config::{CollectorConfig, Config, StorageConfig, StorageKind};
use crate::grpc::GrpcServer;
use crate::http::{self, Metrics, Operations, Port, ServeLimits};
use crate::intake::Intakes;
use crate::self_tracing::{Reporter, RequestTracer};
use crate::store::{self, Store};
use crate::watching::Watching;
use crate::{document, jaeger, otlp, shutdown};

/// Runs the server until it is asked to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::requested().context("cannot listen for signals")?;
    run_until(config, stop, |_| {}).await
}

/// Runs the server until `stop` is done. `ready` is told where it listens, from when on connections are taken.
pub(crate) async fn run_until(
    config: Config,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    warn_of_ignored(&config.ignored);
    let mut store = open_store(config.storage.clone(), config.server.drain_timeout)?;
    if config.self_tracing.is_some() {
        store = store.traced();
    }
    let collector = Arc::new(Collector::new(
        Arc::clone(&store.sink),
        config.collector.sampler,
        config.collector.limits,
    ));
    let grpc = grpc(&config, &store, &collector).await?;
    let intakes = Intakes::start(&config, &collector)?;
    let (tracer, reporter) = self_tracing(&config, &collector).unzip();
    let reports = config.query.enabled.then(|| reports(&config, &store, &collector));
    let watching = Watching::start(&config.watch, reports, &collector)?;
    let ports = ports(&config, &store, &collector, &intakes, &grpc, &watching, tracer)?;
    if let Some(one_port) = ports.first() {
        ready(address_of(&one_port.listener)?);
    }
    let limits = ServeLimits {
        connections_max: config.server.connections_max,
        head_timeout: config.server.head_timeout,
        answer_timeout: config.server.answer_timeout,
        drain_timeout: config.server.drain_timeout,
    };
    let stop = async {
        stop.await;
        watching.close();
        grpc.stop().await;
    };
    if !http::serve(ports, limits, stop).await {
        tracing::warn!("some requests were not finished in time and are given up");
    }
    watching.stop(config.server.drain_timeout).await;
    intakes.stop(config.server.drain_timeout).await;
    if let Some(reporter) = reporter {
        reporter.stop().await;
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

#[cfg_attr(
    not(feature = "spool"),
    expect(unused_variables, reason = "only a spool waits")
)]
fn open_store(config: StorageConfig, drain_timeout: Duration) -> anyhow::Result<Store> {
    let StorageConfig { kind, options } = config;
    match kind {
        StorageKind::Memory { spans_max } => Ok(store::memory(options, spans_max)),
        StorageKind::Segment(config) => store::segment(options, config, Arc::new(now_ms)),
        #[cfg(feature = "mysql")]
        StorageKind::MySql(server, spool) => store::mysql(options, *server, spool, drain_timeout),
        #[cfg(feature = "elasticsearch")]
        StorageKind::Elasticsearch(cluster, spool) => {
            store::elasticsearch(options, *cluster, spool, drain_timeout)
        }
        #[cfg(feature = "cassandra")]
        StorageKind::Cassandra(cluster, spool) => store::cassandra(options, *cluster, spool, drain_timeout),
    }
}

/// `None` unless the server is to trace its own requests.
fn self_tracing(config: &Config, collector: &Arc<Collector>) -> Option<(Arc<RequestTracer>, Reporter)> {
    let config = config.self_tracing.as_ref()?;
    Some(RequestTracer::start(config, collector))
}

/// The one port, and those that were asked for beside it.
fn ports(
    config: &Config,
    store: &Store,
    collector: &Arc<Collector>,
    intakes: &Intakes,
    grpc: &GrpcServer,
    watching: &Watching,
    tracer: Option<Arc<RequestTracer>>,
) -> anyhow::Result<Vec<Port>> {
    let listener = http::listen(config.server.listen, config.server.port)?;
    let address = address_of(&listener)?;
    let tls = config.server.tls.as_ref().map(http::tls).transpose()?;
    let application = application(config, store, collector, intakes, grpc, watching);
    let application = match tracer {
        Some(tracer) => tracer.trace(application),
        None => application,
    };
    tracing::info!(%address, storage = store.name, "ready");
    let one_port = Port {
        listener,
        application,
        tls: tls.clone(),
    };
    let mut ports = vec![one_port];
    ports.extend(otlp::ports(config, collector, tls.as_ref())?);
    ports.extend(jaeger::ports(config, collector)?);
    Ok(ports)
}

fn address_of(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener
        .local_addr()
        .context("cannot tell the address listened on")
}

/// The methods of gRPC that take spans, with what tells about them; nothing where none is wanted.
async fn grpc(config: &Config, store: &Store, collector: &Arc<Collector>) -> anyhow::Result<GrpcServer> {
    let methods = [
        config.collector.grpc_enabled.then_some(collector::grpc::REPORT),
        config.otlp.as_ref().map(otlp::method),
        config
            .jaeger
            .is_some()
            .then_some(collector::jaeger::grpc::POST_SPANS),
    ];
    let methods: Vec<UnaryMethod> = methods.into_iter().flatten().collect();
    GrpcServer::start(&methods, collector, store.component().health).await
}

fn application(
    config: &Config,
    store: &Store,
    collector: &Arc<Collector>,
    intakes: &Intakes,
    grpc: &GrpcServer,
    watching: &Watching,
) -> Router {
    let figures = std::iter::once(Arc::clone(&store.figures))
        .chain(intakes.figures())
        .chain(watching.figures());
    let metrics = Metrics::new(Arc::clone(collector), figures.collect());
    let timings = store.timings.iter().cloned().chain(watching.timing());
    let metrics = metrics.timed(timings.collect());
    let metrics = Arc::new(metrics);
    let operations = Operations {
        components: std::iter::once(store.component())
            .chain(intakes.components())
            .collect(),
        collector: Arc::clone(collector),
    };
    let spans_over_http = || collector::http::router(Arc::clone(collector));
    let parts = [
        config.collector.http_enabled.then(spans_over_http),
        config.otlp.as_ref().map(|otlp| otlp::routes(otlp, collector)),
        Some(grpc.router.clone()),
        config
            .query
            .enabled
            .then(|| query(config, store).merge(document::router())),
        watching.router(),
        config.ui.clone().map(ui::http::router),
    ];
    let origins = config.server.allowed_origins.clone();
    http::application(parts.into_iter().flatten(), operations, metrics, origins)
}

fn query(config: &Config, store: &Store) -> Router {
    let Config {
        query: config,
        storage: StorageConfig { options, .. },
        collector: CollectorConfig { limits, .. },
        ..
    } = config;
    let config = query::QueryConfig {
        lookback_ms: config.lookback_ms,
        names_max_age_s: config.names_max_age_s,
        timeout: config.timeout,
        autocomplete_keys: options.autocomplete_keys.clone(),
        search_enabled: options.search_enabled,
        version_tags: options.version_tags.clone(),
        upload: query::UploadLimits {
            body_bytes_max: limits.body_bytes_max,
            inflated_bytes_max: limits.inflated_bytes_max,
            body_timeout: limits.body_timeout,
        },
        now: Arc::new(now_ms),
    };
    query::http::router(config, Arc::clone(&store.source))
}

/// What answers for deployments, and keeps the reports of those that are finished.
fn reports(config: &Config, store: &Store, collector: &Arc<Collector>) -> Arc<Reports> {
    let settings = regression::Settings {
        timeout: config.query.timeout,
        lookback_ms: config.query.lookback_ms,
        version_tags: config.storage.options.version_tags.clone(),
        options: config.query.analysis.clone(),
    };
    let reports = Arc::new(Reports::new(sources(store), settings));
    let counted = Arc::clone(collector);
    let options = KeepOptions {
        share: config.watch.share,
        refused: Arc::new(move || refused_for_want_of_room(&counted)),
    };
    tokio::spawn(Reports::keep_finished(Arc::downgrade(&reports), options));
    reports
}

/// Messages that were refused because there was too much to do, whoever sent them.
fn refused_for_want_of_room(collector: &Collector) -> u64 {
    const REASONS: [Reason; 3] = [Reason::RequestsInFlight, Reason::BytesInFlight, Reason::Storage];
    let snapshots = Transport::ALL.map(|transport| collector.metrics().snapshot(transport));
    let of = |reason: Reason| {
        snapshots
            .iter()
            .map(|snapshot| snapshot.refused[reason as usize])
            .sum::<u64>()
    };
    REASONS.into_iter().map(of).sum()
}

/// What the analysis of deployments asks.
fn sources(store: &Store) -> regression::Sources {
    regression::Sources {
        deployments: Arc::clone(&store.deployments),
        latency: Arc::clone(&store.latency),
        spans: Arc::clone(&store.source),
        now: Arc::new(now_ms),
    }
}

/// Milliseconds since the epoch. The one place that asks the clock what day it is.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
