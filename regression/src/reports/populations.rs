//! Traces that are compared without a deployment: each side is a search, as `/api/v2/traces` takes it.

use std::collections::HashSet;

use model::TraceId;
use openapi::{Kind, Parameter, Parameters};
use storage::{
    Completeness, ProfileCollector, ProfileQuery, Profiles, SpanSource, StorageError, TraceQuery,
    TraceQueryBuilder,
};

use crate::fields::Wrong;

/// Traces of a side.
const TRACES_MAX: u64 = 20_000;
/// Traces that are in memory at one time with all their spans.
const PAGE_TRACES: usize = 500;

const MICROS: Kind = Kind::Whole(1, i64::MAX as u64);

/// Of a search: those of `/api/v2/traces`, for which Zipkin's documentation is the reference.
const SEARCH_PARAMETERS: &[Parameter] = &[
    Parameter::optional("serviceName", Kind::NAME, "Traces with a span of this service"),
    Parameter::optional(
        "remoteServiceName",
        Kind::NAME,
        "Traces with a call of this service",
    ),
    Parameter::optional("spanName", Kind::NAME, "Traces with a span of this name"),
    Parameter::optional(
        "annotationQuery",
        Kind::Text(4_096),
        "Traces with these annotations and tags",
    ),
    Parameter::optional("q", Kind::Text(4_096), "Traces with this text"),
    Parameter::optional(
        "minDuration",
        MICROS,
        "Traces with a span this long, microseconds",
    ),
    Parameter::optional(
        "maxDuration",
        MICROS,
        "Traces with a span at most this long, microseconds",
    ),
    Parameter::optional(
        "endTs",
        Kind::MILLIS,
        "Traces up to then, epoch milliseconds; now without it",
    ),
    Parameter::optional(
        "lookback",
        Kind::MILLIS,
        "Traces at most so many milliseconds before endTs",
    ),
    Parameter::optional(
        "limit",
        Kind::Whole(1, TRACES_MAX),
        "The newest so many; 20,000 without it",
    ),
];

/// A search for a population, from its parameters.
pub(super) fn read_search(text: &str, now: u64, lookback_ms: u64) -> Result<TraceQueryBuilder, Wrong> {
    let parameters = Parameters::read(Some(text), SEARCH_PARAMETERS)?;
    let whole = |name| parameters.whole(name).map(|value| value as i64);
    let builder = TraceQueryBuilder {
        service_name: parameters.owned("serviceName"),
        remote_service_name: parameters.owned("remoteServiceName"),
        span_name: parameters.owned("spanName"),
        annotation_query: parameters.owned("annotationQuery"),
        text: parameters.owned("q"),
        min_duration: whole("minDuration"),
        max_duration: whole("maxDuration"),
        end_ts: whole("endTs").unwrap_or(now as i64),
        lookback: whole("lookback").unwrap_or(lookback_ms as i64),
        limit: whole("limit").unwrap_or(TRACES_MAX as i64),
        ..TraceQueryBuilder::default()
    };
    builder.clone().build().map_err(|error| error.to_string())?;
    Ok(builder)
}

/// Profiles of the traces that a search finds, newest first until its limit; a page at a time, so that memory is bounded
/// by the spans of a page.
pub(super) async fn gather(
    spans: &dyn SpanSource,
    search: TraceQueryBuilder,
    version_tags: &[String],
) -> storage::Result<Profiles> {
    let limit = search.limit as usize;
    let all = ProfileQuery {
        window: (0, u64::MAX),
        service_name: None,
        entry: None,
        limit,
        seed: 0,
    };
    let mut collector = ProfileCollector::new(&all);
    let mut seen: HashSet<TraceId> = HashSet::new();
    let mut completeness = Completeness::Complete;
    let mut page = Page::first(search);
    loop {
        let query = page.query()?;
        let found = spans.search(&query).await?;
        if found.completeness != Completeness::Complete {
            completeness = found.completeness;
        }
        let is_last = found.traces.len() < query.limit();
        let oldest = found.traces.iter().map(|trace| query.rank(trace).0).min();
        for trace in &found.traces {
            let is_new = trace
                .iter()
                .map(|span| span.trace_id)
                .max()
                .is_some_and(|id| seen.insert(id));
            if is_new && seen.len() <= limit {
                collector.add_spans(trace, version_tags);
            }
        }
        if is_last || seen.len() >= limit || !page.turn(oldest) {
            return Ok(collector.finish(completeness));
        }
    }
}

/// A part of a search: its window ends where the traces of the page before end.
struct Page {
    search: TraceQueryBuilder,
    start_ts: i64,
    traces: usize,
}

impl Page {
    fn first(search: TraceQueryBuilder) -> Self {
        Self {
            start_ts: search.end_ts.saturating_sub(search.lookback),
            traces: PAGE_TRACES,
            search,
        }
    }

    fn query(&self) -> storage::Result<TraceQuery> {
        let page = TraceQueryBuilder {
            limit: self.traces as i64,
            ..self.search.clone()
        };
        page.build()
            .map_err(|error| StorageError::Invalid(error.to_string()))
    }

    /// Goes on to traces that are not newer than the oldest so far, microseconds; that millisecond is looked at again, and
    /// if it alone fills a page, with a larger one. False at the end of the window.
    fn turn(&mut self, oldest: Option<u64>) -> bool {
        let end_ts = oldest.map_or(0, |oldest| (oldest / 1_000) as i64 + 1);
        if end_ts < self.search.end_ts {
            self.search.end_ts = end_ts;
            self.traces = PAGE_TRACES;
        } else if self.traces < TRACES_MAX as usize {
            self.traces *= 2;
        } else {
            return false;
        }
        self.search.lookback = self.search.end_ts - self.start_ts;
        self.search.lookback > 0
    }
}
