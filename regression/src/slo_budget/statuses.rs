//! Requests that their HTTP status judges otherwise than their `error` tag does.
//!
//! A store counts what bears an `error` tag. Many clients tag a 404, which is an answer like any other; a few do not tag
//! a 503. So the traces with such tags are searched, and their spans read, as many as there are, within a bound.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use model::{Slo, Span, merge};
use storage::{Completeness, StorageError, TraceQuery, TraceQueryBuilder};

use super::minutes::RequestCounts;
use crate::charts::{BySide, CallSide, Minutes};
use crate::sources::Sources;

/// Traces that are read for one condition; of more, the newest.
const TRACES_MAX: i64 = 1_000;
/// A trace that began so many milliseconds before the window may have requests in it.
const BEGAN_BEFORE_MS: u64 = 600_000;
/// Microseconds.
const MINUTE: u64 = 60_000_000;

/// Tags that have the status of a response, the first that is there counts.
const STATUS_TAGS: [&str; 2] = ["http.status_code", "http.response.status_code"];
/// Statuses of requests that may have failed without an `error` tag. Rarer ones are judged by the tag.
const FAILED_STATUSES: [u16; 5] = [500, 501, 502, 503, 504];

/// Where status and `error` tag differ, by minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Statuses {
    /// Of every minute from this one on, everything that differs was read.
    pub(super) read_from: u64,
    /// Whether a request with an `error` tag was met at all.
    pub(super) any_failed: bool,
    differing: BTreeMap<u64, Differing>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Differing {
    /// Tagged, but answered with a status from 200 to 499.
    excused: u64,
    /// Not tagged, but answered with 500 or above.
    untagged: u64,
}

impl Statuses {
    /// How many of the requests of these minutes are bad, of which the `error` tag says another number.
    pub(super) fn bad(&self, minutes: Range<u64>, counts: RequestCounts) -> f64 {
        let mut bad = counts.bad;
        for (_, differing) in self.differing.range(minutes) {
            bad += differing.untagged as f64 - differing.excused as f64;
        }
        bad.clamp(0.0, counts.valid as f64)
    }

    fn add(&mut self, minute: u64, span: &Span) {
        let is_error = span.is_error();
        self.any_failed |= is_error;
        let differing = match status(span) {
            Some(200..=499) if is_error => (1, 0),
            Some(500..) if !is_error => (0, 1),
            _ => return,
        };
        let sums = self.differing.entry(minute).or_default();
        sums.excused += differing.0;
        sums.untagged += differing.1;
    }
}

/// What was read of the spans of a service, whichever of them tell its requests.
#[derive(Debug)]
pub(super) struct Searched {
    window: Minutes,
    /// Of every minute from this one on, everything that differs was read.
    pub(super) read_from: u64,
    by_side: BySide<Statuses>,
    /// Whether all that is stored was searched.
    pub(super) completeness: Completeness,
}

impl Searched {
    /// Reads a trace: all its spans, raw.
    fn add(&mut self, slo: &Slo, spans: &[Span]) {
        let is_asked = |span: &Span| {
            span.local_service_name() == Some(slo.service_name.as_str())
                && (slo.span_name.is_none() || span.name == slo.span_name)
        };
        let spans = merge(spans);
        for span in spans.iter().filter(|span| is_asked(span)) {
            let minute = span.timestamp.map(|timestamp| timestamp / MINUTE);
            let in_window = |minute: &u64| (self.window.first..=self.window.last).contains(minute);
            if let Some(minute) = minute.filter(in_window) {
                self.by_side.of_kind(span.kind).add(minute, span);
            }
        }
    }

    /// Of the spans that tell the requests.
    pub(super) fn of_side(mut self, side: CallSide) -> Statuses {
        Statuses {
            read_from: self.read_from,
            ..std::mem::take(self.by_side.of(side))
        }
    }
}

fn status(span: &Span) -> Option<u16> {
    let tagged = STATUS_TAGS.iter().find_map(|key| span.tag(key))?;
    tagged.trim().parse().ok()
}

/// Reads what status judges otherwise; `None` where the store cannot search.
///
/// # Errors
/// Where it fails.
pub(super) async fn read_statuses(
    sources: &Sources,
    slo: &Slo,
    window: Minutes,
) -> storage::Result<Option<Searched>> {
    let untagged = STATUS_TAGS
        .iter()
        .flat_map(|key| FAILED_STATUSES.map(|status| format!("{key}={status}")));
    let mut searched = Searched {
        window,
        read_from: window.first,
        by_side: BySide::default(),
        completeness: Completeness::Complete,
    };
    let mut read = HashSet::new();
    for condition in std::iter::once("error".to_owned()).chain(untagged) {
        let found = match sources.spans.search(&search(slo, window, condition)?).await {
            Ok(found) => found,
            Err(StorageError::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        searched.completeness = searched.completeness.and(found.completeness);
        let newest = |spans: &Vec<Span>| spans.iter().filter_map(|span| span.timestamp).max();
        if found.traces.len() as i64 >= TRACES_MAX {
            // Those that were not read are no newer than the oldest of these.
            let oldest = found.traces.iter().filter_map(newest).min().unwrap_or_default();
            searched.read_from = searched.read_from.max(oldest / MINUTE + 1);
        }
        for spans in &found.traces {
            let trace_id = spans.iter().map(|span| span.trace_id).max();
            if trace_id.is_some_and(|trace_id| read.insert(trace_id)) {
                searched.add(slo, spans);
            }
        }
    }
    Ok(Some(searched))
}

fn search(slo: &Slo, window: Minutes, condition: String) -> storage::Result<TraceQuery> {
    let end_ts = window.end_ts();
    let lookback = (end_ts - window.start_ts()).saturating_add(BEGAN_BEFORE_MS);
    let builder = TraceQueryBuilder {
        service_name: Some(slo.service_name.clone()),
        span_name: slo.span_name.clone(),
        annotation_query: Some(condition),
        end_ts: i64::try_from(end_ts).unwrap_or(i64::MAX),
        lookback: i64::try_from(lookback).unwrap_or(i64::MAX),
        limit: TRACES_MAX,
        ..TraceQuery::builder()
    };
    let invalid = |error: storage::QueryError| StorageError::Invalid(error.to_string());
    builder.build().map_err(invalid)
}
