//! Latency sketches: durations, self times, errors and calls of each operation, version and minute.
//!
//! An operation is (service, span name, kind). Times of a span count in the minute it began in. A span that was reported
//! in pieces counts once, joined. Self times are those of the trace as it is in this segment.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{BUCKET_BITS, Kind, NameNumber, Sketch, SketchTotals, bucket_number};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use storage::{OperationLatency, OperationName};

use crate::rollup::MINUTE;
use crate::strings::{Strings, Symbol};
use storage_record::bytes::{Cursor, Malformed, Put};

/// Entries a segment may have. Beyond that, spans of further operations count for their service, without span
/// name and version, so that hostile names cost neither memory nor truth.
pub(crate) const ENTRIES_MAX: usize = 50_000;

/// What is known of the spans of one operation, version and minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SketchEntry {
    pub(crate) operation: OperationName,
    /// Empty where no tag tells it.
    pub(crate) version: String,
    /// Minutes since the epoch.
    pub(crate) minute: u64,
    pub(crate) spans: u64,
    /// Spans with the tag key `error`.
    pub(crate) errors: u64,
    /// Traces with at least one of the spans: calls a trace are `spans / traces`.
    pub(crate) traces: u64,
    /// Of spans that have one, microseconds.
    pub(crate) durations: Sketch,
    /// Of spans that have a timestamp and a duration, microseconds.
    pub(crate) self_times: Sketch,
}

/// Sketches of segments lately asked for, by the number of the segment, bounded by their bytes.
pub(crate) type SketchesCache = Cache<u64, Arc<[SketchEntry]>, SketchesWeight>;

/// Weighs the sketches of a segment by the memory they take.
#[derive(Clone, Debug)]
pub(crate) struct SketchesWeight;

impl Weighter<u64, Arc<[SketchEntry]>> for SketchesWeight {
    fn weight(&self, _: &u64, entries: &Arc<[SketchEntry]>) -> u64 {
        entries.iter().map(SketchEntry::bytes).sum::<usize>() as u64
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn sketches_cache(bytes_max: u64) -> SketchesCache {
    Cache::with_weighter(64, bytes_max, SketchesWeight)
}

impl SketchEntry {
    /// As it is answered.
    pub(crate) fn to_latency(&self) -> OperationLatency {
        OperationLatency {
            operation: self.operation.clone(),
            version: self.version.clone(),
            minute: self.minute,
            calls: self.spans,
            errors: self.errors,
            traces: self.traces,
            durations: self.durations.clone(),
            self_times: self.self_times.clone(),
        }
    }

    /// Memory it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let names = self.operation.service_name.len() + self.operation.span_name.len() + self.version.len();
        let buckets = self.durations.buckets().len() + self.self_times.buckets().len();
        size_of::<Self>() + names + buckets * (size_of::<u16>() + size_of::<u64>())
    }
}

/// The number of an operation and version among those of a [`SketchesBuilder`].
pub(crate) type OperationNumber = u32;

/// What spans of one kind do at one service, in one version, by numbers of names; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OperationKey {
    pub(crate) service: NameNumber,
    pub(crate) span_name: NameNumber,
    pub(crate) kind: Option<Kind>,
    pub(crate) version: NameNumber,
}

/// A span, as far as sketches go by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Microseconds since the epoch.
    pub(crate) timestamp: u64,
    pub(crate) is_error: bool,
    /// Microseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) self_time: Option<u64>,
}

/// Collects the sketches of a segment. Names are numbers, given by whoever calls.
#[derive(Debug, Default)]
pub(crate) struct SketchesBuilder {
    operations: Vec<OperationKey>,
    operation_numbers: HashMap<OperationKey, OperationNumber, RandomState>,
    entries: Vec<Building>,
    entry_numbers: HashMap<(OperationNumber, u64), u32, RandomState>,
    /// Of each operation the minute it was last counted in and the entry.
    latest: Vec<(u64, u32)>,
    traces: u64,
    /// Of each entry its durations, then its self times, without those in the log.
    sketches: Vec<Sketch>,
    /// Numbers of sketches above buckets of values, as they come: sorted into the sketches all at once, which costs far
    /// less than finding each in memory.
    log: Vec<u32>,
}

/// Values that are logged before they are sorted in: 8 MiB, and as much again while they are sorted.
const LOG_MAX: usize = 2 << 20;

#[derive(Debug)]
struct Building {
    operation: OperationNumber,
    minute: u64,
    spans: u64,
    errors: u64,
    traces: u64,
    /// The number of the trace it was last counted for.
    last_trace: u64,
    /// Of its durations and of its self times that are in the log.
    totals: [SketchTotals; 2],
}

impl SketchesBuilder {
    /// The number of an operation.
    pub(crate) fn operation(&mut self, key: OperationKey) -> OperationNumber {
        let next = self.operations.len() as OperationNumber;
        let number = *self.operation_numbers.entry(key).or_insert(next);
        if number == next {
            self.operations.push(key);
            self.latest.push((0, u32::MAX));
        }
        number
    }

    /// What an operation is.
    pub(crate) fn key(&self, operation: OperationNumber) -> OperationKey {
        self.operations[operation as usize]
    }

    /// Whether entries of further operations count for their service.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES_MAX
    }

    /// Spans added from now on are of another trace.
    pub(crate) fn begin_trace(&mut self) {
        self.traces += 1;
    }

    /// Adds a span that has a timestamp.
    pub(crate) fn add(&mut self, operation: OperationNumber, span: Measured) {
        let number = self.entry(operation, span.timestamp / MINUTE);
        let entry = &mut self.entries[number as usize];
        entry.spans += 1;
        entry.errors += u64::from(span.is_error);
        if entry.last_trace != self.traces {
            entry.last_trace = self.traces;
            entry.traces += 1;
        }
        for (which, value) in [span.duration, span.self_time].into_iter().enumerate() {
            let Some(value) = value else { continue };
            let sketch = number * 2 + which as u32;
            if sketch >> (u32::BITS - BUCKET_BITS) == 0 {
                entry.totals[which].record(value);
                self.log
                    .push(sketch << BUCKET_BITS | u32::from(bucket_number(value)));
            } else {
                self.sketches[sketch as usize].record(value);
            }
        }
        if self.log.len() >= LOG_MAX {
            self.settle();
        }
    }

    /// Sorts what is logged into the sketches.
    fn settle(&mut self) {
        radsort::sort(&mut self.log);
        for values in self.log.chunk_by(|a, b| a >> BUCKET_BITS == b >> BUCKET_BITS) {
            let sketch = (values[0] >> BUCKET_BITS) as usize;
            let totals = std::mem::take(&mut self.entries[sketch / 2].totals[sketch % 2]);
            let buckets = values
                .iter()
                .map(|value| (value & ((1 << BUCKET_BITS) - 1)) as u16);
            self.sketches[sketch].record_sorted(buckets, totals);
        }
        self.log.clear();
    }

    fn entry(&mut self, operation: OperationNumber, minute: u64) -> u32 {
        let (latest_minute, latest) = self.latest[operation as usize];
        if latest != u32::MAX && latest_minute == minute {
            return latest;
        }
        let number = match self.entry_numbers.get(&(operation, minute)) {
            Some(&number) => number,
            None if !self.is_full() => self.insert(operation, minute),
            None => self.entry_of_rest(operation, minute),
        };
        self.latest[operation as usize] = (minute, number);
        number
    }

    /// The entry that spans count for when there is no room for another one.
    fn entry_of_rest(&mut self, operation: OperationNumber, minute: u64) -> u32 {
        // Services are bounded far below entries in any fleet; where they are not, they share one entry.
        let is_crowded = self.entries.len() >= 2 * ENTRIES_MAX;
        let service = self.operations[operation as usize].service;
        let rest = self.operation(OperationKey::rest_of(if is_crowded { 0 } else { service }));
        match self.entry_numbers.get(&(rest, minute)) {
            Some(&number) => number,
            None => self.insert(rest, minute),
        }
    }

    fn insert(&mut self, operation: OperationNumber, minute: u64) -> u32 {
        let number = self.entries.len() as u32;
        self.entries.push(Building {
            operation,
            minute,
            spans: 0,
            errors: 0,
            traces: 0,
            last_trace: 0,
            totals: Default::default(),
        });
        self.sketches.extend([Sketch::new(), Sketch::new()]);
        self.entry_numbers.insert((operation, minute), number);
        number
    }

    /// The section: entries in the order first seen.
    pub(crate) fn put(&mut self, names: &Strings, out: &mut Vec<u8>) {
        self.settle();
        let Self {
            operations, entries, ..
        } = self;
        out.put_varint(entries.len() as u64);
        for (entry, sketches) in entries.iter().zip(self.sketches.as_chunks::<2>().0) {
            let operation = &operations[entry.operation as usize];
            let name = |number: NameNumber| names.get(Symbol(number));
            out.put_text(name(operation.service));
            out.put_text(name(operation.span_name));
            out.push(operation.kind.map_or(0, |kind| kind as u8));
            out.put_text(name(operation.version));
            for number in [entry.minute, entry.spans, entry.errors, entry.traces] {
                out.put_varint(number);
            }
            sketches.iter().for_each(|sketch| sketch.encode(out));
        }
    }
}

impl OperationKey {
    /// Everything of a service that there is no room for.
    pub(crate) fn rest_of(service: NameNumber) -> Self {
        Self {
            service,
            span_name: 0,
            kind: None,
            version: 0,
        }
    }
}

/// Reads what [`SketchesBuilder::put`] wrote.
pub(crate) fn read_sketches(bytes: &[u8]) -> Result<Vec<SketchEntry>, Malformed> {
    const ENTRY_BYTES_MIN: usize = 10;
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let service_name = cursor.text()?.to_owned();
        let span_name = cursor.text()?.to_owned();
        let kind = Kind::from_number(u64::from(cursor.u8()?));
        let version = cursor.text()?.to_owned();
        let mut number = || cursor.varint();
        let (minute, spans, errors, traces) = (number()?, number()?, number()?, number()?);
        let operation = OperationName {
            service_name,
            span_name,
            kind,
        };
        let durations = cursor.sketch()?;
        let self_times = cursor.sketch()?;
        entries.push(SketchEntry {
            operation,
            version,
            minute,
            spans,
            errors,
            traces,
            durations,
            self_times,
        });
    }
    Ok(entries)
}
