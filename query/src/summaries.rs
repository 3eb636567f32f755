//! One small object a trace, for lists of traces: a list that needs names and counts should not have to load
//! every span.
//!
//! What is counted is what was reported: the two halves of a shared span are two spans, and a service is who
//! recorded a span, never the other side of one. An unset field is absent.

use std::collections::{BTreeMap, BTreeSet};

use model::{Span, SpanId, TraceId};
use schemars::JsonSchema;
use serde::Serialize;
use storage::TraceQuery;

use crate::Query;
use crate::answer::{Answer, Failure};
use crate::params::Params;
use crate::traces::Page;

/// Spans that are read before other work of the same runtime worker has its turn: some 0.2 ms.
const SPANS_A_TURN: usize = 1024;

/// Spans of a trace that are marked: more would not be looked at in a list of traces.
const MATCHED_SPANS_MAX: usize = 100;

/// A trace in short. Times are in microseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceSummary {
    /// The longest of its spans' identifiers, when 64 and 128 bits are taken as one.
    trace_id: String,
    /// Absent as long as no span without a parent was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Root>,
    /// When its first span began; absent when no span has a timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    /// From then to the end of its last span; absent when no span has a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    span_count: usize,
    /// Spans with the tag key `error`.
    error_count: usize,
    /// By name.
    services: Vec<ServiceSummary>,
    /// The spans on which text was found that was searched for, distinct and sorted, at most 100.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    matched_spans: BTreeSet<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TraceRoot")]
struct Root {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_name: Option<String>,
}

/// What one service recorded of a trace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ServiceSummary {
    service_name: String,
    span_count: usize,
    /// Distinct and sorted; empty where no span bears a version.
    versions: BTreeSet<String>,
}

/// Reads the spans of one trace, in any order.
#[derive(Default)]
struct Summarizer {
    trace_id: Option<TraceId>,
    root: Option<(RootRank, Root)>,
    start: Option<u64>,
    end: Option<u64>,
    span_count: usize,
    error_count: usize,
    services: BTreeMap<String, Recorded>,
    matched_spans: BTreeSet<SpanId>,
}

/// What one service recorded of the spans read so far.
#[derive(Default)]
struct Recorded {
    span_count: usize,
    versions: BTreeSet<String>,
}

/// Which of several spans without a parent is the root, the least: one that began the trace rather than joined
/// it, then the first in time, then the one with the least identifier.
type RootRank = (bool, u64, SpanId);

impl Summarizer {
    fn add(&mut self, span: Span, query: &TraceQuery, version_tags: &[String]) {
        self.trace_id = self.trace_id.max(Some(span.trace_id));
        self.span_count += 1;
        self.error_count += usize::from(span.is_error());
        self.add_times(&span);
        self.add_service(&span, version_tags);
        if self.matched_spans.len() < MATCHED_SPANS_MAX && query.has_text(&span) {
            self.matched_spans.insert(span.id);
        }
        if span.parent_id.is_none() {
            self.add_root(span);
        }
    }

    fn add_times(&mut self, span: &Span) {
        let Some(timestamp) = span.timestamp else { return };
        let end = timestamp.saturating_add(span.duration.unwrap_or(0));
        self.start = Some(self.start.map_or(timestamp, |start| start.min(timestamp)));
        self.end = self.end.max(Some(end));
    }

    fn add_service(&mut self, span: &Span, version_tags: &[String]) {
        let Some(name) = span.local_service_name() else {
            return;
        };
        let service = match self.services.get_mut(name) {
            Some(service) => service,
            None => self.services.entry(name.to_owned()).or_default(),
        };
        service.span_count += 1;
        let version = version_tags.iter().find_map(|tag| span.tag(tag));
        if let Some(version) = version.filter(|version| !service.versions.contains(*version)) {
            service.versions.insert(version.to_owned());
        }
    }

    fn add_root(&mut self, span: Span) {
        let rank = (span.shared, span.timestamp.unwrap_or(u64::MAX), span.id);
        if self.root.as_ref().is_none_or(|known| rank < known.0) {
            let service_name = span.local_endpoint.and_then(|endpoint| endpoint.service_name);
            self.root = Some((
                rank,
                Root {
                    service_name,
                    span_name: span.name,
                },
            ));
        }
    }

    /// `None` of no spans.
    fn finish(self) -> Option<TraceSummary> {
        let duration = self.start.zip(self.end).map(|(start, end)| end - start);
        Some(TraceSummary {
            trace_id: self.trace_id?.to_string(),
            root: self.root.map(|(_, root)| root),
            timestamp: self.start,
            duration: duration.filter(|duration| *duration > 0),
            span_count: self.span_count,
            error_count: self.error_count,
            services: self.services.into_iter().map(service_summary).collect(),
            matched_spans: self.matched_spans.iter().map(SpanId::to_string).collect(),
        })
    }
}

fn service_summary((service_name, recorded): (String, Recorded)) -> ServiceSummary {
    let Recorded { span_count, versions } = recorded;
    ServiceSummary {
        service_name,
        span_count,
        versions,
    }
}

impl Query {
    /// `/traceSummaries`: the parameters of `/traces`, the same traces in the same order.
    pub(crate) async fn trace_summaries(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let Page { query, found, next } = self.search(params).await?;
        let mut summaries = Vec::with_capacity(found.traces.len());
        let mut turn_spans = 0;
        for trace in found.traces {
            let mut summarizer = Summarizer::default();
            for span in trace {
                summarizer.add(span, &query, &self.config.version_tags);
                turn_spans += 1;
                if turn_spans == SPANS_A_TURN {
                    turn_spans = 0;
                    tokio::task::yield_now().await;
                }
            }
            summaries.extend(summarizer.finish());
        }
        Ok(Answer::json(&summaries)
            .with_completeness(found.completeness)
            .with_next(next))
    }
}
