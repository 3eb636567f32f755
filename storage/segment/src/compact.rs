//! Compaction: small segments of the same hour become one.
//!
//! 1. Choose: small segments sealed in the same hour, enough of them, oldest hour first.
//! 2. Read their traces by the order of first spans; parts of a trace become one, duplicates go.
//! 3. Write, enter in the manifest in the place of the old ones, change the view, remove the old files.
//!
//! A query that runs meanwhile keeps its view, and with it the old files, open.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Span;
use storage::StorageError;

use crate::manifest::{Manifest, ManifestSegment};
use crate::output::SegmentOutput;
use crate::reader::SegmentReader;
use crate::store::Store;
use crate::trace_table::TraceEntry;
use crate::view::{Reading, View, sort_distinct};

const HOUR_MS: u64 = 3_600_000;
/// Traces between two looks whether something else is due.
const LOOK_EVERY: usize = 256;

/// Joins one group of segments, if there is one; tells whether it did. Gives up, and changes nothing, as soon as
/// `is_wanted_elsewhere`.
pub(crate) fn compact(
    store: &Store,
    is_wanted_elsewhere: impl Fn(&Store) -> bool,
) -> Result<bool, StorageError> {
    let view = store.view();
    let (inputs, sealed_at) = choose(store, &view);
    if inputs.is_empty() {
        return Ok(false);
    }
    let numbers: Vec<u64> = inputs.iter().map(|segment| segment.number()).collect();
    let is_other = |segment: &&Arc<SegmentReader>| !numbers.contains(&segment.number());
    let others: Vec<_> = view.segments.iter().filter(is_other).collect();
    let mut output = SegmentOutput::new(store, sealed_at);
    // Segments that turn out to be damaged are set aside, so that the next try is one without them.
    let mut reading = Reading::new(&view, store.limits.trace_spans_max);
    let mut add = |low: u64, parts: Parts| {
        let mut spans: Vec<Span> = Vec::new();
        for (input, entry) in parts {
            spans.extend(reading.read(&inputs[input], |segment| segment.spans(&entry))?);
        }
        sort_distinct(&mut spans);
        let mut straggler = false;
        for segment in others.iter().filter(|segment| segment.may_hold(low)) {
            straggler |= reading.read(segment, |segment| segment.find(low))?.is_some();
        }
        output.add(low, &spans, straggler)?;
        Ok(reading.is_undamaged())
    };
    let traces = match traces_in_order(&inputs) {
        Err((number, StorageError::Corrupt(reason))) => {
            store.set_aside([(number, reason)].into());
            return Ok(true);
        }
        other => other.map_err(|(_, error)| error)?,
    };
    for (index, (low, parts)) in traces.into_iter().enumerate() {
        if index % LOOK_EVERY == 0 && is_wanted_elsewhere(store) {
            return Ok(false);
        }
        if !add(low, parts)? {
            drop(output);
            store.set_aside(reading.into_damaged());
            return Ok(true);
        }
    }
    let segments = output.finish(&numbers)?;
    store.change_view(|view| view.with_segments(&numbers, segments));
    store.counters.compactions.fetch_add(1, Ordering::Relaxed);
    remove_files(store, &numbers);
    Ok(true)
}

/// Removes files that the manifest does not name any more; the next start removes what cannot be removed now.
pub(crate) fn remove_files(store: &Store, numbers: &[u64]) {
    for &number in numbers {
        match store.disk.remove(&Manifest::file_name(number)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, segment = number, "a segment that is not needed any more cannot be removed");
            }
            _ => {}
        }
    }
}

/// Segments to join, and when the last of them was sealed; none where there is nothing to do. What is joined is
/// smaller than a quarter of a segment, so that no span is joined often; and never a part of a trace that is too
/// large for one segment, which would be cut into the same parts again.
fn choose(store: &Store, view: &View) -> (Vec<Arc<SegmentReader>>, u64) {
    let limits = &store.limits;
    let manifest = store.manifest();
    let known: HashMap<u64, &ManifestSegment> = manifest
        .segments
        .iter()
        .filter(|segment| !segment.part)
        .map(|segment| (segment.number, segment))
        .collect();
    let mut hours: BTreeMap<u64, Vec<(Arc<SegmentReader>, u64)>> = BTreeMap::new();
    for segment in &view.segments {
        let footer = segment.footer();
        let is_small = footer.summary.spans < limits.segment_spans_max / 4
            && segment.raw_bytes() < limits.segment_raw_bytes_max / 4;
        // One without an index would not get one; one with an index would lose it.
        let is_alike = footer.indexed == store.config.options.search_enabled;
        if let Some(entry) = known.get(&segment.number())
            && is_small
            && is_alike
        {
            let hour = hours.entry(entry.sealed_at / HOUR_MS).or_default();
            hour.push((segment.clone(), entry.sealed_at));
        }
    }
    let at_least = limits.compaction_segments_min;
    let Some((_, mut group)) = hours.into_iter().find(|(_, group)| group.len() >= at_least) else {
        return (Vec::new(), 0);
    };
    group.sort_by_key(|(segment, _)| segment.number());
    let (mut spans, mut raw_bytes) = (0, 0);
    group.retain(|(segment, _)| {
        spans += segment.footer().summary.spans;
        raw_bytes += segment.raw_bytes();
        spans <= limits.segment_spans_max && raw_bytes <= limits.segment_raw_bytes_max
    });
    let sealed_at = group.iter().map(|(_, sealed_at)| *sealed_at).max();
    let inputs = group.into_iter().map(|(segment, _)| segment);
    (inputs.collect(), sealed_at.unwrap_or(0))
}

type Parts = Vec<(usize, TraceEntry)>;

/// Every trace with its parts, by the order of its first span; an error comes with the number of the segment.
fn traces_in_order(inputs: &[Arc<SegmentReader>]) -> Result<Vec<(u64, Parts)>, (u64, StorageError)> {
    let mut traces: HashMap<u64, Parts> = HashMap::new();
    for (input, segment) in inputs.iter().enumerate() {
        for entry in segment.entries() {
            let entry = entry.map_err(|error| (segment.number(), error))?;
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
