//! Traces that are in several segments: what is said of a part of one says nothing of the whole.
//!
//! A segment lists its *stragglers*, the traces that were in another segment already when it was written. Where their
//! parts are is found out when a segment is first searched, and from then on only the lists of segments that came
//! since are looked through.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::StorageError;

use crate::reader::SegmentReader;
use crate::trace_table::{Ordinal, TraceEntry};
use crate::view::Reading;

/// The traces of a segment that others have a part of.
#[derive(Debug, Default)]
pub(crate) struct Splits {
    /// The version of the view in which this was found out.
    version: u64,
    /// Lists of segments opened before were looked through, see [`SegmentReader::order`].
    asked_below: u64,
    /// Ascending by ordinal.
    pub(crate) traces: Vec<SplitTrace>,
    /// The longest of them, whole, microseconds.
    pub(crate) duration_max: u64,
    /// The most errors of one of them, whole.
    pub(crate) errors_max: u64,
}

/// A trace of a segment that others have a part of.
#[derive(Clone, Debug)]
pub(crate) struct SplitTrace {
    pub(crate) ordinal: Ordinal,
    pub(crate) low: u64,
    /// In which segments, by number, and where there.
    pub(crate) others: Vec<(u64, Ordinal)>,
    /// Of all parts together, at most: the same span may be in two of them.
    pub(crate) errors: u64,
    /// When the first span of all parts began and the last one ended, microseconds since the epoch, 0 for never.
    first: u64,
    end: u64,
}

impl Splits {
    /// Memory they take, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let others = self.traces.iter().map(|trace| trace.others.capacity() * 16);
        self.traces.len() * size_of::<SplitTrace>() + others.sum::<usize>()
    }
}

impl SplitTrace {
    fn of(ordinal: Ordinal, entry: &TraceEntry) -> Self {
        let mut trace = Self {
            ordinal,
            low: entry.low,
            others: Vec::new(),
            errors: 0,
            first: 0,
            end: 0,
        };
        trace.join(entry);
        trace
    }

    /// Microseconds, of all parts together.
    pub(crate) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    fn join(&mut self, part: &TraceEntry) {
        self.errors += u64::from(part.error_count);
        if part.times.last != 0 {
            self.first = match self.first {
                0 => part.times.first,
                first => first.min(part.times.first),
            };
            self.end = self.end.max(part.times.first.saturating_add(part.times.duration));
        }
    }
}

/// The traces of a segment of the view that others of the view have a part of, and perhaps some that are not in the
/// view any more.
pub(crate) fn splits_of(
    reading: &mut Reading<'_>,
    segment: &SegmentReader,
) -> Result<Arc<Splits>, StorageError> {
    let view = reading.view;
    let known = segment.splits.lock().clone();
    if known.version == view.version {
        return Ok(known);
    }
    if known.version > view.version {
        // Segments of this view may be gone from what is known: found out again, for this question alone.
        return find(reading, segment, &Splits::default()).map(Arc::new);
    }
    let found = Arc::new(find(reading, segment, &known)?);
    let mut known = segment.splits.lock();
    if known.version < found.version && reading.is_undamaged() {
        *known = found.clone();
    }
    Ok(found)
}

fn find(reading: &mut Reading<'_>, segment: &SegmentReader, known: &Splits) -> Result<Splits, StorageError> {
    let view = reading.view;
    let mut traces: BTreeMap<Ordinal, SplitTrace> = known
        .traces
        .iter()
        .map(|trace| (trace.ordinal, trace.clone()))
        .collect();
    let since = view
        .with_stragglers
        .partition_point(|source| source.order() < known.asked_below);
    for source in &view.with_stragglers[since..] {
        let is_own = source.number() == segment.number();
        for &low in source.stragglers().iter().filter(|&&low| segment.may_hold(low)) {
            let Some((ordinal, entry)) = reading.read(segment, |segment| segment.find_entry(low))? else {
                continue;
            };
            let trace = traces
                .entry(ordinal)
                .or_insert_with(|| SplitTrace::of(ordinal, &entry));
            if is_own {
                for other in &view.segments {
                    join(reading, segment, other, trace)?;
                }
            } else {
                join(reading, segment, source, trace)?;
            }
        }
    }
    let traces: Vec<_> = traces.into_values().collect();
    Ok(Splits {
        version: view.version,
        asked_below: view.segments_end(),
        duration_max: traces.iter().map(SplitTrace::duration).max().unwrap_or(0),
        errors_max: traces.iter().map(|trace| trace.errors).max().unwrap_or(0),
        traces,
    })
}

/// Joins the part that `other` has of a trace of `segment`, if it has one that is not known.
fn join(
    reading: &mut Reading<'_>,
    segment: &SegmentReader,
    other: &SegmentReader,
    trace: &mut SplitTrace,
) -> Result<(), StorageError> {
    let is_known = trace.others.iter().any(|known| known.0 == other.number());
    if other.number() == segment.number() || is_known || !other.may_hold(trace.low) {
        return Ok(());
    }
    if let Some((ordinal, entry)) = reading.read(other, |other| other.find_entry(trace.low))? {
        trace.others.push((other.number(), ordinal));
        trace.join(&entry);
    }
    Ok(())
}
