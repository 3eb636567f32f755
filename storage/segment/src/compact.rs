//! Compaction: small segments of the same hour become one.
//!
//! 1. Choose: small segments sealed in the same hour, enough of them, oldest hour first.
//! 2. Read their traces by the order of first spans; parts of a trace become one, duplicates go.
//! 3. Write, enter in the manifest in the place of the old ones, change the view, remove the old files.
//!
//! A query that runs meanwhile keeps its view, and with it the old files, open.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::StorageError;

use crate::manifest::{Manifest, ManifestSegment};
use crate::output::SegmentOutput;
use crate::reader::SegmentReader;
use crate::rows::TraceRows;
use crate::shape::ShapeTable;
use crate::shape_cache::Shapes;
use crate::shape_plan::ShapePlan;
use crate::store::Store;
use crate::trace_table::Ordinal;
use crate::view::View;
use storage_record::bytes::Malformed;

const HOUR_MS: u64 = 3_600_000;
/// Traces between two looks whether something else is due.
const LOOK_EVERY: usize = 16;

/// Joins one group of segments, if there is one; tells whether it did. Asks `has_to_stop` every few traces, with the
/// numbers of those that are joined; it may seal meanwhile, and drop others. Once it is true, gives up and changes
/// nothing.
pub(crate) fn compact(
    store: &Store,
    mut has_to_stop: impl FnMut(&Store, &[u64]) -> bool,
) -> Result<bool, StorageError> {
    let view = store.view();
    let (inputs, sealed_at) = choose(store, &view);
    if inputs.is_empty() {
        return Ok(false);
    }
    let numbers: Vec<u64> = inputs.iter().map(|segment| segment.number()).collect();
    let joined = join(store, &view, &inputs, sealed_at, |store| {
        has_to_stop(store, &numbers)
    });
    let segments = match joined {
        Ok(Some(output)) => output.finish(&numbers)?,
        Ok(None) => return Ok(false),
        // The next try is one without it.
        Err((number, StorageError::Corrupt(reason))) => {
            store.set_aside([(number, reason)].into());
            return Ok(true);
        }
        Err((_, error)) => return Err(error),
    };
    store.change_view(|view| view.with_segments(&numbers, segments));
    store.counters.compactions.fetch_add(1, Ordering::Relaxed);
    remove_files(store, &numbers);
    Ok(true)
}

/// What went wrong, with the number of the segment that it went wrong with.
type Failure = (u64, StorageError);

/// Writes the traces of some segments anew; nothing if it has to stop.
fn join<'s>(
    store: &'s Store,
    view: &View,
    inputs: &[Arc<SegmentReader>],
    sealed_at: u64,
    mut has_to_stop: impl FnMut(&Store) -> bool,
) -> Result<Option<SegmentOutput<'s>>, Failure> {
    let parts = parts_in_order(inputs)?;
    let stragglers = Stragglers::of(view, inputs);
    let inputs = inputs.iter().map(Input::open).collect::<Result<Vec<_>, _>>()?;
    let tables: Vec<&ShapeTable> = inputs.iter().map(|input| &input.shapes.table).collect();
    let plan = Arc::new(ShapePlan::of(&tables));
    let mut output = SegmentOutput::new(store, plan.clone(), sealed_at);
    let mut rows = TraceRows::default();
    for (index, parts) in parts.chunk_by(|a, b| a.low == b.low).enumerate() {
        if index % LOOK_EVERY == 0 && has_to_stop(store) {
            return Ok(None);
        }
        let low = parts[0].low;
        let spans: u64 = parts.iter().map(|part| u64::from(part.spans)).sum();
        if let [part] = parts {
            rows.clear();
            inputs[part.input as usize].read(part, &plan, &mut rows)?;
        } else if spans <= store.limits.part_spans_max as u64 {
            read_joined(&inputs, parts, &plan, &mut rows)?;
        } else {
            // Never as a whole in memory. Duplicates among its parts are stored, and answered once.
            for part in parts {
                rows.clear();
                inputs[part.input as usize].read(part, &plan, &mut rows)?;
                output.add_to_parts(low, &rows).map_err(|error| (0, error))?;
            }
            output.end_parts(low).map_err(|error| (0, error))?;
            continue;
        }
        let straggler = stragglers.contains(low)?;
        output
            .add(low, &mut rows, straggler)
            .map_err(|error| (0, error))?;
    }
    Ok(Some(output))
}

/// Reads the parts of a trace into one, its rows distinct and by time.
fn read_joined(
    inputs: &[Input],
    parts: &[Part],
    plan: &ShapePlan,
    rows: &mut TraceRows,
) -> Result<(), Failure> {
    let mut of_part = TraceRows::default();
    rows.clear();
    for part in parts {
        of_part.clear();
        inputs[part.input as usize].read(part, plan, &mut of_part)?;
        of_part.iter().for_each(|row| rows.push_row(row));
    }
    let sorted = rows.sort_distinct(plan.table());
    sorted.map_err(|error| (inputs[parts[0].input as usize].segment.number(), damaged(error)))
}

/// A segment whose traces are read in order.
struct Input {
    segment: Arc<SegmentReader>,
    shapes: Arc<Shapes>,
}

impl Input {
    fn open(segment: &Arc<SegmentReader>) -> Result<Self, Failure> {
        let shapes = segment.shapes().map_err(|error| (segment.number(), error))?;
        Ok(Self {
            segment: segment.clone(),
            shapes,
        })
    }

    /// Adds the rows of a part, coded against the table of a plan of which this is the source number `part.input`.
    fn read(&self, part: &Part, plan: &ShapePlan, rows: &mut TraceRows) -> Result<(), Failure> {
        let Self { segment, shapes } = self;
        let entry = segment.entry(part.ordinal);
        entry
            .and_then(|entry| segment.rows_with(shapes, &entry, rows))
            .and_then(|()| plan.recode(part.input as usize, rows).map_err(damaged))
            .map_err(|error| (segment.number(), error))
    }
}

fn damaged(error: Malformed) -> StorageError {
    StorageError::Corrupt(error.to_string())
}

/// Tells traces that segments other than the joined ones hold, too. One of a trace's segments was written last, and
/// says so ever since; so the others are asked for those traces only of which one of the joined segments says it. Where
/// none of them does, one of the others does.
struct Stragglers<'v> {
    known: HashSet<u64>,
    others: Vec<&'v Arc<SegmentReader>>,
}

impl<'v> Stragglers<'v> {
    fn of(view: &'v View, inputs: &[Arc<SegmentReader>]) -> Self {
        let is_input =
            |segment: &&Arc<SegmentReader>| inputs.iter().any(|input| input.number() == segment.number());
        Self {
            known: inputs
                .iter()
                .flat_map(|input| input.stragglers())
                .copied()
                .collect(),
            others: view
                .segments
                .iter()
                .filter(|segment| !is_input(segment))
                .collect(),
        }
    }

    fn contains(&self, low: u64) -> Result<bool, Failure> {
        if !self.known.contains(&low) {
            return Ok(false);
        }
        for segment in &self.others {
            let found = segment.find(low).map_err(|error| (segment.number(), error))?;
            if found.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
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
    let at_least = limits.compaction_segments_min;
    let hours = small_by_hour(store, view);
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

/// Whether so many segments wait to be joined that it must not take longer than it has to.
pub(crate) fn is_behind(store: &Store) -> bool {
    let hours = small_by_hour(store, &store.view());
    hours
        .values()
        .any(|group| group.len() >= store.limits.compaction_segments_behind)
}

/// Segments that may be joined, each with when it was sealed, by the hour of that.
fn small_by_hour(store: &Store, view: &View) -> BTreeMap<u64, Vec<(Arc<SegmentReader>, u64)>> {
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
    hours
}

/// What one of the joined segments has of a trace.
struct Part {
    /// The first timestamp of the whole trace, as in [`TraceTimes::first`](crate::trace_table::TraceTimes).
    first: u64,
    low: u64,
    /// Which segment, by its place among the joined ones.
    input: u32,
    ordinal: Ordinal,
    spans: u32,
}

/// The parts of all traces, those of one trace next to each other, traces by the order of their first spans.
fn parts_in_order(inputs: &[Arc<SegmentReader>]) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for (segment, input) in inputs.iter().zip(0..) {
        for (entry, ordinal) in segment.entries().zip(0..) {
            let entry = entry.map_err(|error| (segment.number(), error))?;
            parts.push(Part {
                first: entry.times.first,
                low: entry.low,
                input,
                ordinal,
                spans: entry.span_count,
            });
        }
    }
    parts.sort_unstable_by_key(|part| (part.low, part.input));
    for trace in parts
        .chunk_by_mut(|a, b| a.low == b.low)
        .filter(|trace| trace.len() > 1)
    {
        // 0 where no part has a timestamp.
        let timed = trace.iter().map(|part| part.first).filter(|&first| first != 0);
        let first = timed.min().unwrap_or(0);
        trace.iter_mut().for_each(|part| part.first = first);
    }
    parts.sort_unstable_by_key(|part| (part.first, part.low, part.input));
    Ok(parts)
}
