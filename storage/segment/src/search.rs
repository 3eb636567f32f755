//! Finds the first traces in a query's order, best first.
//!
//! A heap holds segments, candidates and verified traces, each with the highest rank it can have. The top is
//! taken: a segment is replaced by its candidates, a candidate is read whole, from wherever its spans are,
//! verified with Zipkin's rule and put back with the rank it really has, a verified trace is an answer. So it
//! stops as early as it may, and what comes first does not depend on where it is stored.
//!
//! A trace in several places may meet one condition here and another there, so every place that touches the
//! window names it as a candidate, whatever the conditions. By time, the place with its newest span is met no later
//! than its rank; duration and errors add up over places, so in those orders it comes before everything else.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{self, AtomicBool};

use model::Span;
use storage::{Completeness, Found, Order, StorageError, TraceQuery};

use crate::conditions::Conditions;
use crate::head::HeadTrace;
use crate::reader::SegmentReader;
use crate::trace_table::{TraceEntry, TraceTimes};
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

/// Answers a search. `cancelled` is looked at between traces, and between lists of a segment.
pub(crate) fn search(
    reading: &mut Reading<'_>,
    query: &TraceQuery,
    strict: bool,
    cancelled: &AtomicBool,
) -> Result<Found, StorageError> {
    let mut search = Search {
        conditions: Conditions::of(query),
        query,
        cancelled,
        heap: BinaryHeap::new(),
        candidates: HashMap::new(),
    };
    search.begin(reading)?;
    let mut traces = Vec::new();
    let mut spans = 0;
    while let Some(entry) = search.heap.pop() {
        check(cancelled)?;
        match entry.item {
            Item::Segment(index) => search.expand(reading, index)?,
            Item::Candidate(low) => {
                if search.candidates.insert(low, Seen::Read) != Some(Seen::Read) {
                    search.verify(reading.spans_unless_too_many(low)?, strict);
                }
            }
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
    let segments = &reading.view.segments;
    let unindexed = segments.iter().any(|segment| !segment.footer().indexed);
    let completeness = match reading.completeness() {
        Completeness::Complete if unindexed => {
            Completeness::Partial("spans stored while search was disabled cannot be searched".to_owned())
        }
        other => other,
    };
    Ok(Found { traces, completeness })
}

/// An error if nobody waits for the answer any more.
pub(crate) fn check(cancelled: &AtomicBool) -> Result<(), StorageError> {
    if cancelled.load(atomic::Ordering::Relaxed) {
        return Err(StorageError::Timeout(
            "the question was given up by who asked".to_owned(),
        ));
    }
    Ok(())
}

struct Search<'q> {
    query: &'q TraceQuery,
    conditions: Conditions<'q>,
    cancelled: &'q AtomicBool,
    heap: BinaryHeap<Entry>,
    candidates: HashMap<u64, Seen>,
}

/// How far a candidate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// In the heap, with this rank and perhaps with lesser ones.
    Waiting(Rank),
    Read,
}

impl Search<'_> {
    /// Puts in what has no better bound: the head, every segment of the window, and traces in several places where
    /// their rank is not known from one of them.
    fn begin(&mut self, reading: &mut Reading<'_>) -> Result<(), StorageError> {
        for low in reading.split_in_head() {
            self.push_candidate(low, (u64::MAX, u64::MAX));
        }
        let window = self.query.window();
        let view = reading.view;
        for generation in view.generations() {
            let sets = generation.with_shapes(|table| self.conditions.of_shapes(table));
            let mut found = Vec::new();
            generation.for_each(|low, trace| {
                if touches(trace, window) && sets.may_match(trace.shapes()) {
                    found.push((low, trace.last));
                }
            });
            for (low, last) in found {
                // Nothing else is known of a trace that is still arriving.
                self.push_candidate(low, self.rank(last.min(window.1), u64::MAX, u64::MAX));
            }
        }
        for (index, segment) in view.segments.iter().enumerate() {
            let summary = &segment.footer().summary;
            if !segment.footer().indexed || summary.last < window.0 || summary.first > window.1 {
                continue;
            }
            let newest = summary.last.min(window.1);
            let rank = self.rank(newest, summary.duration_max, u64::from(summary.errors_max));
            self.heap.push(Entry {
                rank,
                item: Item::Segment(index),
            });
            if self.query.order() != Order::Newest {
                for entry in self.split_in(reading, segment)? {
                    self.push_candidate(entry.low, (u64::MAX, u64::MAX));
                }
            }
        }
        Ok(())
    }

    /// What a segment knows of its traces that are in others, too, and touch the window.
    fn split_in(
        &self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
    ) -> Result<Vec<TraceEntry>, StorageError> {
        let stragglers = &reading.view.stragglers;
        let window = self.query.window();
        reading.read(segment, |segment| {
            let mut entries = Vec::new();
            for &low in stragglers.iter().filter(|&&low| segment.may_hold(low)) {
                check(self.cancelled)?;
                if let Some(ordinal) = segment.find(low)? {
                    entries.push(segment.entry(ordinal)?);
                }
            }
            entries.retain(|entry| entry.times.touches(window));
            Ok(entries)
        })
    }

    fn rank(&self, newest: u64, duration: u64, errors: u64) -> Rank {
        let first = match self.query.order() {
            Order::Newest => newest,
            Order::Slowest => duration,
            Order::Errors => errors,
        };
        (first, newest)
    }

    /// Puts in a candidate, again where it may come earlier than was known.
    fn push_candidate(&mut self, low: u64, rank: Rank) {
        let is_known = match self.candidates.get(&low) {
            Some(Seen::Waiting(known)) => *known >= rank,
            Some(Seen::Read) => true,
            None => false,
        };
        if !is_known {
            self.candidates.insert(low, Seen::Waiting(rank));
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
        let cancelled = self.cancelled;
        let mut is_all = false;
        let mut entries = reading.read(&segment, |segment| {
            let entries: Result<Vec<_>, _> = match conditions.candidates(segment, cancelled)? {
                None => {
                    is_all = true;
                    segment.entries().collect()
                }
                Some(found) => found.into_iter().map(|ordinal| segment.entry(ordinal)).collect(),
            };
            entries
        })?;
        if !is_all && self.query.order() == Order::Newest {
            entries.extend(self.split_in(reading, &segment)?);
        }
        for entry in entries.into_iter().filter(|entry| entry.times.touches(window)) {
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
    let times = TraceTimes {
        first: trace.first,
        last: trace.last,
        ..TraceTimes::default()
    };
    times.touches(window)
}
