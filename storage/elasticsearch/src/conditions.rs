//! What every trace that a query asks for has in its documents.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use storage::{Result, TraceQuery};

use crate::ElasticsearchStore;
use crate::documents::{fit, term};
use crate::indexes::{Contents, DAY};
use crate::read::{LENIENT, WHOLE};
use crate::slices::within;

/// How far apart spans of a trace may be that meet different conditions. Microseconds.
const SPREAD: u64 = DAY;
/// Values in an answer, over all conditions (`search.max_buckets`).
const VALUES_MAX: usize = 9_000;

/// Filters, each of which some document of a matching trace meets. Different documents may meet different ones:
/// [`TraceQuery::matches`] decides.
#[derive(Debug, PartialEq)]
pub(crate) struct Conditions(Vec<Value>);

impl Conditions {
    pub(crate) fn of(query: &TraceQuery) -> Self {
        let mut filters = Vec::new();
        if let Some(name) = query.remote_service_name() {
            filters.push(json!({ "term": { "remoteEndpoint.serviceName": fit(name) } }));
        }
        if let Some(name) = query.span_name() {
            filters.push(json!({ "term": { "name": fit(name) } }));
        }
        let terms = query.annotation_query().conditions().iter();
        let terms = terms.filter_map(|(key, value)| term(key, value));
        filters.extend(terms.map(|term| json!({ "term": { "_q": term } })));
        if query.min_duration().is_some() || query.max_duration().is_some() {
            let mut range = Map::new();
            for (name, bound) in [("gte", query.min_duration()), ("lte", query.max_duration())] {
                if let Some(bound) = bound {
                    range.insert(name.to_owned(), bound.min(i64::MAX as u64).into());
                }
            }
            filters.push(json!({ "range": { "duration": range } }));
        }
        let Some(service) = query.service_name() else {
            return Self(filters);
        };
        let service = json!({ "term": { "localEndpoint.serviceName": fit(service) } });
        if filters.is_empty() {
            return Self(vec![service]);
        }
        let of_service = |filter| json!({ "bool": { "filter": [service, filter] } });
        Self(filters.into_iter().map(of_service).collect())
    }
}

#[derive(Deserialize)]
struct Counts {
    aggregations: Option<BTreeMap<String, Count>>,
}

#[derive(Deserialize)]
struct Count {
    doc_count: u64,
}

#[derive(Deserialize)]
struct Met {
    aggregations: Option<BTreeMap<String, Traces>>,
}

#[derive(Deserialize)]
struct Traces {
    traces: Buckets,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: String,
    newest: Option<Newest>,
}

#[derive(Deserialize)]
struct Newest {
    value: Option<f64>,
}

/// Where spans that meet conditions of a query may be: also those that began somewhat before or after its window, or
/// without saying when.
fn around((start, end): (u64, u64)) -> (RangeInclusive<u64>, Value) {
    let around = (start.saturating_sub(SPREAD), end.saturating_add(SPREAD));
    let untimed = json!({ "bool": { "must_not": [{ "exists": { "field": "timestamp" } }] } });
    let filter = json!({ "bool": { "should": [within(around), untimed], "minimum_should_match": 1 } });
    (around.0 / DAY..=around.1 / DAY, filter)
}

impl ElasticsearchStore {
    /// The condition that the fewest documents meet, and how many; `None` without conditions.
    pub(crate) async fn rarest(
        &self,
        window: (u64, u64),
        conditions: &Conditions,
    ) -> Result<Option<(Value, u64)>> {
        if conditions.0.is_empty() {
            return Ok(None);
        }
        let (days, filter) = around(window);
        let counts = conditions.0.iter().enumerate();
        let counts: Map<String, Value> = counts
            .map(|(number, condition)| (number.to_string(), json!({ "filter": condition })))
            .collect();
        let body = json!({ "size": 0, "track_total_hits": false, "query": filter, "aggs": counts });
        let indexes = self.names.of_days(Contents::Spans, days);
        let path = format!("/{indexes}/_search?{LENIENT}&{WHOLE}");
        let answer: Counts = self.client.ask(Method::POST, &path, Some(&body)).await?;
        let counts = answer.aggregations.unwrap_or_default();
        let count = |number: usize| counts.get(&number.to_string()).map_or(0, |count| count.doc_count);
        let numbered = conditions.0.iter().enumerate();
        Ok(numbered
            .map(|(number, condition)| (condition, count(number)))
            .min_by_key(|rarest| rarest.1)
            .map(|(condition, count)| (condition.clone(), count)))
    }

    /// The traces with a document that meets a condition, at most `max` documents.
    pub(crate) async fn traces_with(
        &self,
        window: (u64, u64),
        condition: &Value,
        max: usize,
    ) -> Result<Vec<String>> {
        let (days, around) = around(window);
        let query = json!({ "bool": { "filter": [around, condition] } });
        let indexes = self.names.of_days(Contents::Spans, days);
        // As many identifiers as documents at most, but two of each where they are found by their halves.
        Ok(self.values(&indexes, "traceId", &query, 2 * max).await?.0)
    }

    /// How many traces can be looked at together.
    pub(crate) fn together(&self, conditions: &Conditions) -> usize {
        (VALUES_MAX / (conditions.0.len() + 1) / 2).clamp(1, 1000)
    }

    /// Of some traces those that have documents for all conditions, each with the newest timestamp in a window; those
    /// without one are left out. At most [`Self::together`] of them.
    pub(crate) async fn meeting(
        &self,
        ids: &[String],
        window: (u64, u64),
        conditions: &Conditions,
    ) -> Result<Vec<(String, u64)>> {
        let traces = || json!({ "field": "traceId", "size": 2 * ids.len() });
        let mut sets = Map::new();
        let newest = json!({
            "traces": { "terms": traces(), "aggs": { "newest": { "max": { "field": "timestamp" } } } },
        });
        sets.insert(
            "window".to_owned(),
            json!({ "filter": within(window), "aggs": newest }),
        );
        for (number, condition) in conditions.0.iter().enumerate() {
            let traces = json!({ "traces": { "terms": traces() } });
            sets.insert(number.to_string(), json!({ "filter": condition, "aggs": traces }));
        }
        let body = json!({
            "size": 0,
            "track_total_hits": false,
            "query": { "terms": { "traceId": ids } },
            "aggs": sets,
        });
        let path = format!("/{}/_search?{LENIENT}&{WHOLE}", self.names.all(Contents::Spans));
        let answer: Met = self.client.ask(Method::POST, &path, Some(&body)).await?;
        let mut sets = answer.aggregations.unwrap_or_default();
        let Some(window) = sets.remove("window") else {
            return Ok(Vec::new());
        };
        let mut meeting: BTreeMap<String, u64> = BTreeMap::new();
        for bucket in window.traces.buckets {
            let newest = bucket.newest.and_then(|newest| newest.value).unwrap_or_default() as u64;
            meeting.insert(bucket.key, newest);
        }
        for set in sets.values() {
            let keys: std::collections::HashSet<&String> =
                set.traces.buckets.iter().map(|bucket| &bucket.key).collect();
            meeting.retain(|key, _| keys.contains(key));
        }
        Ok(meeting.into_iter().collect())
    }
}
