//! Finds the first traces in a query's order, best first.
//!
//! A heap holds the head, segments, pages of their trace tables, candidates and verified traces, each with the highest rank it
//! can have. The top is taken: of the head its best candidate, a segment is replaced by those pages that have candidates, a page by its candidates, a
//! candidate is read whole, from wherever its spans are, verified with Zipkin's rule and put back with the rank it
//! really has, a verified trace is an answer. So it stops as early as it may, and what comes first does not depend on
//! where it is stored.
//!
//! A trace in several places may meet one condition here and another there: each condition is asked of all its places,
//! and every place that touches the window names it. By time, the place with its newest span is met no later than its
//! rank; duration and errors are those of all places together (`splits.rs`).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{self, AtomicBool};

use model::{Span, TraceId};
use storage::{Completeness, Found, Order, StorageError, TraceQuery};

use crate::candidates::Candidates;
use crate::head_candidates::HeadCandidate;
use crate::reader::SegmentReader;
use crate::trace_table::{ENTRIES_PER_PAGE, TraceEntry};
use crate::view::{Reading, group};

/// Spans an answer may hold: what a browser can show and a server can hold several times.
pub(crate) const ANSWER_SPANS_MAX: usize = 1_000_000;

/// [`TraceQuery::rank`], or a bound of it.
type Rank = (u64, u64);

#[derive(Debug)]
enum Item {
    /// The best of the candidates of the head.
    Head,
    /// A segment of the view.
    Segment(usize),
    /// A page of the trace table of a segment that was replaced by such pages.
    Page(usize, u32),
    Candidate(u64),
    Verified(Vec<Span>),
}

/// What is ordered by rank, and then by what may still have the same one: it is looked at before verified traces of
/// that rank, which come by their identifiers ([`TraceQuery::position`]).
#[derive(Debug)]
struct Entry<T> {
    rank: Rank,
    tie: Tie,
    item: T,
}

/// The greater comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    Verified(TraceId),
    Open,
}

impl<T> Entry<T> {
    fn place(&self) -> (Rank, Tie) {
        (self.rank, self.tie)
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<T> Eq for Entry<T> {}

/// Answers a search. `cancelled` is looked at between traces, and between lists of a segment.
pub(crate) fn search(
    reading: &mut Reading<'_>,
    query: &TraceQuery,
    strict: bool,
    cancelled: &AtomicBool,
) -> Result<Found, StorageError> {
    let mut search = Search {
        query,
        candidates: Candidates::new(query, cancelled),
        heap: BinaryHeap::new(),
        head: BinaryHeap::new(),
        seen: HashMap::new(),
    };
    search.begin(reading)?;
    let mut traces = Vec::new();
    let mut spans = 0;
    while let Some(entry) = search.heap.pop() {
        check(cancelled)?;
        match entry.item {
            Item::Head => search.take_from_head(reading),
            Item::Segment(index) => search.expand(reading, index)?,
            Item::Page(index, page) => search.expand_page(reading, index, page)?,
            Item::Candidate(low) => {
                if search.seen.insert(low, Seen::Read) != Some(Seen::Read) {
                    search.verify(reading.spans_unless_too_many(low)?, strict);
                }
            }
            Item::Verified(trace) => {
                if spans >= ANSWER_SPANS_MAX {
                    let reason = format!("the answer reached {ANSWER_SPANS_MAX} spans, ask for fewer traces");
                    return Ok(Found {
                        traces,
                        completeness: Completeness::Partial(reason),
                    });
                }
                spans += trace.len();
                traces.push(trace);
                if traces.len() == query.limit() {
                    break;
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
    candidates: Candidates<'q>,
    heap: BinaryHeap<Entry<Item>>,
    /// Candidates of the head, and whether they were looked at.
    head: BinaryHeap<Entry<(HeadCandidate, bool)>>,
    seen: HashMap<u64, Seen>,
}

/// How far a candidate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// In the heap, with this rank and perhaps with lesser ones.
    Waiting(Rank),
    Read,
}

impl Search<'_> {
    /// Puts in the head, and every segment of the window.
    fn begin(&mut self, reading: &mut Reading<'_>) -> Result<(), StorageError> {
        let window = self.query.window();
        let found = self.candidates.of_head(reading)?;
        let found = found.into_iter().map(|candidate| Entry {
            rank: self.rank(candidate.last, candidate.duration(), candidate.errors),
            tie: Tie::Open,
            item: (candidate, false),
        });
        self.head = found.collect();
        self.push_head();
        for (index, segment) in reading.view.segments.iter().enumerate() {
            let summary = &segment.footer().summary;
            if !segment.footer().indexed || summary.last < window.0 || summary.first > window.1 {
                continue;
            }
            let (mut duration, mut errors) = (summary.duration_max, u64::from(summary.errors_max));
            if self.query.order() != Order::Newest {
                let splits = self.candidates.splits_of(reading, segment)?;
                duration = duration.max(splits.duration_max);
                errors = errors.max(splits.errors_max);
            }
            self.push(self.rank(summary.last, duration, errors), Item::Segment(index));
        }
        Ok(())
    }

    /// `last` may be after the window.
    fn rank(&self, last: u64, duration: u64, errors: u64) -> Rank {
        let newest = last.min(self.query.window().1);
        let first = match self.query.order() {
            Order::Newest => newest,
            Order::Slowest => duration,
            Order::Errors => errors,
        };
        (first, newest)
    }

    fn push(&mut self, rank: Rank, item: Item) {
        let tie = Tie::Open;
        self.heap.push(Entry { rank, tie, item });
    }

    fn push_head(&mut self) {
        if let Some(best) = self.head.peek() {
            self.push(best.rank, Item::Head);
        }
    }

    /// Puts in the best candidate of the head; where that is worth while, only after a look at its rows.
    fn take_from_head(&mut self, reading: &Reading<'_>) {
        let Some(Entry { rank, tie, item }) = self.head.pop() else {
            return;
        };
        let (candidate, is_looked_at) = item;
        let by_errors = self.query.order() == Order::Errors;
        if !is_looked_at && candidate.is_whole && (by_errors || self.candidates.is_open(&candidate)) {
            if let Some(errors) = self.candidates.look(reading, &candidate, by_errors) {
                let errors = if by_errors {
                    errors.min(candidate.errors)
                } else {
                    candidate.errors
                };
                let rank = self.rank(candidate.last, candidate.duration(), errors);
                let item = (candidate, true);
                self.head.push(Entry { rank, tie, item });
            }
        } else {
            self.push_candidate(candidate.low, rank);
        }
        self.push_head();
    }

    /// Puts in a candidate, again where it may come earlier than was known.
    fn push_candidate(&mut self, low: u64, rank: Rank) {
        let is_known = match self.seen.get(&low) {
            Some(Seen::Waiting(known)) => *known >= rank,
            Some(Seen::Read) => true,
            None => false,
        };
        if !is_known {
            self.seen.insert(low, Seen::Waiting(rank));
            self.push(rank, Item::Candidate(low));
        }
    }

    /// Replaces a segment by the pages of its trace table that have candidates.
    fn expand(&mut self, reading: &mut Reading<'_>, index: usize) -> Result<(), StorageError> {
        let segment = &reading.view.segments[index];
        self.candidates.find(reading, segment)?;
        let window = self.query.window();
        for (page, bounds) in (0..).zip(&segment.footer().bounds) {
            let first = page * ENTRIES_PER_PAGE;
            let chosen = self.candidates.of_segment(segment.number());
            if bounds.touches(window) && chosen.range(first, first + ENTRIES_PER_PAGE).next().is_some() {
                let rank = self.rank(bounds.last, bounds.duration, u64::from(bounds.errors));
                self.push(rank, Item::Page(index, page));
            }
        }
        if self.query.order() != Order::Newest {
            self.expand_splits(reading, segment)?;
        }
        Ok(())
    }

    /// Puts in the candidates of a segment that have parts in others by what all parts have together.
    fn expand_splits(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
    ) -> Result<(), StorageError> {
        let splits = self.candidates.splits_of(reading, segment)?;
        let chosen = self.candidates.of_segment(segment.number());
        let traces = splits.traces.iter();
        let traces: Vec<_> = traces.filter(|trace| chosen.contains(trace.ordinal)).collect();
        for trace in traces {
            self.push_candidate(trace.low, self.rank(u64::MAX, trace.duration(), trace.errors));
        }
        Ok(())
    }

    /// Replaces a page of a trace table by its candidates.
    fn expand_page(
        &mut self,
        reading: &mut Reading<'_>,
        index: usize,
        page: u32,
    ) -> Result<(), StorageError> {
        let segment = &reading.view.segments[index];
        let chosen = self.candidates.of_segment(segment.number());
        let entries = reading.read(segment, |segment| segment.entries_chosen(page, chosen))?;
        let window = self.query.window();
        let touching = |entry: &TraceEntry| entry.times.touches(window);
        for entry in entries.into_iter().filter(touching) {
            let rank = self.rank(
                entry.times.last,
                entry.times.duration,
                u64::from(entry.error_count),
            );
            self.push_candidate(entry.low, rank);
        }
        Ok(())
    }

    fn verify(&mut self, spans: Vec<Span>, strict: bool) {
        for trace in group(spans, strict) {
            if self.query.matches(&trace) {
                let position = self.query.position(&trace);
                self.heap.push(Entry {
                    rank: position.rank,
                    tie: Tie::Verified(position.trace_id),
                    item: Item::Verified(trace),
                });
            }
        }
    }
}
