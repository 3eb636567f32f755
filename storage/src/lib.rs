//! The contract every storage keeps: keep these spans, find those traces.
//!
//! Traits, split by caller: [`SpanSink`] for the collector, [`SpanSource`] for queries, [`DeploymentStore`] for what
//! knows deployments. Their docs are the specification, with MUST and MAY; `contract.rs` holds every backend to it. Decorators and backends
//! are composed in `server/src/wiring.rs`, nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use model::{DependencyLink, Span, SpanBatch, TraceId};

mod best;
mod capabilities;
#[cfg(feature = "contract")]
pub mod contract;
mod counted;
mod deployments;
mod duration_histogram;
mod error;
mod latency;
mod options;
mod position;
mod query;
pub mod text;
mod untimed;

pub use best::BestTraces;
pub use capabilities::{Capabilities, Completeness};
pub use counted::{DailyLink, Visit, VisitTraces, count_links, whole_days};
pub use deployments::record;
pub use deployments::{
    Changes, Deletion, DeploymentLimits, DeploymentPatch, DeploymentQuery, DeploymentStore, Gathering,
    History, Interest, KnownRecords, PatchPlan, Patched, Put, PutPlan, Record, RecordBody, RecordKind,
    RecordTable, Register, SeenVersion, Sighting, note_versions,
};
pub use duration_histogram::{DurationHistogram, DurationSnapshot};
pub use error::StorageError;
pub use latency::{
    Latencies, LatencyQuery, LatencySource, MinuteTotals, OperationLatency, OperationName, OperationWindows,
    ProfileCollector, ProfileQuery, ProfileSource, Profiles, UnitSums, UnitTotals, WindowCollector,
    WindowLatencies, WindowQuery, WindowSums, add_latencies,
};
pub use options::StoreOptions;
pub use position::{NoPosition, TracePosition};
pub use query::{AnnotationQuery, DependencyQuery, Order, QueryError, TraceQuery, TraceQueryBuilder};
pub use untimed::untimed_after;

/// A boxed future: object safety at the seam is worth one allocation a call.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a store answers.
pub type Result<T> = std::result::Result<T, StorageError>;

/// Where the collector puts spans.
pub trait SpanSink: Send + Sync {
    /// Stores a batch, whole or not at all.
    ///
    /// - When the future is `Ok`, the spans MUST be as durable as the store promises (the segment store: in its
    ///   journal, synced as `JOURNAL_SYNC` says; memory: in memory), and MUST be visible to every query that
    ///   starts afterwards. A store behind a spool MAY make them visible later, and MUST tell by its
    ///   [`Completeness`] when that takes longer than some moments.
    /// - When it is an error, the sender will send the batch again: storing a span twice MUST be harmless.
    /// - A full queue or disk MUST be [`StorageError::Overloaded`], never an unbounded wait.
    /// - Dropping the future does not undo what was stored.
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>>;

    /// Whether a batch would be taken now, as far as that can be told before it is there, and how long its sender
    /// should be let wait first: a store that falls behind slows senders down before it refuses any. Asked before a
    /// message is decoded, so that refusing it costs little. MUST be cheap, MUST fail with
    /// [`StorageError::Overloaded`] only, and MAY be wrong either way; the time MUST be less than a tenth of a second. A
    /// decorator that hands batches on at once MUST ask what it decorates.
    fn check_room(&self) -> Result<Duration> {
        Ok(Duration::ZERO)
    }
}

/// What queries are asked of.
///
/// Reads MUST NOT merge, clean or correct spans: what was reported is what is answered (`zipkin.md` 4.3).
/// Exact duplicates MUST be answered once. Spans of a trace come in no particular order.
/// With [`StoreOptions::strict_trace_id`] false, traces are grouped and looked up by the low 64 bits of their
/// identifiers and spans keep the identifier they arrived with; with true, traces that differ in any bit are
/// different. Names are lower case in questions and answers.
pub trait SpanSource: Send + Sync {
    /// All spans of a trace; empty when there is none. MUST NOT depend on `search_enabled`.
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>>;

    /// The traces found of those asked for, in no particular order. Callers pass distinct identifiers; those
    /// that are one trace to a store that is not strict MUST answer it once.
    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>>;

    /// The first `limit` traces in the query's order for which [`TraceQuery::matches`] is true.
    ///
    /// The order is that of [`TraceQuery::rank`]: for [`Order::Newest`] the newest span timestamp inside the window
    /// (`zipkin.md` 5.3), of the whole trace and not only of the service asked for. Ties in any order. What was
    /// stored before the search began MUST be considered, however much arrives meanwhile. Nothing when search is
    /// disabled.
    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>>;

    /// Traces that no window finds because none of their spans has a timestamp: the first `limit` of those after a
    /// trace, by the low halves of their identifiers, then the high halves.
    ///
    /// Fewer MAY be answered where they are large, none only where there are no more. A trace MAY be left out that
    /// shares the low half of its identifier with one that has a timestamp. MUST NOT depend on `search_enabled`. A
    /// store that cannot tell them MUST answer [`StorageError::Unsupported`].
    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>>;

    /// Local service names, sorted and distinct. Nothing when search is disabled; so are the next two.
    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>>;

    /// Names of spans local to a service, sorted and distinct.
    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Remote service names on spans local to a service, sorted and distinct.
    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Values seen of a tag key listed in [`StoreOptions::autocomplete_keys`], sorted and distinct; nothing for
    /// another key. They MAY outlive their spans, and a store MAY leave out values beyond a bound of its own.
    /// Nothing when search is disabled.
    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Links of the traces whose timestamp ([`model::trace_timestamp`]) lies in the window, by
    /// [`model::DependencyLinker`] on spans grouped by the low 64 bits of their trace identifier. MUST count a
    /// span once however often it was stored. A trace that cannot be counted MAY be left out whole, and MUST be told
    /// then. MUST NOT depend on `search_enabled`.
    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>>;

    /// Whether everything this store ever acknowledged, and did not drop by its retention, can be read now: what
    /// goes with an answer that does not tell itself. MUST be cheap, and MUST know of damage that an earlier answer
    /// met.
    fn completeness(&self) -> Completeness;

    /// What this store can do; see [`Capabilities`].
    fn capabilities(&self) -> Capabilities;

    /// Whether it can answer now; the error says why not. Cheap: asked by every health check.
    fn health(&self) -> BoxFuture<'_, Result<()>>;
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In the query's order, at most its limit.
    pub traces: Vec<Vec<Span>>,
    /// Whether everything stored in the window was considered.
    pub completeness: Completeness,
}

/// Who calls whom in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// In no particular order; a pair of services is there once.
    pub links: Vec<DependencyLink>,
    /// Whether every trace of the window was counted.
    pub completeness: Completeness,
}
