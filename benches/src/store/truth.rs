//! What is in the store, as far as questions are asked about it: the answers of the server are held against this.
//!
//! - Every 200th trace is kept whole, to be asked for by identifier.
//! - Everything that began within a few *windows* of time is kept in a memory store, the contract's simplest
//!   implementation: what it answers about a window is what the server has to answer.
//! - Names, links, the slowest traces of each service, and where the rare tags are: of everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context;
use model::{DependencyLink, DependencyLinker, LinkCounts, Span, SpanBatch, TraceId};
use storage::{DependencyQuery, SpanSink, SpanSource, TraceQuery};
use storage_memory::{MemoryConfig, MemoryStore};
use tokio::runtime::Runtime;

/// Of so many traces one is kept.
const SAMPLED: u64 = 200;

/// The key of the rare tags.
pub(crate) const RARE_KEY: &str = "order.reference";
/// Different values of it. Each is on one span in a million.
pub(crate) const RARE_VALUES: u64 = 200;
const SPANS_BETWEEN_RARE: u64 = 1_000_000 / RARE_VALUES;

/// The keys whose values are asked for.
pub(crate) const AUTOCOMPLETE_KEYS: [&str; 5] = [
    "service.version",
    "http.method",
    "http.status_code",
    "kafka.topic",
    "db.system",
];

/// Spans of a window.
pub(crate) const WINDOW_SPANS: u64 = 50_000;

/// The tag that nearly all spans of servers and clients bear.
pub(crate) const COMMON_TAG: (&str, &str) = ("http.status_code", "200");
/// Of each service, the traces with the slowest spans.
const SLOWEST: usize = 40;

/// A trace that must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// By this the newest are found: its last span's begin, or for the slowest a duration; microseconds.
    pub(crate) rank_us: u64,
    pub(crate) trace_id: TraceId,
    pub(crate) spans: usize,
}

/// A time of which everything is known, both ends included, milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

/// Names that a service's spans bear.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) spans: BTreeSet<String>,
    pub(crate) remotes: BTreeSet<String>,
}

pub(crate) struct Truth {
    pub(crate) spans: u64,
    pub(crate) traces: u64,
    /// When the first and the last trace begin.
    pub(crate) begin_us: u64,
    pub(crate) end_us: u64,
    /// The longest trace, from its first span's begin to its last one's.
    longest_us: u64,
    pub(crate) sampled: Vec<Vec<Span>>,
    pub(crate) windows: Vec<Window>,
    /// In spans: where windows are to be.
    windows_planned: Vec<u64>,
    open: Option<Window>,
    reference: MemoryStore,
    runtime: Runtime,
    batch: SpanBatch,
    pub(crate) services: BTreeMap<String, Names>,
    pub(crate) values: BTreeMap<&'static str, BTreeSet<String>>,
    pub(crate) rare: Vec<Vec<Place>>,
    pub(crate) slowest: HashMap<String, BTreeSet<Place>>,
    linker: DependencyLinker,
    links: LinkCounts,
}

impl Truth {
    /// `windows`: after how many spans each begins, ascending and apart.
    pub(crate) fn new(windows: Vec<u64>) -> anyhow::Result<Self> {
        let config = MemoryConfig {
            spans_max: usize::MAX,
            ..MemoryConfig::default()
        };
        Ok(Self {
            spans: 0,
            traces: 0,
            begin_us: 0,
            end_us: 0,
            longest_us: 0,
            sampled: Vec::new(),
            windows: Vec::new(),
            windows_planned: windows,
            open: None,
            reference: MemoryStore::new(config),
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
            batch: SpanBatch::new(),
            services: BTreeMap::new(),
            values: AUTOCOMPLETE_KEYS
                .into_iter()
                .map(|key| (key, BTreeSet::new()))
                .collect(),
            rare: vec![Vec::new(); RARE_VALUES as usize],
            slowest: HashMap::new(),
            linker: DependencyLinker::new(),
            links: LinkCounts::new(),
        })
    }

    /// Notes a trace before it is sent, and puts the rare tags into it.
    pub(crate) fn note(&mut self, trace: &mut [Span]) -> anyhow::Result<()> {
        let begin_us = model::trace_timestamp(trace).context("a trace of the workload has no time")?;
        let newest_us = trace
            .iter()
            .filter_map(|span| span.timestamp)
            .max()
            .unwrap_or(begin_us);
        let place = Place {
            rank_us: newest_us,
            trace_id: trace[0].trace_id,
            spans: trace.len(),
        };
        self.plant(trace, place);
        if self.traces == 0 {
            self.begin_us = begin_us;
        }
        self.end_us = begin_us;
        self.longest_us = self.longest_us.max(newest_us - begin_us);
        if self.traces.is_multiple_of(SAMPLED) {
            self.sampled.push(trace.to_vec());
        }
        self.note_window(trace, begin_us)?;
        for span in &*trace {
            self.note_names(span);
            self.note_slow(trace, span, place);
        }
        self.linker.put_trace(trace);
        self.spans += trace.len() as u64;
        self.traces += 1;
        Ok(())
    }

    fn plant(&mut self, trace: &mut [Span], place: Place) {
        let until_next = SPANS_BETWEEN_RARE - 1 - self.spans % SPANS_BETWEEN_RARE;
        if let Some(span) = trace.get_mut(until_next as usize) {
            let number = (self.spans + until_next) / SPANS_BETWEEN_RARE % RARE_VALUES;
            span.tags.push((RARE_KEY.to_owned(), rare_value(number)));
            span.tags.sort();
            self.rare[number as usize].push(place);
        }
    }

    fn note_window(&mut self, trace: &[Span], begin_us: u64) -> anyhow::Result<()> {
        let is_within = self
            .windows_planned
            .iter()
            .any(|&begin| (begin..begin + WINDOW_SPANS).contains(&self.spans));
        if !is_within {
            self.windows.extend(self.open.take());
            return Ok(());
        }
        let window = self.open.get_or_insert(Window {
            from_ms: begin_us.div_ceil(1_000),
            to_ms: 0,
        });
        window.to_ms = begin_us / 1_000;
        self.batch.clear();
        for span in trace {
            self.batch.push_span(span);
        }
        self.runtime.block_on(self.reference.accept(&self.batch))?;
        Ok(())
    }

    /// Nothing more comes for now: the last window ends here.
    pub(crate) fn pause(&mut self) {
        self.windows.extend(self.open.take());
        let counts = std::mem::take(&mut self.linker).into_counts();
        self.links.add_all(&counts);
    }

    fn note_names(&mut self, span: &Span) {
        let Some(service) = span.local_service_name() else {
            return;
        };
        if !self.services.contains_key(service) {
            self.services.insert(service.to_owned(), Names::default());
        }
        let names = self.services.get_mut(service).expect("inserted above");
        let add = |names: &mut BTreeSet<String>, name: Option<&str>| {
            if let Some(name) = name.filter(|&name| !names.contains(name)) {
                names.insert(name.to_owned());
            }
        };
        add(&mut names.spans, span.name.as_deref());
        add(&mut names.remotes, span.remote_service_name());
        for (key, value) in &span.tags {
            if let Some(values) = self.values.get_mut(key.as_str()) {
                add(values, Some(value));
            }
        }
    }

    fn note_slow(&mut self, trace: &[Span], span: &Span, place: Place) {
        let (Some(service), Some(duration)) = (span.local_service_name(), span.duration) else {
            return;
        };
        if !self.slowest.contains_key(service) {
            self.slowest.insert(service.to_owned(), BTreeSet::new());
        }
        let slowest = self.slowest.get_mut(service).expect("inserted above");
        let is_slow =
            slowest.len() < SLOWEST || slowest.first().is_some_and(|least| duration > least.rank_us);
        if !is_slow {
            return;
        }
        let of_service = || {
            trace
                .iter()
                .filter(|span| span.local_service_name() == Some(service))
        };
        let is_common = of_service().any(|span| span.tag(COMMON_TAG.0) == Some(COMMON_TAG.1));
        let slowest_us = of_service().filter_map(|span| span.duration).max();
        // Once a trace, by its slowest span.
        if is_common && slowest_us == Some(duration) {
            slowest.insert(Place {
                rank_us: duration,
                ..place
            });
            if slowest.len() > SLOWEST {
                slowest.pop_first();
            }
        }
    }

    /// What a search that ends with the window has to answer, or nothing where that takes more than the window:
    /// an older trace could have newer spans than those that are found.
    pub(crate) fn newest(&self, window: Window, query: &TraceQuery) -> anyhow::Result<Option<Vec<Place>>> {
        let found = self.runtime.block_on(self.reference.search(query))?.traces;
        let is_known = found.len() == query.limit()
            && found
                .iter()
                .all(|trace| query.rank(trace).0 > window.from_ms * 1_000 + self.longest_us);
        let places = found.iter().map(|trace| Place {
            rank_us: query.rank(trace).0,
            trace_id: trace[0].trace_id,
            spans: trace.len(),
        });
        Ok(is_known.then(|| places.collect()))
    }

    /// The links of a window.
    pub(crate) fn links_within(&self, query: DependencyQuery) -> anyhow::Result<Vec<DependencyLink>> {
        let found = self.runtime.block_on(self.reference.dependencies(query))?;
        Ok(found.links)
    }

    /// The links of everything before the last pause.
    pub(crate) fn links(&self) -> Vec<DependencyLink> {
        self.links.clone().links()
    }
}

/// The value of the rare tag with this number: one word.
pub(crate) fn rare_value(number: u64) -> String {
    format!("ref{number:04}")
}
