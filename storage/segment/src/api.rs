//! What callers see: the store behind the traits of `storage`.
//!
//! Reading touches the disk, so it runs on the runtime's blocking threads, and stops soon after whoever asked
//! has gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{Span, SpanBatch, TraceId};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, DurationHistogram, Found,
    Latencies, LatencyQuery, LatencySource, ProfileQuery, Profiles, Result, SpanSink, SpanSource,
    StorageError, TraceQuery, WindowLatencies, WindowQuery,
};
use storage_journal::{Disk, JournalStats, RealDisk};

use crate::config::{Limits, SegmentConfig};
use crate::deployments::Deployments;
use crate::maintenance::Maintenance;
use crate::names::Names;
use crate::store::{Opened, Store};
use crate::view::{Reading, View, group};
use crate::{dependencies, latency, search, untimed};

/// The embedded store. Cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct SegmentStore {
    store: Arc<Store>,
    maintenance: Maintenance,
    opened: Opened,
}

/// Figures of a store, for metrics and health.
#[derive(Clone, Debug)]
pub struct StoreStats {
    /// The journal's own figures.
    pub journal: JournalStats,
    /// Bytes of memory the head takes.
    pub head_bytes: u64,
    /// Spans in the head.
    pub head_spans: u64,
    /// Segments that can be read.
    pub segments: u64,
    /// Bytes on disk of all segments.
    pub segment_bytes: u64,
    /// Spans in segments.
    pub segment_spans: u64,
    /// Memory that open segments take, caches apart: what says which traces they cannot hold, where their pages are,
    /// what pages of their trace tables may have, bytes.
    pub segment_memory_bytes: u64,
    /// Segments that are damaged, with the reason.
    pub set_aside: Vec<String>,
    /// Segments sealed since the start.
    pub sealed_segments: u64,
    /// Spans sealed since the start.
    pub sealed_spans: u64,
    /// Compactions since the start.
    pub compactions: u64,
    /// Segments dropped by retention since the start.
    pub dropped_segments: u64,
    /// How often since the start a name, or a value for completion, was left out of a segment's lists because there
    /// were too many.
    pub names_left_out: u64,
    /// Batches refused since the start because the head was full.
    pub refused_batches: u64,
    /// How often since the start spans bore a version that was left out, because there were too many.
    pub versions_left_out: u64,
    /// Records of deployments that could not be read when the store was opened.
    pub deployments_set_aside: u64,
}

impl SegmentStore {
    /// Opens the store in a directory, which is created where it isn't there.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where the manifest or the journal is damaged, naming file and place (a damaged
    /// segment is set aside instead); [`StorageError::Unavailable`] where the directory cannot be used.
    pub fn open(config: SegmentConfig) -> Result<Arc<Self>> {
        let directory = config.directory.clone();
        let disk = RealDisk::new(directory.clone()).map_err(|error| {
            StorageError::Unavailable(format!("{} cannot be used: {error}", directory.display()))
        })?;
        Self::open_on(Arc::new(disk), config)
    }

    /// Opens the store on any disk; the configured directory is not used.
    ///
    /// # Errors
    /// As [`SegmentStore::open`].
    pub fn open_on(disk: Arc<dyn Disk>, config: SegmentConfig) -> Result<Arc<Self>> {
        let (store, opened) = Store::open(disk, config, Limits::default())?;
        let store = Arc::new(store);
        let maintenance = Maintenance::start(store.clone())
            .map_err(|error| StorageError::Unavailable(format!("no thread for maintenance: {error}")))?;
        Ok(Arc::new(Self {
            store,
            maintenance,
            opened,
        }))
    }

    /// Deployments and what belongs to them.
    pub(crate) fn kept_deployments(&self) -> &Arc<Deployments> {
        &self.store.deployments
    }

    /// What opening found.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Seals everything that has arrived into segments, joins small ones and applies retention; blocks until done.
    ///
    /// # Errors
    /// [`StorageError`] where a segment cannot be written; nothing is lost then.
    pub fn seal_all(&self) -> Result<()> {
        self.maintenance.seal_all()
    }

    /// Reads every byte of every segment.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] for the first thing that is not what was written, naming file and place.
    pub fn verify(&self) -> Result<()> {
        self.store
            .view()
            .segments
            .iter()
            .try_for_each(|segment| segment.verify())
    }

    /// Ends maintenance and syncs the journal. Spans in the head stay in the journal and come back at the next
    /// start.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the journal cannot be synced.
    pub async fn close(&self) -> Result<()> {
        self.maintenance.stop();
        self.store.journal.close().map_err(crate::store::refusal)
    }

    /// How long records took from the journal's taking them until they were durable.
    pub fn commit_time(&self) -> Arc<DurationHistogram> {
        Arc::clone(&self.store.commit_time)
    }

    /// What takes how many bytes in the files of all segments: `spans`, every section by the name `FORMAT.md` gives
    /// it, and `frame`, which is footers and magic bytes.
    pub fn section_bytes(&self) -> Vec<(&'static str, u64)> {
        let mut sections: Vec<(&'static str, u64)> = Vec::new();
        for segment in &self.store.view().segments {
            for (at, (name, bytes)) in segment.sections().into_iter().enumerate() {
                match sections.get_mut(at) {
                    Some(section) => section.1 += bytes,
                    None => sections.push((name, bytes)),
                }
            }
        }
        sections
    }

    /// Figures of this moment.
    pub fn stats(&self) -> StoreStats {
        let view = self.store.view();
        let counters = &self.store.counters;
        let segment_bytes = self.store.segment_bytes();
        StoreStats {
            journal: self.store.journal.stats(),
            head_bytes: view.generations().map(|generation| generation.bytes()).sum(),
            head_spans: view.generations().map(|generation| generation.spans()).sum(),
            segments: view.segments.len() as u64,
            segment_bytes,
            segment_spans: view
                .segments
                .iter()
                .map(|segment| segment.footer().summary.spans)
                .sum(),
            segment_memory_bytes: view.segments.iter().map(|segment| segment.memory_bytes()).sum(),
            set_aside: view.set_aside.values().cloned().collect(),
            sealed_segments: counters.sealed_segments.load(Ordering::Relaxed),
            sealed_spans: counters.sealed_spans.load(Ordering::Relaxed),
            compactions: counters.compactions.load(Ordering::Relaxed),
            dropped_segments: counters.dropped_segments.load(Ordering::Relaxed),
            names_left_out: counters.names_left_out.load(Ordering::Relaxed),
            refused_batches: counters.refused_batches.load(Ordering::Relaxed),
            versions_left_out: self.kept_deployments().versions_left_out(),
            deployments_set_aside: self.kept_deployments().set_aside().len() as u64,
        }
    }

    /// Answers from a view on a blocking thread, and sets aside what turned out to be damaged.
    fn read<'a, T: Send + 'static>(
        &'a self,
        answer: impl FnOnce(&Store, &mut Reading<'_>, &AtomicBool) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        let store = self.store.clone();
        store.note_question();
        Box::pin(async move {
            let cancelled = CancelOnDrop(Arc::default());
            let flag = cancelled.0.clone();
            let task = tokio::task::spawn_blocking(move || {
                let view: Arc<View> = store.view();
                let mut reading = Reading::new(&view, store.limits.trace_spans_max);
                let answered = answer(&store, &mut reading, &flag);
                store.set_aside(reading.into_damaged());
                answered
            });
            let answered = task.await;
            drop(cancelled);
            answered.unwrap_or_else(|error| Err(StorageError::Unavailable(format!("a read failed: {error}"))))
        })
    }

    fn names<'a>(
        &'a self,
        choose: impl Fn(&Names, &mut BTreeSet<String>) + Send + 'a,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.store.config.options.search_enabled {
                return Ok(Vec::new());
            }
            Ok(self.store.view().names(choose))
        })
    }
}

/// As [`SegmentStore::close`], for those who forget it; errors have nowhere to go.
impl Drop for SegmentStore {
    fn drop(&mut self) {
        self.maintenance.stop();
    }
}

/// Tells a read on another thread that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SpanSink for SegmentStore {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.store.accept(batch))
    }

    fn check_room(&self) -> Result<Duration> {
        self.store.check_room()
    }
}

impl SpanSource for SegmentStore {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.read(move |store, reading, _| trace(store, reading, trace_id))
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        let mut trace_ids = trace_ids.to_vec();
        self.read(move |store, reading, _| {
            if !store.config.options.strict_trace_id {
                // Identifiers that differ in their high bits only ask for the same trace.
                let mut seen = std::collections::HashSet::new();
                trace_ids.retain(|trace_id| seen.insert(trace_id.low()));
            }
            let traces = trace_ids
                .into_iter()
                .map(|trace_id| trace(store, reading, trace_id));
            traces
                .filter(|trace| trace.as_ref().map_or(true, |spans| !spans.is_empty()))
                .collect()
        })
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        if !self.store.config.options.search_enabled {
            return Box::pin(std::future::ready(Ok(Found::default())));
        }
        let query = query.clone();
        self.read(move |store, reading, cancelled| {
            search::search(reading, &query, store.config.options.strict_trace_id, cancelled)
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        self.read(move |store, reading, cancelled| {
            let strict = store.config.options.strict_trace_id;
            untimed::untimed(reading, after, limit, strict, cancelled)
        })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.names(|names, chosen| chosen.extend(names.services.keys().cloned()))
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.names(move |names, chosen| {
            if let Some(names) = names.services.get(service_name) {
                chosen.extend(names.spans.iter().cloned());
            }
        })
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.names(move |names, chosen| {
            if let Some(names) = names.services.get(service_name) {
                chosen.extend(names.remote_services.iter().cloned());
            }
        })
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        let known = &self.store.config.options.autocomplete_keys;
        if !known.iter().any(|known| known == key) {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        self.names(move |names, chosen| {
            if let Some(values) = names.values.get(key) {
                chosen.extend(values.iter().cloned());
            }
        })
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        self.read(move |store, reading, cancelled| {
            dependencies::dependencies(reading, &store.link_sums(), query.window(), cancelled)
        })
    }

    fn completeness(&self) -> Completeness {
        Reading::new(&self.store.view(), 0).completeness()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            raw_spans: true,
            durable: true,
            orders: true,
        }
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.maintenance.is_broken() {
                let reason = "the thread that seals spans into segments ended, see the log";
                return Err(StorageError::Unavailable(reason.to_owned()));
            }
            self.store.health()
        })
    }
}

impl LatencySource for SegmentStore {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        let query = query.clone();
        self.read(move |store, reading, cancelled| latency::latencies(store, reading, &query, cancelled))
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        let query = query.clone();
        self.read(move |store, reading, cancelled| latency::windows(store, reading, &query, cancelled))
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        let query = query.clone();
        self.read(move |store, reading, cancelled| latency::profiles(store, reading, &query, cancelled))
    }
}

fn trace(store: &Store, reading: &mut Reading<'_>, trace_id: TraceId) -> Result<Vec<Span>> {
    let spans = reading.spans_of(trace_id.low())?;
    let strict = store.config.options.strict_trace_id;
    let mut groups = group(spans, strict).into_iter();
    let found = if strict {
        groups.find(|spans| spans[0].trace_id == trace_id)
    } else {
        groups.next()
    };
    Ok(found.unwrap_or_default())
}
