//! How long operations took, and where the time of traces went: from what segments keep, corrected by spans.
//!
//! Segments count and profile every trace as if it were whole there. A trace that is in several places, or in the head,
//! is read, once: what its parts in segments counted is taken away, and what the whole one has is added.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;

use storage::{Latencies, LatencyQuery, OperationLatency, OperationName, StorageError, add_latencies};

use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::search::check;
use crate::sketches::SketchEntry;
use crate::splits::splits_of;
use crate::view::Reading;

mod profiles;

pub(crate) use profiles::profiles;

type Counted = BTreeMap<(OperationName, String, u64), OperationLatency>;

/// See [`storage::LatencySource::latencies`].
pub(crate) fn latencies(
    reading: &mut Reading<'_>,
    query: &LatencyQuery,
    version_tags: &[String],
    cancelled: &AtomicBool,
) -> Result<Latencies, StorageError> {
    let first = query.first_minute.saturating_mul(MINUTE);
    let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
    let window = (first, end.saturating_sub(1));
    let view = reading.view;
    let scattered = Scattered::find(reading, window, cancelled)?;
    let (mut counted, mut taken) = (Counted::new(), Counted::new());
    for segment in &view.segments {
        check(cancelled)?;
        if touches(segment, window) {
            for entry in reading.read(segment, SegmentReader::sketches)? {
                add_entry(&mut counted, entry, query);
            }
        }
    }
    for (&low, in_segments) in &scattered.traces {
        check(cancelled)?;
        if *in_segments {
            for segment in view.segments.iter().filter(|segment| touches(segment, window)) {
                let part = reading.read(segment, |segment| segment.spans_of(low))?;
                add_latencies(&mut taken, &part, version_tags, query);
            }
        }
        let whole = reading.spans_unless_too_many(low)?;
        add_latencies(&mut counted, &whole, version_tags, query);
    }
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

fn touches(segment: &SegmentReader, window: (u64, u64)) -> bool {
    let summary = &segment.footer().summary;
    summary.last >= window.0 && summary.first <= window.1
}

fn add_entry(counted: &mut Counted, entry: SketchEntry, query: &LatencyQuery) {
    if !query.contains(entry.minute) || !query.is_about(&entry.operation.service) {
        return;
    }
    let operation = OperationName {
        service_name: entry.operation.service,
        span_name: entry.operation.span_name,
        kind: entry.operation.kind,
    };
    let key = (operation, entry.version, entry.minute);
    let latency = counted
        .entry(key)
        .or_insert_with_key(|(operation, version, minute)| {
            OperationLatency::new(operation, version, *minute)
        });
    latency.calls += entry.spans;
    latency.errors += entry.errors;
    latency.traces += entry.traces;
    latency.durations.merge(&entry.durations);
    latency.self_times.merge(&entry.self_times);
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

/// The traces that touch a window of which no segment knows all: those in the head, and those in several segments.
struct Scattered {
    /// By low identifier; whether segments have spans of it.
    traces: BTreeMap<u64, bool>,
    /// Of those in the head that segments have spans of, whether they touch the window or not.
    elsewhere: BTreeSet<u64>,
}

impl Scattered {
    fn find(
        reading: &mut Reading<'_>,
        window: (u64, u64),
        cancelled: &AtomicBool,
    ) -> Result<Self, StorageError> {
        // The head goes on growing. A trace is looked for in it first, and asked afterwards whether segments have it,
        // too: so one that gets another span meanwhile is read whole, or counted as it was.
        let view = reading.view;
        let mut in_head: HashMap<u64, bool> = HashMap::new();
        for generation in view.generations() {
            generation.for_each(|low, trace| {
                *in_head.entry(low).or_default() |= trace.last >= window.0 && trace.first <= window.1;
            });
        }
        let elsewhere: BTreeSet<u64> = reading.also_in_segments().into_iter().collect();
        let mut traces = BTreeMap::new();
        for (&low, _) in in_head
            .iter()
            .filter(|(low, touches)| **touches && !elsewhere.contains(*low))
        {
            traces.insert(low, false);
        }
        for &low in &elsewhere {
            check(cancelled)?;
            let touches = in_head.get(&low).copied().unwrap_or(false);
            if touches || reading.segments_touch(low, window)? {
                traces.insert(low, true);
            }
        }
        for segment in view.segments.iter().filter(|segment| touches(segment, window)) {
            check(cancelled)?;
            let splits = splits_of(reading, segment)?;
            let others_are_there = |trace: &&crate::splits::SplitTrace| {
                let mut others = trace.others.iter();
                others.any(|other| view.segment(other.0).is_some())
            };
            for trace in splits.traces.iter().filter(others_are_there) {
                traces.insert(trace.low, true);
            }
        }
        Ok(Self { traces, elsewhere })
    }

    fn has(&self, low: u64) -> bool {
        self.traces.contains_key(&low) || self.elsewhere.contains(&low)
    }
}
