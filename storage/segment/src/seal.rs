//! Sealing: a frozen generation becomes segments.
//!
//! 1. Traces that are whole are written by the order of their first span; what a segment has already is left
//!    out.
//! 2. The files get their names, then the manifest names them (`output.rs`).
//! 3. Traces that are still arriving go over into the active generation, then the view has the segments
//!    instead of the frozen one, and only then the journal's checkpoint moves.
//!
//! If anything fails, the generation stays frozen and searchable, its records stay in the journal, and sealing
//! is tried again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Span;
use storage::StorageError;

use crate::head::{Arrival, Generation};
use crate::output::SegmentOutput;
use crate::pace::Pace;
use crate::reader::SegmentReader;
use crate::rows::{RowSpan, TraceRows};
use crate::shape::ShapeTable;
use crate::shape_plan::ShapePlan;
use crate::store::Store;
use crate::view::sort_distinct;
use storage_record::bytes::Malformed;

/// Spans of a trace that are read from segments to leave out those that come again. Beyond that, duplicates are
/// stored; reads answer them once.
const STORED_SPANS_MAX: u64 = 100_000;

/// Which traces are still arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Those that had a span within so many milliseconds.
    For(u64),
    /// None: everything is sealed.
    Everything,
}

struct Trace {
    low: u64,
    first: u64,
    bytes: u64,
    spans: usize,
    arrival: Arrival,
}

/// Seals a frozen generation. See the head of this file.
pub(crate) fn seal(store: &Store, frozen: &Arc<Generation>, quiet: Quiet) -> Result<(), StorageError> {
    // Everything is asked for where somebody waits, or the journal is about to be full.
    let mut pace = match quiet {
        Quiet::For(_) => Pace::leisurely(store),
        Quiet::Everything => Pace::full(),
    };
    let (mut traces, arriving) = divide(store, frozen, quiet);
    traces.sort_unstable_by_key(|trace| (trace.first, trace.low));
    let segments = frozen.with_shapes(|table| write_all(store, frozen, &traces, table, &mut pace))?;
    let arriving = arriving.iter().map(|trace| (trace.low, trace.arrival));
    store.carry_over(frozen, arriving);
    let spans: u64 = segments
        .iter()
        .map(|segment| segment.footer().summary.spans)
        .sum();
    let counters = &store.counters;
    counters
        .sealed_segments
        .fetch_add(segments.len() as u64, Ordering::Relaxed);
    counters.sealed_spans.fetch_add(spans, Ordering::Relaxed);
    store.change_view(|view| {
        let mut changed = view.with_segments(&[], segments);
        changed
            .frozen
            .retain(|generation| !Arc::ptr_eq(generation, frozen));
        changed
    });
    store.move_checkpoint()
}

/// Writes traces of a frozen generation, whose shapes are `table`.
fn write_all(
    store: &Store,
    frozen: &Generation,
    traces: &[Trace],
    table: &ShapeTable,
    pace: &mut Pace,
) -> Result<Vec<Arc<SegmentReader>>, StorageError> {
    let view = store.view();
    let lows: Vec<u64> = traces.iter().map(|trace| trace.low).collect();
    let mut holders = Holders::of(&view.segments, &lows);
    let plan = Arc::new(ShapePlan::of(&[table]));
    let mut sealing = Sealing {
        output: SegmentOutput::new(store, plan.clone(), (store.config.now)()),
        plan,
        most: store.limits.part_spans_max,
        rows: TraceRows::default(),
    };
    for (index, trace) in traces.iter().enumerate() {
        if store.stopping.load(Ordering::Relaxed) {
            return Err(StorageError::Unavailable("the store is being closed".to_owned()));
        }
        sealing.write(frozen, trace, holders.of_trace(index))?;
        pace.keep(store);
        // One that goes on to fill meanwhile takes as much longer to be sealed, in which no room is made.
        store.freeze_full();
    }
    sealing.output.finish(&[])
}

/// A generation on its way into segments.
struct Sealing<'s> {
    output: SegmentOutput<'s>,
    plan: Arc<ShapePlan>,
    /// Rows of a trace in memory at once.
    most: usize,
    rows: TraceRows,
}

impl Sealing<'_> {
    /// Writes a trace; `holders` may have some of it.
    fn write(
        &mut self,
        frozen: &Generation,
        trace: &Trace,
        holders: &[Arc<SegmentReader>],
    ) -> Result<(), StorageError> {
        let Some(mut reading) = frozen.rows_of(trace.low) else {
            return Ok(());
        };
        loop {
            self.rows.clear();
            reading.read(self.most, &mut self.rows);
            if self.rows.is_empty() {
                return self.output.end_parts(trace.low);
            }
            let coded = self.plan.recode(0, &mut self.rows);
            coded
                .and_then(|()| self.rows.sort_distinct(self.plan.table()))
                .map_err(of_head)?;
            if trace.spans > self.most {
                // Never as a whole in memory. Duplicates among its parts are stored, and answered once.
                self.output.add_to_parts(trace.low, &self.rows)?;
                continue;
            }
            let straggler = self.leave_out_stored(trace.low, holders)?;
            return self.output.add(trace.low, &mut self.rows, straggler);
        }
    }

    /// Drops rows that a segment has; tells whether a segment has any of the trace.
    fn leave_out_stored(&mut self, low: u64, holders: &[Arc<SegmentReader>]) -> Result<bool, StorageError> {
        if holders.is_empty() {
            return Ok(false);
        }
        let (mut stored, is_stored) = stored(low, holders)?;
        sort_distinct(&mut stored);
        let order = |a: &Span, b: &Span| a.timestamp.cmp(&b.timestamp).then_with(|| a.cmp(b));
        let table = self.plan.table();
        self.rows.retain(|row| {
            let span = row.span(table).map(RowSpan::to_span);
            span.is_ok_and(|span| stored.binary_search_by(|other| order(other, &span)).is_err())
        });
        Ok(is_stored)
    }
}

/// The spans of a trace in some segments, none of those beyond [`STORED_SPANS_MAX`], and whether there are any.
fn stored(low: u64, holders: &[Arc<SegmentReader>]) -> Result<(Vec<Span>, bool), StorageError> {
    let mut stored: Vec<Span> = Vec::new();
    let mut count = 0;
    for segment in holders {
        let found = segment.span_count(low).and_then(|more| {
            count += more;
            if count <= STORED_SPANS_MAX {
                segment.spans_of(low)
            } else {
                Ok(Vec::new())
            }
        });
        match found {
            Ok(found) => stored.extend(found),
            // What cannot be read cannot be left out; a search will set the segment aside.
            Err(StorageError::Corrupt(reason)) => {
                tracing::warn!(reason, "a damaged segment was met while sealing")
            }
            Err(error) => return Err(error),
        }
    }
    Ok((stored, count > 0))
}

/// Rows were written by this process: a failure is a mistake in the coder.
fn of_head(error: Malformed) -> StorageError {
    StorageError::Corrupt(format!("the head: {error}"))
}

/// Which segments may hold which traces.
struct Holders {
    /// (trace, segment) by their places, sorted.
    pairs: Vec<(u32, u32)>,
    segments: Vec<Arc<SegmentReader>>,
    next: usize,
    found: Vec<Arc<SegmentReader>>,
}

impl Holders {
    /// Asks one filter after the other for all traces: a filter is as large as a processor's cache.
    fn of(segments: &[Arc<SegmentReader>], lows: &[u64]) -> Self {
        let mut pairs = Vec::new();
        for (segment, number) in segments.iter().zip(0..) {
            let held = lows.iter().zip(0..).filter(|(low, _)| segment.may_hold(**low));
            pairs.extend(held.map(|(_, trace): (_, u32)| (trace, number)));
        }
        pairs.sort_unstable();
        Self {
            pairs,
            segments: segments.to_vec(),
            next: 0,
            found: Vec::new(),
        }
    }

    /// Those of a trace; MUST be asked for in the order of the traces.
    fn of_trace(&mut self, trace: usize) -> &[Arc<SegmentReader>] {
        self.found.clear();
        while let Some(&(of, segment)) = self.pairs.get(self.next).filter(|pair| pair.0 as usize <= trace) {
            if of as usize == trace {
                self.found.push(self.segments[segment as usize].clone());
            }
            self.next += 1;
        }
        &self.found
    }
}

/// Traces to seal, and traces that are still arriving.
fn divide(store: &Store, frozen: &Generation, quiet: Quiet) -> (Vec<Trace>, Vec<Trace>) {
    let now = (store.config.now)();
    let mut traces = Vec::new();
    frozen.for_each(|low, trace| {
        traces.push(Trace {
            low,
            first: trace.first,
            bytes: trace.bytes(),
            spans: trace.span_count(),
            arrival: trace.arrival,
        });
    });
    let Quiet::For(quiet_ms) = quiet else {
        return (traces, Vec::new());
    };
    let is_arriving = |trace: &Trace| {
        trace.arrival.last.saturating_add(quiet_ms) > now
            && trace.arrival.first.saturating_add(store.limits.trace_age_max_ms) > now
    };
    let bytes = |traces: &[Trace]| traces.iter().map(|trace| trace.bytes).sum::<u64>();
    let all = bytes(&traces);
    let (arriving, whole): (Vec<_>, Vec<_>) = traces.into_iter().partition(is_arriving);
    if bytes(&arriving) > all / 2 && all > store.generation_bytes_max() / 4 * 3 {
        // One huge trace, or a clock that stands still: carrying it over again and again would free no memory.
        let everything = whole.into_iter().chain(arriving).collect();
        return (everything, Vec::new());
    }
    (whole, arriving)
}
