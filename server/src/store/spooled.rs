//! Stores elsewhere, with a spool before them: spans are acknowledged when they are on this disk.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};
use storage::{BoxFuture, DeploymentStore, LatencySource, SpanSink, SpanSource, StoreOptions};
#[cfg(feature = "cassandra")]
use storage_cassandra::{CassandraConfig, CassandraStore};
#[cfg(feature = "elasticsearch")]
use storage_elasticsearch::{ElasticsearchConfig, ElasticsearchStore};
#[cfg(feature = "mysql")]
use storage_mysql::{MySqlConfig, MySqlServer, MySqlStore};
use storage_spool::{Spool, SpoolConfig, SpoolStats};

use super::{Store, tell_of_sync};
use crate::config::SpoolPlace;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{FigureRow, figures};
use crate::lock::DirectoryLock;
use crate::wiring::now_ms;

/// Where in the store's directory spans wait.
const DIRECTORY: &str = "spool";

/// MySQL or MariaDB.
///
/// # Errors
/// As [`spooled`].
#[cfg(feature = "mysql")]
pub(crate) fn mysql(
    options: StoreOptions,
    server: MySqlServer,
    place: SpoolPlace,
    drain_timeout: Duration,
) -> anyhow::Result<Store> {
    let store = MySqlStore::new(MySqlConfig {
        options,
        server,
        now: Arc::new(now_ms),
    });
    spooled("MySQLStorage{}", store, place, drain_timeout, |store| {
        Box::pin(async move { store.close().await })
    })
}

/// Elasticsearch or OpenSearch.
///
/// # Errors
/// As [`spooled`], and where the cluster's settings make no client.
#[cfg(feature = "elasticsearch")]
pub(crate) fn elasticsearch(
    options: StoreOptions,
    cluster: storage_elasticsearch::Cluster,
    place: SpoolPlace,
    drain_timeout: Duration,
) -> anyhow::Result<Store> {
    let store = ElasticsearchStore::new(ElasticsearchConfig {
        options,
        cluster,
        now: Arc::new(now_ms),
    })?;
    // Its connections go with it.
    spooled("ElasticsearchStorage{}", store, place, drain_timeout, |_| {
        Box::pin(async {})
    })
}

/// Cassandra.
///
/// # Errors
/// As [`spooled`].
#[cfg(feature = "cassandra")]
pub(crate) fn cassandra(
    options: StoreOptions,
    cluster: storage_cassandra::Cluster,
    place: SpoolPlace,
    drain_timeout: Duration,
) -> anyhow::Result<Store> {
    let store = CassandraStore::new(CassandraConfig {
        options,
        cluster,
        now: Arc::new(now_ms),
    });
    // Its connections go with it.
    spooled("CassandraStorage{}", store, place, drain_timeout, |_| {
        Box::pin(async {})
    })
}

/// A store elsewhere, which need not be there yet. `name` is as `/health` shows it, `drain_timeout` is how long a stopping
/// server waits for what is on its way, and `close` is what remains to be done with the store then.
///
/// # Errors
/// Where the directory of the spool is another server's, or cannot be read or written, or is damaged.
fn spooled<S>(
    name: &'static str,
    store: S,
    place: SpoolPlace,
    drain_timeout: Duration,
    close: impl FnOnce(Arc<S>) -> BoxFuture<'static, ()> + Send + 'static,
) -> anyhow::Result<Store>
where
    S: SpanSink + SpanSource + DeploymentStore + LatencySource + 'static,
{
    let lock = DirectoryLock::acquire(&place.directory)?;
    let store = Arc::new(store);
    tell_of_sync(place.journal_sync);
    let directory = place.directory.join(DIRECTORY);
    let config = SpoolConfig {
        bytes_max: place.bytes_max,
        sync: place.journal_sync,
        ..SpoolConfig::new(Arc::new(now_ms))
    };
    let (sink, source) = (
        Arc::clone(&store) as Arc<dyn SpanSink>,
        Arc::clone(&store) as Arc<dyn SpanSource>,
    );
    let spool = Spool::open(&directory, config, sink, source)
        .with_context(|| format!("cannot open the spool in {}", directory.display()))?;
    let (counted, shown, closed) = (Arc::clone(&spool), Arc::clone(&spool), Arc::clone(&spool));
    Ok(Store {
        name,
        sink: Arc::clone(&spool) as Arc<dyn SpanSink>,
        deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
        latency: Arc::clone(&store) as Arc<dyn LatencySource>,
        source: spool,
        figures: Arc::new(move || figures(&FIGURES, &counted.stats())),
        timings: Vec::new(),
        details: Arc::new(move || details(&shown.stats())),
        close: Box::new(move || {
            Box::pin(async move {
                let spool = closed.close(drain_timeout).await;
                close(store).await;
                spool
            })
        }),
        _lock: Some(lock),
    })
}

/// What an operator wants to see of a spool at once: how much waits, and why.
fn details(stats: &SpoolStats) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("waitingSpans".to_owned(), stats.depth_spans.into());
    details.insert("waitingBytes".to_owned(), stats.depth_bytes.into());
    if let Some(outage) = &stats.outage {
        details.insert("outageSeconds".to_owned(), outage.lasts.as_secs().into());
        details.insert("outage".to_owned(), outage.error.as_str().into());
    }
    details
}

#[rustfmt::skip]
const FIGURES: [FigureRow<SpoolStats>; 12] = [
    ("tracehound_spool_bytes", "Bytes of spans that wait on disk for the storage", Gauge, |stats| stats.depth_bytes as f64),
    ("tracehound_spool_bytes_max", "SPOOL_BYTES_MAX", Gauge, |stats| stats.bytes_max as f64),
    ("tracehound_spool_records", "Batches that wait, as they were accepted", Gauge, |stats| stats.depth_records as f64),
    ("tracehound_spool_spans", "Spans that wait", Gauge, |stats| stats.depth_spans as f64),
    ("tracehound_spool_oldest_age_seconds", "How long the oldest of them has been waiting", Gauge, |stats| stats.oldest_age.as_secs_f64()),
    ("tracehound_spool_outage_seconds", "How long the storage has taken nothing; 0 while it takes spans", Gauge, |stats| stats.outage.as_ref().map_or(0.0, |outage| outage.lasts.as_secs_f64())),
    ("tracehound_spool_delivered_spans", "Spans that the storage took", Counter, |stats| stats.delivered_spans as f64),
    ("tracehound_spool_delivered_batches", "Batches in which it did", Counter, |stats| stats.delivered_batches as f64),
    ("tracehound_spool_retries", "Attempts that failed and were made again", Counter, |stats| stats.retries as f64),
    ("tracehound_spool_refused_spans", "Spans put aside because the storage can never take them", Counter, |stats| stats.refused_spans as f64),
    ("tracehound_spool_refused_files", "Files of such spans", Gauge, |stats| stats.refused_files as f64),
    ("tracehound_spool_damaged", "Stretches of the spool that could not be read and were skipped", Counter, |stats| stats.damaged as f64),
];
