//! The stores a server can be started with, each by what the other parts need of it.

#[cfg(feature = "spool")]
mod spooled;

use std::sync::Arc;

use anyhow::Context;
use serde_json::{Map, Value};
#[cfg(feature = "cassandra")]
pub(crate) use spooled::cassandra;
#[cfg(feature = "elasticsearch")]
pub(crate) use spooled::elasticsearch;
#[cfg(feature = "mysql")]
pub(crate) use spooled::mysql;
use storage::{BoxFuture, DeploymentStore, LatencySource, SpanSink, SpanSource, StorageError, StoreOptions};
use storage_journal::SyncPolicy;
use storage_memory::{MemoryConfig, MemoryStore};
use storage_segment::{Clock, Retention, SegmentStore, StoreStats};

use crate::config::SegmentConfig;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{Component, Figure, FigureRow, FigureSource, Health, Timing, figures};
use crate::lock::DirectoryLock;
use crate::self_tracing::{TracedSink, TracedSource};

/// An open store.
pub(crate) struct Store {
    /// As `/health` shows it.
    pub(crate) name: &'static str,
    pub(crate) sink: Arc<dyn SpanSink>,
    pub(crate) source: Arc<dyn SpanSource>,
    pub(crate) deployments: Arc<dyn DeploymentStore>,
    pub(crate) latency: Arc<dyn LatencySource>,
    /// For `/prometheus`.
    pub(crate) figures: FigureSource,
    /// For the same.
    pub(crate) timings: Vec<Timing>,
    /// What `/health` shows beside.
    details: Details,
    close: CloseStore,
    // Released when everything else of the store is gone.
    _lock: Option<DirectoryLock>,
}

type Details = Arc<dyn Fn() -> Map<String, Value> + Send + Sync>;

type CloseStore = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), StorageError>> + Send>;

impl Store {
    /// As `/health` shows it.
    pub(crate) fn component(&self) -> Component {
        let (source, details) = (Arc::clone(&self.source), Arc::clone(&self.details));
        let health = move || -> BoxFuture<'static, Health> {
            let (source, details) = (Arc::clone(&source), Arc::clone(&details));
            Box::pin(async move {
                Health {
                    error: source.health().await.err().map(|error| error.to_string()),
                    details: details(),
                }
            })
        };
        Component {
            name: self.name.to_owned(),
            health: Arc::new(health),
        }
    }

    /// The same, with calls recorded that are made for requests that are traced.
    pub(crate) fn traced(self) -> Self {
        Self {
            sink: Arc::new(TracedSink::new(self.sink)),
            source: Arc::new(TracedSource::new(self.source)),
            ..self
        }
    }

    /// Writes down what only memory has, if the store keeps anything.
    ///
    /// # Errors
    /// As the store's own.
    pub(crate) async fn close(self) -> Result<(), StorageError> {
        (self.close)().await
    }
}

/// Zipkin's `mem`: nothing stays.
pub(crate) fn memory(options: StoreOptions, spans_max: usize) -> Store {
    let store = Arc::new(MemoryStore::new(MemoryConfig { options, spans_max }));
    let counted = Arc::clone(&store);
    let figures = move || {
        let value = counted.span_count() as f64;
        vec![Figure {
            name: "tracehound_memory_spans",
            help: "Spans in memory",
            kind: Gauge,
            labels: Vec::new(),
            value,
        }]
    };
    Store {
        name: "InMemoryStorage{}",
        sink: Arc::clone(&store) as Arc<dyn SpanSink>,
        deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
        latency: Arc::clone(&store) as Arc<dyn LatencySource>,
        source: store,
        figures: Arc::new(figures),
        timings: Vec::new(),
        details: Arc::new(Map::new),
        close: Box::new(|| Box::pin(async { Ok(()) })),
        _lock: None,
    }
}

/// The embedded store, with its directory locked.
///
/// # Errors
/// Where another server has the directory, or it cannot be read or written.
pub(crate) fn segment(options: StoreOptions, config: SegmentConfig, now: Clock) -> anyhow::Result<Store> {
    let lock = DirectoryLock::acquire(&config.directory)?;
    let directory = config.directory.display().to_string();
    tell_of_sync(config.journal_sync);
    let store = SegmentStore::open(storage_segment::SegmentConfig {
        directory: config.directory,
        options,
        sync: config.journal_sync,
        journal_bytes_max: config.journal_bytes_max,
        head_bytes_max: config.head_bytes_max,
        retention: Retention {
            age_max: config.age_max,
            bytes_max: config.bytes_max,
        },
        now,
    })
    .with_context(|| format!("cannot open the store in {directory}"))?;
    tell_what_was_found(&store, &directory);
    let (counted, closed) = (Arc::clone(&store), Arc::clone(&store));
    let commits = Timing {
        name: "tracehound_journal_commit",
        help: "Time from when a batch is given to the journal until it is as durable as JOURNAL_SYNC says",
        histogram: store.commit_time(),
    };
    Ok(Store {
        name: "SegmentStorage{}",
        sink: Arc::clone(&store) as Arc<dyn SpanSink>,
        deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
        latency: Arc::clone(&store) as Arc<dyn LatencySource>,
        source: store,
        figures: Arc::new(move || figures(&SEGMENT_FIGURES, &counted.stats())),
        timings: vec![commits],
        details: Arc::new(Map::new),
        close: Box::new(move || Box::pin(async move { closed.close().await })),
        _lock: Some(lock),
    })
}

/// Whoever gave up that acknowledged spans survive a loss of power should read it at every start.
fn tell_of_sync(sync: SyncPolicy) {
    match sync {
        SyncPolicy::Always => {}
        SyncPolicy::Interval(interval) => {
            let interval_ms = interval.as_millis() as u64;
            tracing::warn!(
                interval_ms,
                "JOURNAL_SYNC: a loss of power loses what was acknowledged within the interval"
            );
        }
        SyncPolicy::Os => {
            tracing::warn!(
                "JOURNAL_SYNC: a loss of power loses what was acknowledged and not yet written to disk"
            );
        }
    }
}

fn tell_what_was_found(store: &SegmentStore, directory: &str) {
    let opened = store.opened();
    let (segments, replayed_spans) = (opened.segments, opened.replayed_spans);
    tracing::info!(directory, segments, replayed_spans, "store opened");
    for reason in &opened.set_aside {
        tracing::warn!(reason, "a damaged segment is set aside; the others answer");
    }
}

#[rustfmt::skip]
const SEGMENT_FIGURES: [FigureRow<StoreStats>; 20] = [
    ("tracehound_journal_bytes", "Bytes in the journal that are not in segments yet", Gauge, |stats| stats.journal.bytes as f64),
    ("tracehound_journal_files", "Files of the journal, those to be recycled included", Gauge, |stats| stats.journal.files as f64),
    ("tracehound_journal_records", "Batches written to the journal", Counter, |stats| stats.journal.records as f64),
    ("tracehound_journal_refused", "Batches that the journal refused", Counter, |stats| stats.journal.refused as f64),
    ("tracehound_journal_syncs", "Syncs of the journal to disk", Counter, |stats| stats.journal.syncs as f64),
    ("tracehound_journal_sync_seconds", "Time spent in syncs of the journal", Counter, |stats| stats.journal.sync_time.as_secs_f64()),
    ("tracehound_head_bytes", "Bytes of memory of traces still arriving", Gauge, |stats| stats.head_bytes as f64),
    ("tracehound_head_spans", "Spans of traces still arriving", Gauge, |stats| stats.head_spans as f64),
    ("tracehound_head_refused", "Batches refused because memory was full", Counter, |stats| stats.refused_batches as f64),
    ("tracehound_segments", "Segments", Gauge, |stats| stats.segments as f64),
    ("tracehound_segment_bytes", "Bytes of segments on disk", Gauge, |stats| stats.segment_bytes as f64),
    ("tracehound_segment_spans", "Spans in segments", Gauge, |stats| stats.segment_spans as f64),
    ("tracehound_segments_set_aside", "Segments that are damaged", Gauge, |stats| stats.set_aside.len() as f64),
    ("tracehound_segments_sealed", "Segments sealed", Counter, |stats| stats.sealed_segments as f64),
    ("tracehound_segment_spans_sealed", "Spans sealed", Counter, |stats| stats.sealed_spans as f64),
    ("tracehound_segment_names_left_out", "Names and values left out of a segment's lists because there were too many", Counter, |stats| stats.names_left_out as f64),
    ("tracehound_segment_versions_left_out", "Batches with a version that made no deployment because there were too many", Counter, |stats| stats.versions_left_out as f64),
    ("tracehound_segment_deployments_set_aside", "Records of deployments that could not be read at the start", Gauge, |stats| stats.deployments_set_aside as f64),
    ("tracehound_compactions", "Compactions", Counter, |stats| stats.compactions as f64),
    ("tracehound_segments_dropped", "Segments dropped by retention", Counter, |stats| stats.dropped_segments as f64),
];
