//! Finds the first traces in a query's order, best first.
//!
//! A heap holds segments, candidates and verified traces, each with the highest rank it can have. The top is
//! taken: a segment is replaced by its candidates, a candidate is read whole, from wherever its spans are,
//! verified with Zipkin's rule and put back with the rank it really has, a verified trace is an answer. So it
//! stops as early as it may, and what comes first does not depend on where it is stored.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::sync::atomic::{self, AtomicBool};

use model::Span;
use storage::{Completeness, Found, Order, StorageError, TraceQuery};

use crate::conditions::Conditions;
use crate::head::HeadTrace;
use crate::trace_table::TraceTimes;
use crate::view::{Reading, group};

/// Spans an answer may hold: what a browser can show and a server can hold several times.
const ANSWER_SPANS_MAX: usize = 1_000_000;

/// [`TraceQuery::rank`], or a bound of it.
type Rank = (u64, u64);

#[derive(Debug)]
enum Item {
    Segment(usize),
    Candidate(u64),
    Verified(Vec<Span>),
}

#[derive(Debug)]
struct Entry {
    rank: Rank,
    item: Item,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Entry {}

/// Answers a search. `cancelled` is looked at between traces.
pub(crate) fn search(
    reading: &mut Reading<'_>,
    query: &TraceQuery,
    strict: bool,
    cancelled: &AtomicBool,
) -> Result<Found, StorageError> {
    let mut search = Search {
        conditions: Conditions::of(query),
        query,
        heap: BinaryHeap::new(),
        seen: HashSet::new(),
    };
    search.begin(reading);
    let mut traces = Vec::new();
    let mut spans = 0;
    while let Some(entry) = search.heap.pop() {
        if cancelled.load(atomic::Ordering::Relaxed) {
            return Err(StorageError::Timeout(
                "the search was given up by who asked".to_owned(),
            ));
        }
        match entry.item {
            Item::Segment(index) => search.expand(reading, index)?,
            Item::Candidate(low) => search.verify(reading.spans_of(low)?, strict),
            Item::Verified(trace) => {
                spans += trace.len();
                traces.push(trace);
                if traces.len() == query.limit() {
                    break;
                }
                if spans >= ANSWER_SPANS_MAX {
                    let reason = format!("the answer reached {ANSWER_SPANS_MAX} spans, ask for fewer traces");
                    return Ok(Found {
                        traces,
                        completeness: Completeness::Partial(reason),
                    });
                }
            }
        }
    }
    let unindexed = reading
        .view
        .segments
        .iter()
        .any(|segment| !segment.footer().indexed);
    let completeness = match reading.completeness() {
        Completeness::Complete if unindexed => {
            Completeness::Partial("spans stored while search was disabled cannot be searched".to_owned())
        }
        other => other,
    };
    Ok(Found { traces, completeness })
}

struct Search<'q> {
    query: &'q TraceQuery,
    conditions: Conditions<'q>,
    heap: BinaryHeap<Entry>,
    /// Candidates already in the heap or beyond it.
    seen: HashSet<u64>,
}

impl Search<'_> {
    /// Puts in what has no better bound: traces in several places, the head, and every segment of the window.
    fn begin(&mut self, reading: &Reading<'_>) {
        for low in reading.split() {
            self.push_candidate(low, (u64::MAX, u64::MAX));
        }
        let window = self.query.window();
        for generation in reading.view.generations() {
            let sets = generation.with_shapes(|table| self.conditions.of_shapes(table));
            let mut found = Vec::new();
            generation.for_each(|low, trace| {
                if touches(trace, window) && sets.may_match(trace.shapes()) {
                    found.push((low, trace.last));
                }
            });
            for (low, last) in found {
                let newest = last.min(window.1);
                let first = if self.query.order() == Order::Newest {
                    newest
                } else {
                    u64::MAX
                };
                self.push_candidate(low, (first, newest));
            }
        }
        for (index, segment) in reading.view.segments.iter().enumerate() {
            let summary = &segment.footer().summary;
            if segment.footer().indexed && summary.last >= window.0 && summary.first <= window.1 {
                let newest = summary.last.min(window.1);
                let rank = self.rank(newest, summary.duration_max, u64::from(summary.errors_max));
                self.heap.push(Entry {
                    rank,
                    item: Item::Segment(index),
                });
            }
        }
    }

    fn rank(&self, newest: u64, duration: u64, errors: u64) -> Rank {
        let first = match self.query.order() {
            Order::Newest => newest,
            Order::Slowest => duration,
            Order::Errors => errors,
        };
        (first, newest)
    }

    fn push_candidate(&mut self, low: u64, rank: Rank) {
        if self.seen.insert(low) {
            self.heap.push(Entry {
                rank,
                item: Item::Candidate(low),
            });
        }
    }

    /// Replaces a segment by those of its traces that may match.
    fn expand(&mut self, reading: &mut Reading<'_>, index: usize) -> Result<(), StorageError> {
        let segment = reading.view.segments[index].clone();
        let window = self.query.window();
        let conditions = &self.conditions;
        let entries = reading.read(&segment, |segment| {
            let all = 0..segment.footer().summary.traces;
            let entries = match conditions.candidates(segment)? {
                None => all
                    .map(|ordinal| segment.entry(ordinal))
                    .collect::<Result<Vec<_>, _>>()?,
                Some(found) => found
                    .into_iter()
                    .map(|ordinal| segment.entry(ordinal))
                    .collect::<Result<Vec<_>, _>>()?,
            };
            Ok(entries)
        })?;
        for entry in entries
            .into_iter()
            .filter(|entry| touches_times(&entry.times, window))
        {
            let newest = entry.times.last.min(window.1);
            let rank = self.rank(newest, entry.times.duration, u64::from(entry.error_count));
            self.push_candidate(entry.low, rank);
        }
        Ok(())
    }

    fn verify(&mut self, spans: Vec<Span>, strict: bool) {
        for trace in group(spans, strict) {
            if self.query.matches(&trace) {
                self.heap.push(Entry {
                    rank: self.query.rank(&trace),
                    item: Item::Verified(trace),
                });
            }
        }
    }
}

fn touches(trace: &HeadTrace, window: (u64, u64)) -> bool {
    touches_times(
        &TraceTimes {
            first: trace.first,
            last: trace.last,
            ..TraceTimes::default()
        },
        window,
    )
}

fn touches_times(times: &TraceTimes, window: (u64, u64)) -> bool {
    times.touches(window)
}
