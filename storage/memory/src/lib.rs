//! Zipkin's `mem` storage (`zipkin.md` 5.3) without its global lock: the newest spans, as many as configured,
//! gone with the process.
//!
//! Spans are spread over shards by the low 64 bits of their trace identifier, so that everything about a trace,
//! including what only shares those bits with it, sits behind one lock. A shard holds these maps:
//!
//! ```text
//! traces    low 64 bits ─▶ Trace { spans in order of arrival, which of them are there, extent, places }
//! by_age    (least timestamp, low 64 bits), oldest first            what is evicted next
//! by_time   (place, low 64 bits), newest first                      candidates of any service
//! services  service name ─▶ Service { by_time,                      candidates of a service
//!                                     span names, remote names }    each with the number of spans that bear it
//! ```
//!
//! A *place* says roughly when a trace happened (`time_index.rs`). Writers hold the lock of one shard while they
//! add the spans of one batch to it. Readers hold it to copy a few dozen index entries or a reference to a
//! trace's spans, never to compare or copy spans; a writer that meets a trace which is being read copies it once.
//!
//! It is not: durable, or a place for more spans than memory holds.

mod autocomplete;
mod deployments;
mod evict;
mod search;
mod services;
mod shard;
mod time_index;
mod trace;
mod untimed;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Span, SpanBatch, TraceId};
use parking_lot::{Mutex, RwLock};
use storage::{
    BestTraces, BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result,
    SpanSink, SpanSource, StoreOptions, TraceQuery, Visit, VisitTraces, count_links,
};

use crate::autocomplete::Autocomplete;
use crate::deployments::Deployments;
use crate::search::Candidates;
use crate::shard::Shard;

/// Locks are held for microseconds, so a few times as many shards as cores keep writers apart; more would
/// only make every search merge more cursors.
const SHARD_BITS: u32 = 4;
const SHARDS: usize = 1 << SHARD_BITS;

/// After this many spans looked at, a search lets other tasks of its thread go on.
const SPANS_BETWEEN_YIELDS: usize = 8192;

/// What a memory store is configured with.
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// What every store is configured with.
    pub options: StoreOptions,
    /// `MEM_MAX_SPANS`: the most spans to keep. Beyond it the oldest traces are evicted, whole.
    pub spans_max: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            options: StoreOptions::default(),
            spans_max: 500_000,
        }
    }
}

/// The store. Shared by reference: all its methods take `&self`.
#[derive(Debug)]
pub struct MemoryStore {
    config: MemoryConfig,
    shards: Box<[RwLock<Shard>]>,
    autocomplete: Autocomplete,
    deployments: Deployments,
    spans: AtomicUsize,
    // Held by the one writer that evicts, so that two do not evict twice as much.
    evicting: Mutex<()>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(config: MemoryConfig) -> Self {
        let shard = || RwLock::new(Shard::new(config.options.search_enabled));
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            autocomplete: Autocomplete::new(&config.options),
            deployments: Deployments::default(),
            spans: AtomicUsize::new(0),
            evicting: Mutex::new(()),
            config,
        }
    }

    /// How many spans it holds.
    pub fn span_count(&self) -> usize {
        self.spans.load(Ordering::Relaxed)
    }

    fn shard(&self, low: u64) -> &RwLock<Shard> {
        &self.shards[shard_index(low)]
    }

    /// All spans whose trace identifier has these low 64 bits. The lock is released when this returns.
    fn snapshot(&self, low: u64) -> Option<Arc<Vec<Span>>> {
        self.shard(low)
            .read()
            .trace(low)
            .map(|trace| Arc::clone(trace.spans()))
    }

    fn insert(&self, batch: &SpanBatch) {
        let mut spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
        self.autocomplete.insert(&spans);
        // Stable: spans of a trace stay in order of arrival.
        spans.sort_by_key(|span| (shard_index(span.trace_id.low()), span.trace_id.low()));
        let mut spans = spans.into_iter().peekable();
        while let Some(first) = spans.peek() {
            let index = shard_index(first.trace_id.low());
            let mut shard = self.shards[index].write();
            let mut added = 0;
            while let Some(first) = spans.next_if(|span| shard_index(span.trace_id.low()) == index) {
                let low = first.trace_id.low();
                let rest = std::iter::from_fn(|| spans.next_if(|span| span.trace_id.low() == low));
                added += shard.insert(low, std::iter::once(first).chain(rest));
            }
            // Counted before anyone can evict them, or the count would pass below zero.
            self.spans.fetch_add(added, Ordering::Relaxed);
        }
    }

    async fn find(&self, query: &TraceQuery) -> Found {
        if !self.config.options.search_enabled {
            return Found::default();
        }
        let mut search = BestTraces::new(query, self.config.options.strict_trace_id);
        let candidates = Candidates::new(&self.shards, query.service_name(), query.window());
        let mut looked_at = 0;
        for (bound, low) in candidates {
            if search.is_decided(bound) {
                break;
            }
            let Some(spans) = self.snapshot(low) else { continue };
            looked_at += spans.len();
            search.consider(spans);
            if looked_at >= SPANS_BETWEEN_YIELDS {
                looked_at = 0;
                tokio::task::yield_now().await;
            }
        }
        search.into_found()
    }

    fn trace_now(&self, trace_id: TraceId) -> Vec<Span> {
        let Some(spans) = self.snapshot(trace_id.low()) else {
            return Vec::new();
        };
        if self.config.options.strict_trace_id {
            spans
                .iter()
                .filter(|span| span.trace_id == trace_id)
                .cloned()
                .collect()
        } else {
            Arc::unwrap_or_clone(spans)
        }
    }

    fn traces_now(&self, trace_ids: &[TraceId]) -> Vec<Vec<Span>> {
        let strict = self.config.options.strict_trace_id;
        let mut asked = HashSet::new();
        trace_ids
            .iter()
            .filter(|id| asked.insert((id.low(), if strict { id.high() } else { 0 })))
            .map(|trace_id| self.trace_now(*trace_id))
            .filter(|trace| !trace.is_empty())
            .collect()
    }

    /// The sorted union of what each shard collects.
    fn names(&self, collect: impl Fn(&Shard, &mut BTreeSet<String>)) -> Vec<String> {
        let mut names = BTreeSet::new();
        for shard in &self.shards {
            collect(&shard.read(), &mut names);
        }
        names.into_iter().collect()
    }
}

/// Identifiers need not be random: multiplying spreads consecutive ones, too.
fn shard_index(low: u64) -> usize {
    (low.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARD_BITS)) as usize
}

impl SpanSink for MemoryStore {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.insert(batch);
            self.deployments.note(batch, &self.config.options);
            self.evict();
            Ok(())
        })
    }
}

impl VisitTraces for MemoryStore {
    fn version_tags(&self) -> &[String] {
        &self.config.options.version_tags
    }

    fn visit_traces<'a>(&'a self, window: (u64, u64), visit: Visit<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut looked_at = 0;
            for (_, low) in Candidates::new(&self.shards, None, window) {
                let Some(spans) = self.snapshot(low) else { continue };
                visit(&spans);
                looked_at += spans.len();
                if looked_at >= SPANS_BETWEEN_YIELDS {
                    looked_at = 0;
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        })
    }
}

impl SpanSource for MemoryStore {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        Box::pin(async move { Ok(self.trace_now(trace_id)) })
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        Box::pin(async move { Ok(self.traces_now(trace_ids)) })
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move { Ok(self.find(query).await) })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        Box::pin(async move { Ok(untimed::find(self, after, limit).await) })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async move { Ok(self.names(|shard, names| shard.services().collect_names(names))) })
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            Ok(self.names(|shard, names| shard.services().collect_span_names(service_name, names)))
        })
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            Ok(self.names(|shard, names| shard.services().collect_remote_names(service_name, names)))
        })
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move { Ok(self.autocomplete.values(key)) })
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        Box::pin(count_links(self, query, &[]))
    }

    fn completeness(&self) -> Completeness {
        Completeness::Complete
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            raw_spans: true,
            durable: false,
            orders: true,
        }
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
