//! What the comparison of versions is asked of: how long operations took, and where the time of traces went.
//!
//! As for dependencies, spans are grouped by the low 64 bits of their trace identifier, a span counts once however often
//! it was stored, and spans that were reported in pieces are joined ([`model::merge`]).

use std::collections::BTreeMap;

use model::{Kind, Sketch, Span, SpanTree, Timeline, merge};

use crate::{BoxFuture, Completeness, Result};

mod profiles;
mod windows;

pub use profiles::{ProfileCollector, ProfileQuery, ProfileSource, Profiles};
pub use windows::{
    MinuteTotals, OperationWindows, UnitSums, UnitTotals, WindowCollector, WindowLatencies, WindowQuery,
    WindowSums,
};

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;

/// Answers about latency, for stores that can without handing out spans.
///
/// What was stored before a question MUST be in its answer, also of traces that arrived in pieces. A trace that cannot
/// be counted MAY be left out whole, and MUST be told then. MUST NOT depend on
/// [`search_enabled`](crate::StoreOptions::search_enabled).
pub trait LatencySource: Send + Sync {
    /// Times, calls and errors of operations, by version and minute, as [`add_latencies`] defines them.
    ///
    /// A store MAY give operations of which there are too many without span name, kind and version. The least and the
    /// greatest value of a sketch MAY be off by a bucket, and the self times of traces whose clocks differ are those
    /// that were reported.
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>>;

    /// What [`WindowCollector::add`] makes of the answer to [`LatencySource::latencies`], without that answer: a store
    /// that keeps sums SHOULD hold no row for every minute of long windows.
    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>>;

    /// Profiles of the traces of a population, as [`ProfileCollector::add_spans`] defines them.
    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>>;
}

/// Whose latency is asked for. Minutes are those since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyQuery {
    /// The first minute.
    pub first_minute: u64,
    /// The last minute, included.
    pub last_minute: u64,
    /// Of this service only.
    pub service_name: Option<String>,
}

impl LatencyQuery {
    /// Whether it asks for a minute.
    pub fn contains(&self, minute: u64) -> bool {
        (self.first_minute..=self.last_minute).contains(&minute)
    }

    /// Whether it asks for a service.
    pub fn is_about(&self, service_name: &str) -> bool {
        self.service_name
            .as_ref()
            .is_none_or(|wanted| wanted == service_name)
    }
}

/// What spans of one kind do at one service, by name. Names are empty where spans have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationName {
    /// The service.
    pub service_name: String,
    /// The name of the spans.
    pub span_name: String,
    /// Their kind.
    pub kind: Option<Kind>,
}

impl OperationName {
    /// The operation of a span.
    pub fn of(span: &Span) -> Self {
        Self {
            service_name: span.local_service_name().unwrap_or_default().to_owned(),
            span_name: span.name.clone().unwrap_or_default(),
            kind: span.kind,
        }
    }
}

/// What is known of an operation in one version and one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationLatency {
    /// What was called.
    pub operation: OperationName,
    /// The first of the configured version tags that the spans bear; empty where none does.
    pub version: String,
    /// In which the spans began, since the epoch.
    pub minute: u64,
    /// Spans.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Traces that have at least one of them: calls a trace are `calls / traces`.
    pub traces: u64,
    /// Microseconds, of spans that have a duration.
    pub durations: Sketch,
    /// Microseconds, of spans that have a duration: [`Timeline::self_time`].
    pub self_times: Sketch,
}

impl OperationLatency {
    /// Nothing was counted yet.
    pub fn new(operation: &OperationName, version: &str, minute: u64) -> Self {
        Self {
            operation: operation.clone(),
            version: version.to_owned(),
            minute,
            calls: 0,
            errors: 0,
            traces: 0,
            durations: Sketch::new(),
            self_times: Sketch::new(),
        }
    }
}

/// How long operations took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By operation, version and minute, each once, ascending.
    pub operations: Vec<OperationLatency>,
    /// Whether every span of the window was counted.
    pub completeness: Completeness,
}

/// Which operation, in which version and minute.
type LatencyKey = (OperationName, String, u64);

/// Counts the spans of one trace, all it has, raw; only those with a timestamp. The version of a span is the first of
/// `version_tags` that it bears.
pub fn add_latencies(
    counted: &mut BTreeMap<LatencyKey, OperationLatency>,
    spans: &[Span],
    version_tags: &[String],
    query: &LatencyQuery,
) {
    let spans = merge(spans);
    let timeline = Timeline::build(&spans, &SpanTree::build(&spans));
    let mut seen: Vec<LatencyKey> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let Some(minute) = span.timestamp.map(|timestamp| timestamp / MINUTE) else {
            continue;
        };
        let service = span.local_service_name().unwrap_or_default();
        if !query.contains(minute) || !query.is_about(service) {
            continue;
        }
        let version = version_tags.iter().find_map(|tag| span.tag(tag));
        let key = (
            OperationName::of(span),
            version.unwrap_or_default().to_owned(),
            minute,
        );
        let latency = counted
            .entry(key.clone())
            .or_insert_with(|| OperationLatency::new(&key.0, &key.1, minute));
        latency.calls += 1;
        latency.errors += u64::from(span.is_error());
        seen.push(key);
        if let Some(duration) = span.duration {
            latency.durations.record(duration);
        }
        if let Some(self_time) = timeline.self_time(index) {
            latency.self_times.record(self_time);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    for key in seen {
        if let Some(latency) = counted.get_mut(&key) {
            latency.traces += 1;
        }
    }
}
