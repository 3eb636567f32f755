//! Whole windows, each summed up: from the sums that segments keep, segment by segment. Only of minutes that segments yet
//! to be read may add to are the numbers of each version held, and not how its times are spread.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::Sketch;
use storage::{
    MinuteTotals, OperationLatency, OperationName, StorageError, WindowCollector, WindowLatencies,
    WindowQuery,
};

use super::{Counted, Scattered, add_whole, micros_of, touches};
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::search::check;
use crate::sketches::SketchEntry;
use crate::store::Store;
use crate::view::Reading;

/// Versions of operations, counted by minute, that are held at a time; some 100 MiB. Beyond that the earliest minute
/// is closed, and what comes of it later is a unit of its own.
const UNITS_MAX: usize = 1 << 20;

/// See [`storage::LatencySource::windows`].
pub(crate) fn windows(
    store: &Store,
    reading: &mut Reading<'_>,
    query: &WindowQuery,
    cancelled: &AtomicBool,
) -> Result<WindowLatencies, StorageError> {
    let Some(minutes) = query.minutes() else {
        return Ok(WindowCollector::new(query).finish(reading.completeness()));
    };
    let window = micros_of(&minutes);
    let view = reading.view;
    let head = store.counted_head(view, window, cancelled)?;
    let scattered = Scattered::find(reading, &head, window, cancelled)?;
    let mut whole = Counted::new();
    let taken = add_whole(store, reading, &head, &scattered, &minutes, cancelled, &mut whole)?;
    let mut sums = Sums::new(query, taken);
    for row in whole.values() {
        sums.add(&Row::from(row));
    }
    for entry in head.sections.iter().flat_map(|(_, section)| section.times()) {
        sums.add(&Row::from(entry));
    }
    let mut segments: Vec<_> = view.segments.iter().collect();
    segments.retain(|segment| touches(segment, window));
    segments.sort_by_key(|segment| segment.footer().summary.first);
    for segment in segments {
        check(cancelled)?;
        sums.close_before(segment.footer().summary.first / MINUTE);
        let entries = reading.read(segment, SegmentReader::sketches)?;
        for entry in entries.iter() {
            sums.add(&Row::from(entry));
        }
    }
    Ok(sums.finish(reading))
}

/// By operation and the number of a version.
type Units = HashMap<(usize, u32), MinuteTotals, RandomState>;

/// Windows being summed up.
struct Sums<'q> {
    query: &'q WindowQuery,
    collector: WindowCollector<'q>,
    versions: HashMap<String, u32, RandomState>,
    /// By minute.
    open: BTreeMap<u64, Units>,
    /// In all open minutes.
    units: usize,
    /// By minute, what parts of traces counted that were read whole.
    taken: BTreeMap<u64, Vec<OperationLatency>>,
}

/// What is known of an operation, version and minute, wherever it is.
struct Row<'r> {
    operation: &'r OperationName,
    version: &'r str,
    minute: u64,
    totals: MinuteTotals,
    durations: &'r Sketch,
    self_times: &'r Sketch,
}

impl<'r> From<&'r OperationLatency> for Row<'r> {
    fn from(row: &'r OperationLatency) -> Self {
        Self {
            operation: &row.operation,
            version: &row.version,
            minute: row.minute,
            totals: row.into(),
            durations: &row.durations,
            self_times: &row.self_times,
        }
    }
}

impl<'r> From<&'r SketchEntry> for Row<'r> {
    fn from(entry: &'r SketchEntry) -> Self {
        Self {
            operation: &entry.operation,
            version: &entry.version,
            minute: entry.minute,
            totals: MinuteTotals {
                calls: entry.spans,
                errors: entry.errors,
                traces: entry.traces,
                duration_count: entry.durations.count(),
                duration_sum: entry.durations.sum(),
            },
            durations: &entry.durations,
            self_times: &entry.self_times,
        }
    }
}

impl<'q> Sums<'q> {
    fn new(query: &'q WindowQuery, taken: Counted) -> Self {
        let mut by_minute: BTreeMap<u64, Vec<OperationLatency>> = BTreeMap::new();
        let is_asked_for = |row: &OperationLatency| query.is_about(&row.operation, &row.version);
        for row in taken.into_values().filter(is_asked_for) {
            by_minute.entry(row.minute).or_default().push(row);
        }
        Self {
            query,
            collector: WindowCollector::new(query),
            versions: HashMap::default(),
            open: BTreeMap::new(),
            units: 0,
            taken: by_minute,
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        let is_asked_for = self.query.is_about(row.operation, row.version);
        let Some(window) = self.query.window_of(row.minute).filter(|_| is_asked_for) else {
            return;
        };
        let Some(operation) = self.collector.operation(row.operation) else {
            return self.collector.add_beyond(window, row.totals.calls);
        };
        self.collector
            .add_times(operation, window, row.durations, row.self_times);
        let version = self.version(row.version);
        let units = self.open.entry(row.minute).or_default();
        let before = units.len();
        units.entry((operation, version)).or_default().add(&row.totals);
        self.units += units.len() - before;
        while self.units > UNITS_MAX {
            self.close_first();
        }
    }

    fn version(&mut self, version: &str) -> u32 {
        let next = self.versions.len() as u32;
        *self.versions.entry_ref(version).or_insert(next)
    }

    /// Nothing will come of minutes before this one.
    fn close_before(&mut self, minute: u64) {
        while self
            .open
            .first_key_value()
            .is_some_and(|(first, _)| *first < minute)
        {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        if let Some((minute, units)) = self.open.pop_first() {
            self.units -= units.len();
            self.close(minute, units);
        }
    }

    fn close(&mut self, minute: u64, mut units: Units) {
        let Some(window) = self.query.window_of(minute) else {
            return;
        };
        for taken in self.taken.remove(&minute).unwrap_or_default() {
            let Some(operation) = self.collector.operation(&taken.operation) else {
                self.collector.subtract_beyond(window, taken.calls);
                continue;
            };
            let version = self.version(&taken.version);
            // What was counted for the rest of a service is not taken away, as it is not told apart there.
            if let Some(unit) = units.get_mut(&(operation, version)) {
                unit.subtract(&MinuteTotals::from(&taken));
                self.collector
                    .subtract_times(operation, window, &taken.durations, &taken.self_times);
            }
        }
        for ((operation, _), unit) in units.iter().filter(|(_, unit)| unit.calls > 0) {
            self.collector.add_unit(*operation, window, unit);
        }
    }

    fn finish(mut self, reading: &Reading<'_>) -> WindowLatencies {
        while !self.open.is_empty() {
            self.close_first();
        }
        // Of minutes that have only operations beyond the bound.
        let left: Vec<u64> = self.taken.keys().copied().collect();
        for minute in left {
            self.close(minute, Units::default());
        }
        self.collector.finish(reading.completeness())
    }
}
