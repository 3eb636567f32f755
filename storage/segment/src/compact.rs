//! Compaction: small segments of the same hour become one.
//!
//! 1. Choose: small segments whose newest span is of the same hour, enough of them, oldest hour first.
//! 2. Read their traces by the order of first spans; parts of a trace become one, duplicates go.
//! 3. Write, enter in the manifest in the place of the old ones, change the view, remove the old files.
//!
//! A query that runs meanwhile keeps its view, and with it the old files, open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Span;
use storage::StorageError;

use crate::manifest::Manifest;
use crate::reader::SegmentReader;
use crate::seal::SegmentOutput;
use crate::store::Store;
use crate::trace_table::TraceEntry;
use crate::view::sort_distinct;

const HOUR: u64 = 3_600_000_000;

/// Joins one group of segments, if there is one; tells whether there was.
pub(crate) fn compact(store: &Store) -> Result<bool, StorageError> {
    let view = store.view();
    let inputs = choose(
        &view.segments,
        store.limits.segment_spans_max,
        store.limits.compaction_segments_min,
    );
    if inputs.is_empty() {
        return Ok(false);
    }
    let numbers: Vec<u64> = inputs.iter().map(|segment| segment.number()).collect();
    let others: Vec<_> = view
        .segments
        .iter()
        .filter(|segment| !numbers.contains(&segment.number()))
        .collect();
    let mut output = SegmentOutput::new(store);
    for (low, parts) in traces_in_order(&inputs)? {
        let mut spans: Vec<Span> = Vec::new();
        for (input, entry) in parts {
            spans.extend(inputs[input].spans(&entry)?);
        }
        sort_distinct(&mut spans);
        let mut straggler = false;
        for segment in others.iter().filter(|segment| segment.may_hold(low)) {
            straggler |= segment.find(low)?.is_some();
        }
        output.add(low, &spans, straggler)?;
    }
    let segments = output.finish_instead_of(&numbers)?;
    store.change_view(|view| {
        let kept = view
            .segments
            .iter()
            .filter(|segment| !numbers.contains(&segment.number()))
            .cloned();
        view.with_segments(kept.chain(segments).collect())
    });
    store.counters.compactions.fetch_add(1, Ordering::Relaxed);
    remove_files(store, &numbers);
    Ok(true)
}

/// Removes files that the manifest does not name any more; the next start removes what cannot be removed now.
pub(crate) fn remove_files(store: &Store, numbers: &[u64]) {
    for &number in numbers {
        if let Err(error) = store.disk.remove(&Manifest::file_name(number)) {
            tracing::warn!(%error, segment = number, "a segment that is not needed any more cannot be removed");
        }
    }
}

fn choose(segments: &[Arc<SegmentReader>], spans_max: u64, at_least: usize) -> Vec<Arc<SegmentReader>> {
    let mut hours: HashMap<u64, Vec<Arc<SegmentReader>>> = HashMap::new();
    for segment in segments {
        let summary = &segment.footer().summary;
        if summary.spans < spans_max / 4 && segment.footer().indexed {
            hours
                .entry(summary.last / HOUR)
                .or_default()
                .push(segment.clone());
        }
    }
    let mut group = hours
        .into_iter()
        .filter(|(_, group)| group.len() >= at_least)
        .min_by_key(|(hour, _)| *hour);
    let Some((_, group)) = group.as_mut() else {
        return Vec::new();
    };
    group.sort_by_key(|segment| segment.number());
    let mut spans = 0;
    group.retain(|segment| {
        spans += segment.footer().summary.spans;
        spans <= spans_max
    });
    if group.len() < 2 {
        Vec::new()
    } else {
        std::mem::take(group)
    }
}

type Parts = Vec<(usize, TraceEntry)>;

/// Every trace with its parts, by the order of its first span.
fn traces_in_order(inputs: &[Arc<SegmentReader>]) -> Result<Vec<(u64, Parts)>, StorageError> {
    let mut traces: HashMap<u64, Parts> = HashMap::new();
    for (input, segment) in inputs.iter().enumerate() {
        for entry in segment.entries() {
            let entry = entry?;
            traces.entry(entry.low).or_default().push((input, entry));
        }
    }
    let mut traces: Vec<_> = traces.into_iter().collect();
    // As `TraceTimes::first` of the joined spans: 0 where no part has a timestamp.
    let first = |parts: &Parts| {
        parts
            .iter()
            .map(|part| part.1.times.first)
            .filter(|&first| first != 0)
            .min()
    };
    traces.sort_unstable_by_key(|(low, parts)| (first(parts).unwrap_or(0), *low));
    Ok(traces)
}
