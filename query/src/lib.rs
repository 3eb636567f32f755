//! Here is a question, give me traces: Zipkin's query API over any [`storage::SpanSource`].
//!
//! Read in this order: `params` turns a URL's query into a question that is valid; `traces`, `names`,
//! `dependencies` (with `link_latency`), `summaries` and `trace_view` ask it of the store; `answer` is what they hand back; `span_json`
//! writes spans piece by piece; `described` says what each route is; `http` is the routes, which only files of that name know.
//!
//! Nothing here holds a runtime worker for long: a store does its own waiting, and what is done for every span
//! of an answer is done in turns of bounded length (see `span_json` and `summaries`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use storage::SpanSource;

mod params;

mod dependencies;
mod link_latency;
mod names;
mod summaries;
mod trace_view;
mod traces;

mod answer;
mod described;
mod span_json;

pub mod http;

pub use trace_view::UploadLimits;

/// The clock: milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How questions are understood and answered (`zipkin.md` 3).
#[derive(Clone)]
pub struct QueryConfig {
    /// `QUERY_LOOKBACK`: how far a search looks back from its end when it does not say, in milliseconds.
    pub lookback_ms: u64,
    /// For how long clients may keep lists of names, in seconds.
    pub names_max_age_s: u64,
    /// `QUERY_TIMEOUT`: a question that is not answered by then fails.
    pub timeout: Duration,
    /// `AUTOCOMPLETE_KEYS`, in any order.
    pub autocomplete_keys: Vec<String>,
    /// `SEARCH_ENABLED`: when false, searches and lists of names find nothing and the store is not asked.
    pub search_enabled: bool,
    /// `VERSION_TAGS`: the first of these tags that a span bears names the version that served it.
    pub version_tags: Vec<String>,
    /// Of traces that are sent to be looked at and not stored.
    pub upload: UploadLimits,
    /// What "now" is, the end of a search that does not say.
    pub now: Clock,
}

impl QueryConfig {
    /// Zipkin's defaults, with the clock given.
    pub fn new(now: Clock) -> Self {
        Self {
            lookback_ms: 86_400_000,
            names_max_age_s: 300,
            timeout: Duration::from_secs(11),
            autocomplete_keys: Vec::new(),
            search_enabled: true,
            version_tags: ["service.version", "version", "app.version"]
                .map(String::from)
                .to_vec(),
            upload: UploadLimits::default(),
            now,
        }
    }
}

impl fmt::Debug for QueryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryConfig")
            .field("lookback_ms", &self.lookback_ms)
            .field("names_max_age_s", &self.names_max_age_s)
            .field("timeout", &self.timeout)
            .field("autocomplete_keys", &self.autocomplete_keys)
            .field("search_enabled", &self.search_enabled)
            .field("version_tags", &self.version_tags)
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

/// What the endpoints share. Each endpoint is a method, in the file of its noun.
struct Query {
    config: QueryConfig,
    source: Arc<dyn SpanSource>,
    /// How many names the last `/services` answer had: decides whether lists of names may be cached.
    service_count: AtomicUsize,
    turns: trace_view::Turns,
}

impl Query {
    fn new(mut config: QueryConfig, source: Arc<dyn SpanSource>) -> Self {
        config.autocomplete_keys.sort();
        config.autocomplete_keys.dedup();
        Self {
            config,
            source,
            service_count: AtomicUsize::new(0),
            turns: trace_view::Turns::default(),
        }
    }
}
