//! Stores elsewhere, with a spool before them: spans are acknowledged when they are on this disk.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};
use storage::{DeploymentStore, LatencySource, SpanSink, SpanSource, StoreOptions};
use storage_mysql::{MySqlConfig, MySqlServer, MySqlStore};
use storage_spool::{Spool, SpoolConfig, SpoolStats};

use super::{Store, tell_of_sync};
use crate::config::SpoolPlace;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{Figure, FigureKind};
use crate::lock::DirectoryLock;
use crate::wiring::now_ms;

/// Where in the store's directory spans wait.
const DIRECTORY: &str = "spool";

/// MySQL or MariaDB, which need not be there yet. `drain_timeout` is how long a stopping server waits for what is on its
/// way.
///
/// # Errors
/// Where the directory of the spool is another server's, or cannot be read or written, or is damaged.
pub(crate) fn mysql(
    options: StoreOptions,
    server: MySqlServer,
    place: SpoolPlace,
    drain_timeout: Duration,
) -> anyhow::Result<Store> {
    let lock = DirectoryLock::acquire(&place.directory)?;
    let now = Arc::new(now_ms);
    let store = Arc::new(MySqlStore::new(MySqlConfig {
        options,
        server,
        now: now.clone(),
    }));
    tell_of_sync(place.journal_sync);
    let directory = place.directory.join(DIRECTORY);
    let config = SpoolConfig {
        bytes_max: place.bytes_max,
        sync: place.journal_sync,
        ..SpoolConfig::new(now)
    };
    let (sink, source) = (
        Arc::clone(&store) as Arc<dyn SpanSink>,
        Arc::clone(&store) as Arc<dyn SpanSource>,
    );
    let spool = Spool::open(&directory, config, sink, source)
        .with_context(|| format!("cannot open the spool in {}", directory.display()))?;
    let (counted, shown, closed) = (Arc::clone(&spool), Arc::clone(&spool), Arc::clone(&spool));
    Ok(Store {
        name: "MySQLStorage{}",
        sink: Arc::clone(&spool) as Arc<dyn SpanSink>,
        deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
        latency: Arc::clone(&store) as Arc<dyn LatencySource>,
        source: spool,
        figures: Arc::new(move || figures(&counted.stats())),
        timings: Vec::new(),
        details: Arc::new(move || details(&shown.stats())),
        close: Box::new(move || {
            Box::pin(async move {
                let spool = closed.close(drain_timeout).await;
                store.close().await;
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

/// Name, help, what may be done with it, and which of the spool's numbers it is.
type Row = (&'static str, &'static str, FigureKind, fn(&SpoolStats) -> f64);

#[rustfmt::skip]
const FIGURES: [Row; 12] = [
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

fn figures(stats: &SpoolStats) -> Vec<Figure> {
    let figure = |&(name, help, kind, value): &Row| Figure {
        name,
        help,
        kind,
        labels: Vec::new(),
        value: value(stats),
    };
    FIGURES.iter().map(figure).collect()
}
