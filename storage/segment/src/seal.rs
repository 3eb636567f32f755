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
use crate::store::Store;
use crate::view::{View, sort_distinct};

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
    let (mut traces, arriving) = divide(store, frozen, quiet);
    traces.sort_unstable_by_key(|trace| (trace.first, trace.low));
    let mut output = SegmentOutput::new(store, (store.config.now)());
    let view = store.view();
    for trace in &traces {
        if store.stopping.load(Ordering::Relaxed) {
            return Err(StorageError::Unavailable("the store is being closed".to_owned()));
        }
        write(store, &view, frozen, trace, &mut output)?;
    }
    let segments = output.finish(&[])?;
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

/// Writes a trace of a frozen generation.
fn write(
    store: &Store,
    view: &View,
    frozen: &Generation,
    trace: &Trace,
    output: &mut SegmentOutput<'_>,
) -> Result<(), StorageError> {
    let Some(mut rows) = frozen.rows_of(trace.low) else {
        return Ok(());
    };
    let most = store.limits.part_spans_max;
    if trace.spans <= most {
        let mut spans = rows.take(trace.spans);
        sort_distinct(&mut spans);
        let straggler = leave_out_stored(view, trace.low, &mut spans)?;
        return output.add(trace.low, &spans, straggler);
    }
    // Never as a whole in memory. Duplicates among its parts are stored, and answered once.
    loop {
        let mut spans = rows.take(most);
        if spans.is_empty() {
            return Ok(());
        }
        sort_distinct(&mut spans);
        output.add_parts(trace.low, &spans)?;
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
    if bytes(&arriving) > all / 2 && all > store.config.head_bytes_max / 4 {
        // One huge trace, or a clock that stands still: carrying it over again and again would free no memory.
        let everything = whole.into_iter().chain(arriving).collect();
        return (everything, Vec::new());
    }
    (whole, arriving)
}

/// Removes spans that a segment has; tells whether a segment has any of the trace.
fn leave_out_stored(view: &View, low: u64, spans: &mut Vec<Span>) -> Result<bool, StorageError> {
    let mut stored: Vec<Span> = Vec::new();
    let mut count = 0;
    for segment in view.segments.iter().filter(|segment| segment.may_hold(low)) {
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
    sort_distinct(&mut stored);
    let order = |a: &Span, b: &Span| a.timestamp.cmp(&b.timestamp).then_with(|| a.cmp(b));
    spans.retain(|span| stored.binary_search_by(|other| order(other, span)).is_err());
    Ok(count > 0)
}
