//! How long operations took, and where the time of traces went: from what segments keep, corrected by spans.
//!
//! Segments count and profile every trace as if it were whole there, and the head is counted likewise. A trace that is
//! in several places is read, once: what its parts counted is taken away, and what the whole one has is added.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;

use foldhash::fast::RandomState;
use model::Kind;
use storage::{Latencies, LatencyQuery, OperationLatency, OperationName, StorageError, add_latencies};

use crate::head::HeadTrace;
use crate::head_sections::CountedHead;
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::search::check;
use crate::sketches::SketchEntry;
use crate::splits::{SplitTrace, splits_of};
use crate::store::Store;
use crate::view::Reading;

mod profiles;
mod times;
mod windows;

pub(crate) use profiles::profiles;
pub(crate) use windows::windows;

type Counted = BTreeMap<(OperationName, String, u64), OperationLatency>;

/// See [`storage::LatencySource::latencies`].
pub(crate) fn latencies(
    store: &Store,
    reading: &mut Reading<'_>,
    query: &LatencyQuery,
    cancelled: &AtomicBool,
) -> Result<Latencies, StorageError> {
    let window = micros_of(query);
    let view = reading.view;
    let head = store.counted_head(view, window, cancelled)?;
    let scattered = Scattered::find(reading, &head, window, cancelled)?;
    let mut of_segments = Vec::new();
    for segment in view.segments.iter().filter(|segment| touches(segment, window)) {
        check(cancelled)?;
        of_segments.push(reading.read(segment, SegmentReader::sketches)?);
    }
    let of_head = head.sections.iter().flat_map(|(_, section)| section.times());
    let mut sums = Sums::default();
    for entry in of_head.chain(of_segments.iter().flat_map(|entries| entries.iter())) {
        sums.add(entry, query);
    }
    let mut counted = sums.into_counted();
    let taken = add_whole(store, reading, &head, &scattered, query, cancelled, &mut counted)?;
    for (key, taken) in taken {
        if let Some(latency) = counted.get_mut(&key) {
            subtract(latency, &taken);
        }
    }
    counted.retain(|_, latency| latency.calls > 0);
    Ok(Latencies {
        operations: counted.into_values().collect(),
        completeness: reading.completeness(),
    })
}

/// Counts the scattered traces, each with all its spans; what their parts counted in their places is the answer.
fn add_whole(
    store: &Store,
    reading: &mut Reading<'_>,
    head: &CountedHead,
    scattered: &Scattered,
    query: &LatencyQuery,
    cancelled: &AtomicBool,
    counted: &mut Counted,
) -> Result<Counted, StorageError> {
    let version_tags = &store.config.options.version_tags;
    let (view, window) = (reading.view, micros_of(query));
    let mut taken = Counted::new();
    for &low in &scattered.traces {
        check(cancelled)?;
        for (generation, section) in &head.sections {
            if let Some(spans) = section.spans_counted(low) {
                let part = generation.first_spans_of(low, spans as usize);
                add_latencies(&mut taken, &part, version_tags, query);
            }
        }
        for segment in view.segments.iter().filter(|segment| touches(segment, window)) {
            let part = reading.read(segment, |segment| segment.spans_of(low))?;
            add_latencies(&mut taken, &part, version_tags, query);
        }
        let whole = reading.spans_unless_too_many(low)?;
        add_latencies(counted, &whole, version_tags, query);
    }
    Ok(taken)
}

/// The first and the last microsecond.
fn micros_of(query: &LatencyQuery) -> (u64, u64) {
    let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
    (query.first_minute.saturating_mul(MINUTE), end.saturating_sub(1))
}

fn touches(segment: &SegmentReader, window: (u64, u64)) -> bool {
    let summary = &segment.footer().summary;
    summary.last >= window.0 && summary.first <= window.1
}

/// Entries being added up, each found by its texts where they are.
#[derive(Default)]
struct Sums<'e> {
    places: HashMap<EntryKey<'e>, usize, RandomState>,
    sums: Vec<OperationLatency>,
}

/// Service, span name, kind, version and minute.
type EntryKey<'e> = (&'e str, &'e str, Option<Kind>, &'e str, u64);

impl<'e> Sums<'e> {
    fn add(&mut self, entry: &'e SketchEntry, query: &LatencyQuery) {
        let operation = &entry.operation;
        if !query.contains(entry.minute) || !query.is_about(&operation.service_name) {
            return;
        }
        let (service, span_name) = (operation.service_name.as_str(), operation.span_name.as_str());
        let key = (
            service,
            span_name,
            operation.kind,
            entry.version.as_str(),
            entry.minute,
        );
        let next = self.sums.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            return self.sums.push(entry.to_latency());
        }
        let latency = &mut self.sums[place];
        latency.calls += entry.spans;
        latency.errors += entry.errors;
        latency.traces += entry.traces;
        latency.durations.merge(&entry.durations);
        latency.self_times.merge(&entry.self_times);
    }

    /// By operation, version and minute.
    fn into_counted(self) -> Counted {
        let with_key = |latency: OperationLatency| {
            let key = (latency.operation.clone(), latency.version.clone(), latency.minute);
            (key, latency)
        };
        self.sums.into_iter().map(with_key).collect()
    }
}

fn subtract(latency: &mut OperationLatency, taken: &OperationLatency) {
    for (count, taken) in [
        (&mut latency.calls, taken.calls),
        (&mut latency.errors, taken.errors),
        (&mut latency.traces, taken.traces),
    ] {
        *count = count.saturating_sub(taken);
    }
    latency.durations.subtract(&taken.durations);
    latency.self_times.subtract(&taken.self_times);
}

/// The traces of which no place has all: those in several places, and those of the head that got spans since they were
/// counted.
struct Scattered {
    /// Low identifiers of those that touch the window, ascending.
    traces: BTreeSet<u64>,
    /// Low identifiers, and those of others that do not touch it.
    all: HashSet<u64, RandomState>,
}

impl Scattered {
    fn find(
        reading: &mut Reading<'_>,
        head: &CountedHead,
        window: (u64, u64),
        cancelled: &AtomicBool,
    ) -> Result<Self, StorageError> {
        // The head goes on growing. It was counted first, and is asked afterwards where else its traces are: so one
        // that gets another span meanwhile is read whole, or counted as it was.
        let view = reading.view;
        let mut traces: BTreeSet<u64> = head.changed.iter().copied().collect();
        let mut elsewhere = reading.also_in_segments();
        elsewhere.extend(view.in_several_generations());
        for &low in elsewhere.iter().filter(|low| !head.changed.contains(low)) {
            check(cancelled)?;
            let is_within = |trace: &HeadTrace| trace.last >= window.0 && trace.first <= window.1;
            let mut in_head = view
                .generations()
                .map(|generation| generation.with_trace(low, is_within));
            if in_head.any(|touches| touches == Some(true)) || reading.segments_touch(low, window)? {
                traces.insert(low);
            }
        }
        for segment in view.segments.iter().filter(|segment| touches(segment, window)) {
            check(cancelled)?;
            let splits = splits_of(reading, segment)?;
            let others_are_there = |trace: &&SplitTrace| {
                let mut others = trace.others.iter();
                others.any(|other| view.segment(other.0).is_some())
            };
            let split = splits.traces.iter().filter(others_are_there);
            traces.extend(split.map(|trace| trace.low));
        }
        let mut all: HashSet<u64, RandomState> = traces.iter().copied().collect();
        all.extend(elsewhere);
        Ok(Self { traces, all })
    }

    fn has(&self, low: u64) -> bool {
        self.all.contains(&low)
    }
}
